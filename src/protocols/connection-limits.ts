/** Who may open a connection or wait in a poll: drain, and the limit for each network address. */
import { BoundedMap } from '../bounded-map.js';
import { type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import type { HttpResponse } from '../uws.js';
import { clientAddress, networkOf } from './client-address.js';
import type { Context } from './context.js';
import type { Headers } from './headers.js';
import { refuse, statusText } from './refusal.js';

/** A connection that has been let in. */
export interface Admission {
  /** The address under which the connection is counted; null: the connection is not counted. */
  readonly counted: string | null;
  /** The address that the connection comes from; null: it has to be read from the connection itself. */
  readonly address: string | null;
}

/** The admission of most connections, of which nothing has to be kept. */
const ADMITTED: Admission = Object.freeze({ counted: null, address: null });

export class ConnectionLimits {
  constructor(private readonly context: Context) {}

  /**
   * Lets a connection in until it is released; or answers why it is refused, which is counted here.
   */
  admit(res: HttpResponse, headers: Headers): Admission | ReplyError {
    const { connections, runtime, isDraining, config } = this.context;
    const { metrics } = runtime;
    if (isDraining()) {
      metrics.refused.unavailable += 1;
      return UNAVAILABLE;
    }
    const limit = config().limits.connectionsPerAddress;
    const isProxied = config().trustProxy > 0 && headers.forwardedFor !== '';
    if (limit === 0) return isProxied ? { counted: null, address: this.addressOf(res, headers) } : ADMITTED;
    const address = this.addressOf(res, headers);
    if (connections.add(address, limit)) return { counted: address, address };
    metrics.refuse('tooManyConnections', { address });
    return TOO_MANY_REQUESTS;
  }

  /** Lets a WebSocket in as `admit` does; or refuses it on `res`, and answers null. */
  admitSocket(res: HttpResponse, headers: Headers): Admission | null {
    const admission = this.admit(res, headers);
    if (!('status' in admission)) return admission;
    return refuse(res, statusText(admission), admission, null, this.context.comingAgain.told(admission));
  }

  release({ counted }: Admission): void {
    if (counted !== null) this.context.connections.remove(counted);
  }

  addressOf(res: HttpResponse, { forwardedFor }: Headers): string {
    const { trustProxy } = this.context.config();
    return clientAddress(peerOf(res), forwardedFor, trustProxy);
  }
}

/** An open connection. */
type Peer = Pick<HttpResponse, 'getRemoteAddress' | 'getRemoteAddressAsText'>;

/** Texts of the addresses asked for last, by their bytes: those of a site's backends and proxies come with every call. */
const texts = new BoundedMap<string, string>(() => 1000);
/** The last address that `peerOf` has answered, as bytes and as text. */
let last: { readonly bytes: Uint8Array; readonly text: string } = { bytes: new Uint8Array(0), text: '' };

/** The network address of a connection's client; `peer` is null where the connection has ended. */
export function addressOfClient({ address }: Admission, peer: Peer | null): string | null {
  return address ?? (peer && networkOf(peerOf(peer)));
}

/** The other end of the connection: the client or a proxy. */
export function peerOf(res: Peer): string {
  const bytes = new Uint8Array(res.getRemoteAddress());
  // The bytes are copied, since uWebSockets.js takes their memory back.
  if (!isSame(bytes, last.bytes)) last = { bytes: bytes.slice(), text: textOf(res, bytes) };
  return last.text;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length || one.length === 0) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

function textOf(res: Peer, bytes: Uint8Array): string {
  const key = Buffer.from(bytes).toString('latin1');
  const known = texts.get(key);
  if (known !== undefined) return known;
  const text = Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
  texts.set(key, text);
  return text;
}
