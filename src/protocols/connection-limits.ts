/** Who may open a connection or wait in a poll: drain, and the limit for each network address. */
import { type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { HttpResponse } from '../uws.js';
import { clientAddress } from './client-address.js';
import type { Context } from './context.js';
import { errorBody } from './error-body.js';
import type { Headers } from './headers.js';

export class ConnectionLimits {
  constructor(private readonly context: Context) {}

  /**
   * Answers the address that the connection counts under; or refuses it on `res`, in words that pages of `origin` may
   * read, and answers null.
   */
  admit(res: HttpResponse, headers: Headers, origin: string | null = null): string | null {
    const { connections, runtime, isDraining, config } = this.context;
    const { metrics } = runtime;
    if (isDraining()) {
      metrics.refused.unavailable += 1;
      return refuse(res, '503 Service Unavailable', UNAVAILABLE, origin);
    }
    const limit = config().limits.connectionsPerAddress;
    if (limit === 0) return '';
    const address = this.addressOf(res, headers);
    if (connections.add(address, limit)) return address;
    metrics.refuse('tooManyConnections', { address });
    return refuse(res, '429 Too Many Requests', TOO_MANY_REQUESTS, origin);
  }

  release(address: string): void {
    this.context.connections.remove(address);
  }

  addressOf(res: HttpResponse, { forwardedFor }: Headers): string {
    const { trustProxy } = this.context.config();
    return clientAddress(peerOf(res), forwardedFor, trustProxy);
  }
}

/** The other end of the connection: the client or a proxy. */
export function peerOf(res: HttpResponse): string {
  return Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
}

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
