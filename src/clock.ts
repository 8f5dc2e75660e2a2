/** Time as the server sees it; tests pass one of their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `task` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Timers of one owner, which are cancelled together when it ends; from then on none begins. */
export class Timers {
  readonly #cancels = new Set<() => void>();
  #isClosed = false;

  constructor(private readonly clock: Pick<Clock, 'after'>) {}

  /** Calls `task` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, task: () => void): () => void {
    if (this.#isClosed) return () => undefined;
    const cancel = this.clock.after(delayMs, () => {
      this.#cancels.delete(cancel);
      task();
    });
    this.#cancels.add(cancel);
    return () => {
      this.#cancels.delete(cancel);
      cancel();
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }
}

/**
 * What falls due within a thousandth of the time that all wait falls due together: the first item of a map that has lost
 * many is far to seek, too far for each millisecond.
 */
const GRAINS = 1000;

/**
 * Items that all wait the same time. Insertion order is then the order in which they fall due, so one timer serves any
 * number of them: a timer for each of 100,000 clients would cost more than the clients.
 */
export class Timeouts<T> {
  /** When each item falls due, in milliseconds since this object was made: small integers take no memory of their own. */
  readonly #due = new Map<T, number>();
  readonly #madeAt: number;
  #cancel: (() => void) | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly delayMs: number,
    private readonly onDue: (item: T) => void,
  ) {
    this.#madeAt = clock.now();
  }

  get size(): number {
    return this.#due.size;
  }

  has(item: T): boolean {
    return this.#due.has(item);
  }

  /** When the item's time began, in milliseconds since the epoch; null: it does not wait. */
  startedAt(item: T): number | null {
    const due = this.#due.get(item);
    return due === undefined ? null : this.#madeAt + due - this.delayMs;
  }

  /** The items that wait, the next to fall due first. */
  items(): IterableIterator<T> {
    return this.#due.keys();
  }

  /** Starts the item's time, from the beginning when it is waiting already. */
  start(item: T): void {
    const due = this.#now() + this.delayMs;
    const { size } = this.#due;
    this.#due.set(item, due);
    // One that waited already has kept its place, and goes to the end.
    if (this.#due.size === size) this.restart(item);
    this.#cancel ??= this.clock.after(this.delayMs, this.#expire);
  }

  /** Starts the time of an item that waits from the beginning; answers whether it waits. */
  restart(item: T): boolean {
    const waits = this.#due.delete(item);
    if (waits) this.#due.set(item, this.#now() + this.delayMs);
    return waits;
  }

  cancel(item: T): void {
    this.#due.delete(item);
  }

  /** Forgets all items and its timer. */
  close(): void {
    this.#due.clear();
    this.#cancel?.();
    this.#cancel = null;
  }

  #now(): number {
    return this.clock.now() - this.#madeAt;
  }

  readonly #expire = (): void => {
    const now = this.#now();
    try {
      for (const [item, due] of this.#due) {
        if (due > now) break;
        this.#due.delete(item);
        this.onDue(item);
      }
    } finally {
      // The next item is read after `onDue`, which may have started items anew.
      const next = this.#due.values().next();
      this.#cancel = next.done
        ? null
        : this.clock.after(Math.max(this.delayMs / GRAINS, next.value - this.#now()), this.#expire);
    }
  };
}
