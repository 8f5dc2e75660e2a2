import type { Cleaner } from './server.js';

/**
 * Until the test ends `performance.now()` says what the test wants it to, with which the server measures how long a turn or a slice of work
 * takes: on a busy machine a process may stand still for longer than that between two looks.
 */
export function withTime(t: Cleaner, now: () => number): void {
  const real = performance.now;
  t.teardown(() => {
    performance.now = real;
  });
  performance.now = now;
}

/** Each look at the time is a millisecond later: a slice of 2 ms has one step. */
export function withSlowTime(t: Cleaner): void {
  let ms = 0;
  withTime(t, () => ++ms);
}
