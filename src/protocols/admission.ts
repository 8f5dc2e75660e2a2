/** Who may open a connection or wait in a poll: drain, and the limit for each network address. */
import { type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { HttpRequest, HttpResponse } from '../uws.js';
import type { Context } from './context.js';
import { errorBody } from './error-body.js';

export class Admission {
  /** Long connections now, by network address; empty while there is no limit. */
  readonly #connections = new Map<string, number>();

  constructor(private readonly context: Context) {}

  /** Answers the address that the connection counts under; or refuses it on `res`, and answers null. */
  admit(res: HttpResponse, req: HttpRequest): string | null {
    const { metrics } = this.context.runtime;
    if (this.context.isDraining()) {
      metrics.refused.unavailable += 1;
      return refuse(res, '503 Service Unavailable', UNAVAILABLE);
    }
    const { limits } = this.context.config();
    if (limits.connectionsPerAddress === 0) return '';
    const address = this.addressOf(res, req);
    const count = this.#connections.get(address) ?? 0;
    if (count >= limits.connectionsPerAddress) {
      metrics.refused.tooManyConnections += 1;
      return refuse(res, '429 Too Many Requests', TOO_MANY_REQUESTS);
    }
    this.#connections.set(address, count + 1);
    return address;
  }

  release(address: string): void {
    const count = this.#connections.get(address);
    if (count === undefined) return;
    if (count > 1) this.#connections.set(address, count - 1);
    else this.#connections.delete(address);
  }

  /** Behind a trusted proxy, the last address that it added to X-Forwarded-For. */
  addressOf(res: HttpResponse, req: HttpRequest): string {
    const forwarded = this.context.config().trustProxy ? req.getHeader('x-forwarded-for') : '';
    return forwarded.split(',').at(-1)?.trim() || Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
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
