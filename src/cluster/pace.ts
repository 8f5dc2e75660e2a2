/**
 * Paces what this node takes over from a node that is gone, so that the clients which are here are served meanwhile. Many takeovers
 * wait for JetStream's answers at the same time, since an answer may take long; what each of them costs this node's own processor is
 * done in slices of a turn of the event loop: a turn that others keep busy has room for one takeover, an idle node does nothing else.
 */
import { Fifo } from '../fifo.js';

/** How many takeovers are under way at a time, and how many more may wait for that. */
export const AT_ONCE = 32;
export const MOST_WAITING = 10_000;
/** For how long a turn of the event loop begins further steps of takeovers. */
const SLICE_MS = 2;
/** A client that was told to come later is expected for this long; a queue in which nothing has been taken over for this long is stuck. */
const PATIENCE_MS = 5000;

type Task = () => Promise<void>;
type Step = (done: () => void) => void;

export class Pace {
  #active = 0;
  readonly #waiting = new Fifo<Task>();
  readonly #steps = new Fifo<Step>();
  /** Whether there are slices at present, and whether a step of this slice is under way. */
  #isSlicing = false;
  #isStepping = false;
  /** The number of this turn's slice, and when it began, in milliseconds of `turnNow`. */
  #slices = 0;
  #sliceMs = 0;
  /** When something was taken over last, and when a client was told to come later. */
  #advancedAt = Number.NEGATIVE_INFINITY;
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(
    /** The time in milliseconds, from any beginning; and with fractions of them, by which slices are measured. */
    private readonly now: () => number,
    private readonly turnNow: () => number = () => performance.now(),
  ) {}

  /** Whether more is to be taken over than has been, and it goes on. */
  get isBusy(): boolean {
    const now = this.now();
    const isAwaited = this.#active > 0 || now - this.#refusedAt < PATIENCE_MS;
    return isAwaited && now - this.#advancedAt < PATIENCE_MS;
  }

  /** Something has been taken over. */
  advanced(): void {
    this.#advancedAt = this.now();
  }

  /** Runs a task, which never rejects, when it has its turn; false: too many wait. */
  run(task: Task): boolean {
    if (this.#active < AT_ONCE) this.#start(task);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(task);
    else {
      this.#refusedAt = this.now();
      return false;
    }
    return true;
  }

  #start(task: Task): void {
    if (this.#active === 0) this.advanced();
    this.#active += 1;
    void task().then(() => {
      this.#active -= 1;
      const next = this.#waiting.shift();
      if (next) this.#start(next);
    });
  }

  /**
   * Does a step that costs this node's processor time when there is time for it. `done`: the step is over, and another one may follow in
   * the same slice; a step that never says so holds up others until the next turn only.
   */
  step(step: Step): void {
    this.#steps.push(step);
    if (this.#isSlicing) return void (this.#isStepping || this.#next(this.#slices));
    this.#isSlicing = true;
    this.#slice();
  }

  /** Resolves when there is time for what follows, up to the next `await`. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.step((done) => {
        resolve();
        // Behind what follows.
        queueMicrotask(done);
      });
    });
  }

  readonly #slice = (): void => {
    this.#slices += 1;
    this.#sliceMs = this.turnNow();
    this.#isSlicing = this.#steps.length > 0;
    if (!this.#isSlicing) return;
    this.#next(this.#slices);
    setImmediate(this.#slice);
  };

  #next(slice: number): void {
    // A step of an earlier slice has ended late.
    if (slice !== this.#slices) return;
    const step = this.turnNow() - this.#sliceMs < SLICE_MS ? this.#steps.shift() : undefined;
    this.#isStepping = step !== undefined;
    step?.(() => this.#next(slice));
  }
}
