/**
 * Whether the other end of a WebSocket is still there: one from which nothing has come for a while is pinged, and one that
 * has been silent for `socket.silenceMs` is gone, PROTOCOL.md section 7. For sockets of all protocols alike.
 */
import { type Clock, Timeouts } from '../clock.js';

/** Parts of its time that a silent peer is given at least: it is pinged three times, and has time to answer the last one. */
const PARTS = 4;

export class Liveness<T> {
  /** All open sockets, by the time when something last came from them or they were last pinged. */
  readonly #quiet: Timeouts<T>;
  /** For each socket that has not answered a ping: when something last came from it, in milliseconds since the epoch. */
  readonly #unanswered = new Map<T, number>();

  constructor(
    private readonly clock: Clock,
    { pingMs, silenceMs }: { readonly pingMs: number; readonly silenceMs: number },
    private readonly ping: (socket: T) => void,
    /** Called with a socket that has been silent for too long: nothing reaches it any more, not even a close frame. */
    private readonly gone: (socket: T) => void,
  ) {
    const parts = Math.max(PARTS, Math.ceil(silenceMs / pingMs));
    const intervalMs = Math.max(1, Math.floor(silenceMs / parts));
    this.#quiet = new Timeouts<T>(clock, intervalMs, (socket) => this.#isQuiet(socket, intervalMs, silenceMs));
  }

  /** Every socket that is open, the next to be pinged first. */
  sockets(): IterableIterator<T> {
    return this.#quiet.items();
  }

  open(socket: T): void {
    this.#quiet.start(socket);
  }

  /** Notes that something came from a socket: a message, a ping or a pong. */
  heard(socket: T): void {
    if (!this.#quiet.restart(socket)) return;
    if (this.#unanswered.size > 0) this.#unanswered.delete(socket);
  }

  /** When something came from a socket last, in milliseconds since the epoch; null: it is closed. */
  heardAt(socket: T): number | null {
    return this.#unanswered.get(socket) ?? this.#quiet.startedAt(socket);
  }

  closed(socket: T): void {
    this.#quiet.cancel(socket);
    this.#unanswered.delete(socket);
  }

  close(): void {
    this.#quiet.close();
    this.#unanswered.clear();
  }

  #isQuiet(socket: T, intervalMs: number, silenceMs: number): void {
    const now = this.clock.now();
    const heardAt = this.#unanswered.get(socket) ?? now - intervalMs;
    // The last interval may be a fraction short: an interval is a whole number of milliseconds.
    if (now - heardAt > silenceMs - intervalMs / 2) {
      this.#unanswered.delete(socket);
      this.gone(socket);
      return;
    }
    this.#unanswered.set(socket, heardAt);
    this.#quiet.start(socket);
    this.ping(socket);
  }
}
