/**
 * The last minutes, second by second: what the dashboard draws. Every second one sample is taken; a page that opens gets
 * all there are, then each new one. Bounded: the oldest sample goes.
 */
import type { Sample } from './measures.js';

const SAMPLE_MS = 1000;
const KEPT = 900;
const LAG_SAMPLES = 60;

export interface Lag {
  readonly meanMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export class History {
  readonly samples: Sample[] = [];
  /** Called with each new sample. */
  readonly watchers = new Set<(sample: Sample) => void>();
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly sample: () => Sample) {
    this.#timer = setInterval(() => this.#take(), SAMPLE_MS);
    this.#timer.unref();
  }

  /** The lag of the event loop over the last minute. */
  lag(): Lag {
    const samples = this.samples.slice(-LAG_SAMPLES);
    return {
      meanMs: samples.reduce((mean, { lagMean }) => mean + lagMean / samples.length, 0),
      p99Ms: Math.max(0, ...samples.map(({ lagP99 }) => lagP99)),
      maxMs: Math.max(0, ...samples.map(({ lagMax }) => lagMax)),
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.watchers.clear();
  }

  #take(): void {
    const sample = this.sample();
    this.samples.push(sample);
    if (this.samples.length > KEPT) this.samples.shift();
    for (const watcher of this.watchers) watcher(sample);
  }
}
