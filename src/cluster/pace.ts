/**
 * Paces what this node takes over from a node that is gone, so that the clients which are here are served meanwhile. Many takeovers
 * wait for JetStream's answers at the same time, since an answer may take long; what each of them costs this node's own processor is
 * done in slices of a turn of the event loop: a turn that others keep busy has room for one takeover, an idle node does nothing else.
 */
import { Fifo } from '../fifo.js';

/**
 * How many takeovers are under way at a time: at first, and at most. Each that ends adds a share of one, since the first ones cost several
 * times what the later ones do, and come when all that a death stirs up is to be done at once.
 */
export const FIRST_AT_ONCE = 8;
export const AT_ONCE = 32;
const MORE_FOR_EACH = 1 / 4;
/** How many more may wait for that. */
export const MOST_WAITING = 10_000;
/** For how long a turn of the event loop begins further steps of takeovers. */
const SLICE_MS = 2;
/** A client that was told to come later is expected for this long; a queue in which nothing has been taken over for this long is stuck. */
const PATIENCE_MS = 5000;
/** The pace, in milliseconds for each takeover: what it is taken for at first, what it is at most, and how much of it one takeover makes up. */
const FIRST_PACE_MS = 2;
const SLOWEST_PACE_MS = 100;
const PACE_SHARE = 1 / 64;
/** A client is told to come in at most this time, and may take so many times what it is told. */
const LATEST_MS = 60_000;
const TIMES_LATE = 2;

type Task = () => Promise<void>;
type Step = (done: () => void) => void;

export class Pace {
  #active = 0;
  #most = FIRST_AT_ONCE;
  readonly #waiting = new Fifo<Task>();
  readonly #steps = new Fifo<Step>();
  /** Whether there are slices at present, and whether a step of this slice is under way. */
  #isSlicing = false;
  #isStepping = false;
  /** The number of this turn's slice, and when it began, in milliseconds of `turnNow`. */
  #slices = 0;
  #sliceMs = 0;
  /** When something was taken over last, and until when those are expected who were told to come later. */
  #advancedAt = Number.NEGATIVE_INFINITY;
  #expectedUntil = Number.NEGATIVE_INFINITY;
  #paceMs = FIRST_PACE_MS;
  /** When the client is to come that was told so last. */
  #lastComes = Number.NEGATIVE_INFINITY;

  constructor(
    /** The time in milliseconds, from any beginning; and with fractions of them, by which slices are measured. */
    private readonly now: () => number,
    private readonly turnNow: () => number = () => performance.now(),
  ) {}

  /** Whether more is to be taken over than has been, and it goes on. */
  get isBusy(): boolean {
    const now = this.now();
    return this.#active > 0 ? now - this.#advancedAt < PATIENCE_MS : now < this.#expectedUntil;
  }

  /** Something has been taken over. */
  advanced(): void {
    const now = this.now();
    this.#paceMs += (Math.min(now - this.#advancedAt, SLOWEST_PACE_MS) - this.#paceMs) * PACE_SHARE;
    this.#advancedAt = now;
  }

  /**
   * In how many seconds a client is to come that is told to come later: when half of those that wait have been taken over, and all who were
   * told so before it. So those who are told so at one moment come one after the other, at the pace at which they can be taken over.
   */
  laterS(): number {
    const now = this.now();
    const earliest = now + Math.min((this.#waiting.length / 2) * this.#paceMs, LATEST_MS / 2);
    const next = Math.max(this.#lastComes, earliest) + this.#paceMs;
    this.#lastComes = next > now + LATEST_MS ? earliest : next;
    const laterMs = this.#lastComes - now;
    this.#expect(laterMs * TIMES_LATE);
    return Math.max(1, Math.ceil(laterMs / 1000));
  }

  #expect(laterMs: number): void {
    this.#expectedUntil = Math.max(this.#expectedUntil, this.now() + laterMs + PATIENCE_MS);
  }

  /** Runs a task, which never rejects, when it has its turn; false: too many wait. */
  run(task: Task): boolean {
    if (this.#hasRoom) this.#start(task);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(task);
    else {
      this.#expect(0);
      return false;
    }
    return true;
  }

  get #hasRoom(): boolean {
    return this.#active < Math.floor(this.#most);
  }

  #start(task: Task): void {
    if (this.#active === 0) {
      this.#advancedAt = this.now();
      this.#most = FIRST_AT_ONCE;
    }
    this.#active += 1;
    void task().then(() => {
      this.#most = Math.min(this.#most + MORE_FOR_EACH, AT_ONCE);
      this.#active -= 1;
      while (this.#hasRoom && this.#waiting.length > 0) this.#start(this.#waiting.shift() as Task);
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
