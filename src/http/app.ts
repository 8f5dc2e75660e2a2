/** The REST API on a uWebSockets.js app: one handler reads a request, authenticates it and runs its call. */
import type { Domain } from '../actors/domain.js';
import { isReplyError, NOT_FOUND, type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { Context } from '../protocols/context.js';
import { type Headers, whenSound } from '../protocols/headers.js';
import { Rate } from '../protocols/rate.js';
import type { HttpRequest, HttpResponse, TemplatedApp } from '../uws.js';
import { basicDomain, namedDomain } from './auth.js';
import { Call } from './call.js';
import type { PublicPorts } from './public-url.js';
import { sendError } from './reply.js';
import { type MediaType, mediaType, readBody, readParameters } from './request.js';
import { BAD_ROOM_ID, type Found, findRoute, forMethod, PLAIN, type Route, refusal } from './routes.js';
import { bringByToken, preflight, tokenOf } from './token-online.js';

const NO_BODY = Buffer.alloc(0);
/** The route under which requests are counted that are no call of the API. */
const NO_ROUTE = 'none';

/** Has a call wait until it is the domain's turn, or refuses it with 503 where too many tasks of the domain wait. */
function putOff(
  call: Call,
  domain: Domain,
  body: Buffer,
  run: (kept: Buffer) => void,
  /** About what the call holds while it waits. */
  bytes = body.length,
): void {
  const { fair } = call.context;
  if (fair.isFull(domain)) return call.fail({ ...UNAVAILABLE, domain: domain.name });
  call.isReading = false;
  // The body is copied, since uWebSockets.js takes its memory back.
  const kept = Buffer.from(body);
  fair.wait(domain, () => (call.isOpen ? run(kept) : undefined), bytes);
}

/**
 * Runs a call whose domain became known only from its parameters or token: at once or when it is the domain's turn. `bytes`: of the body
 * from which the parameters were read.
 */
function runInTurn(call: Call, route: Route, calls: Rate<Domain>, bytes: number): void {
  const { context, domain } = call;
  if (context.fair.isTurnOf(domain)) return runFor(call, route, calls);
  putOff(call, domain, NO_BODY, () => runFor(call, route, calls), bytes);
}

/** Runs a call whose domain is known, unless the domain has called too often. */
function runFor(call: Call, route: Route, calls: Rate<Domain>): void {
  const { domain } = call;
  const { requestsPerSecond } = domain.limits;
  domain.metrics.volume.restCalls += 1;
  if (requestsPerSecond === 0 || calls.take(domain, requestsPerSecond, domain.runtime.clock.now())) route.run(call);
  else {
    domain.metrics.exceed('requestsPerSecond');
    call.fail({ ...TOO_MANY_REQUESTS, domain: domain.name });
  }
}

/** Reads parameters and who calls, in the order of errors of section 10, and runs the call. */
function run(call: Call, found: Found, body: Buffer, calls: Rate<Domain>): void {
  const { context, head } = call;
  const type = found.route.method !== 'POST' ? 'form' : mediaType(head.headers);
  if (typeof type !== 'string') return call.fail(type);
  // The key is checked before the body is parsed, so that strangers cause no work.
  const basic = basicDomain(context, head.headers.authorization, () => call.address());
  if (basic && isReplyError(basic)) return call.fail(basic);
  if (!basic || context.fair.isTurnOf(basic)) runRead(call, found, body, calls, type, basic);
  else readInTurn(call, found, body, calls, type, basic);
}

/** Has a call wait for its domain's turn. By itself, so that V8 makes nothing ready for that where a call does not wait. */
function readInTurn(call: Call, found: Found, body: Buffer, calls: Rate<Domain>, type: MediaType, basic: Domain): void {
  putOff(call, basic, body, (kept) => runRead(call, found, kept, calls, type, basic));
}

/** Reads the parameters of a call and runs it. `basic`: the domain that Basic credentials name; null: there are none. */
function runRead(
  call: Call,
  found: Found,
  body: Buffer,
  calls: Rate<Domain>,
  type: MediaType,
  basic: Domain | null,
): void {
  const { context, head } = call;
  const bytes = body.length;
  const read = found.route.readParameters ?? readParameters;
  const parameters = read(head.query, type, body, context.config().limits.parameters);
  if (!(parameters instanceof Map)) return call.fail(parameters);
  if (found.roomId === null) return call.fail(BAD_ROOM_ID);
  const token = found.route.takesToken && !basic ? tokenOf(head.headers.authorization, parameters) : null;
  if (token !== null) return bringByToken(call, token, parameters, () => runInTurn(call, found.route, calls, bytes));
  const domain = namedDomain(context, basic, parameters, () => call.address());
  if (isReplyError(domain)) return call.fail(domain);
  call.domain = domain;
  call.parameters = parameters;
  if (basic) runFor(call, found.route, calls);
  else runInTurn(call, found.route, calls, bytes);
  call.isReading = false;
}

export function addRestApi(app: TemplatedApp, context: Context, ports: () => PublicPorts): void {
  const calls = new Rate<Domain>();
  const { metrics } = context.runtime;

  /** Takes a request whose path and method are those of a call. */
  function take(res: HttpResponse, req: HttpRequest, headers: Headers, found: Found): void {
    if (context.isDraining()) return refuse(res, UNAVAILABLE, found);
    const call = new Call(context, found, { query: req.getQuery() ?? '', headers }, ports(), res);
    if (found.route.method !== 'POST') return pass(call, found, NO_BODY);
    readBody(context, res, found.route.bodyBytes ?? context.config().limits.bodyBytes, call, (body) => {
      if (isReplyError(body)) call.fail(body);
      else pass(call, found, body as Buffer);
    });
  }

  function pass(call: Call, found: Found, body: Buffer): void {
    if (context.gate.isOpen) run(call, found, body, calls);
    else hold(call, found, body);
  }

  /** Has a call wait until the gate opens. */
  function hold(call: Call, found: Found, body: Buffer): void {
    call.isReading = false;
    // The body is copied, since uWebSockets.js takes its memory back.
    const kept = Buffer.from(body);
    const go = (): void => (call.isOpen ? run(call, found, kept, calls) : undefined);
    context.gate.pass(go, () => call.fail(UNAVAILABLE), body.length);
  }

  function refuse(res: HttpResponse, error: ReplyError, found: Found | null, isHead = false): void {
    // Whether a page calls is not known yet; if one does, it must be able to read why it is not let in.
    const origin = found?.route.takesToken ? '*' : null;
    sendError(res, metrics, error, found?.route.errorFields, isHead, {}, origin);
    metrics.route(found?.route.name ?? NO_ROUTE).answered(error.status, 0);
  }

  // The paths as clients write them have routes of their own, so that nothing needs to ask for path and method.
  for (const [path, found] of PLAIN) {
    const handler = whenSound(metrics, (res, req, headers) => take(res, req, headers, found));
    if (found.route.method === 'GET') app.get(path, handler);
    else app.post(path, handler);
    if (found.route.takesToken) app.options(path, whenSound(metrics, preflight));
  }
  const answerRest = whenSound(metrics, (res, req, headers) => {
    const path = req.getUrl();
    const method = req.getMethod().toUpperCase();
    const found = findRoute(path);
    const refused = refusal(found, path, method);
    if (found && !refused) take(res, req, headers, forMethod(found, method));
    else refuse(res, refused ?? NOT_FOUND, null, method === 'HEAD');
  });
  app.any('/*', answerRest);
}
