/** How a node acknowledges what another one has sent it: with what it sends that one itself, or in frames of their own. */
import t from 'tap';
import { clusterSettings, natsServer } from '../support/nats.js';
import { PeerNode } from '../support/peer-node.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, testServer } from '../support/server.js';

const skip = skipWithout('nats-server');
const call = '["?",1,"arrived"]';

async function meet(t: Cleaner, readsAcknowledgements: boolean): Promise<PeerNode> {
  const nats = await natsServer(t);
  const name = `acknowledging${readsAcknowledgements}`;
  await testServer(t, merge(clusterSettings(nats), { cluster: { name, leaseMs: 60_000, node: 'n1' } }));
  return PeerNode.join(t, nats, name, 'n1', { readsAcknowledgements });
}

t.test('an acknowledgement stands in the frame that a node sends anyway', { skip }, async (t) => {
  const peer = await meet(t, true);
  peer.say(call);
  const { kind, acknowledged } = await peer.next(({ kind, items }) => kind === 'a' || items[0]?.[0] === '!');
  t.equal(kind, 'd', 'and comes in no frame of its own before');
  t.strictSame(acknowledged, [1, 1]);
});

t.test('a node that reads acknowledgements nowhere else gets a frame for each', { skip }, async (t) => {
  const peer = await meet(t, false);
  peer.say(call);
  const { acknowledged } = await peer.next(({ items }) => items[0]?.[0] === '!');
  t.strictSame(acknowledged, []);
  t.hasStrict(await peer.next(({ kind }) => kind === 'a'), { epoch: 1, seq: 1 });
});
