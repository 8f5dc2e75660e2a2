/** How often each client has come within a minute: who comes and goes all the time waits until the minute is over. */
import { BoundedMap } from './bounded-map.js';

const MINUTE_MS = 60_000;
/** Clients remembered; the one that has come longest ago is forgotten first. */
const REMEMBERED = 10_000;

interface Minute {
  readonly sinceMs: number;
  count: number;
}

export class Comings {
  readonly #minutes = new BoundedMap<string, Minute>(() => REMEMBERED);

  constructor(private readonly now: () => number) {}

  /** Counts a coming. Answers 0, or the seconds that the client is to wait; a limit of 0 is no limit. */
  waitS(who: string, perMinute: number): number {
    if (perMinute === 0) return 0;
    const now = this.now();
    const known = this.#minutes.get(who);
    if (!known || now - known.sinceMs >= MINUTE_MS) {
      this.#minutes.set(who, { sinceMs: now, count: 1 });
      return 0;
    }
    known.count += 1;
    return known.count > perMinute ? Math.ceil((known.sinceMs + MINUTE_MS - now) / 1000) : 0;
  }
}
