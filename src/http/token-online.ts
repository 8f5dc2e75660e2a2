/**
 * ONLINE by a signed token instead of an API key, called by a page itself: PROTOCOL.md section 15. The token is the field
 * `token` of the body (a form needs no preflight) or `Authorization: Bearer`.
 */
import { BANNED, badRequest, isReplyError, UNAVAILABLE } from '../errors.js';
import { log } from '../log.js';
import { allowedOrigin, isAllowedOrigin } from '../protocols/origin.js';
import type { Parameters } from '../protocols/parameters.js';
import { domainsOf, onlineParameters, refusedToken, verifyToken } from '../protocols/tokens.js';
import { type HttpResponse, KEEP_ALIVE } from '../uws.js';
import type { Call } from './call.js';

const BEARER = /^bearer +(\S+) *$/i;
const PREFLIGHT_AGE_S = '86400';

/** The token that a request brings; null: none, or an API key beside it, which counts as ever. */
export function tokenOf(authorization: string, parameters: Parameters): string | null {
  if (parameters.has('apikey')) return null;
  const token = BEARER.exec(authorization)?.[1] ?? parameters.get('token');
  return typeof token === 'string' ? token : null;
}

/** Checks the token, then has `run` do the call for its domain, unless it is answered before. */
export function bringByToken(call: Call, token: string, parameters: Parameters, run: () => void): void {
  check(call, token, parameters, run).catch((err: unknown) => {
    log.error({ event: 'token check failed', err }, 'a token could not be checked');
    call.fail(call.context.comingAgain.spread(UNAVAILABLE));
  });
}

async function check(call: Call, token: string, request: Parameters, run: () => void): Promise<void> {
  const { context, head } = call;
  const { origin } = head.headers;
  call.isReading = false;
  call.allowOrigin = '*';
  const candidates = domainsOf(context.domains, token, request.get('domain'));
  const verified = await verifyToken(candidates, token);
  if (context.isDraining()) return call.fail(call.context.comingAgain.spread(UNAVAILABLE));
  const domain = verified?.domain;
  // A reload may have taken the domain away meanwhile.
  if (!domain || context.domains.get(domain.name) !== domain) return call.fail(refusedToken(candidates));
  call.allowOrigin = allowedOrigin(domain, origin);
  if (!isAllowedOrigin(domain, origin)) {
    return call.fail({ ...badRequest('origin is not allowed'), domain: domain.name });
  }
  const parameters = onlineParameters(domain, verified.claims, request);
  if (isReplyError(parameters)) return call.fail({ ...parameters, domain: domain.name });
  if (domain.quotas.bans.find({ address: call.address() })) return call.fail({ ...BANNED, domain: domain.name });
  call.domain = domain;
  call.parameters = parameters as Parameters;
  run();
}

/** To every origin: which domain's pages may come is known with the token only. */
export function preflight(res: HttpResponse): void {
  res
    .writeStatus('204 No Content')
    .writeHeader('Access-Control-Allow-Origin', '*')
    .writeHeader('Access-Control-Allow-Methods', 'POST, OPTIONS')
    .writeHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type')
    .writeHeader('Access-Control-Max-Age', PREFLIGHT_AGE_S)
    .writeHeader(...KEEP_ALIVE)
    .endWithoutBody();
}
