/**
 * The removal of a record is a message of its JetStream stream too. Once every node has had the time to receive such messages,
 * this class erases them from the stream, a few at a time. Any node may do so: a message that is already gone is passed over.
 * When a node ends earlier, the next node that reads the stream from its beginning erases the messages that are left.
 */
import type { KeptStream } from '../cluster/kept-stream.js';
import { Fifo } from '../fifo.js';

/** Age, in ms, at which a removal is erased. A node that was cut off from JetStream for half as long reads each stream anew. */
export const HEARD_MS = 10 * 60_000;
const EVERY_MS = 1000;
const AT_ONCE = 500;
/** How many removals may wait here; further ones stay in the stream until a node starts and reads the stream anew. */
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

  /** Erases from the stream up to `AT_ONCE` removals that this node received at least `HEARD_MS` ago. */
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
