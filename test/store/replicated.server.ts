/** The store of a cluster: several nodes' copies of what a real JetStream has. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { JetStream } from '../../src/cluster/jetstream.js';
import { Conditions } from '../../src/conditions.js';
import { JetStreamMetrics } from '../../src/metrics.js';
import { openLmdb } from '../../src/store/lmdb.js';
import { ReplicatedStore } from '../../src/store/replicated.js';
import type { Key, Store } from '../../src/store/store.js';
import { keyOf, parse, subjectOf, textOf } from '../../src/store/wire.js';
import { dice } from '../support/dice.js';
import { jetStreamServer, type NatsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { Cleaner } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');

interface Node {
  readonly store: ReplicatedStore;
  readonly jetstream: JetStream;
}

let opened = 0;

async function node(t: Cleaner, nats: NatsServer, name = `n${++opened}`): Promise<Node> {
  const metrics = new JetStreamMetrics();
  const options = {
    urls: [nats.url],
    cluster: 'test',
    node: name,
    replicas: 1,
    keeps: 'things',
    conditions: new Conditions(),
    metrics,
  };
  const jetstream = new JetStream(options);
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-copy-'));
  const copy = openLmdb(folder, { isScratch: true });
  const store = new ReplicatedStore(jetstream, copy, name, () => undefined);
  t.teardown(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await store.open();
  return { store, jetstream };
}

const committed = (store: Store): Promise<void> => new Promise((resolve) => store.committed(resolve));

/** Resolves when a node shows this value for a key of bans. */
function shown(store: Store, key: Key, value: unknown): Promise<void> {
  return new Promise((resolve) => {
    const table = store.table('bans');
    const look = (): void => {
      if (JSON.stringify(table.get(key)) === JSON.stringify(value)) resolve();
    };
    table.watch(key[0], look);
    look();
  });
}

t.test('keys and values come back from JetStream as they were', async (t) => {
  const keys: Key[] = [
    ['a'],
    ['', 0, -1, 1.5, Number.MAX_SAFE_INTEGER],
    ['a.b', '*', '>', ' ', '%', '#1', 'ü', '\u{1f600}', '\ud800', '\u0000'],
    ['key:sha256', '_-'],
  ];
  for (const key of keys) {
    const subject = subjectOf('bans', key);
    t.match(subject, /^bans(\.[^.*>\s]+)+$/, subject);
    t.strictSame(keyOf(subject), { table: 'bans', key });
  }
  const values: unknown[] = [
    'text',
    0,
    Number.POSITIVE_INFINITY,
    null,
    true,
    [1, [2]],
    { a: { bytes: Buffer.from([0, 255, 7]), end: Number.NEGATIVE_INFINITY }, list: [Buffer.from('x')] },
    { '\u0000': 'bAAAA' },
    { '\u0000': { '\u0000': 1, b: Buffer.from('y') } },
    { text: '"\\u0000":' },
  ];
  for (const value of values) t.strictSame(parse(textOf(value)), value);
});

t.test(
  'what one node writes another reads, and one that starts later, and the same after all have ended',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const { store: one } = await node(t, nats);
    const { store: two } = await node(t, nats);
    const bans = one.table<string>('bans');
    const heard: (readonly [Key, unknown])[] = [];
    two.table('bans').watch('ban', (key, value) => void heard.push([key, value]));
    bans.put(['ban', 'b'], 'first');
    bans.put(['ban', 'a'], 'second');
    bans.put(['ban', 'b'], 'third');
    bans.remove(['ban', 'a']);
    t.equal(bans.get(['ban', 'b']), 'third', 'at once');
    t.strictSame([...bans.entries('ban')], [[['ban', 'b'], 'third']]);
    await committed(one);
    await shown(two, ['ban', 'b'], 'third');
    await until('the removal', () => heard.some(([, value]) => value === undefined));
    t.equal(two.table('bans').get(['ban', 'a']), undefined);
    t.strictSame(heard.at(-1), [['ban', 'a'], undefined]);
    const { store: late } = await node(t, nats);
    t.strictSame([...late.table('bans').entries('ban')], [[['ban', 'b'], 'third']]);
    for (const store of [one, two, late]) await store.close();
    await nats.stop();
    await nats.start();
    const { store: again } = await node(t, nats);
    t.strictSame([...again.table('bans').entries('ban')], [[['ban', 'b'], 'third']]);
  },
);

t.test(
  'nodes that write the same keys at once come to the same values, through the loss of JetStream',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const nodes = [await node(t, nats), await node(t, nats), await node(t, nats)];
    const roll = dice(7);
    const write = (): void => {
      const { store } = nodes[roll(3)] as Node;
      const table = store.table<number>('bans');
      const key: Key = ['ban', `k${roll(10)}`];
      if (roll(4) === 0) table.remove(key);
      else table.put(key, roll(1000));
    };
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 200; i++) {
        write();
        if (roll(10) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      if (round % 2 === 0) {
        await nats.stop();
        for (let i = 0; i < 50; i++) write();
        await nats.start();
      }
      await Promise.all(nodes.map(({ store }) => committed(store)));
    }
    // What comes after all of it on each node.
    for (const [n, { store }] of nodes.entries()) store.table('bans').put(['end', n], n);
    for (const { store } of nodes) for (const n of nodes.keys()) await shown(store, ['end', n], n);
    const [first, ...others] = nodes.map(({ store }) => [...store.table('bans').entries('ban')]);
    for (const other of others) t.strictSame(other, first);
    const { store: late } = await node(t, nats);
    t.strictSame([...late.table('bans').entries('ban')], first);
  },
);

t.test('what was committed is there after its node and JetStream were killed under writes', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const { store, jetstream } = await node(t, nats);
  const table = store.table<number>('bans');
  const kept: number[] = [];
  let n = 0;
  const stopped = new Promise<void>((resolve) => {
    jetstream.watchers.add((available) => void (available || resolve()));
  });
  const write = (): void => {
    if (!jetstream.available) return;
    const number = n++;
    table.put(['n', number], number);
    store.committed(() => {
      kept.push(number);
      write();
    });
  };
  for (let i = 0; i < 20; i++) write();
  await until('200 commits', () => kept.length >= 200);
  await nats.stop();
  await stopped;
  await nats.start();
  const { store: other } = await node(t, nats);
  const there = new Set([...other.table<number>('bans').entries('n')].map(([, value]) => value));
  t.strictSame(
    kept.filter((number) => !there.has(number)),
    [],
  );
});

t.test('without JetStream a node serves on until too much waits, and says so', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const { store, jetstream } = await node(t, nats);
  const full: boolean[] = [];
  store.watch((isFull) => void full.push(isFull));
  await nats.stop();
  await until('the loss of JetStream', () => !jetstream.available);
  const table = store.table<string>('offline');
  const text = 'x'.repeat(100_000);
  let isCommitted = false;
  let n = 0;
  for (; store.hasRoom(text.length); n++) table.put(['a', n], text);
  store.committed(() => {
    isCommitted = true;
  });
  t.ok(n > 200);
  t.equal(table.get(['a', n - 1]), text, 'what was taken is read');
  t.equal([...table.entries('a')].length, n);
  t.strictSame(full, [], 'room for less is left');
  table.put(['a', n++], text);
  t.strictSame(full, [true]);
  await store.flush();
  t.notOk(isCommitted);
  await nats.start();
  await committed(store);
  await until('room again', () => full.length >= 2);
  t.strictSame(full, [true, false]);
  const { store: other } = await node(t, nats);
  t.equal([...other.table('offline').entries('a')].length, n, 'and all of it is kept');
});

t.test('a stream that JetStream has lost is filled again by the nodes', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const { store, jetstream } = await node(t, nats);
  store.table('bans').put(['ban', 'a'], 1);
  await committed(store);
  const { store: watching } = await node(t, nats);
  await jetstream.ask('STREAM.DELETE.test_directory');
  store.table('bans').put(['ban', 'b'], 2);
  await committed(store);
  await shown(watching, ['ban', 'b'], 2);
  const found = await until('both records', async () => {
    const { store: late } = await node(t, nats);
    const found = [...late.table('bans').entries('ban')];
    await late.close();
    return found.length >= 2 && found;
  });
  t.strictSame(found, [
    [['ban', 'a'], 1],
    [['ban', 'b'], 2],
  ]);
});
