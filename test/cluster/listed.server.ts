/** Which node tells which that an endpoint lists another one: of two who list each other one of them does. */
import t from 'tap';
import { clusterSettings, natsServer } from '../support/nats.js';
import { PeerNode, type ReceivedFrame } from '../support/peer-node.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, siteA, testServer } from '../support/server.js';

const skip = skipWithout('nats-server');
const { domain } = siteA;
const address = (id: string): string => `/domain/${domain}/uid/${id}`;

/** The other node lists: `bob` lists alice there. */
const listing = JSON.stringify(['w', domain, address('bob'), [address('alice')]]);
const coming = JSON.stringify(['u', domain, address('bob'), 1, 'Bob', 1, 'available', '', 1, []]);

async function meet(t: Cleaner): Promise<PeerNode> {
  const nats = await natsServer(t);
  const name = 'listed';
  const node = await testServer(t, merge(clusterSettings(nats), { cluster: { name, leaseMs: 60_000, node: 'n1' } }));
  const peer = await PeerNode.join(t, nats, name, 'n1');
  await node.site().arrive('alice', { buddies: 'bob' });
  return peer;
}

let calls = 0;

/** What the node tells of who lists whom because of these items. */
async function told(peer: PeerNode, ...items: readonly string[]): Promise<unknown[]> {
  calls += 1;
  peer.say(...items, `["?",${calls},"arrived"]`);
  const lists: unknown[] = [];
  const isAnswer = ({ items: come }: ReceivedFrame): boolean => {
    lists.push(...come.filter(([kind]) => kind === 'w'));
    return come.some(([kind, id]) => kind === '!' && id === calls);
  };
  await peer.next(isAnswer);
  return lists;
}

const aliceListsBob = ['w', domain, address('alice'), [address('bob')]];

t.test('a node is told who elsewhere lists an endpoint that has come there', { skip }, async (t) => {
  const peer = await meet(t);
  t.strictSame(await told(peer, coming), [aliceListsBob]);
});

t.test('a node is not told of those whom the endpoint lists itself', { skip }, async (t) => {
  const peer = await meet(t);
  t.strictSame(await told(peer, listing, coming), []);
});

t.test('a node is told of all where the endpoint may have come anew, with another list', { skip }, async (t) => {
  const peer = await meet(t);
  t.strictSame(await told(peer, listing), []);
  t.strictSame(await told(peer, '["<",1]', coming, '[">"]'), [aliceListsBob], 'after a gap, before it had come');
});

t.test('a node is told of all by an endpoint that comes anew over a gap', { skip }, async (t) => {
  const peer = await meet(t);
  t.strictSame(await told(peer, listing, coming), []);
  const anew = JSON.stringify(['u', domain, address('bob'), 2, 'Bob', 2, 'available', '', 2, []]);
  t.strictSame(await told(peer, '["<",1]', anew, '[">"]'), [aliceListsBob]);
});
