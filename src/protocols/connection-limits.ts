/** Who may open a connection or wait in a poll: drain, and the limit for each network address. */
import { TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { HttpResponse } from '../uws.js';
import { clientAddress } from './client-address.js';
import type { Context } from './context.js';
import type { Headers } from './headers.js';
import { refuse } from './refusal.js';

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
