/** Two nodes that have not heard of each other for long: one may have forgotten the other, which still knows the first. */
import t from 'tap';
import { ManualClock } from '../mqtt/support/clock.js';
import { clusterSettings, natsServer } from '../support/nats.js';
import { PeerNode, type ReceivedFrame } from '../support/peer-node.js';
import { skipWithout } from '../support/programs.js';
import { merge, siteA, testServer } from '../support/server.js';

const skip = skipWithout('nats-server');
const leaseMs = 60_000;
/** A node that is not heard of is forgotten after ten minutes. */
const FORGOTTEN_MS = leaseMs + 11 * 60_000;

const isData = ({ kind }: ReceivedFrame): boolean => kind === 'd';
const tellsOf =
  (id: string) =>
  (frame: ReceivedFrame): boolean =>
    isData(frame) &&
    frame.items.some(([kind, , address]) => kind === 'u' && address === `/domain/${siteA.domain}/uid/${id}`);

t.test('a node that misses what it had acknowledged is told everything anew', { skip }, async (t) => {
  const nats = await natsServer(t);
  const node = await testServer(t, merge(clusterSettings(nats), { cluster: { name: 'amnesia', leaseMs, node: 'n1' } }));
  await node.site().online('alice');
  const peer = await PeerNode.join(t, nats, 'amnesia', 'n1');
  const told = await peer.next(tellsOf('alice'));
  peer.control('a', told.epoch, told.seq);
  peer.control('n', told.epoch, 0);
  const again = await peer.next(tellsOf('alice'));
  t.ok(again.epoch > told.epoch, 'the stream has begun anew');
});

t.test(
  'a node that has forgotten another one speaks to it in a stream that is newer than before',
  { skip },
  async (t) => {
    const nats = await natsServer(t);
    const clock = new ManualClock();
    const settings = merge(clusterSettings(nats), { cluster: { name: 'forgotten', leaseMs, node: 'n1' } });
    const node = await testServer(t, settings, clock);
    await node.site().online('alice');
    const peer = await PeerNode.join(t, nats, 'forgotten', 'n1');
    const told = await peer.next(tellsOf('alice'));
    clock.advance(FORGOTTEN_MS);
    t.equal(node.metrics.cluster.nodesLost, 0, 'the other node is forgotten');
    peer.beat();
    const again = await peer.next(({ epoch, kind }) => kind === 'd' && epoch !== told.epoch);
    t.ok(again.epoch > told.epoch);
  },
);
