/** What went wrong lately: the latest drops, refusals and failures, for the admin port. Bounded: the oldest go. */

export interface RecentError {
  /** When the error came, in milliseconds since the epoch; where it came several times in a row, when it came last. */
  at: number;
  /** Grows from one to the next: which of two in one millisecond came later. */
  sequence: number;
  readonly domain: string;
  /** Address of the endpoint that it concerns, or network address of whoever was refused; empty: not known. */
  readonly endpoint: string;
  /** A reason of metrics.ts, or what failed. */
  readonly reason: string;
  /** For the operator; never a body, a key or a whole ticket. */
  readonly detail: string;
  count: number;
}

/** The recent errors of one reason in one domain. */
export interface RecentSummary {
  /** When the latest of the errors occurred, in milliseconds since the epoch. */
  readonly at: number;
  readonly sequence: number;
  readonly domain: string;
  readonly reason: string;
  /** The detail of the latest of the errors. */
  readonly detail: string;
  count: number;
  /** Addresses of a few endpoints that the errors concern, the latest first. */
  readonly endpoints: string[];
}

/** How many errors are kept of each reason, so that a frequent reason does not push out a rare one. */
const KEPT = 200;
const NAMED = 4;

/** The latest of one reason. */
class Ring {
  readonly #errors: RecentError[] = [];
  #next = 0;
  #last: RecentError | null = null;

  add(error: RecentError): void {
    const last = this.#last;
    if (last !== null && last.endpoint === error.endpoint && last.domain === error.domain) {
      last.at = error.at;
      last.sequence = error.sequence;
      last.count += 1;
      return;
    }
    this.#last = error;
    this.#errors[this.#next] = error;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** The latest first. */
  *latest(): Generator<RecentError> {
    for (let i = 1; i <= this.#errors.length; i++) yield this.#errors.at(this.#next - i) as RecentError;
  }
}

export class RecentErrors {
  readonly #rings = new Map<string, Ring>();
  #sequence = 0;

  /**
   * Adds an error. One with the same reason and endpoint as the last is counted, not listed again. `reason` is of a
   * closed list.
   */
  add(domain: string, endpoint: string, reason: string, detail = ''): void {
    let ring = this.#rings.get(reason);
    if (!ring) {
      ring = new Ring();
      this.#rings.set(reason, ring);
    }
    this.#sequence += 1;
    ring.add({ at: Date.now(), sequence: this.#sequence, domain, endpoint, reason, detail, count: 1 });
  }

  /** The errors that concern one endpoint; the latest first. */
  of(domain: string, endpoint: string, limit: number): RecentError[] {
    const found: RecentError[] = [];
    for (const ring of this.#rings.values()) {
      for (const error of ring.latest()) {
        if (error.domain === domain && error.endpoint === endpoint) found.push(error);
      }
    }
    return found.sort((a, b) => b.sequence - a.sequence).slice(0, limit);
  }

  /** All errors by reason and domain; the latest first. */
  summary(): RecentSummary[] {
    const found = new Map<string, RecentSummary>();
    for (const ring of this.#rings.values()) {
      for (const error of ring.latest()) this.#sum(found, error);
    }
    return [...found.values()].sort((a, b) => b.sequence - a.sequence);
  }

  #sum(
    found: Map<string, RecentSummary>,
    { at, sequence, domain, endpoint, reason, detail, count }: RecentError,
  ): void {
    const key = JSON.stringify([reason, domain]);
    const kind = found.get(key) ?? { at, sequence, domain, reason, detail, count: 0, endpoints: [] };
    found.set(key, kind);
    kind.count += count;
    const isNew = endpoint !== '' && !kind.endpoints.includes(endpoint);
    if (isNew && kind.endpoints.length < NAMED) kind.endpoints.push(endpoint);
  }
}
