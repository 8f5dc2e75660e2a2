/** Answers of the REST API, all of one form: PROTOCOL.md section 3. */
import type { ReplyError } from '../errors.js';
import type { Metrics, RefusalReason, Refused } from '../metrics.js';
import { errorBody } from '../protocols/error-body.js';
import { writeOrigin, writeRetryAfter } from '../protocols/refusal.js';
import { type HttpResponse, KEEP_ALIVE, LAST_ANSWER } from '../uws.js';

const REASONS = new Map<number, readonly [string, RefusalReason]>([
  [400, ['400 Bad Request', 'badRequest']],
  [401, ['401 Unauthorized', 'authenticationFailed']],
  [403, ['403 Forbidden', 'badRequest']],
  [404, ['404 Not Found', 'notFound']],
  [405, ['405 Method Not Allowed', 'methodNotAllowed']],
  [413, ['413 Payload Too Large', 'payloadTooLarge']],
  [415, ['415 Unsupported Media Type', 'unsupportedMediaType']],
  [429, ['429 Too Many Requests', 'tooManyRequests']],
  [503, ['503 Service Unavailable', 'unavailable']],
]);

const UNNAMED = ['503 Service Unavailable', 'unavailable'] as const;

export const OK_BODY = '{"status":"ok"}';

/** The headers that every answer has, as text. */
const headers = (connection: readonly [string, string]): string =>
  [
    'Content-Type: application/json; charset=utf-8',
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    connection.join(': '),
  ].join('\r\n');
const HEADERS = headers(KEEP_ALIVE);
const LAST_HEADERS = headers(LAST_ANSWER);

/** What stands before the body's length. One text, since each that crosses into native code costs 0.1 to 0.2 µs. */
function headOf(status: string, isLast: boolean): string {
  return `${status}\r\n${isLast ? LAST_HEADERS : HEADERS}`;
}
const OK_HEAD = headOf('200 OK', false);
const LAST_OK_HEAD = headOf('200 OK', true);

/**
 * Answers JSON with status 200. The caller has corked. `origin`: the origin whose pages may
 * read the answer; null: none. `isLast`: the server drains, and the client is told to close the connection.
 */
export function sendJson(res: HttpResponse, body: string, origin: string | null, isLast: boolean): void {
  res.writeStatus(isLast ? LAST_OK_HEAD : OK_HEAD);
  writeOrigin(res, origin);
  res.end(body);
}

export function countRefusal(metrics: Metrics, error: ReplyError, who: Refused): void {
  const [, reason] = REASONS.get(error.status) ?? UNNAMED;
  const isTicket = error.message === 'ticket not found';
  const refusal = error.refusal ?? (isTicket ? 'ticketNotFound' : reason);
  // credentials.ts has noted already whose ticket it was.
  if (isTicket) metrics.refused[refusal] += 1;
  else metrics.refuse(refusal, { ...who, detail: error.detail ?? '' });
}

/**
 * `fields` go in front of the error's own. A HEAD gets the head alone (RFC 9110, 9.3.2). Closes the connection where a
 * body was not read to its end.
 */
export function sendError(
  res: HttpResponse,
  metrics: Metrics,
  error: ReplyError,
  fields: object = {},
  isHead = false,
  who: Refused = {},
  origin: string | null = null,
): void {
  const [status] = REASONS.get(error.status) ?? UNNAMED;
  countRefusal(metrics, error, who);
  res.cork(() => {
    const isLast = metrics.conditions.has('draining');
    res.writeStatus(headOf(status, isLast));
    writeOrigin(res, origin);
    if (error.status === 401) res.writeHeader('WWW-Authenticate', error.challenge ?? 'Basic realm="nextalk"');
    if (error.allow !== undefined) res.writeHeader('Allow', error.allow);
    writeRetryAfter(res, error, origin);
    const body = errorBody(error, fields);
    if (isHead) res.writeHeader('Content-Length', String(body.length)).endWithoutBody();
    else res.end(body, error.status === 413);
  });
}
