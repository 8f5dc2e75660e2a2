/**
 * The bytes that one domain's queues, sessions, retained publications and rooms take on this node, about. Whoever keeps
 * something adds its bytes and takes them off again; what many refer to is held, and counts once. Bounded by the
 * domain's `bytesPerDomain`: who is about to keep more asks `hasRoom` first, and refuses or drops where there is none.
 */
import { getHeapStatistics } from 'node:v8';
import type { DomainMetrics } from '../metrics.js';

/** One value that many may refer to. */
export interface Held {
  readonly bytes: number;
  /** How many holders refer to the value now; written by `Memory` alone. */
  holders: number;
}

/** Where its limit is 0 a domain may take this fraction of the heap (1/4), so that it cannot bring down other domains alone. */
const SHARE_OF_HEAP = 4;

const heapBytes = getHeapStatistics().heap_size_limit;

/** About how many bytes each of these takes, measured with 100,000 of them. */
export const FOOTPRINT = Object.freeze({ endpoint: 2000, room: 700, buddy: 220, messageId: 200 });

export class Memory {
  #bytes = 0;
  #ended = false;

  constructor(
    private readonly metrics: DomainMetrics,
    private readonly limits: () => { readonly bytesPerDomain: number },
  ) {}

  /** Bytes taken now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that may be taken. */
  get limit(): number {
    return this.limits().bytesPerDomain || Math.floor(heapBytes / SHARE_OF_HEAP);
  }

  get isOver(): boolean {
    return this.bytes > this.limit;
  }

  /** Whether there is room for so many bytes more, as there always is for 0. A refusal counts in the metrics for `bytesPerDomain`. */
  hasRoom(bytes: number): boolean {
    if (bytes === 0 || this.bytes + bytes <= this.limit) return true;
    this.metrics.exceed('bytesPerDomain');
    return false;
  }

  add(bytes: number): void {
    if (this.#ended) return;
    this.#bytes += bytes;
    this.metrics.memoryBytes += bytes;
  }

  subtract(bytes: number): void {
    this.add(-bytes);
  }

  /** The domain has gone, with all that it kept. */
  end(): void {
    this.subtract(this.#bytes);
    this.#ended = true;
  }

  /** One more refers to it. */
  hold(held: Held): void {
    held.holders += 1;
    if (held.holders === 1) this.add(held.bytes);
  }

  /** One fewer refers to it. */
  release(held: Held): void {
    held.holders -= 1;
    if (held.holders === 0) this.subtract(held.bytes);
  }
}
