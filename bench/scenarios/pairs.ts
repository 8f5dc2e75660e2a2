/** 500 senders to 500 receivers: rate, cost, and how long a message takes. */
import { PairLoop } from '../loops.js';
import { Meter } from '../meter.js';
import { type OpenPairs, openMqttPairs, openRestMqtt, openRestPolls, openRestSockets } from '../rigs/pairs.js';
import type { Figure, Scenario, TargetName } from '../scenario.js';
import type { Histogram } from '../statistics.js';

const pairCount = 500;
/** Messages a second: a quarter of what a server without history takes here. */
const HISTORY_RATE = 2000;

export function latencies(mode: string, latency: Histogram): Figure[] {
  return [
    { mode, metric: 'p50', value: latency.quantile(0.5) },
    { mode, metric: 'p99', value: latency.quantile(0.99) },
    { mode, metric: 'p999', value: latency.quantile(0.999) },
  ];
}

function pairs(
  id: string,
  title: string,
  open: OpenPairs,
  peers: TargetName[],
  modes: readonly { mode: string; inFlight: number }[],
): Scenario {
  return {
    id,
    title,
    targets: ['nextalk', 'before', ...peers],
    run: async (context) => {
      const loop = new PairLoop(pairCount);
      const rig = await open(context, pairCount, loop.onDelivered);
      const figures: Figure[] = [];
      await loop.run(rig, 1, 0);
      for (const { mode, inFlight } of modes) {
        await loop.run(rig, inFlight, context.quick ? 500 : 1500);
        loop.latency.clear();
        const meter = new Meter(context.pids);
        const count = await loop.run(rig, inFlight, context.quick ? 1000 : 2500);
        figures.push(...meter.stop(mode, count), ...latencies(mode, loop.latency));
      }
      return figures;
    },
  };
}

const one = { mode: '1', inFlight: 1 };
const ten = { mode: 'burst', inFlight: 10 };

const halfLoad: Scenario = {
  id: 'latency-half-load',
  title: 'REST to WebSocket at the same offered rate',
  targets: ['nextalk', 'before', 'uws', 'ws', 'nchan'],
  offers: { share: 0.5, of: 'rest-ws-pairs', mode: '1' },
  paired: {
    targets: ['nextalk', 'before', 'uws', 'nchan'],
    pairs: pairCount,
    open: openRestSockets,
    loads: [{ mode: 'half load', share: 0.5 }],
  },
  run: async (context) => {
    const loop = new PairLoop(pairCount);
    const rig = await openRestSockets(context, pairCount, loop.onDelivered);
    await loop.run(rig, 1, context.quick ? 500 : 1000);
    await loop.offer(rig, context.offered, context.quick ? 500 : 1000);
    loop.latency.clear();
    const meter = new Meter(context.pids);
    const ms = context.quick ? 1500 : 4000;
    const lateMs = await loop.offer(rig, context.offered, ms);
    const mode = 'half load';
    const figures = meter.stop(mode, Math.round((context.offered * ms) / 1000));
    // The generator paces itself by spinning: its share of a core says nothing, how late it was does.
    return [
      ...figures.filter(({ metric }) => metric !== 'generator'),
      ...latencies(mode, loop.latency),
      { mode, metric: 'late', value: lateMs },
    ];
  },
};

/** At a rate of its own, so that a server that writes has as many messages in a turn as one that does not. */
const historyPairs: Scenario = {
  id: 'history-pairs',
  title: 'REST to WebSocket, 500 pairs at 2,000 messages/s, with history',
  targets: ['history', 'data'],
  run: async (context) => {
    const loop = new PairLoop(pairCount);
    const rig = await openRestSockets(context, pairCount, loop.onDelivered);
    const ms = context.quick ? 2000 : 5000;
    await loop.offer(rig, HISTORY_RATE, ms / 2);
    loop.latency.clear();
    const meter = new Meter(context.pids);
    await loop.offer(rig, HISTORY_RATE, ms);
    const figures = meter.stop('2,000/s', Math.round((HISTORY_RATE * ms) / 1000));
    const measured = figures.filter(({ metric }) => metric !== 'generator');
    return [...measured, ...latencies('2,000/s', loop.latency)];
  },
};

export const pairScenarios: readonly Scenario[] = [
  pairs('mqtt-pairs-qos0', 'MQTT, 500 to 500, QoS 0', openMqttPairs(0), ['mosquitto', 'aedes'], [one, ten]),
  pairs('mqtt-pairs-qos1', 'MQTT, 500 to 500, QoS 1', openMqttPairs(1), ['mosquitto', 'aedes'], [one, ten]),
  pairs('mqtt-pairs-qos2', 'MQTT, 500 to 500, QoS 2', openMqttPairs(2), ['mosquitto', 'aedes'], [one, ten]),
  pairs('rest-ws-pairs', 'REST to WebSocket, 500 pairs', openRestSockets, ['uws', 'nchan', 'ws'], [one]),
  historyPairs,
  pairs('rest-poll-pairs', 'REST to long poll, 500 pairs', openRestPolls, ['nchan'], [one]),
  pairs('rest-mqtt-pairs', 'REST to MQTT (ticket, QoS 1), 500 pairs', openRestMqtt, [], [one]),
  halfLoad,
];
