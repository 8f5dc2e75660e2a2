/** When a history writes what has gathered: noted on disk within a second, and some seconds later in its conversations. */
import type { Clock } from '../clock.js';
import type { Store } from '../store/store.js';
import type { Gathered, Gathering } from './gathering.js';

/** How old what is not noted on disk may be. */
export const GATHER_MS = 1000;
/** How long what is taken gathers before it is written to its conversations. */
const WRITE_MS = 10_000;
/** In a cluster, where other nodes read it when it is written to its conversations. */
const SHARED_MS = 100;
/** Then so many conversations are written at once, with a pause before the next, so that it holds nobody up. */
const SOME = 50;
const PAUSE_MS = 10;

export class HistoryWrites {
  /** Milliseconds since the epoch. */
  #notedAt = 0;
  #cancel: (() => void) | null = null;
  #isClosed = false;
  /** Whether other nodes read what is written; then nothing is noted before. */
  readonly #isShared: boolean;

  constructor(
    private readonly gathering: Gathering,
    private readonly clock: Clock,
    private readonly store: Store,
    /** Writes these to their conversations, in their order. */
    private readonly keep: (gathered: readonly Gathered[]) => void,
  ) {
    this.#isShared = store.node !== null;
  }

  /** Something has come. */
  came(): void {
    if (this.#isClosed) this.all();
    else if (this.gathering.isMuch) this.#hurry();
    else this.#cancel ??= this.clock.after(this.#gatherMs, this.#turn);
  }

  /** Writes what has gathered. */
  all(): void {
    this.#stop();
    this.#take(Number.POSITIVE_INFINITY);
    this.gathering.close();
    this.#take(Number.POSITIVE_INFINITY);
  }

  /** Writes some of what has gathered, whenever it would have its turn. */
  these(gathered: readonly Gathered[]): void {
    if (gathered.length === 0) return;
    this.keep(gathered);
    this.gathering.written();
  }

  /** Writes what has gathered, and forgets its timer: what comes later is written at once. */
  close(): void {
    this.#isClosed = true;
    this.all();
  }

  /** Much has gathered before its time: it is written soon, what was under way at once. */
  #hurry(): void {
    this.#stop();
    this.#take(Number.POSITIVE_INFINITY);
    this.#note();
    this.gathering.close();
    this.goOn();
  }

  readonly #turn = (): void => {
    this.#cancel = null;
    const { clock, gathering } = this;
    if (clock.now() - this.#notedAt >= GATHER_MS) this.#note();
    if (this.#isShared || clock.now() - gathering.since >= WRITE_MS) gathering.close();
    this.#take(SOME);
    this.goOn();
  };

  /** Has its next turn where something waits. */
  goOn(): void {
    const { isEmpty, isClosing } = this.gathering;
    if (!isEmpty) this.#cancel ??= this.clock.after(isClosing ? PAUSE_MS : this.#gatherMs, this.#turn);
  }

  get #gatherMs(): number {
    return this.#isShared ? SHARED_MS : GATHER_MS;
  }

  #note(): void {
    if (this.#isShared) return;
    this.#notedAt = this.clock.now();
    this.gathering.note((bytes) => this.store.hasRoom(bytes));
  }

  #take(most: number): void {
    this.these(this.gathering.take(most));
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
