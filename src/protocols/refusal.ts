/** Errors answered on uWebSockets.js before a request has become a call or a connection. */
import type { ReplyError } from '../errors.js';
import type { HttpResponse } from '../uws.js';
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

/** Answers an error, and ends the connection. Without a status it has been written. */
export function refuse(
  res: HttpResponse,
  status: string | null,
  error: ReplyError,
  origin: string | null = null,
): null {
  if (status !== null) res.writeStatus(status);
  res
    .writeHeader('Content-Type', 'application/json; charset=utf-8')
    .writeHeader('Cache-Control', 'no-store')
    .writeHeader('X-Content-Type-Options', 'nosniff');
  if (error.retryAfterS !== undefined) res.writeHeader('Retry-After', String(error.retryAfterS));
  writeOrigin(res, origin);
  res.end(errorBody(error), true);
  return null;
}
