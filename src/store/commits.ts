/** Which writes are on disk, and who waits for that. Writes are numbered in the order in which they are made. */
export class Commits {
  #last = 0;
  /** All before this one are on disk. */
  #oldest = 1;
  /** Not on disk yet. */
  readonly #open = new Set<number>();
  #waiting: { readonly upTo: number; readonly done: () => void }[] = [];
  /** How many of those that wait have been told. */
  #told = 0;

  /** A write begins; answers its number. */
  begin(): number {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  /** It is on disk, or another one has taken its place that is. */
  end(number: number): void {
    this.#open.delete(number);
    while (this.#oldest <= this.#last && !this.#open.has(this.#oldest)) this.#oldest += 1;
    for (let next = this.#waiting[this.#told]; next && next.upTo < this.#oldest; next = this.#waiting[this.#told]) {
      this.#told += 1;
      next.done();
    }
    if (this.#told < this.#waiting.length) return;
    this.#waiting = [];
    this.#told = 0;
  }

  /** Calls `done` when all that has begun is on disk: at once where it is. Calls come in the order in which they are asked for. */
  after(done: () => void): void {
    if (this.#open.size === 0) done();
    else this.#waiting.push({ upTo: this.#last, done });
  }
}
