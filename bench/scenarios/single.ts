/** Messages one by one, as a busy site's come: few connections, a fixed rate, and what each costs the server. */
import { PairLoop } from '../loops.js';
import { Meter } from '../meter.js';
import { type OpenPairs, openMqttPairs, openRestPolls, openRestSockets } from '../rigs/pairs.js';
import type { Figure, Scenario, TargetName } from '../scenario.js';
import { latencies } from './pairs.js';

const receivers = 500;
/** Keep-alive connections that a site's backends send over. */
const connections = 16;
const rates = [1000, 5000] as const;

/** Turns are left to the quickest peers: each further server takes the windows of the others further apart. */
function single(id: string, title: string, open: OpenPairs, peers: TargetName[]): Scenario {
  return {
    id,
    title: `${title}, one by one`,
    targets: ['nextalk', 'before', ...peers],
    paired: {
      targets: ['nextalk', 'before', ...peers.filter((peer) => peer !== 'ws' && peer !== 'aedes')],
      pairs: receivers,
      open,
      loads: [{ mode: '5000/s', rate: 5000 }, { mode: 'saturated' }],
    },
    run: async (context) => {
      const loop = new PairLoop(receivers);
      const rig = await open(context, receivers, loop.onDelivered);
      const figures: Figure[] = [];
      const ms = context.quick ? 1000 : 4000;
      await loop.run(rig, 1, 0);
      for (const rate of rates) {
        const mode = `${rate}/s`;
        await loop.offer(rig, rate, ms);
        loop.latency.clear();
        const meter = new Meter(context.pids);
        const lateMs = await loop.offer(rig, rate, ms);
        const measured = meter.stop(mode, Math.round((rate * ms) / 1000));
        // The generator paces itself by spinning: its share of a core says nothing, how late it was does.
        figures.push(...measured.filter(({ metric }) => metric !== 'generator'));
        figures.push(...latencies(mode, loop.latency), { mode, metric: 'late', value: lateMs });
      }
      return figures;
    },
  };
}

const restSockets: OpenPairs = (context, pairs, delivered) => openRestSockets(context, pairs, delivered, connections);
const restPolls: OpenPairs = (context, pairs, delivered) => openRestPolls(context, pairs, delivered, connections);

/** A restart's herd meets code that is not compiled yet: as much as goes, from the first message on, and later. */
const firstSeconds: Scenario = {
  id: 'first-seconds',
  title: 'REST to WebSocket, as much as 16 connections bring, after a start',
  targets: ['nextalk', 'before', 'uws', 'ws', 'nchan'],
  run: async (context) => {
    const loop = new PairLoop(connections);
    const rig = await openRestSockets(context, connections, loop.onDelivered);
    const figures: Figure[] = [];
    await loop.run(rig, 1, 0);
    const seconds = context.quick ? 1 : 5;
    for (const window of ['first', 'next', 'third']) {
      const meter = new Meter(context.pids);
      figures.push(...meter.stop(`${window} ${seconds} s`, await loop.run(rig, 1, seconds * 1000)));
    }
    return figures;
  },
};

export const singleScenarios: readonly Scenario[] = [
  single('single-rest-ws', 'REST to WebSocket', restSockets, ['uws', 'ws', 'nchan']),
  single('single-rest-poll', 'REST to long poll', restPolls, ['nchan']),
  single('single-mqtt-qos0', 'MQTT, QoS 0', openMqttPairs(0), ['mosquitto', 'aedes']),
  single('single-mqtt-qos1', 'MQTT, QoS 1', openMqttPairs(1), ['mosquitto', 'aedes']),
  firstSeconds,
];
