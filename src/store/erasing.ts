/**
 * Removals of records, which are messages of a stream as well: once every node has had the time to hear of them they are
 * taken out of it, some at a time. Which node does so matters not: what is gone already is passed over. A node that ends
 * before leaves them to the next that reads the stream from its beginning.
 */
import type { KeptStream } from '../cluster/kept-stream.js';
import { Fifo } from '../fifo.js';

/** A node that has not heard of a stream for as long reads it anew. */
export const HEARD_MS = 10 * 60_000;
const EVERY_MS = 1000;
const AT_ONCE = 500;
/** What is beyond stays in the stream until a node starts. */
const MOST = 1_000_000;

export class Erasing {
  readonly #removals = new Fifo<{ readonly sequence: number; readonly at: number }>();
  #timer: NodeJS.Timeout | null = null;
  #isErasing = false;

  constructor(
    private readonly stream: Pick<KeptStream, 'erase'>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  add(sequence: number): void {
    if (this.#removals.length >= MOST) return;
    this.#removals.push({ sequence, at: this.now() });
    this.#timer ??= setInterval(() => void this.erase(), EVERY_MS).unref();
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Takes some of the removals out of the stream that were heard of long enough ago. */
  async erase(): Promise<void> {
    if (this.#isErasing) return;
    this.#isErasing = true;
    const due: number[] = [];
    for (let { first } = this.#removals; first && due.length < AT_ONCE; { first } = this.#removals) {
      if (first.at + HEARD_MS > this.now()) break;
      this.#removals.shift();
      due.push(first.sequence);
    }
    await Promise.all(due.map((sequence) => this.stream.erase(sequence).catch(() => undefined)));
    this.#isErasing = false;
    if (this.#removals.length === 0) this.close();
  }
}
