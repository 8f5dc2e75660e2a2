/** The REST API on a uWebSockets.js app: one handler reads a request, authenticates it and runs its call. */
import { Domain } from '../actors/domain.js';
import { NOT_FOUND, PAYLOAD_TOO_LARGE, type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { Context } from '../protocols/context.js';
import { type Headers, whenSound } from '../protocols/headers.js';
import { Parameters } from '../protocols/parameters.js';
import { Rate } from '../protocols/rate.js';
import type { HttpRequest, HttpResponse, TemplatedApp } from '../uws.js';
import { basicDomain, namedDomain } from './auth.js';
import { Call } from './call.js';
import type { PublicPorts } from './public-url.js';
import { sendError } from './reply.js';
import { type MediaType, mediaType, readBody, readParameters } from './request.js';
import { BAD_ROOM_ID, type Found, findRoute, forMethod, PLAIN, type Route, refusal } from './routes.js';
import { bringByToken, preflight, tokenOf } from './token-online.js';

/** A call whose route has been found. */
type FoundCall = Call<Found>;

const NO_BODY = Buffer.alloc(0);
/** The route under which requests are counted that are no call of the API. */
const NO_ROUTE = 'none';

/** Has a call wait until it is the domain's turn, or refuses it with 503 where too many tasks of the domain wait. */
function putOff(
  call: FoundCall,
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
function runInTurn(call: FoundCall, route: Route, calls: Rate<Domain>, bytes: number): void {
  const { context, domain } = call;
  if (context.fair.isTurnOf(domain)) return runFor(call, route, calls);
  putOff(call, domain, NO_BODY, () => runFor(call, route, calls), bytes);
}

/** Runs a call whose domain is known, unless the domain has called too often. */
function runFor(call: FoundCall, route: Route, calls: Rate<Domain>): void {
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
function run(call: FoundCall, body: Buffer, calls: Rate<Domain>): void {
  const { context, head, found } = call;
  const type = found.route.method !== 'POST' ? 'form' : mediaType(head.headers);
  if (typeof type !== 'string') return call.fail(type);
  // The key is checked before the body is parsed, so that strangers cause no work.
  const basic = basicDomain(context, head.headers.authorization, call);
  if (basic !== null && !(basic instanceof Domain)) return call.fail(basic);
  if (!basic || context.fair.isTurnOf(basic)) runRead(call, body, calls, type, basic);
  else readInTurn(call, body, calls, type, basic);
}

/** Has a call wait for its domain's turn. By itself, so that V8 makes nothing ready for that where a call does not wait. */
function readInTurn(call: FoundCall, body: Buffer, calls: Rate<Domain>, type: MediaType, basic: Domain): void {
  putOff(call, basic, body, (kept) => runRead(call, kept, calls, type, basic));
}

/** Reads the parameters of a call and runs it. `basic`: the domain that Basic credentials name; null: there are none. */
function runRead(call: FoundCall, body: Buffer, calls: Rate<Domain>, type: MediaType, basic: Domain | null): void {
  const { context, head, found } = call;
  const bytes = body.length;
  const read = found.route.readParameters ?? readParameters;
  const parameters = read(head.query, type, body, context.config().limits.parameters);
  if (!(parameters instanceof Parameters)) return call.fail(parameters);
  if (found.roomId === null) return call.fail(BAD_ROOM_ID);
  const token = found.route.takesToken && !basic ? tokenOf(head.headers.authorization, parameters) : null;
  if (token !== null) return readToken(call, token, parameters, calls, bytes);
  const domain = namedDomain(context, basic, parameters, call);
  if (!(domain instanceof Domain)) return call.fail(domain);
  call.domain = domain;
  call.parameters = parameters;
  if (basic) runFor(call, found.route, calls);
  else runInTurn(call, found.route, calls, bytes);
  call.isReading = false;
}

/** Runs a call whose domain its token names, once that is found genuine. */
function readToken(call: FoundCall, token: string, parameters: Parameters, calls: Rate<Domain>, bytes: number): void {
  bringByToken(call, token, parameters, () => runInTurn(call, call.found.route, calls, bytes));
}

export function addRestApi(app: TemplatedApp, context: Context, ports: () => PublicPorts): void {
  const calls = new Rate<Domain>();
  const { metrics } = context.runtime;

  /** Takes a request whose path and method are those of a call. */
  function take(res: HttpResponse, req: HttpRequest, headers: Headers, found: Found): void {
    if (context.isDraining()) return refuse(res, UNAVAILABLE, found);
    const call: FoundCall = new Call(context, found, { query: req.getQuery() ?? '', headers }, ports(), res);
    if (found.route.method !== 'POST') return pass(call, NO_BODY);
    readBody(context, res, found.route.bodyBytes ?? context.config().limits.bodyBytes, call, received);
  }

  function received(call: FoundCall, body: Buffer | null): void {
    if (body === null) call.fail(PAYLOAD_TOO_LARGE);
    else pass(call, body);
  }

  function pass(call: FoundCall, body: Buffer): void {
    if (context.gate.isOpen) run(call, body, calls);
    else hold(call, body);
  }

  /** Has a call wait until the gate opens. */
  function hold(call: FoundCall, body: Buffer): void {
    call.isReading = false;
    // The body is copied, since uWebSockets.js takes its memory back.
    const kept = Buffer.from(body);
    const go = (): void => (call.isOpen ? run(call, kept, calls) : undefined);
    context.gate.pass(go, () => call.fail(toldBy(call.found, UNAVAILABLE)), body.length);
  }

  /** A refusal as who makes the call is told it, before it is known whether that is a page: of these there may be many. */
  function toldBy(found: Found | null, error: ReplyError): ReplyError {
    return found?.route.takesToken ? context.comingAgain.spread(error) : error;
  }

  function refuse(res: HttpResponse, error: ReplyError, found: Found | null, isHead = false): void {
    // A page that calls must be able to read why it is not let in.
    const origin = found?.route.takesToken ? '*' : null;
    sendError(res, metrics, toldBy(found, error), found?.route.errorFields, isHead, {}, origin);
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
