/** What a node that ends leaves of an endpoint's queues, in pieces where it is long. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { LeftQueues } from '../../src/cluster/left-queues.js';
import { MemoryStream } from '../support/memory-stream.js';

const name = 'a.example';
const address = '/domain/a.example/uid/jack' as Address;

/** A stream with what a node has left in some twenty pieces, and the number of these. */
async function leave() {
  const stream = new MemoryStream();
  const left = new LeftQueues(stream.portOf({ isDead: false }));
  const text = JSON.stringify({ queues: null, packets: [], at: 0, rest: 'x'.repeat(2_000_000) });
  const count = Number(await left.write(name, address, ['n1', 1], text));
  const read = (pieces: unknown) => left.read(name, address, ['n1', 1], pieces);
  return { stream, count, read };
}

t.test('what was left in many pieces is read from all of them', async (t) => {
  const { stream, count, read } = await leave();
  t.strictSame(await read(count), { queues: null, packets: [] });
  t.equal(stream.reads, count);
});

t.test('a damaged record that names more pieces than there are does not have them all asked for', async (t) => {
  const { stream, count, read } = await leave();
  t.equal(await read(100_000), null);
  t.ok(stream.reads < 2 * count, `${stream.reads} pieces were asked for`);
  for (const pieces of [0, -1, 1.5, count - 1]) t.equal(await read(pieces), null);
});

/** A record of an endpoint as a node has written it, and what the node's mark makes of it. */
async function marked(except: readonly Address[], more: object = {}) {
  const left = new LeftQueues(new MemoryStream().portOf({ isDead: false }));
  const isMarked = await left.end(name, ['n1', 1], 'e1', except);
  const client = { hash: 'h', name: 'c', isNamed: false, isAway: false };
  const kept = { nick: '', show: 'available', status: '', buddies: [], rooms: [], isAway: false };
  const clients = [client, { ...client, name: 'd', era: 'e0' }];
  const part = { node: 'n1', incarnation: 1, key: 'k', revision: 1, kept: { ...kept, clients }, ...more } as const;
  const { kept: found } = await left.completed(name, address, part as never);
  return { isMarked, eras: found?.clients.map(({ era }) => era), left: found?.left };
}

t.test(
  'a mark of a node that has ended says of an endpoint that nothing waited, and in which eras its clients were',
  async (t) => {
    const { isMarked, eras, left } = await marked(['/domain/a.example/uid/rose' as Address]);
    t.ok(isMarked);
    t.strictSame(eras, ['e1', 'e0']);
    t.strictSame(left, { queues: null, packets: [], at: 0 });
  },
);

t.test(
  'a mark says nothing of an endpoint that it names, of another start, and of what another node has begun to take over',
  async (t) => {
    t.equal((await marked([address])).left, undefined);
    t.equal((await marked([], { incarnation: 2 })).left, undefined);
    t.equal((await marked([], { adopter: ['n2', 1] })).left, undefined);
  },
);

t.test('of an endpoint whose queues were left a mark that names it says that more had come', async (t) => {
  const left = new LeftQueues(new MemoryStream().portOf({ isDead: false }));
  await left.end(name, ['n1', 1], 'e1', [address]);
  const kept = { clients: [], left: { queues: null, packets: [], at: 0 } };
  const part = { node: 'n1', incarnation: 1, key: 'k', revision: 1, kept } as never;
  t.strictSame(await left.completed(name, address, part), { ...(part as object), isIncomplete: true });
  t.equal(await left.completed(name, `${address}2` as Address, part), part);
});

t.test('a mark says of very many endpoints that nothing waited, though it names very many others', async (t) => {
  const many = Array.from({ length: 30_000 }, (_, n) => `${address}${n}` as Address);
  const { isMarked, left } = await marked(many);
  t.strictSame([isMarked, left], [true, { queues: null, packets: [], at: 0 }]);
  t.equal((await marked([...many, address])).left, undefined);
});

t.test(
  'of a mark nothing is left when all has been taken over, nor is anything said where a piece of it is missing',
  async (t) => {
    const stream = new MemoryStream();
    const left = new LeftQueues(stream.portOf({ isDead: false }));
    const many = Array.from({ length: 30_000 }, (_, n) => `${address}${n}` as Address);
    await left.end(name, ['n1', 1], 'e1', many);
    const [key] = [...stream.records.keys()].filter((one) => one.endsWith('.1'));
    stream.records.delete([...stream.records.keys()].find((one) => one.startsWith('e.') && one !== key) ?? '');
    const part = { node: 'n1', incarnation: 1, key: 'k', revision: 1, kept: { clients: [] } } as never;
    t.equal(await left.completed(name, address, part), part);
    left.unmark(name, 'n1');
    t.equal(stream.records.size, 0);
  },
);

t.test('the nodes that have left endpoints are known, also where the record of one is damaged', async (t) => {
  const { stream } = await leave();
  const left = new LeftQueues(stream.portOf({ isDead: false }));
  for (const node of ['n1', 'n2', 'n3']) await left.mark(name, [node, 1]);
  const [first, second] = [...stream.records.values()].filter(({ key }) => key.startsWith('m.'));
  if (!first || !second) return t.fail('they are written');
  stream.records.set(first.key, { ...first, data: '{"no": "JSON' });
  stream.records.set(second.key, { ...second, data: 'null' });
  t.strictSame(await left.marks(), [[name, 'n3']]);
  const part = { node: 'n1', incarnation: 1, key: 'k', revision: 1, kept: { clients: [] } } as never;
  t.equal(await left.completed(name, address, part), part, 'and it says nothing of endpoints');
});

t.test('a damaged packet of what was left costs itself alone', async (t) => {
  const stream = new MemoryStream();
  const left = new LeftQueues(stream.portOf({ isDead: false }));
  const fields = { id: '1', from: 'bob', to: 'jack', nick: 'Bob', timestamp: '1', type: 'chat', body: 'hi', style: '' };
  const packets = [null, [['message', address, null, fields], 0], [['message', address, null, {}], 0]];
  const found = await left.read(name, address, ['n1', 1], { queues: null, packets, at: 0 });
  t.strictSame(
    found?.packets.map((packet) => (packet?.fields as typeof fields | undefined)?.body),
    [undefined, 'hi', undefined],
  );
});
