/** One message each to 100 users: by 100 calls, one at a time or several, by one call that names them all, and by a batch. */
import { FanoutLoop } from '../loops.js';
import { Meter } from '../meter.js';
import { openSending, type Way } from '../rigs/sending.js';
import type { Scenario, TargetName } from '../scenario.js';

const RECEIVERS = 100;

function sending(way: Way, title: string, peers: TargetName[]): Scenario {
  return {
    id: `send-100-${way}`,
    title,
    targets: ['nextalk', ...peers],
    run: async (context) => {
      const loop = new FanoutLoop(RECEIVERS);
      const rig = await openSending(context, RECEIVERS, way, loop.onDelivered);
      await loop.run(rig, 1, context.quick ? 500 : 1500);
      const meter = new Meter(context.pids);
      return meter.stop('1', await loop.run(rig, 1, context.quick ? 1000 : 2500));
    },
  };
}

export const sendingScenarios: readonly Scenario[] = [
  sending('serial', 'a message each to 100 WebSockets, by 100 calls, one after another', ['uws', 'nchan']),
  sending('single', 'a message each to 100 WebSockets, by 100 calls over eight connections', ['uws', 'nchan']),
  sending('push', 'a message each to 100 WebSockets, by one call that names them', []),
  sending('batch', 'a message each to 100 WebSockets, by a batch', ['uws']),
];
