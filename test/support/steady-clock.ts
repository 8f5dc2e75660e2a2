import type { Clock } from '../../src/clock.js';
import type { Cleaner } from './server.js';

const TICK_MS = 20;
/** What passes at most between two looks at the clock: a process that looks later than that stood still. */
export const LONGEST_MS = 2 * TICK_MS;

/**
 * Real time, for servers in the test's own process, that stands still while the process does: on a machine that does much else besides
 * no lease or grace ends because nothing could be done in it.
 */
export class SteadyClock implements Clock {
  #lostMs = 0;
  #lastMs = Date.now();
  #isTicking = true;

  private constructor() {}

  static start(t: Cleaner): SteadyClock {
    const clock = new SteadyClock();
    const ticking = setInterval(() => clock.now(), TICK_MS);
    t.teardown(() => {
      clearInterval(ticking);
      clock.#isTicking = false;
    });
    return clock;
  }

  /** Each look counts what was lost before it: what a process reads first after it has stood still may come before the next tick. */
  now(): number {
    const now = Date.now();
    if (this.#isTicking) this.#lostMs += Math.max(0, now - this.#lastMs - LONGEST_MS);
    this.#lastMs = now;
    return now - this.#lostMs;
  }

  after(delayMs: number, task: () => void): () => void {
    const due = this.now() + delayMs;
    let timer: NodeJS.Timeout;
    const wait = (ms: number): void => {
      timer = setTimeout(() => {
        const leftMs = due - this.now();
        if (leftMs > 0) wait(leftMs);
        else task();
      }, ms);
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  }
}
