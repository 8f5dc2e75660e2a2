/**
 * How many packets or publications, and how many bytes of them, are kept for one endpoint or session while another node is asked to
 * take it over; further ones are dropped, and counted, until the endpoint or session has been sent.
 */
const MOST = 10_000;
const MOST_BYTES = 4 * 1024 * 1024;

/** What comes for an endpoint or session that is offered to a node: it waits until that has been sent, so that it comes behind it. */
export class Passing<T> {
  /** All of it, for the case that the node refuses the endpoint or session. */
  readonly items: T[] = [];
  #bytes = 0;
  #isSent = false;

  constructor(private readonly pass: (item: T) => void) {}

  /** False where there are too many, and this one is dropped. */
  take(item: T, bytes: number): boolean {
    const isKept = this.items.length < MOST && this.#bytes + bytes <= MOST_BYTES;
    if (isKept) {
      this.items.push(item);
      this.#bytes += bytes;
    }
    if (this.#isSent) this.pass(item);
    return isKept || this.#isSent;
  }

  sent(): void {
    this.#isSent = true;
    for (const item of this.items) this.pass(item);
  }
}
