/** What a handful of runs say, and a histogram for what is counted by the million. */

export interface Summary {
  readonly median: number;
  /** Half the distance between the extremes, as a share of the median. */
  readonly spread: number;
}

/** The middle value; of an even number, the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  if (sorted.length % 2 === 1) return high;
  return ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

export function summarize(values: readonly number[]): Summary {
  const middle = median(values);
  const spread = middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / Math.abs(middle);
  return { median: middle, spread };
}

/**
 * The median of the quotients of values that were measured in pairs, and the standard error of that median: the distance of
 * the quotients' quartiles, as if they were normally distributed, divided by the root of their number.
 */
export function pairedRatio(values: readonly number[], others: readonly number[]): { median: number; error: number } {
  const ratios = values.map((value, pair) => value / (others[pair] ?? Number.NaN)).sort((a, b) => a - b);
  const quartile = (share: number): number => ratios[Math.floor((ratios.length - 1) * share)] ?? Number.NaN;
  const deviation = (quartile(0.75) - quartile(0.25)) / 1.349;
  return { median: median(ratios), error: (1.2533 * deviation) / Math.sqrt(ratios.length) };
}

const perOctave = 64;
const smallestMs = 0.001;

/** Latencies in milliseconds, in buckets about 1% wide, from a microsecond up. Recording one costs some 20 ns. */
export class Histogram {
  readonly #counts = new Uint32Array(perOctave * 36);
  count = 0;

  record(ms: number): void {
    const bucket = ms <= smallestMs ? 0 : Math.floor(Math.log2(ms / smallestMs) * perOctave);
    const last = this.#counts.length - 1;
    const at = Math.min(bucket, last);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.count += 1;
  }

  /** The middle of the bucket that holds the given quantile (0 to 1). NaN while nothing was recorded. */
  quantile(share: number): number {
    if (this.count === 0) return Number.NaN;
    const wanted = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted) return smallestMs * 2 ** ((bucket + 0.5) / perOctave);
    }
    return Number.NaN;
  }

  clear(): void {
    this.#counts.fill(0);
    this.count = 0;
  }
}
