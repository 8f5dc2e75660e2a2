/**
 * Removals from a stream of JetStream. One that JetStream could not carry out is tried again until it is done: what was not removed
 * would be taken for what is there by the next node that reads it.
 */
import { JetStreamError } from './jetstream-port.js';

const RETRY_MS = 1000;
/** How many removals wait at most; further ones are forgotten, and counted: streams of what may come to an end have an age limit. */
const MOST = 100_000;
/** How many of those that wait are tried at a time: JetStream carries out calls in their order, and whatever is read waits behind these. */
export const AT_ONCE = 500;

/** The sequence of a message, or the key of a record (or `prefix>`). */
export type Removal = number | string;

export class Removals {
  readonly #waiting = new Set<Removal>();
  #timer: NodeJS.Timeout | null = null;
  #isRetrying = false;
  #isClosed = false;

  constructor(
    /** Removes what is named. Rejects with a JetStreamError. */
    private readonly remove: (what: Removal) => Promise<void>,
    private readonly onForgotten: () => void,
  ) {}

  add(what: Removal): void {
    void this.#try(what);
  }

  /** Tries those that wait again, until all are removed or one of them has to wait on. */
  retry(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#isRetrying) void this.#retrySome();
  }

  /** The sequences that wait are those of a stream that is no more. */
  forgetSequences(): void {
    for (const what of this.#waiting) if (typeof what === 'number') this.#waiting.delete(what);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  async #retrySome(): Promise<void> {
    this.#isRetrying = true;
    for (let isDone = true; isDone && this.#waiting.size > 0; ) {
      const some: Promise<boolean>[] = [];
      for (const what of this.#waiting) {
        this.#waiting.delete(what);
        if (some.push(this.#try(what)) === AT_ONCE) break;
      }
      isDone = (await Promise.all(some)).every((one) => one);
    }
    this.#isRetrying = false;
    if (this.#waiting.size > 0) this.#retryLater();
  }

  /** Resolves with false where the removal has to wait. */
  async #try(what: Removal): Promise<boolean> {
    try {
      await this.remove(what);
    } catch (error) {
      if (error instanceof JetStreamError && error.reason === 'unavailable') {
        this.#later(what);
        return false;
      }
    }
    return true;
  }

  #later(what: Removal): void {
    if (this.#isClosed) return;
    if (this.#waiting.size >= MOST) return this.onForgotten();
    this.#waiting.add(what);
    this.#retryLater();
  }

  #retryLater(): void {
    this.#timer ??= setTimeout(() => this.retry(), RETRY_MS).unref();
  }
}
