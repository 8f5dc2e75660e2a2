import type { Clock } from '../../src/clock.js';
import type { Cleaner } from './server.js';

const TICK_MS = 20;

/**
 * Real time, for servers in the test's own process, that stands still while the process does: on a machine that does much else besides
 * no lease or grace ends because nothing could be done in it.
 */
export class SteadyClock implements Clock {
  #lostMs = 0;
  #lastMs = Date.now();

  private constructor() {}

  static start(t: Cleaner): SteadyClock {
    const clock = new SteadyClock();
    const ticking = setInterval(() => clock.#tick(), TICK_MS);
    t.teardown(() => clearInterval(ticking));
    return clock;
  }

  now(): number {
    return Date.now() - this.#lostMs;
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

  /** After the process has stood still this runs before whatever else has fallen due meanwhile. */
  #tick(): void {
    const now = Date.now();
    this.#lostMs += Math.max(0, now - this.#lastMs - 2 * TICK_MS);
    this.#lastMs = now;
  }
}
