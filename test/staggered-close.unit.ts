import t from 'tap';
import type { Clock } from '../src/clock.js';
import { closeStaggered } from '../src/protocols/staggered-close.js';

/** Time that passes whenever somebody waits for it. */
class Time implements Clock {
  ms = 0;

  now(): number {
    return this.ms;
  }

  after(delayMs: number, task: () => void): () => void {
    this.ms += delayMs;
    setImmediate(task);
    return () => undefined;
  }
}

async function timesOf(overMs: number, count: number): Promise<number[]> {
  const time = new Time();
  const times: number[] = [];
  await closeStaggered(
    time,
    overMs,
    Array.from({ length: count }, () => () => times.push(time.ms)),
  );
  return times;
}

t.test('many closes are spread evenly over the time there is', async (t) => {
  const times = await timesOf(2000, 10_000);
  t.equal(times.length, 10_000);
  t.ok((times.at(-1) as number) <= 2000);
  t.ok((times.at(-1) as number) > 1800);
  const half = times.filter((ms) => ms < 1000).length;
  t.ok(half > 4500 && half < 5500, `${half} in the first half`);
});

t.test('few closes take only the time that the least rate needs', async (t) => {
  t.strictSame(new Set(await timesOf(2000, 20)), new Set([0]));
  t.equal((await timesOf(2000, 100)).at(-1), 75);
});

t.test('with a time of 0 all close at once', async (t) => {
  t.strictSame(new Set(await timesOf(0, 1000)), new Set([0]));
});
