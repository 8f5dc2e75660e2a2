/** POST /v5/packets: what a client asks and sends itself by HTTP, one call or several. PROTOCOL.md section 14. */
import { isUtf8 } from 'node:buffer';
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import {
  BANNED,
  badRequest,
  comeLater,
  PAYLOAD_TOO_LARGE,
  type ReplyError,
  TICKET_NOT_FOUND,
  UNAVAILABLE,
  UNSUPPORTED_MEDIA_TYPE,
} from '../errors.js';
import { clientAddress } from '../protocols/client-address.js';
import { clientCall } from '../protocols/client-calls.js';
import { peerOf } from '../protocols/connection-limits.js';
import type { Context } from '../protocols/context.js';
import { locateTicket } from '../protocols/credentials.js';
import { type Headers, whenSound } from '../protocols/headers.js';
import { type Parameters, readJsonList } from '../protocols/parameters.js';
import { type Receiving, readReceiving, readTicket } from '../protocols/receiving.js';
import { isBanned } from '../protocols/unwelcome.js';
import type { HttpRequest, HttpResponse, TemplatedApp } from '../uws.js';
import { sendError, sendJson } from './reply.js';
import { readBody, type Upload, type Uploader } from './request.js';

const MOST_CALLS = 20;
const UNREADABLE = badRequest('the body is not a JSON object, or a list of them, of UTF-8 text');

export function addClientCalls(app: TemplatedApp, context: Context): void {
  const post = whenSound(context.runtime.metrics, (res, req, headers) => new Post(context, res, headers).take(req));
  for (const version of ['v5', 'v4']) for (const end of ['', '/']) app.post(`/${version}/packets${end}`, post);
}

/** Pages send JSON as text, which needs no preflight. */
function isAccepted({ contentType, contentEncoding }: Headers): boolean {
  const type = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  const isPlain = contentEncoding === '' || contentEncoding.toLowerCase() === 'identity';
  return isPlain && ['', 'application/json', 'text/plain'].includes(type);
}

/** One request, which is answered once; the client may be gone before. */
class Post implements Uploader {
  #open = true;
  /** The request's body while it comes in pieces; null: it does not. */
  upload: Upload | null = null;
  /** Network address of the client. */
  readonly #address: string;
  /** Access-Control-Allow-Origin of the answer; null: none. */
  #origin: string | null = null;

  constructor(
    private readonly context: Context,
    private readonly res: HttpResponse,
    private readonly headers: Headers,
  ) {
    // Asked now: uWebSockets.js forgets it with the answer.
    this.#address = clientAddress(peerOf(res), headers.forwardedFor, context.config().trustProxy);
    res.onAborted(() => {
      this.#open = false;
      this.upload?.release();
    });
  }

  take(req: HttpRequest): void {
    const query = req.getQuery() ?? '';
    if (this.context.isDraining()) return this.#fail(UNAVAILABLE);
    // Read before the body, so that a page may read why that is refused.
    const receiving = this.context.gate.isOpen ? this.#receive(query) : null;
    readBody(this.context, this.res, this.context.config().limits.bodyBytes, this, (_post, body) => {
      if (body === null) this.#fail(PAYLOAD_TOO_LARGE);
      else if (!isAccepted(this.headers)) this.#fail(UNSUPPORTED_MEDIA_TYPE);
      else if (receiving) this.#authenticate(receiving, body);
      else this.#wait(query, body);
    });
  }

  #wait(query: string, body: Buffer): void {
    const { gate } = this.context;
    // The library takes the body's memory back.
    const kept = Buffer.from(body);
    const go = (): void => (this.#open ? this.#authenticate(this.#receive(query), kept) : undefined);
    gate.pass(go, () => this.#fail(UNAVAILABLE), body.length);
  }

  #receive(query: string): Receiving {
    const receiving = readReceiving(this.context, query, this.headers.origin);
    this.#origin = receiving.allow;
    return receiving;
  }

  #authenticate(receiving: Receiving, body: Buffer): void {
    const { domain } = receiving;
    const ticket = readTicket(receiving, this.headers.origin);
    if (typeof ticket !== 'string') return this.#fail(ticket);
    if (!domain) return this.#fail(TICKET_NOT_FOUND);
    // Only the number: uWebSockets.js takes the body's memory back, and a call that waits would hold its copy.
    const bodyBytes = body.length;
    const calls = isUtf8(body) ? readJsonList(body.toString('utf8'), domain.limits.parameters) : 'malformed';
    if (typeof calls === 'string') return this.#fail(UNREADABLE);
    if (Array.isArray(calls) && calls.length > MOST_CALLS) {
      return this.#fail(badRequest(`there must be at most ${MOST_CALLS} calls`));
    }
    locateTicket(domain, ticket, false, (client, laterS) => {
      if (!client) this.#fail(laterS === undefined ? TICKET_NOT_FOUND : comeLater(laterS));
      else if (isBanned(domain, client, this.#address)) this.#fail({ ...BANNED, domain: domain.name });
      else if (this.context.fair.isFull(domain)) this.#fail(UNAVAILABLE);
      else
        this.context.fair.pass(
          domain,
          () => {
            if (Array.isArray(calls)) this.#run(domain, client, calls, (replies) => `[${replies}]`);
            else this.#run(domain, client, [calls.one], ([reply]) => reply ?? '');
          },
          bodyBytes,
        );
    });
  }

  /** In order; answered when all are. */
  #run(
    domain: Domain,
    client: NamedClient,
    calls: readonly Parameters[],
    body: (replies: readonly string[]) => string,
  ): void {
    const replies: string[] = calls.map(() => '');
    let missing = calls.length;
    if (missing === 0) return this.#answer(body(replies));
    for (const [i, call] of calls.entries()) {
      clientCall(domain, client, 'http', call, (reply) => {
        replies[i] = reply;
        missing -= 1;
        if (missing === 0) this.#answer(body(replies));
      });
    }
  }

  #answer(json: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.res.cork(() => sendJson(this.res, json, this.#origin, this.context.isDraining()));
  }

  #fail(error: ReplyError): void {
    if (!this.#open) return;
    this.#open = false;
    const { runtime, comingAgain } = this.context;
    sendError(this.res, runtime.metrics, comingAgain.told(error), {}, false, {}, this.#origin);
  }
}
