/** The REST API on a uWebSockets.js app: one handler reads a request, authenticates it and runs its call. */
import type { Domain } from '../actors/domain.js';
import { AUTHENTICATION_FAILED, isReplyError, type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { Context } from '../protocols/context.js';
import type { HttpRequest, HttpResponse, TemplatedApp } from '../uws.js';
import { authenticatedDomain } from './auth.js';
import type { PublicPorts } from './presences.js';
import { OK_BODY, sendError, sendJson } from './reply.js';
import { type Head, mediaType, readBody, readHead, readParameters } from './request.js';
import { BAD_ROOM_ID, type Found, findRoute, refusal } from './routes.js';

const SECOND_MS = 1000;
const NO_BODY = Buffer.alloc(0);

/** Counts a domain's calls, second by second. */
class Quota {
  #second = 0;
  readonly #calls = new Map<Domain, number>();

  /** Whether one more call is within the domain's limit. */
  take(domain: Domain): boolean {
    const limit = domain.limits.requestsPerSecond;
    if (limit === 0) return true;
    const second = Math.floor(domain.runtime.clock.now() / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#calls.clear();
    }
    const calls = (this.#calls.get(domain) ?? 0) + 1;
    this.#calls.set(domain, calls);
    return calls <= limit;
  }
}

/** Answers a request once; the client may be gone before. */
class Exchange {
  #open = true;

  constructor(
    private readonly res: HttpResponse,
    private readonly context: Context,
    private readonly errorFields: object,
  ) {
    res.onAborted(() => {
      this.#open = false;
    });
  }

  readonly reply = (body: string): void => {
    if (!this.#open) return;
    this.#open = false;
    sendJson(this.res, body);
  };

  readonly fail = (error: ReplyError): void => {
    if (!this.#open) return;
    this.#open = false;
    sendError(this.res, this.context.runtime.metrics, error, this.errorFields, error.status === 413);
  };

  readonly ok = (result: ReplyError | null): void => {
    if (result === null) this.reply(OK_BODY);
    else this.fail(result);
  };
}

export function addRestApi(app: TemplatedApp, context: Context, ports: () => PublicPorts): void {
  const quota = new Quota();

  function run(found: Found, head: Head, body: Buffer, exchange: Exchange): void {
    const type = found.route.method === 'GET' ? 'form' : mediaType(head.contentType);
    if (typeof type !== 'string') return exchange.fail(type);
    const parameters = readParameters(head.query, type, body);
    if (!(parameters instanceof Map)) return exchange.fail(parameters);
    if (found.roomId === null) return exchange.fail(BAD_ROOM_ID);
    const domain = authenticatedDomain(context.domains, head.authorization, parameters);
    if (!domain) return exchange.fail(AUTHENTICATION_FAILED);
    if (!quota.take(domain)) return exchange.fail(TOO_MANY_REQUESTS);
    const { reply, fail, ok } = exchange;
    const { roomId } = found;
    found.route.run({
      domain,
      parameters,
      roomId,
      origin: head.origin,
      config: context.config(),
      ports: ports(),
      reply,
      fail,
      ok,
    });
  }

  app.any('/*', (res: HttpResponse, req: HttpRequest) => {
    const path = req.getUrl();
    const method = req.getMethod().toUpperCase();
    const found = findRoute(path);
    const isCall = found?.route.method === method;
    const exchange = new Exchange(res, context, (isCall && found?.route.errorFields) || {});
    const refused = refusal(found, path, method) ?? (context.isDraining() ? UNAVAILABLE : null);
    if (!found || refused) return exchange.fail(refused ?? UNAVAILABLE);
    const head = readHead(req, found.route.answersUrls === true);
    if (method === 'GET') return run(found, head, NO_BODY, exchange);
    readBody(res, context.config().limits.bodyBytes, (body) => {
      if (isReplyError(body)) exchange.fail(body);
      else run(found, head, body as Buffer, exchange);
    });
  });
}
