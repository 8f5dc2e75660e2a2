import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Key, open } from 'lmdb';
import t from 'tap';
import { damagedRecords } from '../../src/damaged.js';
import { Metrics } from '../../src/metrics.js';
import { accessOfOthers, takeFolder } from '../../src/store/folder.js';
import { openLmdb } from '../../src/store/lmdb.js';
import { openStore } from '../../src/store/open.js';
import { dice } from '../support/dice.js';
import { nextalk } from '../support/process.js';
import { configOf } from '../support/server.js';

interface Value {
  readonly text: string;
  readonly bytes: Buffer;
  readonly end: number;
}

const value = (text: string): Value => ({ text, bytes: Buffer.from([0, 255, 7]), end: Number.POSITIVE_INFINITY });

t.test('what is written is read at once, and again after the store was closed', async (t) => {
  const folder = join(t.testdir(), 'deep', 'data');
  const first = openLmdb(folder);
  const table = first.table<Value>('outbound');
  for (const number of [2, 10, 1]) table.put(['a', 'x', number], value(`x${number}`));
  table.put(['a', 'x', 10], value('changed'));
  table.put(['a', 'y', 1], value('gone'));
  table.put(['b', 'x', 1], value('of another'));
  table.remove(['a', 'y', 1]);
  t.strictSame(table.get(['a', 'x', 10]), value('changed'), 'before it is on disk');
  t.equal(table.get(['a', 'y', 1]), undefined);
  await first.flush();
  t.strictSame(table.get(['a', 'x', 2]), value('x2'), 'after that too');
  t.equal(table.get(['a', 'y', 1]), undefined);
  await first.close();

  const second = openLmdb(folder);
  t.strictSame(
    [...second.table<Value>('outbound').entries('a')],
    [
      [['a', 'x', 1], value('x1')],
      [['a', 'x', 2], value('x2')],
      [['a', 'x', 10], value('changed')],
    ],
    'in the order of their keys',
  );
  t.strictSame([...second.table('retained').entries('a')], []);
  await second.close();
});

t.test(
  'a range of records has what is on disk and what is not yet, in order, both ways and from a key on',
  async (t) => {
    const store = openLmdb(t.testdir());
    const table = store.table<number>('ages');
    const roll = dice(7);
    const model = new Map<string, number>();
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 12; i++) {
        const key = ['ab'[roll(2)] as string, roll(30), 'xyz'[roll(3)] as string] as const;
        if (roll(3) === 0) {
          table.remove(key);
          model.delete(key.join());
        } else {
          table.put(key, round);
          model.set(key.join(), round);
        }
      }
      if (roll(4) === 0) await store.flush();
      const from = roll(30);
      const expected = [...model]
        .map(([name, value]) => [name.split(','), value] as const)
        .filter(([[first]]) => first === 'a')
        .map(([[first, number, last], value]) => [[first, Number(number), last], value] as const)
        .sort(([[, a, x]], [[, b, y]]) => Number(a) - Number(b) || (String(x) < String(y) ? -1 : 1));
      t.strictSame([...table.entries('a')], expected);
      t.strictSame([...table.entries(['a'], { reverse: true })], [...expected].reverse());
      const isLater = ([[, number]]: (typeof expected)[number]) => Number(number) >= from;
      t.strictSame([...table.entries(['a'], { from })], expected.filter(isLater));
      const isEarlier = ([[, number]]: (typeof expected)[number]) => Number(number) <= from;
      t.strictSame([...table.entries(['a'], { from, reverse: true })], expected.filter(isEarlier).reverse());
      const [one] = expected.find(isLater) ?? [];
      if (one) {
        const below = expected.filter(([key]) => key[1] === one[1]);
        t.strictSame([...table.entries(['a', one[1] as number])], below, 'below a longer prefix');
      }
    }
    await store.close();
  },
);

t.test('the data folder `none` is no store', async (t) => {
  t.equal(await openStore(configOf({ data: 'none' }), null, new Metrics()), null);
});

t.test('a folder has one server at a time', async (t) => {
  const folder = t.testdir();
  const store = openLmdb(folder);
  t.throws(() => openLmdb(folder), { message: `data: ${folder} is in use by process ${process.pid}` });
  await store.close();
  const again = openLmdb(folder);
  await again.close();
  t.throws(() => readFileSync(join(folder, 'nextalk.pid')), { code: 'ENOENT' });
});

t.test('a server that ended without letting go holds nobody up', async (t) => {
  // A process id that no process has, and one whose process is another one by now.
  for (const left of ['4194303 1\n', `${process.ppid} 1\n`, 'nonsense', '']) {
    const folder = t.testdir({ 'nextalk.pid': left });
    await t.resolves(openLmdb(folder).close(), left);
  }
});

t.test('a folder that another process holds is refused', { skip: process.platform !== 'linux' }, async (t) => {
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const folder = t.testdir({ 'nextalk.pid': `${process.ppid} ${start}\n` });
  t.throws(() => openLmdb(folder), { message: `data: ${folder} is in use by process ${process.ppid}` });
});

t.test('a damaged file is set aside with one line, and the next start begins with an empty one', async (t) => {
  const folder = t.testdir({ whole: {} });
  const whole = openLmdb(join(folder, 'whole'));
  for (let i = 0; i < 2000; i++) whole.table('offline').put(['a', i], { text: 'x'.repeat(100) });
  await whole.close();
  const bytes = readFileSync(join(folder, 'whole/data.mdb'));
  const damaged: readonly (readonly [name: string, bytes: Buffer])[] = [
    ['garbage', Buffer.alloc(100_000, 7)],
    ['short', Buffer.from('hello')],
    ['cut', bytes.subarray(0, bytes.length >> 1)],
  ];
  for (const [name, content] of damaged) {
    const path = join(folder, name);
    mkdirSync(path);
    writeFileSync(join(path, 'data.mdb'), content);
    t.throws(
      () => openLmdb(path),
      {
        message: /^data: .*data\.mdb is damaged \(.+\) and was set aside as .*data\.mdb\.damaged-\S+: restore a copy, /,
      },
      name,
    );
    const [aside = ''] = readdirSync(path).filter((file) => file.startsWith('data.mdb.damaged-'));
    t.ok(readFileSync(join(path, aside)).equals(content), 'as it was');
    await t.resolves(openLmdb(path).close(), 'a start after that');
  }
});

t.test(
  'a file is looked through before it is opened, unless its server closed it and nobody wrote to it since',
  async (t) => {
    const folder = t.testdir({ data: {} });
    const path = join(folder, 'data');
    const { execPath } = process;
    t.teardown(() => {
      process.execPath = execPath;
    });
    const open = (canLook: boolean) => {
      process.execPath = canLook ? execPath : join(folder, 'no-program');
      return openLmdb(path);
    };
    const looks = { message: /could not be examined/ };
    await open(true).close();
    const second = open(false);
    t.notOk(existsSync(join(path, 'nextalk.whole')), 'whoever it ends looks through it at the next start');
    second.table('ages').put(['a', 1], 1);
    await second.close();
    const third = open(false);
    third.table('ages').put(['a', 2], 2);
    await third.flush();
    third.markWhole();
    third.table('ages').put(['a', 3], 3);
    await third.flush();
    cpSync(path, join(folder, 'written'), { recursive: true, preserveTimestamps: true });
    await third.close();
    writeFileSync(join(path, 'data.mdb'), readFileSync(join(path, 'data.mdb')));
    t.throws(() => open(false), looks, 'a file that was written since');
    renameSync(join(folder, 'written', 'data.mdb'), join(path, 'data.mdb'));
    t.throws(() => open(false), looks, 'another file');
    await open(true).close();
  },
);

t.test('a folder that others may read is closed to them, unless it holds what is not the server’s', async (t) => {
  const mode = (folder: string) => (statSync(folder).mode & 0o777).toString(8);
  for (const name of ['', 'data.mdb', 'nextalk.pid']) {
    const content: Record<string, string> = name === '' ? {} : { [name]: '' };
    const folder = join(t.testdir({ data: content }), 'data');
    chmodSync(folder, 0o755);
    t.equal(accessOfOthers(folder), 'close');
    takeFolder(folder)();
    t.equal(mode(folder), '700', name);
    t.equal(accessOfOthers(folder), null);
  }
  const shared = join(t.testdir({ shared: { 'report.txt': '' } }), 'shared');
  chmodSync(shared, 0o755);
  t.equal(accessOfOthers(shared), 'refuse');
  t.throws(() => takeFolder(shared), { message: /^data: .*other users .* may read it.*--data DIR, or chmod 700/ });
  t.equal(mode(shared), '755', 'a folder that is somebody else’s too is left as it is');
  chmodSync(shared, 0o700);
  takeFolder(shared)();
});

t.test('a process that exits in the middle of many writes ends, and what was on disk is there', async (t) => {
  const folder = t.testdir();
  const source = `
    import { openLmdb } from '${join(import.meta.dirname, '../../src/store/lmdb.ts')}';
    const store = openLmdb('${folder}');
    const table = store.table('ages');
    table.put(['a', 'first'], 1);
    await store.flush();
    for (let n = 0; n < 20_000; n++) table.put(['a', n], n);
    // The thread that writes has begun, and this turn goes on.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    process.exit(0);`;
  const writer = nextalk(t, [], { program: ['--input-type=module', '-e', source], node: ['--import', 'tsx'] });
  t.equal(await writer.ended, 0);
  const store = openLmdb(folder);
  t.equal(store.table('ages').get(['a', 'first']), 1);
  await store.close();
});

t.test('an empty file starts as a new one', async (t) => {
  const folder = t.testdir({ 'data.mdb': '' });
  await t.resolves(openLmdb(folder).close());
});

t.test('a folder that cannot be made is refused with one line', async (t) => {
  const folder = join(t.testdir({ file: 'x' }), 'file', 'data');
  t.throws(() => openLmdb(folder), {
    message: /^data: .* cannot be written \(ENOTDIR\): name a folder with --data DIR/,
  });
});

t.test('a value that cannot be decoded costs itself alone, and is counted', async (t) => {
  const folder = join(t.testdir(), 'data');
  const first = openLmdb(folder);
  const keys = [1, 2, 3, 4, 5, 6].map((number) => ['a', 'x', number] as const);
  for (const key of keys) first.table<Value>('outbound').put(key, value(`x${key[2]}`));
  await first.close();
  const raw = open({ path: folder, maxDbs: 32, noSubdir: false });
  const bytes = raw.openDB<Buffer, Key>('outbound', { encoding: 'binary' });
  await bytes.put(['a', 'x', 2], (bytes.get(['a', 'x', 2]) as Buffer).subarray(0, 10));
  await bytes.put(['a', 'x', 3], Buffer.alloc(0));
  await bytes.put(['a', 'x', 6], Buffer.from([0xc1, 0xc1]));
  await raw.close();
  const before = damagedRecords();
  const second = openLmdb(folder);
  const table = second.table<Value>('outbound');
  const read = (reverse: boolean) => [...table.entries('a', { reverse })].map(([[, , number]]) => number);
  t.strictSame(
    [read(false), read(true)],
    [
      [1, 4, 5],
      [5, 4, 1],
    ],
  );
  t.strictSame([table.get(['a', 'x', 3]), table.get(['a', 'x', 4])], [undefined, value('x4')]);
  t.equal(damagedRecords() - before, 7);
  for (const _one of table.entries('a')) break;
  table.put(['a', 'x', 3], value('new'));
  await second.flush();
  t.strictSame(table.get(['a', 'x', 3]), value('new'));
  await second.close();
});
