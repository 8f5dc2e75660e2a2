/** What went wrong lately: the latest drops, refusals and failures, for the admin port. Bounded: the oldest go. */

export interface RecentError {
  /** Milliseconds since the epoch; of the latest, where it came several times in a row. */
  at: number;
  readonly domain: string;
  /** Short id or address of whom it concerns; empty: nobody that is known. */
  readonly endpoint: string;
  /** A reason of metrics.ts, or what failed. */
  readonly reason: string;
  /** For the operator; never a body, a key or a whole ticket. */
  readonly detail: string;
  count: number;
}

const KEPT = 500;

export class RecentErrors {
  readonly #ring: RecentError[] = [];
  #next = 0;
  #last: RecentError | null = null;

  /** The same again is counted, not repeated. */
  add(domain: string, endpoint: string, reason: string, detail = ''): void {
    const at = Date.now();
    const last = this.#last;
    if (last !== null && last.endpoint === endpoint && last.reason === reason && last.domain === domain) {
      last.at = at;
      last.count += 1;
      return;
    }
    this.#last = { at, domain, endpoint, reason, detail, count: 1 };
    this.#ring[this.#next] = this.#last;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** Those that concern one endpoint, or all; the latest first. */
  list(limit: number, domain?: string, endpoint?: string): RecentError[] {
    const found: RecentError[] = [];
    for (let i = 1; i <= this.#ring.length && found.length < limit; i++) {
      const error = this.#ring.at(this.#next - i) as RecentError;
      const concerns = domain === undefined || (error.domain === domain && error.endpoint === endpoint);
      if (concerns) found.push(error);
    }
    return found;
  }
}
