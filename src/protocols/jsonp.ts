/**
 * Long polling, PROTOCOL.md section 6: a GET that waits for packets. With `callback` it is JSONP, without it JSON with
 * CORS. Each poll is a transport that delivers once.
 */
import type { NamedClient } from '../actors/client.js';
import type { Packet } from '../actors/packet.js';
import { type Asked, formatAsked, type Position } from '../actors/position.js';
import type { CountedFrame, Counting, Transport } from '../actors/transport.js';
import { Timeouts } from '../clock.js';
import {
  badRequest,
  CLOSE,
  type CloseReason,
  type ReplyError,
  TICKET_NOT_FOUND,
  TOO_MANY_REQUESTS,
} from '../errors.js';
import { type HttpResponse, KEEP_ALIVE, LAST_ANSWER } from '../uws.js';
import { type Admission, addressOfClient, type ConnectionLimits } from './connection-limits.js';
import type { Context } from './context.js';
import { errorBody } from './error-body.js';
import {
  EMPTY_FRAME,
  encodeCounted,
  encodeFrame,
  inScript,
  positionFrame,
  REPLACED_FRAME,
  STOPPED_FRAME,
} from './frame.js';
import type { Headers, RequestHead } from './headers.js';
import type { PageQuery } from './page-query.js';
import { countRefused, type Found, findReceiver, readReceiver, readReceiving } from './receiving.js';
import { statusText, writeOrigin, writeRetryAfter } from './refusal.js';

const CALLBACK_CHARACTERS = 128;
const IDENTIFIER = '[A-Za-z_$][\\w$]*';
const CALLBACK = new RegExp(`^${IDENTIFIER}(\\.${IDENTIFIER})*$`);
/** A browser names the few headers that a page sets. */
const ASKED_CHARACTERS = 1024;
const PREFLIGHT_AGE_S = '86400';
const NONE: readonly Packet[] = [];
/** In characters. An answer up to here fits into the system's buffer of a connection, which is empty: its browser has had all before. */
const SHORT = 4096;

/** How the answers to one request are written. */
interface Form {
  /** The name of the function that gets the answer; null: plain JSON. */
  readonly callback: string | null;
  /** Access-Control-Allow-Origin; null: none. */
  readonly origin: string | null;
}

const OK = '200 OK';
/** Status line and headers in one text: each that crosses into native code costs 0.1 to 0.2 µs. */
const HEADERS = '; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n';
const JSON_HEAD = `${OK}\r\nContent-Type: application/json${HEADERS}`;
const SCRIPT_HEAD = `${OK}\r\nContent-Type: application/javascript${HEADERS}`;
const ANY_ORIGIN = '\r\nAccess-Control-Allow-Origin: *';
const headsWith = (rest: string): readonly string[] => [JSON_HEAD, SCRIPT_HEAD].map((head) => head + rest);
const HEADS = headsWith(KEEP_ALIVE.join(': '));
const OPEN_HEADS = headsWith(KEEP_ALIVE.join(': ') + ANY_ORIGIN);
const LAST_HEADS = headsWith(LAST_ANSWER.join(': '));

/** `isLast`: the server drains, and this answer is the connection's last. */
function writeHead(res: HttpResponse, { callback, origin }: Form, isLast: boolean, status = OK): void {
  const isOpen = origin === '*' && !isLast;
  const heads = isOpen ? OPEN_HEADS : isLast ? LAST_HEADS : HEADS;
  const head = heads[callback === null ? 0 : 1] as string;
  res.writeStatus(status === OK ? head : status + head.slice(OK.length));
  if (!isOpen) writeOrigin(res, origin);
}

/** A script that calls the callback with JSON that has been escaped for it. */
function scriptOf(callback: string, escaped: string): string {
  return `/**/${callback}(${escaped});`;
}

function bodyOf({ callback }: Form, json: string): string {
  return callback === null ? json : scriptOf(callback, inScript(json));
}

/** A request for packets, which waits once its client has been found. */
class Poll implements Transport, Counting, Found, Form {
  readonly kind = 'jsonp';
  readonly coming = 'poll';
  asked: Asked = 'confirmed';
  counting: Counting | null = null;
  client!: NamedClient;
  admission!: Admission;
  /** Whether the poll has been answered, or its browser is gone. */
  #done = false;
  /** Packets that the poll has taken and that are not all sent yet. */
  #unsent: readonly Packet[] = NONE;
  /** The position from which a counting client goes on, where the client did not name it itself. */
  #position: string | null = null;
  /** The last turn that had begun when the poll came, and for how long the event loop had slept until then. */
  readonly #cameAfter: number;
  readonly #sleptMs: number;

  constructor(
    private readonly adapter: PollAdapter,
    private readonly res: HttpResponse,
    readonly callback: string | null,
    readonly origin: string | null,
  ) {
    this.#cameAfter = adapter.turn;
    this.#sleptMs = adapter.sleptMs;
  }

  /** The client keeps a position, and goes on from there. */
  resume(asked: Asked): void {
    this.asked = asked;
    this.counting = this;
  }

  wait(client: NamedClient, admission: Admission): void {
    this.client = client;
    this.admission = admission;
    this.res.onAborted(() => this.#leave());
    this.adapter.began(this);
    client.endpoint.tellAtOnce({ kind: 'attach', client, transport: this });
  }

  /** Its browser is gone. `#unsent` stays as it is: `close` answers these packets where it comes before the endpoint hears of the detach. */
  #leave(): void {
    const unsent = this.#unsent;
    if (this.#done && unsent.length === 0) return;
    if (!this.#done) this.#end();
    this.adapter.detach(this, unsent);
  }

  refuse(error: ReplyError): void {
    this.adapter.refuse(this.res, this, error);
  }

  /** The client was signed out by name a moment ago. */
  stop(): void {
    this.adapter.countUnknown();
    writeHead(this.res, this, this.adapter.isDraining);
    this.res.end(bodyOf(this, STOPPED_FRAME));
  }

  /** Takes the packets, which are written at once where a browser that has gone would be known to be gone, else a turn later. */
  deliver(packets: readonly Packet[]): number {
    if (this.#done || this.#unsent.length > 0) return 0;
    this.#unsent = packets.slice();
    if (this.adapter.hasLookedSince(this.#cameAfter, this.#sleptMs)) this.write();
    else this.adapter.writeLater(this);
    return packets.length;
  }

  get address(): string | null {
    return addressOfClient(this.admission, this.#done ? null : this.res);
  }

  resumed(at: Position | 'first'): void {
    const { asked } = this;
    const isAsAsked = typeof asked === 'object' && typeof at === 'object' && asked.n === at.n && asked.era === at.era;
    if (!isAsAsked) this.#position = formatAsked(at);
  }

  /** Answers at once: what does not reach its client stays queued until that confirms it. */
  send(frame: CountedFrame): boolean {
    if (this.#done) return false;
    this.#answer(encodeCounted(frame, this.#position !== null || frame.missed === true ? frame.position : null));
    this.adapter.detach(this, NONE);
    return true;
  }

  close(reason: CloseReason): readonly Packet[] {
    const unsent = this.#unsent;
    this.#unsent = NONE;
    if (this.#done) return unsent;
    if (reason === CLOSE.ticketNotFound) this.#answer(errorBody(TICKET_NOT_FOUND), statusText(TICKET_NOT_FOUND));
    else if (reason === CLOSE.stopped) this.#answer(STOPPED_FRAME);
    else this.#answer(this.counting && reason === CLOSE.replaced ? REPLACED_FRAME : this.#emptyFrame);
    return unsent;
  }

  get #emptyFrame(): string {
    return this.#position === null ? EMPTY_FRAME : positionFrame(this.#position);
  }

  /** Answers an empty frame: the poll's time is over, or the server drains. */
  answerEmpty(): void {
    if (this.#done || this.#unsent.length > 0) return;
    this.#answer(this.#emptyFrame);
    this.adapter.detach(this, NONE);
  }

  /** Answers with the packets that the poll has taken. */
  write(): void {
    if (this.#done || this.#unsent.length === 0) return;
    const frame = encodeFrame(this.#unsent);
    const body = this.callback === null ? frame.text : scriptOf(this.callback, frame.script);
    if (body.length <= SHORT) this.#finish(body);
    else if (!this.#finishPart(body)) return this.#sendRest(Buffer.from(body));
    this.#unsent = NONE;
    this.adapter.detach(this, NONE);
  }

  #end(): void {
    this.#done = true;
    this.adapter.ended(this);
  }

  #answer(json: string, status?: string): void {
    this.#finish(bodyOf(this, json), status);
  }

  #finish(body: string, status?: string): void {
    const { res } = this;
    this.#end();
    res.cork(() => {
      writeHead(res, this, this.adapter.isDraining, status);
      res.end(body);
    });
  }

  /** Writes as much of the answer as the connection takes; answers whether that is all. */
  #finishPart(body: string): boolean {
    const { res } = this;
    let isAll = true;
    this.#end();
    res.cork(() => {
      writeHead(res, this, this.adapter.isDraining);
      isAll = res.tryEnd(body, Buffer.byteLength(body))[1];
    });
    return isAll;
  }

  #sendRest(body: Buffer): void {
    const { res } = this;
    res.onWritable((offset) => {
      const [ok, complete] = res.tryEnd(body.subarray(offset), body.length);
      if (complete && this.#unsent.length > 0) {
        this.#unsent = NONE;
        this.adapter.detach(this, NONE);
      }
      return ok;
    });
  }
}

/** Whether it may be called as a function: a dotted identifier. */
export function isCallback(callback: string): boolean {
  return callback.length <= CALLBACK_CHARACTERS && CALLBACK.test(callback);
}

/** The name of the function that gets the answer; a repeated or empty one is refused (section 10). */
function callbackOf({ callback, callbacks }: PageQuery): string | null | ReplyError {
  if (callback === undefined) return null;
  if (typeof callback === 'string' && callbacks === 1 && isCallback(callback)) return callback;
  return badRequest('callback must be one dotted JavaScript identifier of at most 128 characters');
}

export class PollAdapter {
  readonly #waiting: Timeouts<Poll>;
  #toWrite: Poll[] = [];
  /** How many turns have begun. */
  turn = 0;
  #isInTurn = false;

  constructor(
    private readonly context: Context,
    private readonly connectionLimits: ConnectionLimits,
  ) {
    const { clock, system } = context.runtime;
    this.#waiting = new Timeouts(clock, context.config().poll.timeoutMs, (poll) => poll.answerEmpty());
    system.startOfTurn.add(() => {
      this.turn += 1;
      this.#isInTurn = true;
      this.#writeAll();
    });
    system.endOfTurn.add(() => {
      this.#isInTurn = false;
      if (this.#toWrite.length > 0) system.wake();
    });
  }

  get isDraining(): boolean {
    return this.context.isDraining();
  }

  get sleptMs(): number {
    return this.context.runtime.system.sleptMs();
  }

  get(res: HttpResponse, req: RequestHead, headers: Headers): void {
    const { origin } = headers;
    const receiving = readReceiving(this.context, req.getQuery() ?? '', origin);
    const { allow, fault, query } = receiving;
    const callback = fault ?? callbackOf(query);
    if (callback !== null && typeof callback === 'object') {
      return this.refuse(res, { callback: null, origin: allow }, callback);
    }
    const poll = new Poll(this, res, callback, allow);
    const receiver = readReceiver(receiving, origin);
    if (!('ticket' in receiver)) return poll.refuse(receiver);
    if (receiver.asked !== null) poll.resume(receiver.asked);
    findReceiver(this.connectionLimits, res, headers, receiving, receiver, poll);
  }

  /** A CORS preflight. */
  options(res: HttpResponse, req: RequestHead, { origin }: Headers): void {
    const { allow } = readReceiving(this.context, req.getQuery() ?? '', origin);
    res.writeStatus('204 No Content');
    writeOrigin(res, allow);
    // With cookies a browser takes no `*`.
    const asked = req.getHeader('access-control-request-headers') || (allow === '*' ? '*' : '');
    if (asked !== '' && asked.length <= ASKED_CHARACTERS) res.writeHeader('Access-Control-Allow-Headers', asked);
    res
      .writeHeader('Access-Control-Allow-Methods', 'GET, POST, OPTIONS')
      .writeHeader('Access-Control-Max-Age', PREFLIGHT_AGE_S)
      .writeHeader(...KEEP_ALIVE)
      .endWithoutBody();
  }

  /** For each open poll, a function that answers it with an empty frame because the server drains. */
  farewells(): (() => void)[] {
    return [...this.#waiting.items()].map((poll) => () => poll.answerEmpty());
  }

  /** Answers every poll that is still open. */
  close(): void {
    for (const end of this.farewells()) end();
    this.#waiting.close();
  }

  refuse(res: HttpResponse, form: Form, error: ReplyError): void {
    countRefused(this.context.runtime.metrics, error);
    const told = this.context.comingAgain.told(error);
    // Where its address has too many connections it is told to close this one.
    writeHead(res, form, this.isDraining || error === TOO_MANY_REQUESTS, statusText(error));
    if (form.callback === null) writeRetryAfter(res, told, form.origin);
    res.end(bodyOf(form, errorBody(told)));
  }

  countUnknown(): void {
    this.context.runtime.metrics.refused.ticketNotFound += 1;
  }

  /** Begins the time of a poll that waits. */
  began(poll: Poll): void {
    this.context.runtime.metrics.opens('jsonp');
    this.#waiting.start(poll);
  }

  /**
   * Whether the event loop has looked at the network after a poll came, and has handled all that it saw: then a browser that had gone
   * by that look is known to be gone. Each turn is preceded by a look. The first turn after a poll may be preceded by the look that
   * brought the poll; where the loop has slept meanwhile, by a later one.
   */
  hasLookedSince(turn: number, sleptMs: number): boolean {
    return this.#isInTurn && (this.turn > turn + 1 || this.sleptMs > sleptMs);
  }

  /** Has a poll written at the start of the next turn, which a turn that goes on asks for at its end. */
  writeLater(poll: Poll): void {
    this.#toWrite.push(poll);
    this.context.runtime.system.wake();
  }

  #writeAll(): void {
    if (this.#toWrite.length === 0) return;
    const polls = this.#toWrite;
    this.#toWrite = [];
    for (const poll of polls) poll.write();
  }

  /** Forgets a poll that waits no more: it has been answered, or its browser is gone. */
  ended(poll: Poll): void {
    this.#waiting.cancel(poll);
    this.context.runtime.metrics.connections.jsonp -= 1;
    this.connectionLimits.release(poll.admission);
  }

  /** Tells the endpoint that a poll is over, and which packets it could not send. */
  detach(poll: Poll, unsent: readonly Packet[]): void {
    const { client } = poll;
    client.endpoint.tell({ kind: 'detach', client, transport: poll, unsent });
  }
}
