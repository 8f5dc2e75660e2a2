/** What a node logs of the others. */
import t from 'tap';
import { sayBack, sayJoined, sayLeft, warnOfLoss } from '../../src/cluster/mesh-log.js';
import { Peer } from '../../src/cluster/peer.js';
import { log } from '../../src/log.js';
import { seldom } from '../../src/seldom.js';

t.test('that a node is lost, joins or leaves stands in the log, though the log is full of complaints', async (t) => {
  const warned = t.capture(log, 'warn');
  const said = t.capture(log, 'info');
  for (let n = 0; n < 1000; n += 1) seldom.warn(`complaint ${n}`, { event: 'complaint' }, 'whatever somebody causes');
  warned();
  const peer = new Peer('n2', 1, 0, false);
  for (let time = 0; time < 2; time += 1) {
    warnOfLoss(peer.name);
    sayBack(peer);
  }
  sayLeft(peer, true);
  sayJoined(peer.name);
  const events = (calls: ReturnType<typeof said>): unknown[] =>
    calls.map(({ args: [what] }) => (what as { event: string }).event);
  t.strictSame(events(warned()), ['node lost', 'node lost']);
  t.strictSame(events(said()), ['node back', 'node back', 'node left', 'node joined']);
});
