/**
 * Removals from a stream of JetStream. One that JetStream could not carry out is tried again until it is done: what was not removed
 * would be taken for what is there by the next node that reads it.
 */
import { JetStreamError } from './jetstream-port.js';

const RETRY_MS = 1000;
/** How many removals wait at most; further ones are forgotten, and counted: streams of what may come to an end have an age limit. */
const MOST = 100_000;

/** The sequence of a message, or the key of a record (or `prefix>`). */
export type Removal = number | string;

export class Removals {
  readonly #waiting = new Set<Removal>();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(
    /** Removes what is named. Rejects with a JetStreamError. */
    private readonly remove: (what: Removal) => Promise<void>,
    private readonly onForgotten: () => void,
  ) {}

  add(what: Removal): void {
    this.remove(what).catch((error: unknown) => {
      if (error instanceof JetStreamError && error.reason === 'unavailable') this.#later(what);
    });
  }

  /** Tries all that wait again. */
  retry(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const what of waiting) this.add(what);
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

  #later(what: Removal): void {
    if (this.#isClosed) return;
    if (this.#waiting.size >= MOST) return this.onForgotten();
    this.#waiting.add(what);
    this.#timer ??= setTimeout(() => this.retry(), RETRY_MS).unref();
  }
}
