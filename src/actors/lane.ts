/**
 * What waits of one domain: messages in the mailboxes of its actors, first in, first out, and clients with something to send, which
 * are written when the messages are handled, so that what one turn brings is one write. The lanes of a system take turns (system.ts).
 */

/** Whoever has something to send. */
export interface Sender {
  /** `now` is of `performance.now()`. */
  flush(now: number): void;
}

/** Turns after which clients are written although the lane has messages still. */
const LONGEST_WAIT_TURNS = 100;
/**
 * So many handled entries are kept before those that wait move to the front; more where more wait, since each move costs as
 * much as waits.
 */
const MOST_HANDLED = 8192;

export class Lane<Cell = unknown> {
  #cells: Cell[] = [];
  #messages: unknown[] = [];
  /** How many of them have been handled. */
  #handled = 0;
  #senders: Sender[] = [];
  #written = 0;
  #waitedTurns = 0;
  /** It is among those that take turns. */
  isActive = false;

  constructor(
    /** Called when it has something to do. */
    private readonly wake: (lane: Lane<Cell>) => void,
  ) {}

  /** Messages that wait. */
  get messages(): number {
    return this.#cells.length - this.#handled;
  }

  /** Clients that wait to be written. */
  get senders(): number {
    return this.#senders.length - this.#written;
  }

  get pending(): number {
    return this.messages + this.senders;
  }

  tell(cell: Cell, message: unknown): void {
    this.#cells.push(cell);
    this.#messages.push(message);
    if (!this.isActive) this.wake(this);
  }

  /** A client has something to send. */
  add(sender: Sender): void {
    this.#senders.push(sender);
    if (!this.isActive) this.wake(this);
  }

  /** Handles so many of the messages that wait now, none where `most` is below 1; answers how many. */
  handle(most: number, receive: (cell: Cell, message: unknown) => void): number {
    const start = this.#handled;
    const end = Math.max(start, Math.min(this.#cells.length, start + most));
    for (let at = start; at < end; at++) {
      this.#handled = at + 1;
      receive(this.#cells[at] as Cell, this.#messages[at]);
    }
    if (this.#handled === this.#cells.length) this.#restart([], []);
    else if (this.#handled > MOST_HANDLED && this.#handled * 2 > this.#cells.length) {
      this.#restart(this.#cells.slice(this.#handled), this.#messages.slice(this.#handled));
    }
    return end - start;
  }

  /** Whether its clients may be written in this turn; asked once in each. */
  mayWrite(): boolean {
    if (this.senders === 0) return false;
    this.#waitedTurns += 1;
    return this.messages === 0 || this.#waitedTurns > LONGEST_WAIT_TURNS;
  }

  /** Writes so many clients. */
  write(most = Number.POSITIVE_INFINITY): void {
    const senders = this.#senders;
    const end = Math.min(senders.length, this.#written + most);
    const now = performance.now();
    while (this.#written < end) (senders[this.#written++] as Sender).flush(now);
    if (this.#written < senders.length) return;
    this.#senders = [];
    this.#written = 0;
    this.#waitedTurns = 0;
  }

  #restart(cells: Cell[], messages: unknown[]): void {
    this.#cells = cells;
    this.#messages = messages;
    this.#handled = 0;
  }
}
