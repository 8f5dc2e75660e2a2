/**
 * The headers of one request, from one pass over all of its lines. A request whose end or host two readers could see
 * differently is refused, and its connection with it: behind it may stand what a proxy took for its body (request
 * smuggling). RFC 9112 sections 3.2, 6.1 and 6.3.
 */
import { badRequest, HEADERS_TOO_LARGE, type ReplyError, UNAVAILABLE, UPGRADE_REQUIRED } from '../errors.js';
import type { Metrics } from '../metrics.js';
import type { HttpRequest, HttpResponse, us_socket_context_t } from '../uws.js';
import type { ComingAgain } from './coming-again.js';
import type { Gate } from './gate.js';
import { refuse } from './refusal.js';

/** Headers of a request; empty where it has none. A list header holds all of its lines, any other header its first. */
export interface Headers {
  host: string;
  origin: string;
  authorization: string;
  contentType: string;
  contentEncoding: string;
  ifNoneMatch: string;
  forwardedFor: string;
  forwardedProto: string;
  forwardedHost: string;
  idempotencyKey: string;
}

const MOST_LINES = 50;

function malformed(detail: string): ReplyError {
  return { ...badRequest(detail), refusal: 'malformed' };
}

const LENGTHS = malformed('Content-Length must be given once, as a number');
const CODINGS = malformed('Transfer-Encoding must be chunked, and given once');
const HOSTS = malformed('Host must be given once');

/** Whether a text is a number of decimal digits. */
function isNumber(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) < 0x30 || text.charCodeAt(at) > 0x39) return false;
  return text !== '';
}

function joined(lines: string, line: string): string {
  return lines === '' ? line : `${lines}, ${line}`;
}

/** The headers of one request while its lines are read, and of these what says where the request ends and whom it is for. */
class Reading implements Headers {
  host = '';
  origin = '';
  authorization = '';
  contentType = '';
  contentEncoding = '';
  ifNoneMatch = '';
  forwardedFor = '';
  forwardedProto = '';
  forwardedHost = '';
  idempotencyKey = '';
  error: ReplyError | null = null;
  #length: string | null = null;
  #coding: string | null = null;
  #hosts = 0;
  #lines = 0;

  /** Takes a line; its name is in lower case. The names that most requests have come first, since they are compared in turn. */
  line(name: string, value: string): void {
    this.#lines += 1;
    if (this.#lines > MOST_LINES) this.error = HEADERS_TOO_LARGE;
    else if (name === 'host') this.#host(value);
    else if (name === 'content-length') this.#contentLength(value);
    else if (name === 'content-type') this.contentType ||= value;
    else if (name === 'authorization') this.authorization ||= value;
    else this.#other(name, value);
  }

  #other(name: string, value: string): void {
    switch (name) {
      case 'origin':
        this.origin ||= value;
        break;
      case 'transfer-encoding':
        this.#transferEncoding(value);
        break;
      case 'content-encoding':
        this.contentEncoding = joined(this.contentEncoding, value);
        break;
      case 'idempotency-key':
        this.idempotencyKey ||= value;
        break;
      case 'if-none-match':
        this.ifNoneMatch = joined(this.ifNoneMatch, value);
        break;
      case 'x-forwarded-for':
        this.forwardedFor = joined(this.forwardedFor, value);
        break;
      case 'x-forwarded-proto':
        this.forwardedProto = joined(this.forwardedProto, value);
        break;
      case 'x-forwarded-host':
        this.forwardedHost = joined(this.forwardedHost, value);
        break;
    }
  }

  #host(value: string): void {
    this.#hosts += 1;
    if (this.#hosts > 1) this.error = HOSTS;
    this.host = value;
  }

  #contentLength(value: string): void {
    if (!isNumber(value) || (this.#length ?? value) !== value) this.error = LENGTHS;
    this.#length = value;
  }

  #transferEncoding(value: string): void {
    if (this.#coding !== null || value.toLowerCase() !== 'chunked') this.error = CODINGS;
    this.#coding = value;
  }
}

/** What is read now: the lines of a request come all at once, so that no function has to be made for each request. */
let reading = new Reading();
const takeLine = (name: string, value: string): void => reading.line(name, value);

/** Reads them, and says by `error` where the request must not be answered. */
export function readHeaders(req: Pick<HttpRequest, 'forEach'>): Headers & { readonly error: ReplyError | null } {
  const own = new Reading();
  reading = own;
  req.forEach(takeLine);
  return own;
}

/** Runs `handler` for requests that are sound, and refuses the others. */
export function whenSound(
  metrics: Metrics,
  handler: (res: HttpResponse, req: HttpRequest, headers: Headers) => void,
): (res: HttpResponse, req: HttpRequest) => void {
  return (res, req) => {
    const headers = readHeaders(req);
    if (headers.error === null) handler(res, req, headers);
    else refuseUnsound(res, metrics, headers.error);
  };
}

/** What is read of a request without a body. */
export type RequestHead = Pick<HttpRequest, 'getQuery' | 'getHeader'>;

/** uWebSockets.js forgets a request when its handler returns. */
function copyOf(req: HttpRequest): RequestHead {
  const query = req.getQuery();
  const headers = new Map<string, string>();
  // Of a header that comes twice the first counts, as where the library is asked.
  req.forEach((name, value) => {
    if (!headers.has(name)) headers.set(name, value);
  });
  return { getQuery: () => query, getHeader: (name: string) => headers.get(name) ?? '' } as RequestHead;
}

/** What a request that waits for the gate needs of the server. */
interface Opening {
  readonly runtime: { readonly metrics: Metrics };
  readonly gate: Gate;
  readonly comingAgain: ComingAgain;
}

/** What answers requests that may have to wait for the gate. */
export interface Held {
  get(res: HttpResponse, req: RequestHead, headers: Headers): void;
  /** Answers one that finds no room there, where not every client reads a status. `told`: with the time when the client may come again. */
  refuseHeld?(res: HttpResponse, req: RequestHead, headers: Headers, told: ReplyError): void;
}

/** Has requests without a body answered when the gate is open; those whose client has gone meanwhile are forgotten. */
export function whenOpen(
  { runtime: { metrics }, gate, comingAgain }: Opening,
  adapter: Held,
): (res: HttpResponse, req: HttpRequest, headers: Headers) => void {
  return (res, req, headers) => {
    if (gate.isOpen) return adapter.get(res, req, headers);
    const held = copyOf(req);
    let isThere = true;
    res.onAborted(() => {
      isThere = false;
    });
    const cork = (task: () => void) => () => void (isThere && res.cork(task));
    const refuses = (): void => {
      metrics.refused.unavailable += 1;
      const told = comingAgain.told(UNAVAILABLE);
      if (adapter.refuseHeld) adapter.refuseHeld(res, held, headers, told);
      else refuse(res, '503 Service Unavailable', UNAVAILABLE, null, told);
    };
    gate.pass(
      cork(() => adapter.get(res, held, headers)),
      cork(refuses),
    );
  };
}

/** Runs `handler` for WebSocket handshakes that are sound and of version 13, the only one (RFC 6455 section 4.4). */
export function whenSoundUpgrade(
  metrics: Metrics,
  handler: (res: HttpResponse, req: HttpRequest, headers: Headers, socketContext: us_socket_context_t) => void,
): (res: HttpResponse, req: HttpRequest, socketContext: us_socket_context_t) => void {
  return (res, req, socketContext) => {
    const headers = readHeaders(req);
    if (headers.error !== null) return refuseUnsound(res, metrics, headers.error);
    if (req.getHeader('sec-websocket-version') === '13') return handler(res, req, headers, socketContext);
    metrics.refused.badRequest += 1;
    res
      .writeStatus('426 Upgrade Required')
      .writeHeader('Upgrade', 'websocket')
      .writeHeader('Sec-WebSocket-Version', '13');
    refuse(res, null, UPGRADE_REQUIRED);
  };
}

/**
 * Answers a turn later. Until then uWebSockets.js takes the next request of the connection for a breach and ends it;
 * answered at once, it would run what stands behind this request before it closes.
 */
function refuseUnsound(res: HttpResponse, metrics: Metrics, error: ReplyError): void {
  metrics.refused.malformed += 1;
  let isOpen = true;
  res.onAborted(() => {
    isOpen = false;
  });
  const status = error === HEADERS_TOO_LARGE ? '431 Request Header Fields Too Large' : '400 Bad Request';
  setImmediate(() => {
    if (isOpen) res.cork(() => refuse(res, status, error));
  });
}
