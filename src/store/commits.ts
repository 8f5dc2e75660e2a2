import { Fifo } from '../fifo.js';

/** Which writes, or other tasks, are done, and who waits for that. Writes are numbered in the order in which they are made. */
export class Commits {
  #last = 0;
  /** The oldest write that may not be on disk: all before this number are. */
  #oldest = 1;
  /** Numbers of the writes that are not on disk yet. */
  readonly #open = new Set<number>();
  readonly #waiting = new Fifo<{ readonly upTo: number; readonly done: () => void }>();

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** A write begins; answers its number. */
  begin(): number {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  /** Notes that a write is on disk, or that a later write of the same key is. */
  end(number: number): void {
    this.#open.delete(number);
    while (this.#oldest <= this.#last && !this.#open.has(this.#oldest)) this.#oldest += 1;
    for (let { first } = this.#waiting; first && first.upTo < this.#oldest; { first } = this.#waiting) {
      this.#waiting.shift();
      first.done();
    }
  }

  /**
   * Calls `done` when all that has begun is on disk: at once where it is. Calls come in the order in which they are
   * asked for.
   */
  after(done: () => void): void {
    if (this.#open.size === 0) done();
    else this.#waiting.push({ upTo: this.#last, done });
  }
}
