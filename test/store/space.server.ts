import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { Commits } from '../../src/store/commits.js';
import { openLmdb } from '../../src/store/lmdb.js';
import { type Measured, Space } from '../../src/store/space.js';
import type { Store } from '../../src/store/store.js';
import { turnsUntil, until } from '../support/until.js';

const MIB = 1024 * 1024;

function space(measured: Partial<Measured>) {
  let now = 0;
  const state = { free: 0, total: 0, reusable: 0, used: 0, ...measured };
  const changes: boolean[] = [];
  const made = new Space(
    () => ({ ...state }),
    (full) => changes.push(full),
    () => now,
  );
  const later = () => {
    now += 1000;
  };
  return { space: made, state, changes, later };
}

t.test('the reserve is a quarter of a small disk and 64 MiB of a large one', async (t) => {
  t.equal(space({ total: 0.5 * MIB }).space.reserve, 256 * 1024);
  t.equal(space({ total: 1.5 * MIB }).space.reserve, 384 * 1024);
  t.equal(space({ total: 100_000 * MIB }).space.reserve, 64 * MIB);
});

t.test('what is free is what the disk has and the file can use again', async (t) => {
  const { space: one, state, changes, later } = space({ total: 1000 * MIB, free: 65 * MIB });
  t.ok(one.hasRoom(100));
  state.free = 50 * MIB;
  later();
  t.notOk(one.hasRoom(100));
  t.ok(one.full);
  state.reusable = 20 * MIB;
  later();
  t.notOk(one.hasRoom(100), 'a quarter of the reserve more has to be free before it goes on');
  state.reusable = 31 * MIB;
  later();
  t.ok(one.hasRoom(100));
  t.strictSame(changes, [true, false], 'said once each');
});

t.test('what is on its way counts before the disk shows it', async (t) => {
  const { space: one } = space({ total: 1000 * MIB, free: 100 * MIB, used: 1000 * MIB });
  let taken = 0;
  while (one.hasRoom(10_000) && taken < 100_000) {
    one.open(10_000);
    taken += 1;
  }
  t.ok(taken > 500 && taken < 3600, `${taken} records of 10 kB in one turn on a disk with 36 MiB above its reserve`);
  t.ok(one.isSafe(0), 'what takes data away can still be written');
});

t.test(
  'a large record is refused where only pages of the file are free, since it needs some that lie together',
  async (t) => {
    // The reserve is 64 MiB: an eighth of it has to be free on the disk itself, half as much for what was taken before.
    const { space: one, state, later } = space({ total: 1000 * MIB, free: 9 * MIB, reusable: 500 * MIB });
    t.ok(one.hasRoom(100_000));
    state.free = 7 * MIB;
    later();
    t.ok(one.hasRoom(100));
    t.notOk(one.hasRoom(100_000));
    t.ok(one.isSafe(100_000), 'one that was taken before can still be written');
    state.free = 3 * MIB;
    later();
    t.notOk(one.isSafe(100_000));
    t.ok(one.isSafe(100));
  },
);

t.test('who waits for commits is told in order, when all before is on disk', async (t) => {
  const commits = new Commits();
  const told: string[] = [];
  commits.after(() => told.push('nothing to wait for'));
  const [one, two] = [commits.begin(), commits.begin()];
  commits.after(() => told.push('both'));
  const three = commits.begin();
  commits.after(() => told.push('all'));
  commits.end(two);
  t.strictSame(told, ['nothing to wait for']);
  commits.end(one);
  t.strictSame(told, ['nothing to wait for', 'both']);
  commits.end(three);
  t.strictSame(told, ['nothing to wait for', 'both', 'all']);
});

t.test('a store on a disk that is all but full writes nothing, and everything when there is room', async (t) => {
  const folder = join(t.testdir(), 'data');
  let free = 1000 * MIB;
  const statfs = (() => ({ bavail: free, blocks: 1000 * MIB, bsize: 1 })) as never;
  const store = openLmdb(folder, { statfs });
  const told: boolean[] = [];
  store.watch((full) => told.push(full));
  const table = store.table<string>('offline');
  table.put(['a', 1], 'before');
  await store.flush();
  free = 40 * MIB;
  await turnsUntil('a store that has no room', () => !store.hasRoom());
  t.strictSame(told, [true]);
  table.put(['a', 2], 'from the reserve');
  await store.flush();
  free = MIB;
  // The store looks at the free space of its disk four times a second.
  await pause(300);
  table.put(['a', 3], 'waits');
  let committed = 0;
  store.committed(() => {
    committed += 1;
  });
  table.remove(['a', 1]);
  table.put(['a', 3], 'waits still');
  await store.flush();
  t.equal(committed, 0, 'nobody is told that it is on disk');
  t.strictSame([table.get(['a', 1]), table.get(['a', 3])], [undefined, 'waits still'], 'what waits is read');
  const numbers = (store: Store) => [...store.table<string>('offline').entries('a')].map(([[, number]]) => number);
  t.strictSame(numbers(store), [2, 3]);
  const copy = join(folder, '../copy');
  mkdirSync(copy);
  copyFileSync(join(folder, 'data.mdb'), join(copy, 'data.mdb'));
  const written = openLmdb(copy);
  t.strictSame(numbers(written), [1, 2], 'nothing has been written');
  await written.close();
  free = 1000 * MIB;
  await until('a store that has room again', async () => {
    await store.flush();
    return store.hasRoom();
  });
  await store.flush();
  t.equal(committed, 1);
  t.strictSame(told, [true, false]);
  await store.close();
  const again = openLmdb(folder);
  t.strictSame(
    [...again.table<string>('offline').entries('a')],
    [
      [['a', 2], 'from the reserve'],
      [['a', 3], 'waits still'],
    ],
  );
  await again.close();
});
