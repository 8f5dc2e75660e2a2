/** How often each client has come within a minute: who comes and goes all the time waits until the minute is over. */
import { BoundedMap } from './bounded-map.js';

const MINUTE_MS = 60_000;
/** Clients remembered; the one that has come longest ago is forgotten first. */
const REMEMBERED = 10_000;

/** When a client's minute began, in milliseconds since this object was made, and how often the client has come in it. */
interface Minute {
  readonly sinceMs: number;
  count: number;
}

export class Comings {
  /** A client that has come once in its minute has `sinceMs` alone: nearly all have, and a small integer takes no memory of its own. */
  readonly #minutes = new BoundedMap<string, Minute | number>(() => REMEMBERED);
  readonly #madeAt: number;

  constructor(private readonly now: () => number) {
    this.#madeAt = now();
  }

  /** Counts a coming. Answers 0, or the seconds that the client is to wait; a limit of 0 is no limit. */
  waitS(who: string, perMinute: number): number {
    if (perMinute === 0) return 0;
    const now = this.now() - this.#madeAt;
    const known = this.#minutes.get(who);
    const sinceMs = typeof known === 'object' ? known.sinceMs : known;
    if (sinceMs === undefined || now - sinceMs >= MINUTE_MS) {
      this.#minutes.set(who, now);
      return 0;
    }
    const minute = typeof known === 'object' ? known : { sinceMs, count: 1 };
    minute.count += 1;
    if (minute !== known) this.#minutes.set(who, minute);
    return minute.count > perMinute ? Math.ceil((sinceMs + MINUTE_MS - now) / 1000) : 0;
  }
}
