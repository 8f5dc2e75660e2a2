/** How a node acknowledges what another one has sent it: with what it sends that one itself. */
import t from 'tap';
import { clusterSettings, natsServer } from '../support/nats.js';
import { PeerNode } from '../support/peer-node.js';
import { skipWithout } from '../support/programs.js';
import { merge, testServer } from '../support/server.js';

const skip = skipWithout('nats-server');

t.test('an acknowledgement stands in the frame that a node sends anyway', { skip }, async (t) => {
  const nats = await natsServer(t);
  const name = 'acknowledging';
  await testServer(t, merge(clusterSettings(nats), { cluster: { name, leaseMs: 60_000, node: 'n1' } }));
  const peer = await PeerNode.join(t, nats, name, 'n1');
  peer.say('["?",1,"arrived"]');
  const { kind, acknowledged } = await peer.next(({ kind, items }) => kind === 'a' || items[0]?.[0] === '!');
  t.equal(kind, 'd', 'and comes in no frame of its own before');
  t.strictSame(acknowledged, [1, 1]);
});
