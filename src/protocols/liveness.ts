/**
 * Whether the other end of a WebSocket is still there: it is pinged, and one that has been silent for `socket.silenceMs`
 * is gone, PROTOCOL.md section 7. For sockets of all protocols alike.
 */
import { type Clock, Timeouts } from '../clock.js';

/** A silent peer is pinged at least three times, with time to answer the last one. */
const PINGS = 4;

export class Liveness<T> {
  readonly #pings: Timeouts<T>;
  readonly #silence: Timeouts<T>;

  constructor(
    clock: Clock,
    { pingMs, silenceMs }: { readonly pingMs: number; readonly silenceMs: number },
    ping: (socket: T) => void,
    /** Called with a socket that has been silent for too long: nothing reaches it any more, not even a close frame. */
    gone: (socket: T) => void,
  ) {
    const intervalMs = Math.max(1, Math.min(pingMs, Math.floor(silenceMs / PINGS)));
    this.#pings = new Timeouts<T>(clock, intervalMs, (socket) => {
      ping(socket);
      this.#pings.start(socket);
    });
    this.#silence = new Timeouts<T>(clock, silenceMs, gone);
  }

  /** Every socket that is open, the next to be pinged first. */
  sockets(): IterableIterator<T> {
    return this.#pings.items();
  }

  open(socket: T): void {
    this.#pings.start(socket);
    this.#silence.start(socket);
  }

  /** Notes that something came from a socket: a message, a ping or a pong. */
  heard(socket: T): void {
    if (this.#silence.has(socket)) this.#silence.start(socket);
  }

  /** When something came from a socket last, in milliseconds since the epoch; null: it is closed. */
  heardAt(socket: T): number | null {
    return this.#silence.startedAt(socket);
  }

  closed(socket: T): void {
    this.#pings.cancel(socket);
    this.#silence.cancel(socket);
  }

  close(): void {
    this.#pings.close();
    this.#silence.close();
  }
}
