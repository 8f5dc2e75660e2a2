/**
 * How near this process is to the end of its heap. V8 ends a process whose heap is full, and everybody in it with it: so
 * what would need more is refused before. What counts is what is left after a collection, so near the mark one is made,
 * as V8 would soon; the next is no sooner than twenty times as long after it as it took.
 */
import { performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from './clock.js';
import type { Conditions } from './conditions.js';
import { log } from './log.js';

/**
 * Of the old generation: above the one new work is refused, below the other it is taken again. V8 gives up above 80% when
 * four collections in a row leave the program less than 40% of the time.
 */
const HIGH = 0.75;
const LOW = 0.65;
/** Above this share of the heap new work is refused at once, where no garbage collection is due. */
const FULL = 0.78;
/** V8's limit counts the young generation, three times 16 MiB unless flags say otherwise. */
const YOUNG_BYTES = 48 * 1024 * 1024;
const YOUNG_SPACES: ReadonlySet<string> = new Set(['new_space', 'new_large_object_space', 'read_only_space']);
/** How long a look at the heap counts: one costs 10 µs. Longer where the mark is further than any program fills meanwhile. */
const LOOK_MS = 5;
const FAR_LOOK_MS = 50;
const BYTES_PER_MS = 8 * 1024 * 1024;
const COLLECT_MS = 1000;
const REST = 20;
/** How often the heap is looked at while nothing new comes. */
const WATCH_MS = 1000;

export interface HeapUse {
  /** Bytes in use, garbage included. */
  readonly used: number;
  readonly limit: number;
}

/** The use of the heap's old generation, which is the part that runs full. */
function oldGeneration(): HeapUse {
  let used = 0;
  for (const space of getHeapSpaceStatistics()) {
    if (!YOUNG_SPACES.has(space.space_name)) used += space.space_used_size;
  }
  const { heap_size_limit: limit } = getHeapStatistics();
  return { used, limit: limit > 2 * YOUNG_BYTES ? limit - YOUNG_BYTES : limit / 2 };
}

let gc: (() => void) | null = null;

function collectGarbage(): void {
  if (!gc) {
    setFlagsFromString('--expose-gc');
    gc = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  gc();
}

export class Heap {
  #isHigh = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #collectNext = Number.NEGATIVE_INFINITY;
  /** Bytes up to the mark at the last look. */
  #free = 0;

  constructor(
    private readonly read: () => HeapUse = oldGeneration,
    private readonly collect: () => void = collectGarbage,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether what needs more memory is to be refused. */
  get isHigh(): boolean {
    this.#lookAfter(Math.min(FAR_LOOK_MS, Math.max(LOOK_MS, this.#free / BYTES_PER_MS)));
    return this.#isHigh;
  }

  /** Whether the heap has room for so many bytes more, which have been promised and are not used yet. */
  hasRoom(bytes: number): boolean {
    this.#lookAfter(LOOK_MS);
    return !this.#isHigh && bytes <= this.#free;
  }

  /** Looks, where the last look is so old. */
  #lookAfter(ms: number): void {
    const now = this.now();
    if (now - this.#lookedAt < ms) return;
    this.#lookedAt = now;
    this.#look(now);
  }

  #look(now: number): void {
    if (!this.#isOver(this.#isHigh ? LOW : HIGH)) {
      this.#isHigh = false;
      return;
    }
    if (now < this.#collectNext) {
      if (this.#isOver(FULL)) this.#isHigh = true;
      return;
    }
    this.collect();
    const after = this.now();
    this.#collectNext = after + Math.max(COLLECT_MS, REST * (after - now));
    this.#isHigh = this.#isOver(this.#isHigh ? LOW : HIGH);
  }

  #isOver(share: number): boolean {
    const { used, limit } = this.read();
    const mark = limit * share;
    this.#free = mark - used;
    return used > mark;
  }
}

/** The heap of this process. */
export const heap = new Heap();

/**
 * Raises the condition `heap` while the heap is nearly full, which `/readyz`, the metrics and the log show. Answers how
 * to stop watching.
 */
export function watchHeap(clock: Clock, conditions: Conditions, watched: Heap = heap): () => void {
  let cancel = (): void => undefined;
  const look = (): void => {
    cancel = clock.after(WATCH_MS, look);
    if (watched.isHigh) {
      const detail = 'memory is nearly used up: new work is refused, give the process more or its domains less';
      if (conditions.raise('heap', detail, { ready: false })) log.error({ event: 'memory short' }, detail);
    } else if (conditions.clear('heap')) log.info({ event: 'memory back' }, 'there is memory again: all work is taken');
  };
  look();
  return () => cancel();
}
