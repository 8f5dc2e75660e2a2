/**
 * Long polling, PROTOCOL.md section 6: a GET that waits for packets. With `callback` it is JSONP, without it JSON with
 * CORS. Each poll is a transport that delivers once.
 */
import type { Client } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import type { Transport } from '../actors/transport.js';
import { Timeouts } from '../clock.js';
import { badRequest, CLOSE, type CloseReason, type ReplyError, TICKET_NOT_FOUND } from '../errors.js';
import { type HttpRequest, type HttpResponse, KEEP_ALIVE } from '../uws.js';
import type { ConnectionLimits } from './connection-limits.js';
import type { Context } from './context.js';
import { findTicket, mayBeElsewhere, visitTicket } from './credentials.js';
import { errorBody } from './error-body.js';
import { EMPTY_FRAME, encodeFrame, STOPPED_FRAME } from './frame.js';
import type { Headers } from './headers.js';
import { allowedOrigin, isAllowedOrigin } from './origin.js';
import { type Parameters, readForm } from './parameters.js';
import { writeOrigin } from './refusal.js';

const CALLBACK_CHARACTERS = 128;
const IDENTIFIER = '[A-Za-z_$][\\w$]*';
const CALLBACK = new RegExp(`^${IDENTIFIER}(\\.${IDENTIFIER})*$`);
/** A browser names the few headers that a page sets. */
const ASKED_CHARACTERS = 1024;
const PREFLIGHT_AGE_S = '86400';
const NOT_FOUND_STATUS = '404 Not Found';
const NONE: readonly Packet[] = [];
const UNREADABLE = {
  malformed: 'the query is not percent-encoded UTF-8',
  tooMany: 'the query has too many parameters',
} as const;

/** How the answers to one request are written. */
interface Form {
  /** null: plain JSON. */
  readonly callback: string | null;
  /** Access-Control-Allow-Origin; null: none. */
  readonly origin: string | null;
}

/** U+2028 and U+2029 end a line in older JavaScript; in JSON they may be escaped. */
function script(callback: string, json: string): string {
  return `/**/${callback}(${json.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')});`;
}

/** Headers in one piece: each crossing into native code costs 0.3 µs. */
const HEADERS = `; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n${KEEP_ALIVE.join(': ')}`;
const JSON_TYPE = `application/json${HEADERS}`;
const SCRIPT_TYPE = `application/javascript${HEADERS}`;

/** Without a status it is 200, which uWebSockets.js writes by itself. */
function writeHead(res: HttpResponse, { callback, origin }: Form, status?: string): void {
  if (status !== undefined) res.writeStatus(status);
  res.writeHeader('Content-Type', callback === null ? JSON_TYPE : SCRIPT_TYPE);
  writeOrigin(res, origin);
}

function bodyOf(form: Form, json: string): string {
  return form.callback === null ? json : script(form.callback, json);
}

class Poll implements Transport {
  readonly kind = 'jsonp';
  /** Whether the poll has been answered, or its browser is gone. */
  #done = false;
  /** Packets that the poll has taken and that are not all sent yet. */
  #unsent: readonly Packet[] = NONE;

  constructor(
    private readonly adapter: PollAdapter,
    private readonly res: HttpResponse,
    private readonly form: Form,
    readonly client: Client,
    /** Where it comes from, as far as connections of an address are counted. */
    readonly address: string,
  ) {
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

  close(reason: CloseReason): readonly Packet[] {
    const unsent = this.#unsent;
    this.#unsent = NONE;
    if (this.#done) return unsent;
    if (reason === CLOSE.ticketNotFound) this.#answer(errorBody(TICKET_NOT_FOUND), NOT_FOUND_STATUS);
    else this.#answer(reason === CLOSE.stopped ? STOPPED_FRAME : EMPTY_FRAME);
    return unsent;
  }

  /** Answers an empty frame: the poll's time is over, or the server drains. */
  answerEmpty(): void {
    if (this.#done || this.#unsent.length > 0) return;
    this.#answer(EMPTY_FRAME);
    this.adapter.detach(this, NONE);
  }

  /** Answers with the packets that the poll has taken. */
  write(): void {
    if (this.#done || this.#unsent.length === 0) return;
    if (!this.#answer(encodeFrame(this.#unsent).text)) return;
    this.#unsent = NONE;
    this.adapter.detach(this, NONE);
  }

  #end(): void {
    this.#done = true;
    this.adapter.ended(this);
  }

  /** Writes the answer; false while a part of it waits for the network. */
  #answer(json: string, status?: string): boolean {
    const { res, form } = this;
    const body = Buffer.from(bodyOf(form, json));
    this.#end();
    let complete = true;
    res.cork(() => {
      writeHead(res, form, status);
      complete = res.tryEnd(body, body.length)[1];
    });
    if (!complete) this.#sendRest(body);
    return complete;
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

function namesCallback(pair: string): boolean {
  const alone: Parameters = new Map();
  return readForm(pair, alone, 1) === null && alone.has('callback');
}

/** Whether it may be called as a function: a dotted identifier. */
export function isCallback(callback: string): boolean {
  return callback.length <= CALLBACK_CHARACTERS && CALLBACK.test(callback);
}

/** Reads `callback`; a repeated or empty one is refused (section 10). */
function readCallback(query: string, parameters: Parameters): string | null | ReplyError {
  const callback = parameters.get('callback');
  if (callback === undefined) return null;
  if (typeof callback === 'string' && isCallback(callback) && query.split('&').filter(namesCallback).length === 1) {
    return callback;
  }
  return badRequest('callback must be one dotted JavaScript identifier of at most 128 characters');
}

export class PollAdapter {
  readonly #waiting: Timeouts<Poll>;
  #toWrite: Poll[] = [];

  constructor(
    private readonly context: Context,
    private readonly connectionLimits: ConnectionLimits,
  ) {
    const { clock } = context.runtime;
    this.#waiting = new Timeouts(clock, context.config().poll.timeoutMs, (poll) => poll.answerEmpty());
  }

  get(res: HttpResponse, req: HttpRequest, headers: Headers): void {
    const query = req.getQuery() ?? '';
    const { origin } = headers;
    const parameters: Parameters = new Map();
    const fault = readForm(query, parameters, this.context.config().limits.parameters);
    const domain = this.#domain(parameters);
    const allow = allowedOrigin(domain, origin);
    const callback = fault ? badRequest(UNREADABLE[fault]) : readCallback(query, parameters);
    if (callback !== null && typeof callback === 'object') {
      return this.#refuse(res, { callback: null, origin: allow }, callback);
    }
    const form: Form = { callback, origin: allow };
    if (domain && !isAllowedOrigin(domain, origin)) return this.#refuse(res, form, badRequest('origin is not allowed'));
    const missing = ['domain', 'ticket'].find((name) => typeof parameters.get(name) !== 'string');
    if (missing !== undefined) return this.#refuse(res, form, badRequest(`${missing} is required`));
    const ticket = parameters.get('ticket') as string;
    const client = domain ? findTicket(domain, ticket) : null;
    if (!client && !(domain && mayBeElsewhere(domain, ticket))) return this.#refuse(res, form, TICKET_NOT_FOUND);
    const address = this.connectionLimits.admit(res, headers, allow);
    if (address === null) return;
    if (client) this.#wait(res, form, client, address);
    else if (domain) this.#locate(res, form, domain, ticket, address);
  }

  /** The ticket is none of this node's: its client may live on another. */
  #locate(res: HttpResponse, form: Form, domain: Domain, ticket: string, address: string): void {
    let isOpen = true;
    res.onAborted(() => {
      isOpen = false;
      this.connectionLimits.release(address);
    });
    visitTicket(domain, ticket, (client) => {
      if (!isOpen) return;
      if (client) return this.#wait(res, form, client, address);
      this.connectionLimits.release(address);
      res.cork(() => this.#refuse(res, form, TICKET_NOT_FOUND));
    });
  }

  #domain(parameters: Parameters): Domain | undefined {
    const name = parameters.get('domain');
    return typeof name === 'string' ? this.context.domains.get(name) : undefined;
  }

  /** A CORS preflight. */
  options(res: HttpResponse, req: HttpRequest, { origin }: Headers): void {
    const parameters: Parameters = new Map();
    readForm(req.getQuery() ?? '', parameters, this.context.config().limits.parameters);
    const domain = this.#domain(parameters);
    const allow = allowedOrigin(domain, origin);
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

  /** For each open poll, what answers it with an empty frame: the server drains. */
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
    refused[error.status === 404 ? 'ticketNotFound' : 'badRequest'] += 1;
    writeHead(res, form, error.status === 404 ? NOT_FOUND_STATUS : '400 Bad Request');
    res.end(bodyOf(form, errorBody(error)));
  }

  #wait(res: HttpResponse, form: Form, client: Client, address: string): void {
    const { metrics } = this.context.runtime;
    metrics.opens('jsonp');
    const poll = new Poll(this, res, form, client, address);
    this.#waiting.start(poll);
    client.endpoint.tell({ kind: 'attach', client, transport: poll });
  }

  /** Has a poll written when the event loop has looked at the network. */
  writeLater(poll: Poll): void {
    if (this.#toWrite.length === 0) setImmediate(this.#writeAll);
    this.#toWrite.push(poll);
  }

  readonly #writeAll = (): void => {
    const polls = this.#toWrite;
    this.#toWrite = [];
    for (const poll of polls) poll.write();
  };

  /** Forgets a poll that waits no more: it has been answered, or its browser is gone. */
  ended(poll: Poll): void {
    this.#waiting.cancel(poll);
    this.context.runtime.metrics.connections.jsonp -= 1;
    this.connectionLimits.release(poll.address);
  }

  /** Tells the endpoint that a poll is over, and which packets it could not send. */
  detach(poll: Poll, unsent: readonly Packet[]): void {
    const { client } = poll;
    client.endpoint.tell({ kind: 'detach', client, transport: poll, unsent });
  }
}
