import t from 'tap';
import { Timeouts, Timers } from '../src/clock.js';
import { ManualClock } from './mqtt/support/clock.js';

/** Items `a`, `b` and `c`, started 100 ms after each other, each for a second; what fell due when, in ms. */
function started(onDue: (item: string, timeouts: Timeouts<string>) => void) {
  const clock = new ManualClock();
  const begin = clock.now();
  const fallen: [item: string, ms: number][] = [];
  const timeouts: Timeouts<string> = new Timeouts(clock, 1000, (item) => {
    fallen.push([item, clock.now() - begin]);
    onDue(item, timeouts);
  });
  for (const item of ['a', 'b', 'c']) {
    timeouts.start(item);
    clock.advance(100);
  }
  return { clock, timeouts, fallen };
}

t.test('each item of Timeouts falls due by itself, once', async (t) => {
  const { clock, timeouts, fallen } = started(() => undefined);
  clock.advance(5000);
  t.strictSame(fallen, [
    ['a', 1000],
    ['b', 1100],
    ['c', 1200],
  ]);
  t.strictSame([timeouts.size, clock.waiting], [0, 0]);
});

t.test('items that are started again when they fall due keep their distance', async (t) => {
  const { clock, fallen } = started((item, timeouts) => timeouts.start(item));
  clock.advance(3000);
  t.strictSame(fallen, [
    ['a', 1000],
    ['b', 1100],
    ['c', 1200],
    ['a', 2000],
    ['b', 2100],
    ['c', 2200],
    ['a', 3000],
    ['b', 3100],
    ['c', 3200],
  ]);
  t.equal(clock.waiting, 1, 'one timer for all');
});

t.test('a start begins the time anew, a cancel ends it', async (t) => {
  const { clock, timeouts, fallen } = started(() => undefined);
  timeouts.start('a');
  timeouts.cancel('b');
  clock.advance(5000);
  t.strictSame(fallen, [
    ['c', 1200],
    ['a', 1300],
  ]);
});

t.test('a restart begins the time of an item that waits anew, and has no other item wait', async (t) => {
  const { clock, timeouts, fallen } = started(() => undefined);
  t.strictSame([timeouts.restart('a'), timeouts.restart('d')], [true, false]);
  clock.advance(5000);
  t.strictSame(fallen, [
    ['b', 1100],
    ['c', 1200],
    ['a', 1300],
  ]);
  t.equal(timeouts.restart('a'), false, 'nor one that has fallen due');
});

t.test('an item whose callback throws does not hold up the others', async (t) => {
  const { clock, fallen } = started((item) => {
    if (item === 'a') throw new Error('a bug');
  });
  t.throws(() => clock.advance(5000), { message: 'a bug' });
  clock.advance(5000);
  t.strictSame(
    fallen.map(([item]) => item),
    ['a', 'b', 'c'],
  );
});

t.test('once Timeouts are closed, also by an item that falls due, no other item does', async (t) => {
  const { clock, fallen } = started((_item, timeouts) => timeouts.close());
  clock.advance(5000);
  t.strictSame(fallen, [['a', 1000]]);
  t.equal(clock.waiting, 0);
});

t.test('timers of one owner end when they are due, cancelled, or closed', (t) => {
  const clock = new ManualClock();
  const timers = new Timers(clock);
  const done: string[] = [];
  for (const name of ['due', 'cancelled', 'closed']) {
    const cancel = timers.after(name === 'due' ? 10 : 20, () => done.push(name));
    if (name === 'cancelled') cancel();
  }
  clock.advance(10);
  t.strictSame([done, clock.waiting], [['due'], 1]);
  timers.close();
  t.equal(clock.waiting, 0);
  timers.after(10, () => done.push('begun later'))();
  timers.after(10, () => done.push('begun later'));
  t.equal(clock.waiting, 0, 'what still comes while the owner ends leaves no timer behind');
  t.end();
});
