/**
 * One WebSocket of a client, as a transport of its endpoint: sends frames, and says how far a client has come that keeps a position
 * (PROTOCOL.md section 12).
 */
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import { type Asked, formatAsked, formatPosition, type Position, parsePosition } from '../actors/position.js';
import type { CountedFrame, Counting, Transport } from '../actors/transport.js';
import { CLOSE, type CloseReason, type ReplyError, TICKET_NOT_FOUND } from '../errors.js';
import type { WebSocket } from '../uws.js';
import { type Admission, addressOfClient } from './connection-limits.js';
import { errorBody } from './error-body.js';
import { encodeCounted, encodeFrame, resumedFrame, STOPPED_FRAME } from './frame.js';
import { OTHER_TEXT, pingedNumber } from './pinged.js';
import type { Stranger } from './strangers.js';

/** uWebSockets.js answers these to a send. */
const DROPPED = 2;
const BUFFERED = 0;

const NONE: readonly Packet[] = [];
/** Stands for no position: positions are numbered from 0. */
const NOWHERE = -1;
const UNKNOWN: Position = { era: '', n: 0 };

/** uWebSockets.js copies own properties of what it is given and drops its class: so it is given this. */
export interface Holder {
  readonly socket: Socket;
}

/** What a socket asks of the adapter that has it. */
interface Adapter {
  heardAt(socket: Socket): number | null;
  countDropped(): void;
}

export class Socket implements Transport, Counting, Stranger {
  counting: Counting | null = null;
  asked: Asked = 'first';
  ws: WebSocket<Holder> | null = null;
  client: NamedClient | null = null;
  domain: Domain | null = null;
  /** Whether the socket has named a ticket whose client is being looked for on another node. */
  locating = false;
  /** The batch that is not all sent yet. */
  unsent: readonly Packet[] = NONE;
  /** Where the client counts: its position after all that it was sent, as era (empty while the position is unknown) and number. */
  #era = '';
  #after = 0;
  /** The position's number that the client confirmed last in this era, and the number that the last ping carried; NOWHERE: none. */
  #confirmed = NOWHERE;
  #pinged = NOWHERE;
  /** Whether the client itself says its position: then pongs confirm nothing, since they prove the link and not the page behind it. */
  #says = false;
  #isFull = false;

  constructor(
    readonly origin: string,
    readonly admission: Admission,
    private readonly adapter: Adapter,
  ) {}

  get kind(): 'websocket' {
    return 'websocket';
  }

  get address(): string | null {
    return addressOfClient(this.admission, this.ws);
  }

  get heardAt(): number | null {
    return this.adapter.heardAt(this);
  }

  deliver(packets: readonly Packet[]): number {
    if (!this.ws || this.unsent.length > 0) return 0;
    const result = this.ws.send(encodeFrame(packets).text);
    if (result === DROPPED) return 0;
    if (result === BUFFERED) this.unsent = packets.slice();
    return packets.length;
  }

  /** The socket's client counts its packets and goes on from a position. */
  resume(asked: Asked): void {
    this.asked = asked;
    this.counting = this;
  }

  resumed(at: Position | 'first'): void {
    this.asked = 'first';
    const { era, n } = at === 'first' ? UNKNOWN : at;
    this.#sentUpTo(n, era);
    if (at !== 'first') this.#confirmed = n;
    this.ws?.send(resumedFrame(formatAsked(at)));
  }

  send(frame: CountedFrame, after: number, era: string): boolean {
    if (!this.ws || this.#isFull) return false;
    const result = this.ws.send(encodeCounted(frame, frame.missed === true ? frame.position : null));
    if (result === DROPPED) return false;
    this.#isFull = result === BUFFERED;
    this.#sentUpTo(after, era);
    return true;
  }

  #sentUpTo(n: number, era: string): void {
    this.#after = n;
    if (era === this.#era) return;
    this.#era = era;
    this.#confirmed = NOWHERE;
    this.#pinged = NOWHERE;
  }

  /** The socket has written all that was handed to it. */
  drained(): void {
    this.unsent = NONE;
    this.#isFull = false;
  }

  /** Pings the client. To a client that counts, the ping carries the position after all that it was sent, until that is confirmed. */
  ping(): void {
    const asked = this.#isUnconfirmed;
    this.#pinged = asked ? this.#after : NOWHERE;
    this.ws?.ping(asked ? formatPosition(this.#after, this.#era) : '');
  }

  /** A text has come, which puts the next regular ping off: a client whose pongs confirm its position is pinged at once instead. */
  ask(): void {
    if (this.#isUnconfirmed && this.#after !== this.#pinged) this.ping();
  }

  /** Whether a pong would confirm a new position: never where the client itself says its position. */
  get #isUnconfirmed(): boolean {
    return this.counting !== null && !this.#says && this.#era !== '' && this.#after !== this.#confirmed;
  }

  pong(payload: string): void {
    if (!this.#says && payload !== '') this.#confirm(payload);
  }

  /** The client itself has said its position. */
  says(position: string): void {
    this.confirms();
    this.#confirm(position);
  }

  /** Whether a text is `ping` with a position of the era in which the client counts, which then is said. */
  saysByPing(text: ArrayBuffer): boolean {
    const n = this.counting === null ? OTHER_TEXT : pingedNumber(text, this.#era);
    if (n === OTHER_TEXT) return false;
    this.confirms();
    if (n !== this.#confirmed) this.#confirmAt({ era: this.#era, n });
    return true;
  }

  /** From now on the client itself says its position, and its pongs confirm nothing. */
  confirms(): void {
    this.#says = true;
  }

  #confirm(text: string): void {
    const position = this.counting && parsePosition(text);
    if (position && (position.era !== this.#era || position.n !== this.#confirmed)) this.#confirmAt(position);
  }

  #confirmAt(position: Position): void {
    const { client } = this;
    if (!client) return;
    if (position.era === this.#era) this.#confirmed = position.n;
    client.endpoint.tellAtOnce({ kind: 'confirm', client, transport: this, position });
  }

  close(reason: CloseReason): readonly Packet[] {
    this.client = null;
    if (reason === CLOSE.stopped) this.ws?.send(STOPPED_FRAME);
    if (reason === CLOSE.ticketNotFound) this.ws?.send(errorBody(TICKET_NOT_FOUND));
    this.ws?.end(reason.webSocketCode, reason.name);
    return this.unsent;
  }

  /** Closes a socket that has not subscribed, because strangers together hold too much. */
  drop(): void {
    this.adapter.countDropped();
    this.ws?.close();
  }

  /** Where the client may come again it is told when: in the frame, and in the reason of the close (RFC 6455 section 7.4). */
  refuse(error: ReplyError, { name, webSocketCode }: CloseReason): void {
    const { retryAfterS } = error;
    this.ws?.send(errorBody(error));
    this.ws?.end(webSocketCode, retryAfterS === undefined ? name : `${name}, in ${retryAfterS} s`);
  }
}
