/** Token buckets: so many in a second, and a burst at once after a quiet time. */

interface Bucket {
  tokens: number;
  filledMs: number;
}

/** One for each of those that are limited; who is gone takes its own along. */
export class Rate<T extends object> {
  readonly #buckets = new WeakMap<T, Bucket>();

  /** Takes one, where there is one left; 0 a second is no limit. `burst` is what may be taken at once. */
  take(who: T, perSecond: number, nowMs: number, burst = perSecond): boolean {
    if (perSecond === 0) return true;
    let bucket = this.#buckets.get(who);
    if (!bucket) {
      bucket = { tokens: burst, filledMs: nowMs };
      this.#buckets.set(who, bucket);
    }
    const filled = Math.max(0, nowMs - bucket.filledMs) * (perSecond / 1000);
    bucket.tokens = Math.min(burst, bucket.tokens + filled);
    bucket.filledMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
