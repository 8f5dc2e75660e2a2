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
import type { HttpRequest, HttpResponse } from '../uws.js';
import type { Admission } from './admission.js';
import type { Context } from './context.js';
import { errorBody } from './error-body.js';
import { EMPTY_FRAME, encodeFrame, STOPPED_FRAME } from './frame.js';
import { findTicket } from './keys.js';
import { isAllowedOrigin } from './origin.js';
import { type Parameters, readForm } from './parameters.js';

const CALLBACK_CHARACTERS = 128;
const IDENTIFIER = '[A-Za-z_$][\\w$]*';
const CALLBACK = new RegExp(`^${IDENTIFIER}(\\.${IDENTIFIER})*$`);
const PREFLIGHT_AGE_S = '86400';

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

function writeHead(res: HttpResponse, status: string, { callback, origin }: Form): void {
  res
    .writeStatus(status)
    .writeHeader('Content-Type', `application/${callback === null ? 'json' : 'javascript'}; charset=utf-8`)
    .writeHeader('X-Content-Type-Options', 'nosniff')
    .writeHeader('Cache-Control', 'no-store');
  writeOrigin(res, origin);
}

function writeOrigin(res: HttpResponse, origin: string | null): void {
  if (origin === null) return;
  res.writeHeader('Access-Control-Allow-Origin', origin);
  if (origin !== '*') res.writeHeader('Vary', 'Origin');
}

function bodyOf(form: Form, json: string): string {
  return form.callback === null ? json : script(form.callback, json);
}

class Poll implements Transport {
  readonly kind = 'jsonp';
  /** Answered, or the browser is gone. */
  #done = false;
  /** Taken, and not all out yet. */
  #unsent: readonly Packet[] = [];

  constructor(
    private readonly res: HttpResponse,
    private readonly form: Form,
    /** It waits no more: called once, when it is answered or the browser is gone. */
    private readonly ended: (poll: Poll) => void,
    /** The endpoint is to know: it is over, and these did not get out. */
    private readonly detach: (poll: Poll, unsent: readonly Packet[]) => void,
  ) {
    res.onAborted(() => {
      const unsent = this.#unsent;
      if (this.#done && unsent.length === 0) return;
      this.#unsent = [];
      if (!this.#done) this.#end();
      this.detach(this, unsent);
    });
  }

  /**
   * Takes the packets and writes them a turn later: a browser that has gone is only known to be gone when the event
   * loop has looked at the network again.
   */
  deliver(packets: readonly Packet[]): number {
    if (this.#done || this.#unsent.length > 0) return 0;
    this.#unsent = packets.slice();
    setImmediate(this.#write);
    return packets.length;
  }

  close(reason: CloseReason): readonly Packet[] {
    const unsent = this.#unsent;
    this.#unsent = [];
    if (this.#done) return unsent;
    if (reason === CLOSE.ticketNotFound) this.#answer('404 Not Found', errorBody(TICKET_NOT_FOUND));
    else this.#answer('200 OK', reason === CLOSE.stopped ? STOPPED_FRAME : EMPTY_FRAME);
    return unsent;
  }

  /** Its time is over, or the server drains. */
  answerEmpty(): void {
    if (this.#done || this.#unsent.length > 0) return;
    this.#answer('200 OK', EMPTY_FRAME);
    this.detach(this, []);
  }

  readonly #write = (): void => {
    if (this.#done || this.#unsent.length === 0) return;
    if (!this.#answer('200 OK', encodeFrame(this.#unsent).text)) return;
    this.#unsent = [];
    this.detach(this, []);
  };

  #end(): void {
    this.#done = true;
    this.ended(this);
  }

  /** False while a part of it waits for the network. */
  #answer(status: string, json: string): boolean {
    const { res } = this;
    const body = Buffer.from(bodyOf(this.form, json));
    this.#end();
    let complete = true;
    res.cork(() => {
      writeHead(res, status, this.form);
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
        this.#unsent = [];
        this.detach(this, []);
      }
      return ok;
    });
  }
}

/** Reads `callback`; a repeated or empty one is refused (section 10). */
function readCallback(query: string, parameters: Parameters): string | null | ReplyError {
  const callback = parameters.get('callback');
  if (typeof callback !== 'string') return null;
  const repeated = query.split('&').filter((pair) => pair === 'callback' || pair.startsWith('callback=')).length > 1;
  if (repeated || callback.length > CALLBACK_CHARACTERS || !CALLBACK.test(callback)) {
    return badRequest('callback must be one dotted JavaScript identifier of at most 128 characters');
  }
  return callback;
}

/** What the response may say of origins; null where the domain lists others. */
function originFor(domain: Domain | undefined, origin: string): string | null {
  if (!domain || domain.settings.origins.length === 0) return '*';
  return origin !== '' && isAllowedOrigin(domain, origin) ? origin : null;
}

export class PollAdapter {
  readonly #waiting: Timeouts<Poll>;

  constructor(
    private readonly context: Context,
    private readonly admission: Admission,
  ) {
    const { clock } = context.runtime;
    this.#waiting = new Timeouts(clock, context.config().poll.timeoutMs, (poll) => poll.answerEmpty());
  }

  get(res: HttpResponse, req: HttpRequest): void {
    const query = req.getQuery() ?? '';
    const origin = req.getHeader('origin');
    const parameters: Parameters = new Map();
    const readable = readForm(query, parameters);
    const domain = this.context.domains.get(String(parameters.get('domain') ?? ''));
    const allow = originFor(domain, origin);
    const callback = readable ? readCallback(query, parameters) : badRequest('the query is not percent-encoded UTF-8');
    if (callback !== null && typeof callback === 'object') {
      return this.#refuse(res, { callback: null, origin: allow }, callback);
    }
    const form: Form = { callback, origin: allow };
    if (domain && !isAllowedOrigin(domain, origin)) return this.#refuse(res, form, badRequest('origin is not allowed'));
    const missing = ['domain', 'ticket'].find((name) => !parameters.has(name));
    if (missing !== undefined) return this.#refuse(res, form, badRequest(`${missing} is required`));
    const client = domain ? findTicket(domain, String(parameters.get('ticket'))) : null;
    if (!client) return this.#refuse(res, form, TICKET_NOT_FOUND);
    const address = this.admission.admit(res, req);
    if (address !== null) this.#wait(res, form, client, address);
  }

  /** A CORS preflight. */
  options(res: HttpResponse, req: HttpRequest): void {
    const parameters: Parameters = new Map();
    readForm(req.getQuery() ?? '', parameters);
    const domain = this.context.domains.get(String(parameters.get('domain') ?? ''));
    res.writeStatus('204 No Content');
    writeOrigin(res, originFor(domain, req.getHeader('origin')));
    res
      .writeHeader('Access-Control-Allow-Methods', 'GET, OPTIONS')
      .writeHeader('Access-Control-Allow-Headers', req.getHeader('access-control-request-headers') || '*')
      .writeHeader('Access-Control-Max-Age', PREFLIGHT_AGE_S)
      .endWithoutBody();
  }

  /** Answers every open poll with an empty frame: the server drains. */
  close(): void {
    for (const poll of [...this.#waiting.items()]) poll.answerEmpty();
    this.#waiting.close();
  }

  #refuse(res: HttpResponse, form: Form, error: ReplyError): void {
    const { refused } = this.context.runtime.metrics;
    refused[error.status === 404 ? 'ticketNotFound' : 'badRequest'] += 1;
    writeHead(res, error.status === 404 ? '404 Not Found' : '400 Bad Request', form);
    res.end(bodyOf(form, errorBody(error)));
  }

  #wait(res: HttpResponse, form: Form, client: Client, address: string): void {
    const { metrics, system } = this.context.runtime;
    metrics.connections.jsonp += 1;
    const ended = (poll: Poll): void => {
      this.#waiting.cancel(poll);
      metrics.connections.jsonp -= 1;
      this.admission.release(address);
    };
    const poll = new Poll(res, form, ended, (transport, unsent) => {
      system.tell(client.endpoint, { kind: 'detach', client, transport, unsent });
    });
    this.#waiting.start(poll);
    system.tell(client.endpoint, { kind: 'attach', client, transport: poll });
  }
}
