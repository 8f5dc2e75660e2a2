/**
 * Long polling, PROTOCOL.md section 6: a GET that waits for packets. With `callback` it is JSONP, without it JSON with
 * CORS. Each poll is a transport that delivers once.
 */
import type { Client } from '../actors/client.js';
import type { Packet } from '../actors/packet.js';
import { type Asked, formatAsked, type Position } from '../actors/position.js';
import type { CountedFrame, Counting, Transport } from '../actors/transport.js';
import { Timeouts } from '../clock.js';
import { badRequest, CLOSE, type CloseReason, type ReplyError, TICKET_NOT_FOUND } from '../errors.js';
import { type HttpResponse, KEEP_ALIVE, LAST_ANSWER } from '../uws.js';
import { type Admission, addressOfClient, type ConnectionLimits } from './connection-limits.js';
import type { Context } from './context.js';
import { errorBody } from './error-body.js';
import { EMPTY_FRAME, encodeCounted, encodeFrame, positionFrame, REPLACED_FRAME, STOPPED_FRAME } from './frame.js';
import type { Headers, RequestHead } from './headers.js';
import type { PageQuery } from './page-query.js';
import { findReceiver, readReceiver, readReceiving } from './receiving.js';
import { statusText, writeOrigin, writeRetryAfter } from './refusal.js';

const CALLBACK_CHARACTERS = 128;
const IDENTIFIER = '[A-Za-z_$][\\w$]*';
const CALLBACK = new RegExp(`^${IDENTIFIER}(\\.${IDENTIFIER})*$`);
/** A browser names the few headers that a page sets. */
const ASKED_CHARACTERS = 1024;
const PREFLIGHT_AGE_S = '86400';
const NONE: readonly Packet[] = [];
/** How the answers to one request are written. */
interface Form {
  /** null: plain JSON. */
  readonly callback: string | null;
  /** Access-Control-Allow-Origin; null: none. */
  readonly origin: string | null;
}

/** A request that may wait. */
interface Asking {
  readonly form: Form;
  /** null: its client keeps no position. */
  readonly asked: Asked | null;
  readonly admission: Admission;
}

const [LINE_SEPARATOR, PARAGRAPH_SEPARATOR] = ['\u2028', '\u2029'];

/** U+2028 and U+2029 end a line in older JavaScript; in JSON they may be escaped. To look for them costs a fiftieth of replacing none. */
function script(callback: string, json: string): string {
  const isPlain = !json.includes(LINE_SEPARATOR) && !json.includes(PARAGRAPH_SEPARATOR);
  const escaped = isPlain
    ? json
    : json.replaceAll(LINE_SEPARATOR, '\\u2028').replaceAll(PARAGRAPH_SEPARATOR, '\\u2029');
  return `/**/${callback}(${escaped});`;
}

/** Headers in one piece: each crossing into native code costs 0.3 µs. */
const HEADERS = '; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n';
const JSON_TYPE = `application/json${HEADERS}`;
const SCRIPT_TYPE = `application/javascript${HEADERS}`;
const ANY_ORIGIN = '\r\nAccess-Control-Allow-Origin: *';
const typesWith = (rest: string): readonly string[] => [JSON_TYPE, SCRIPT_TYPE].map((type) => type + rest);
const TYPES = typesWith(KEEP_ALIVE.join(': '));
const OPEN_TYPES = typesWith(KEEP_ALIVE.join(': ') + ANY_ORIGIN);
const LAST_TYPES = typesWith(LAST_ANSWER.join(': '));

/** Without `status` uWebSockets.js writes 200 by itself. `isLast`: the server drains, and this answer is the connection's last. */
function writeHead(res: HttpResponse, { callback, origin }: Form, isLast: boolean, status?: string): void {
  if (status !== undefined) res.writeStatus(status);
  const isOpen = origin === '*' && !isLast;
  const types = isOpen ? OPEN_TYPES : isLast ? LAST_TYPES : TYPES;
  res.writeHeader('Content-Type', types[callback === null ? 0 : 1] as string);
  if (!isOpen) writeOrigin(res, origin);
}

function bodyOf(form: Form, json: string): string {
  return form.callback === null ? json : script(form.callback, json);
}

class Poll implements Transport, Counting {
  readonly kind = 'jsonp';
  readonly counting: Counting | null;
  readonly asked: Asked;
  readonly admission: Admission;
  readonly #form: Form;
  /** Whether the poll has been answered, or its browser is gone. */
  #done = false;
  /** Packets that the poll has taken and that are not all sent yet. */
  #unsent: readonly Packet[] = NONE;
  /** The position from which a counting client goes on, where the client did not name it itself. */
  #position: string | null = null;

  constructor(
    private readonly adapter: PollAdapter,
    private readonly res: HttpResponse,
    { form, asked, admission }: Asking,
    readonly client: Client,
  ) {
    this.#form = form;
    this.admission = admission;
    this.asked = asked ?? 'confirmed';
    this.counting = asked === null ? null : this;
    res.onAborted(() => {
      // `#unsent` stays as it is: `close` answers these packets where it comes before the endpoint has heard of the detach.
      const unsent = this.#unsent;
      if (this.#done && unsent.length === 0) return;
      if (!this.#done) this.#end();
      this.adapter.detach(this, unsent);
    });
  }

  /**
   * Takes the packets; they are written a turn later: a browser that has gone is only known to be gone when the event
   * loop has looked at the network again.
   */
  deliver(packets: readonly Packet[]): number {
    if (this.#done || this.#unsent.length > 0) return 0;
    this.#unsent = packets.slice();
    this.adapter.writeLater(this);
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
    const body = bodyOf(this.#form, encodeFrame(this.#unsent).text);
    let isSent = true;
    this.#finish((res) => {
      isSent = res.tryEnd(body, Buffer.byteLength(body))[1];
    });
    if (!isSent) return this.#sendRest(Buffer.from(body));
    this.#unsent = NONE;
    this.adapter.detach(this, NONE);
  }

  #end(): void {
    this.#done = true;
    this.adapter.ended(this);
  }

  #answer(json: string, status?: string): void {
    const body = bodyOf(this.#form, json);
    this.#finish((res) => res.end(body), status);
  }

  /** Writes the head of the answer, and has its body written. */
  #finish(writeBody: (res: HttpResponse) => void, status?: string): void {
    const { res } = this;
    this.#end();
    res.cork(() => {
      writeHead(res, this.#form, this.adapter.isDraining, status);
      writeBody(res);
    });
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

  constructor(
    private readonly context: Context,
    private readonly connectionLimits: ConnectionLimits,
  ) {
    const { clock, system } = context.runtime;
    this.#waiting = new Timeouts(clock, context.config().poll.timeoutMs, (poll) => poll.answerEmpty());
    system.startOfTurn.add(this.#writeAll);
    system.endOfTurn.add(() => (this.#toWrite.length > 0 ? system.wake() : undefined));
  }

  get isDraining(): boolean {
    return this.context.isDraining();
  }

  get(res: HttpResponse, req: RequestHead, headers: Headers): void {
    const { origin } = headers;
    const receiving = readReceiving(this.context, req.getQuery() ?? '', origin);
    const { allow, fault, query } = receiving;
    const callback = fault ?? callbackOf(query);
    if (callback !== null && typeof callback === 'object') {
      return this.#refuse(res, { callback: null, origin: allow }, callback);
    }
    const form: Form = { callback, origin: allow };
    const receiver = readReceiver(receiving, origin);
    if (!('ticket' in receiver)) return this.#refuse(res, form, receiver);
    const { asked } = receiver;
    findReceiver(this.connectionLimits, res, headers, receiving, receiver, {
      wait: (client, admission) => this.#wait(res, { form, asked, admission }, client),
      refuse: (error) => this.#refuse(res, form, error),
      stop: () => this.#stop(res, form),
      coming: 'poll',
    });
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

  #refuse(res: HttpResponse, form: Form, error: ReplyError): void {
    const { refused } = this.context.runtime.metrics;
    // Who is banned or one too many has been counted.
    if (error.status < 403 || error.status === 404) {
      refused[error.status === 404 ? 'ticketNotFound' : 'badRequest'] += 1;
    }
    writeHead(res, form, this.isDraining, statusText(error));
    if (form.callback === null) writeRetryAfter(res, error, form.origin);
    res.end(bodyOf(form, errorBody(error)));
  }

  /** The client was signed out by name a moment ago. */
  #stop(res: HttpResponse, form: Form): void {
    this.context.runtime.metrics.refused.ticketNotFound += 1;
    writeHead(res, form, this.isDraining);
    res.end(bodyOf(form, STOPPED_FRAME));
  }

  #wait(res: HttpResponse, asking: Asking, client: Client): void {
    const { metrics } = this.context.runtime;
    metrics.opens('jsonp');
    const poll = new Poll(this, res, asking, client);
    this.#waiting.start(poll);
    client.endpoint.tell({ kind: 'attach', client, transport: poll });
  }

  /** Has a poll written at the start of the next turn, which a turn that goes on asks for at its end. */
  writeLater(poll: Poll): void {
    this.#toWrite.push(poll);
    this.context.runtime.system.wake();
  }

  readonly #writeAll = (): void => {
    if (this.#toWrite.length === 0) return;
    const polls = this.#toWrite;
    this.#toWrite = [];
    for (const poll of polls) poll.write();
  };

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
