/**
 * The removal of a record is a message of its JetStream stream too. Once every node has had the time to receive such messages,
 * this class erases them from the stream, a few at a time. Any node may do so: a message that is already gone is passed over.
 * When a node ends earlier, the next node that reads the stream from its beginning erases the messages that are left.
 */
import { JetStreamError } from '../cluster/jetstream-port.js';
import type { KeptStream } from '../cluster/kept-stream.js';
import { Fifo } from '../fifo.js';

/** Age, in ms, at which a removal is erased. A node that was cut off from JetStream for half as long reads each stream anew. */
export const HEARD_MS = 10 * 60_000;
const EVERY_MS = 1000;
const AT_ONCE = 500;
/** How many removals may wait here; further ones stay in the stream until a node starts and reads the stream anew. */
const MOST = 1_000_000;

interface Removed {
  readonly sequence: number;
  readonly at: number;
}

export class Erasing {
  #removals = new Fifo<Removed>();
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

  /** The stream was made anew: the sequences are those of other messages. */
  forget(): void {
    this.#removals = new Fifo();
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Erases from the stream up to `AT_ONCE` removals that this node received at least `HEARD_MS` ago. */
  async erase(): Promise<void> {
    if (this.#isErasing) return;
    this.#isErasing = true;
    const due: Removed[] = [];
    const removals = this.#removals;
    for (let { first } = removals; first && due.length < AT_ONCE; { first } = removals) {
      if (first.at + HEARD_MS > this.now()) break;
      removals.shift();
      due.push(first);
    }
    const erase = (one: Removed): Promise<void> =>
      this.stream.erase(one.sequence).catch((error: unknown) => {
        // JetStream was not there: tried again. Any other error means that the message has gone already.
        if (error instanceof JetStreamError && error.reason === 'unavailable') removals.push(one);
      });
    await Promise.all(due.map(erase));
    this.#isErasing = false;
    if (this.#removals.length === 0) this.close();
  }
}
