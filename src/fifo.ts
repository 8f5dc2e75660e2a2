/**
 * First in, first out. What has left is let go soon also where something always waits: taking the first of a long list
 * out costs its length, and a list that is cleared only when it is empty grows for as long as it is not.
 */

/** How many items that have left may stay in the list. */
const MUCH = 32;

export class Fifo<T> {
  #items: T[] = [];
  /** How many of the items have left. */
  #left = 0;

  get length(): number {
    return this.#items.length - this.#left;
  }

  /** The item that leaves next. */
  get first(): T | undefined {
    return this.#items[this.#left];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const { first } = this;
    if (this.length > 0) this.#left += 1;
    const isMuch = this.#left >= MUCH && this.#left * 2 >= this.#items.length;
    if (this.#left > 0 && (isMuch || this.length === 0)) {
      this.#items = this.#items.slice(this.#left);
      this.#left = 0;
    }
    return first;
  }
}
