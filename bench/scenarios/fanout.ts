/** One message to many: rooms over WebSocket and long polls, topics over MQTT. */
import { FanoutLoop } from '../loops.js';
import { Meter } from '../meter.js';
import { type OpenFanout, openCeiling, openMqttFanout, openPollFanout, openSocketFanout } from '../rigs/fanout.js';
import type { Figure, Scenario, TargetName } from '../scenario.js';

interface Mode {
  readonly mode: string;
  readonly inFlight: number;
}

const usual: readonly Mode[] = [
  { mode: '1', inFlight: 1 },
  { mode: 'burst', inFlight: 8 },
];

function fanout(
  id: string,
  title: string,
  receivers: number,
  open: OpenFanout,
  peers: TargetName[],
  modes = usual,
): Scenario {
  return {
    id,
    title,
    targets: ['nextalk', 'before', ...peers],
    run: async (context) => {
      const loop = new FanoutLoop(receivers);
      const rig = await open(context, receivers, loop.onDelivered);
      const figures: Figure[] = [];
      const ms = context.quick ? 1000 : 2500;
      // The very first message alone: its frame is what others are measured by.
      await loop.run(rig, 1, 0);
      for (const { mode, inFlight } of modes) {
        await loop.run(rig, inFlight, context.quick ? 500 : 1500);
        const meter = new Meter(context.pids);
        figures.push(...meter.stop(mode, await loop.run(rig, inFlight, ms)));
      }
      return figures;
    },
  };
}

const socketPeers: TargetName[] = ['uws', 'ws', 'socketio', 'nchan'];

export const fanoutScenarios: readonly Scenario[] = [
  {
    ...fanout(
      'generator-ceiling',
      'what the generator can read',
      1000,
      openCeiling,
      [],
      [
        { mode: '8 in one write', inFlight: 8 },
        { mode: '32 in one write', inFlight: 32 },
      ],
    ),
    targets: ['uws'],
  },
  fanout('ws-fanout-100', 'room of 100 WebSockets', 100, openSocketFanout, socketPeers),
  fanout('ws-fanout-1000', 'room of 1,000 WebSockets', 1000, openSocketFanout, socketPeers),
  fanout('ws-fanout-10000', 'room of 10,000 WebSockets', 10_000, openSocketFanout, ['uws', 'ws', 'nchan']),
  {
    ...fanout('history-fanout-1000', 'room of 1,000 WebSockets, with history', 1000, openSocketFanout, []),
    targets: ['history', 'data'],
  },
  fanout('mqtt-fanout-1000', 'MQTT topic, 1,000 subscribers, QoS 0', 1000, openMqttFanout, ['mosquitto', 'aedes']),
  fanout('poll-fanout-1000', 'room of 1,000 long polls', 1000, openPollFanout, ['nchan']),
];
