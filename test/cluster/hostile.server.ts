/** A node of the cluster sends what no node of this version would: it is refused and counted, and changes nothing. */
import { connect } from '@nats-io/transport-node';
import t from 'tap';
import { PROTOCOL } from '../../src/cluster/mesh.js';
import { log } from '../../src/log.js';
import { clusterSettings, type NatsServer, natsServer } from '../support/nats.js';
import { PeerNode } from '../support/peer-node.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, siteA, type TestServer, testServer } from '../support/server.js';
import type { Person } from '../support/site.js';

const skip = skipWithout('nats-server');
const { domain } = siteA;
const address = (id: string): string => `/domain/${domain}/uid/${id}`;
const room = `/domain/${domain}/gid/tea`;
const alice = address('alice');

const fields = { from: 'x', to: 'alice', nick: 'X', timestamp: '1', type: 'chat', body: 'hi', style: '' };
const packet = ['message', alice, address('x'), fields];

/** Items that each have one fault. */
const items: readonly (readonly [what: string, item: unknown])[] = [
  ['no list', 5],
  ['null', null],
  ['an empty list', []],
  ['a kind that is not text', [5, domain]],
  ['an endpoint without address', ['u', domain, null, 1, 'N', 1, 'available', '', 1, []]],
  ['an endpoint of another domain', ['u', domain, '/domain/b.example/uid/1', 1, 'N', 1, 'available', '', 1, []]],
  ['an endpoint without fields', ['u', domain, address('x')]],
  ['an endpoint without rooms', ['u', domain, address('x'), 1, 'N', 1, 'available', '', 1]],
  ['a nick that is not text', ['u', domain, address('x'), 1, {}, 1, 'available', '', 1, []]],
  ['an unknown show', ['u', domain, address('x'), 1, 'N', 1, 'asleep', '', 1, []]],
  [
    'a room that is not text',
    [
      'u',
      domain,
      address('x'),
      1,
      'N',
      1,
      'available',
      '',
      1,
      [
        [room, 1],
        [7, 1],
      ],
    ],
  ],
  ['a room without moment', ['u', domain, address('x'), 1, 'N', 1, 'available', '', 1, [room]]],
  ['a room entered after the end of time', ['r', domain, alice, [[room, 1e300]], [], 'join', null]],
  ['a moment after the end of time', ['s', domain, alice, 1e300, 'N', 1, 'dnd', '']],
  ['a moment that is not a number', ['s', domain, alice, 9, 'N', '9', 'dnd', '']],
  ['rooms that are not a list', ['r', domain, alice, 'tea', [], 'join', null]],
  ['buddies that are not a list', ['w', domain, alice, { length: 3 }]],
  ['a name held since the end of time', ['N', domain, alice, 'tab', 1e300]],
  ['a filter that is not text', ['i', domain, null, true]],
  ['a packet that is not a list', ['y', domain, alice, null, 'hi']],
  ['a packet of an unknown kind', ['y', domain, alice, null, ['secret', ...packet.slice(1)]]],
  ['a packet without fields', ['y', domain, alice, null, ['message', alice, null, null]]],
  ['a packet without body', ['y', domain, alice, null, ['message', alice, null, { ...fields, body: undefined }]]],
  ['an expiry that is not a number', ['y', domain, alice, null, [...packet, null, '1000']]],
  ['a body that is not text', ['y', domain, alice, null, ['message', alice, null, { ...fields, body: { a: 1 } }]]],
  ['a nick in a packet that is not text', ['b', domain, null, ['message', alice, null, { ...fields, nick: 1 }]]],
  [
    'a further field that is not text',
    ['e', domain, null, null, 1, ['message', alice, null, { ...fields, avatar: [] }]],
  ],
  ['a packet whose topic is not text', ['g', domain, null, ['message', 7, null, fields]]],
  ['a publication that is not a list', ['t', domain, 1, 1, 'topic']],
  ['a publication without payload', ['t', domain, 1, 1, ['a/b', 0, 1, null]]],
  ['a publication of QoS 9', ['t', domain, 1, 1, ['a/b', 9, 1, null, '', '']]],
  ['a shared subscription without filter', ['h', domain, 'name', null, 1, 1]],
  ['a client id that is not text', ['S', domain, {}, 1]],
  ['a connection whose id is not a number', ['va', domain, 'x', 7, 'websocket', 0]],
  ['an unknown transport', ['va', domain, 1, 'ab', 'pigeon', 0]],
  ['returned packets that are not packets', ['vd', domain, 1, 'ab', 0, [5]]],
  ['a call without number', ['?', null, 'visit', domain]],
  ['a call whose parameters are not a list', ['?', 1, 'call', domain, 'message', '', 5]],
  ['an answer without number', ['!', 'x', null]],
  ['a tunnel without number', ['=', 1, {}, 'o', {}]],
  ['a tunnel about nothing', ['=', 1, 1, 'o', null]],
  ['data that is not text', ['=', 1, 2, 'd', 5]],
];

interface Scene {
  readonly nats: NatsServer;
  readonly node: TestServer;
  readonly peer: PeerNode;
  readonly person: Person;
}

async function scene(t: Cleaner): Promise<Scene> {
  const nats = await natsServer(t);
  const name = 'hostile';
  const settings = { cluster: { name, leaseMs: 60_000, node: 'n1' }, mqtt: { port: -1 } };
  const node = await testServer(t, merge(clusterSettings(nats), settings));
  const peer = await PeerNode.join(t, nats, name, 'n1');
  const person = await node.site().arrive('alice', { buddies: 'x,bob', rooms: 'tea' });
  return { nats, node, peer, person };
}

/** Has the peer send a message, which shows that its stream goes on; answers what the person is sent. */
async function goesOn({ node, peer, person }: Scene, body: string): Promise<unknown> {
  peer.say(JSON.stringify(['y', domain, alice, null, ['message', alice, address('x'), { ...fields, body }]]));
  const got = await person.next();
  await node.settled();
  return got;
}

t.test('malformed items of a node are refused, and its stream goes on', { skip }, async (t) => {
  const all = await scene(t);
  const { node, peer, person } = all;
  const { metrics } = node;
  for (const [what, item] of items) {
    peer.say(JSON.stringify(item));
    t.hasStrict(await goesOn(all, what), { body: what }, what);
  }
  t.equal(metrics.cluster.itemsRefused, items.length, 'each refused item is counted');
  t.equal(metrics.crashes, 0);
  t.strictSame(await node.site().presences('alice,x'), { alice: 'available' });
  t.strictSame(await node.site().members(person.ticket, 'tea'), { alice: 'available' });
  await person.show('dnd');
  t.strictSame(await node.site().presences('alice'), { alice: 'dnd' }, 'this node’s own changes are still the latest');
});

t.test('a refused item does not affect the others of its frame', { skip }, async (t) => {
  const all = await scene(t);
  const one = (body: string) =>
    JSON.stringify(['y', domain, alice, null, ['message', alice, null, { ...fields, body }]]);
  all.peer.say('null', one('first'), '["u"]', one('second'));
  t.hasStrict(await all.person.next(), { body: 'first' });
  t.hasStrict(await all.person.next(), { body: 'second' });
});

t.test('malformed frames and signs of life change nothing', { skip }, async (t) => {
  const all = await scene(t);
  const { peer, node } = all;
  for (const text of [
    '',
    'null',
    '5',
    '[]',
    '{}',
    '["d"]',
    '[['.repeat(5000),
    '["b",null]',
    `"${'x'.repeat(900_000)}"`,
  ]) {
    peer.publish('beat', text);
    peer.publish(`node.${Buffer.from('n1').toString('hex')}`, text);
  }
  for (const name of ['5', 'null', '{}', '""']) peer.publish('beat', `["b",${name},1,${PROTOCOL},"up",1]`);
  for (const incarnation of ['null', '"x"', '1e300'])
    peer.publish('beat', `["b","byhand",${incarnation},${PROTOCOL},"up",0]`);
  peer.publish('beat', `["b","other",1,${PROTOCOL},"asleep",0]`);
  for (const seq of [null, -1, 1.5, '1', 1e300]) peer.frame('d', seq, '[]');
  for (const rest of ['null', '5', '{"length":3}']) peer.frame('d', 1, rest);
  peer.frame('q', 1, '[]');
  t.hasStrict(await goesOn(all, 'after all'), { body: 'after all' });
  t.equal(node.metrics.crashes, 0);
  const text = await node.site().presences('alice');
  t.strictSame(text, { alice: 'available' });
});

t.test('a node starts although somebody answers its greeting with nonsense', { skip }, async (t) => {
  const nats = await natsServer(t);
  const stranger = await connect({ servers: nats.url });
  t.teardown(() => stranger.close());
  for (const [name, nonsense] of [
    ['hello1', 'no JSON'],
    ['hello2', '5'],
  ] as const) {
    stranger.subscribe(`${name}.hello`, { callback: (_error, message) => void message.respond(nonsense) });
    await stranger.flush();
    const node = await testServer(t, merge(clusterSettings(nats), { cluster: { name, node: 'n1' } }));
    t.match(await node.site().online('alice'), { success: true });
  }
});

t.test(
  'unknown kinds of items are logged once each, shortened, and no more than a bounded number of them',
  { skip },
  async (t) => {
    const all = await scene(t);
    const warned = t.capture(log, 'warn');
    const kinds = ['new', 'new', `long${'x'.repeat(100_000)}`, ...Array.from({ length: 1000 }, (_, n) => `new${n}`)];
    for (const kind of kinds) all.peer.say(JSON.stringify([kind, domain, 1]));
    t.hasStrict(await goesOn(all, 'after all'), { body: 'after all' });
    const told = warned().map(({ args }) => args[0] as { readonly event: string; readonly kind: string });
    const unknown = told.filter(({ event }) => event === 'item unknown').map(({ kind }) => kind);
    t.strictSame(unknown.slice(0, 3), ['new', `long${'x'.repeat(12)}`, 'new0']);
    t.equal(unknown.length, 16);
  },
);
