/** Decides when a history writes gathered messages: noted on disk within a second, and some seconds later in their conversations. */
import type { Clock } from '../clock.js';
import type { Store } from '../store/store.js';
import type { Gathered, Gathering } from './gathering.js';

/** How long a gathered message may wait before it is noted on disk. */
export const GATHER_MS = 1000;
/** How long messages gather before they are written to their conversations. */
const WRITE_MS = 10_000;
/** How long messages gather in a cluster, where other nodes can read a message only when it is in its conversation. */
const SHARED_MS = 100;
/** So many conversations are written in one turn, with a pause before the next turn, so that writing delays no other work. */
const SOME = 50;
const PAUSE_MS = 10;

export class HistoryWrites {
  /** When messages were noted on disk last, in milliseconds since the epoch. */
  #notedAt = 0;
  #cancel: (() => void) | null = null;
  #isClosed = false;
  /** Whether the store is that of a cluster: then messages are not noted on disk before they are written to their conversations. */
  readonly #isShared: boolean;

  constructor(
    private readonly gathering: Gathering,
    private readonly clock: Clock,
    private readonly store: Store,
    /** Writes gathered messages and reads to their conversations, in the order of the list. */
    private readonly keep: (gathered: readonly Gathered[]) => void,
  ) {
    this.#isShared = store.node !== null;
  }

  /** Called after a message or a read has been gathered: sets the time of the next write, or writes. */
  came(): void {
    if (this.#isClosed) this.all();
    else if (this.gathering.isMuch) this.#hurry();
    else this.#cancel ??= this.clock.after(this.#gatherMs, this.#turn);
  }

  /** Writes everything that has gathered to its conversations. */
  all(): void {
    this.#stop();
    this.#take(Number.POSITIVE_INFINITY);
    this.gathering.close();
    this.#take(Number.POSITIVE_INFINITY);
  }

  /** Writes some conversations, which have been taken from the gathering, now. */
  these(gathered: readonly Gathered[]): void {
    if (gathered.length === 0) return;
    this.keep(gathered);
    this.gathering.written();
  }

  /** Writes everything that has gathered and cancels the timer; from then on each message is written as it comes. */
  close(): void {
    this.#isClosed = true;
    this.all();
  }

  /** A batch has become large before its time: writes the rest of the closed batch now, and closes the large one. */
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

  /** Sets the timer for the next turn where something waits. */
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
