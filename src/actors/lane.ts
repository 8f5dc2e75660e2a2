/**
 * The work of one domain that waits for a turn: messages to its actors, handled first in, first out, and clients with packets to
 * send, written after the messages, so that all packets of a turn go out in one write. The lanes of a system take turns (system.ts).
 */
import { performance } from 'node:perf_hooks';

/** A client with packets to send. */
export interface Sender {
  /** Sends the client's packets; `now` is the time in milliseconds of `performance.now()`. */
  flush(now: number): void;
}

/** After so many turns a lane writes to its clients although it still has messages. */
const LONGEST_WAIT_TURNS = 100;
/**
 * A lane drops its handled entries when there are more of them than this and more than entries that wait: each drop copies all
 * that wait.
 */
const MOST_HANDLED = 8192;
/** Arrays that had room for no more than so many messages stay when all are handled, to be filled again. */
const SHORT = 64;

export class Lane<Cell = unknown> {
  /** Messages and their actors: those from `#handled` to `#end` wait. */
  #cells: (Cell | null)[] = [];
  #messages: unknown[] = [];
  #handled = 0;
  #end = 0;
  #senders: Sender[] = [];
  #written = 0;
  #waitedTurns = 0;
  /** Whether the lane is in the system's list of lanes with work. */
  isActive = false;

  constructor(
    /** Called when the lane gets work while it is not active. */
    private readonly wake: (lane: Lane<Cell>) => void,
  ) {}

  /** How many messages wait to be handled. */
  get messages(): number {
    return this.#end - this.#handled;
  }

  /** How many clients wait to be written. */
  get senders(): number {
    return this.#senders.length - this.#written;
  }

  get pending(): number {
    return this.messages + this.senders;
  }

  tell(cell: Cell, message: unknown): void {
    this.#cells[this.#end] = cell;
    this.#messages[this.#end++] = message;
    if (!this.isActive) this.wake(this);
  }

  /** Adds a client that has packets to send. */
  add(sender: Sender): void {
    this.#senders.push(sender);
    if (!this.isActive) this.wake(this);
  }

  /** Handles up to `most` of the messages that wait now (none where `most` is below 1); answers how many it has handled. */
  handle(most: number, receive: (cell: Cell, message: unknown) => void): number {
    const start = this.#handled;
    const end = Math.max(start, Math.min(this.#end, start + most));
    for (let at = start; at < end; at++) {
      const [cell, message] = [this.#cells[at] as Cell, this.#messages[at]];
      this.#cells[at] = null;
      this.#messages[at] = null;
      this.#handled = at + 1;
      receive(cell, message);
    }
    const isMuch = this.#handled > MOST_HANDLED && this.#handled * 2 > this.#end;
    if (isMuch || (this.messages === 0 && this.#end > SHORT)) this.#restart();
    else if (this.messages === 0) this.#handled = this.#end = 0;
    return end - start;
  }

  /** Whether the lane's clients may be written in this turn. Called once a turn, since it counts the turns that clients wait. */
  mayWrite(): boolean {
    if (this.senders === 0) return false;
    this.#waitedTurns += 1;
    return this.messages === 0 || this.#waitedTurns > LONGEST_WAIT_TURNS;
  }

  /** Writes to up to `most` of the clients that wait. */
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

  /** Replaces the arrays by copies that hold only the waiting messages. */
  #restart(): void {
    this.#cells = this.#cells.slice(this.#handled, this.#end);
    this.#messages = this.#messages.slice(this.#handled, this.#end);
    this.#end -= this.#handled;
    this.#handled = 0;
  }
}
