/** Errors answered on uWebSockets.js before a request has become a call or a connection. */
import { type ReplyError, UNAVAILABLE } from '../errors.js';
import { type HttpResponse, LAST_ANSWER } from '../uws.js';
import { errorBody } from './error-body.js';

/**
 * Access-Control-Allow-Origin, which lets a page read the answer; null: none. A page of an origin that the domain lists may
 * send its cookies along, which mean nothing here but which some libraries always send.
 */
export function writeOrigin(res: HttpResponse, origin: string | null): void {
  if (origin === null) return;
  res.writeHeader('Access-Control-Allow-Origin', origin);
  if (origin !== '*') res.writeHeader('Vary', 'Origin').writeHeader('Access-Control-Allow-Credentials', 'true');
}

const STATUS_TEXTS: ReadonlyMap<number, string> = new Map([
  [403, '403 Forbidden'],
  [404, '404 Not Found'],
  [429, '429 Too Many Requests'],
  [503, '503 Service Unavailable'],
]);

/** The status line of a refused connection or poll. */
export function statusText({ status }: ReplyError): string {
  return STATUS_TEXTS.get(status) ?? '400 Bad Request';
}

/** How long the client is to wait, where the error says so; a page of another origin reads only headers that are exposed. */
export function writeRetryAfter(res: HttpResponse, { retryAfterS }: ReplyError, origin: string | null): void {
  if (retryAfterS === undefined) return;
  res.writeHeader('Retry-After', String(retryAfterS));
  if (origin !== null) res.writeHeader('Access-Control-Expose-Headers', 'Retry-After');
}

/**
 * Answers an error and closes the connection. Where the error is UNAVAILABLE, as when the server ends, the answer instead tells the
 * client to close, and what the client sends meanwhile is still read. `status` null: the status line has been written already. `told`: the
 * error as its client is told it (coming-again.ts).
 */
export function refuse(
  res: HttpResponse,
  status: string | null,
  error: ReplyError,
  origin: string | null = null,
  told = error,
): null {
  if (status !== null) res.writeStatus(status);
  res
    .writeHeader('Content-Type', 'application/json; charset=utf-8')
    .writeHeader('Cache-Control', 'no-store')
    .writeHeader('X-Content-Type-Options', 'nosniff');
  writeRetryAfter(res, told, origin);
  writeOrigin(res, origin);
  const isEnding = error === UNAVAILABLE;
  if (isEnding) res.writeHeader(...LAST_ANSWER);
  res.end(errorBody(told), !isEnding);
  return null;
}
