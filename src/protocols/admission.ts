/** Who may open a connection or wait in a poll: drain, and the limit for each network address. */
import { type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { HttpRequest, HttpResponse } from '../uws.js';
import type { Context } from './context.js';
import { errorBody } from './error-body.js';
import { networkOf } from './network.js';

export class Admission {
  constructor(private readonly context: Context) {}

  /** Answers the address that the connection counts under; or refuses it on `res`, and answers null. */
  admit(res: HttpResponse, req: HttpRequest): string | null {
    const { connections, runtime, isDraining, config } = this.context;
    const { refused } = runtime.metrics;
    if (isDraining()) {
      refused.unavailable += 1;
      return refuse(res, '503 Service Unavailable', UNAVAILABLE);
    }
    const limit = config().limits.connectionsPerAddress;
    if (limit === 0) return '';
    const address = this.addressOf(res, req);
    if (connections.add(address, limit)) return address;
    refused.tooManyConnections += 1;
    return refuse(res, '429 Too Many Requests', TOO_MANY_REQUESTS);
  }

  release(address: string): void {
    this.context.connections.remove(address);
  }

  /** Behind a trusted proxy, the last address that it added to X-Forwarded-For. */
  addressOf(res: HttpResponse, req: HttpRequest): string {
    const forwarded = this.context.config().trustProxy ? req.getHeader('x-forwarded-for') : '';
    const text = forwarded.split(',').at(-1)?.trim() || Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
    return networkOf(text);
  }
}

function refuse(res: HttpResponse, status: string, error: ReplyError): null {
  res
    .writeStatus(status)
    .writeHeader('Content-Type', 'application/json; charset=utf-8')
    .writeHeader('Retry-After', String(error.retryAfterS ?? 1))
    .end(errorBody(error), true);
  return null;
}
