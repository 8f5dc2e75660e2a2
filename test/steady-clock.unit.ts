import t from 'tap';
import { LONGEST_MS, SteadyClock } from './support/steady-clock.js';

/** The process stands still, as where others have the processor, and takes no time of it. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

t.test('a SteadyClock has not moved on for whoever looks first after the process has stood still', async (t) => {
  const clock = SteadyClock.start(t);
  const before = clock.now();
  standStill(300);
  const after = clock.now();
  t.ok(after - before <= LONGEST_MS, `${after - before} ms`);
  t.ok(clock.now() >= after, 'it never goes back');
});

t.test('what falls due while the process stands still has its whole time after that', async (t) => {
  const clock = SteadyClock.start(t);
  const before = clock.now();
  const due = new Promise<number>((resolve) => clock.after(100, () => resolve(clock.now())));
  standStill(300);
  t.ok((await due) - before >= 100);
});
