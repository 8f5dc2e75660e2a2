/**
 * What comes to a server that is still reading what it goes on from waits until it has: the ports are open from the
 * start, and nobody is told anything that will not be so in a moment. PROTOCOL.md section 20.
 */

/** The most tasks that may wait, and the most bytes that these may hold; further tasks are refused. */
const MOST = 20_000;
const MOST_BYTES = 64 * 1024 * 1024;

interface Waiting {
  readonly run: () => void;
  readonly refuse: () => void;
}

export class Gate {
  #isOpen = false;
  #bytes = 0;
  #waiting: Waiting[] = [];

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How many tasks wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs a task: now, or when the gate opens. `refuse` is called in its place where too many wait, or the server ends before. */
  pass(run: () => void, refuse: () => void, bytes = 0): void {
    if (this.#isOpen) return run();
    if (this.#waiting.length >= MOST || this.#bytes + bytes > MOST_BYTES) return refuse();
    this.#bytes += bytes;
    this.#waiting.push({ run, refuse });
  }

  /** Runs the waiting tasks in the order in which they came, and from now on every task at once. */
  open(): void {
    this.#isOpen = true;
    for (const { run } of this.#waiting.splice(0)) run();
  }

  /** Refuses the waiting tasks: the server ends before it was ready. */
  close(): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse();
  }
}
