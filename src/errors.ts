/**
 * The closed lists of what can be refused and why a connection ends. Bad input becomes one of these values at the edge;
 * a throw means a bug. (PROTOCOL.md sections 3, 6, 7, 8.)
 */

import type { RefusalReason } from './metrics.js';

/** A refusal as REST, JSONP and WebSocket clients see it: `{"status":"error","message":…,"detail":…}`. */
export interface ReplyError {
  /** HTTP status. */
  readonly status: number;
  readonly message: string;
  /** With 400 it names the parameter at fault, with 403 what is not allowed. */
  readonly detail?: string;
  /** Seconds, for the `Retry-After` header of 429 and 503. */
  readonly retryAfterS?: number;
  /** Whether the body says so too, for clients, which may see no header (coming-again.ts). */
  readonly saysWhen?: boolean;
  /** The `WWW-Authenticate` header of 401, where it does not ask for an API key. */
  readonly challenge?: string;
  /** The `Allow` header of 405. */
  readonly allow?: string;
  /** Name of the domain it is counted for, where the caller is not known to be of it. */
  readonly domain?: string;
  /** The reason under which the refusal is counted, where the status does not determine it. */
  readonly refusal?: RefusalReason;
}

export const AUTHENTICATION_FAILED: ReplyError = Object.freeze({ status: 401, message: 'authentication failed' });
/** A signed token. Not asked for by Basic: a browser would ask its user for a password. RFC 6750 section 3. */
export const TOKEN_REFUSED: ReplyError = Object.freeze({
  ...AUTHENTICATION_FAILED,
  challenge: 'Bearer realm="nextalk", error="invalid_token"',
});
export const TICKET_NOT_FOUND: ReplyError = Object.freeze({ status: 404, message: 'ticket not found' });
export const NOT_ONLINE: ReplyError = Object.freeze({ status: 404, message: 'not online' });
export const NOT_FOUND: ReplyError = Object.freeze({ status: 404, message: 'not found' });
export const PAYLOAD_TOO_LARGE: ReplyError = Object.freeze({ status: 413, message: 'payload too large' });
export const UNSUPPORTED_MEDIA_TYPE: ReplyError = Object.freeze({ status: 415, message: 'unsupported media type' });
export const TOO_MANY_REQUESTS: ReplyError = Object.freeze({
  status: 429,
  message: 'too many requests',
  retryAfterS: 1,
});

/** A WebSocket handshake of another version than 13, or of none. */
export const UPGRADE_REQUIRED: ReplyError = Object.freeze({ status: 426, message: 'upgrade required' });
export const HEADERS_TOO_LARGE: ReplyError = Object.freeze({
  status: 431,
  message: 'request header fields too large',
  refusal: 'malformed',
});

/** Too many wrong keys: not before `retryAfterS`. */
export function lockedOut(retryAfterS: number): ReplyError {
  return { ...TOO_MANY_REQUESTS, retryAfterS, refusal: 'lockedOut' };
}

/** Draining, over capacity, or the actor that should have answered failed. */
export const UNAVAILABLE: ReplyError = Object.freeze({ status: 503, message: 'unavailable', retryAfterS: 5 });

/** Told to a client whose node is gone: its ticket can be taken over in so many seconds, or when the store answers again. */
export function comeLater(retryAfterS: number): ReplyError {
  return { ...UNAVAILABLE, retryAfterS };
}

/** Answers a call that would take more memory than the domain or the process has. */
export const OUT_OF_MEMORY: ReplyError = Object.freeze({ ...UNAVAILABLE, refusal: 'outOfMemory' });

/** Answers a call whose data would have to be written to a full disk. */
export const OUT_OF_DISK: ReplyError = Object.freeze({ ...UNAVAILABLE, refusal: 'quotaExceeded' });

/** Answers a call that the caller may not make; `detail` says what is not allowed. */
export function forbidden(detail: string): ReplyError {
  return { status: 403, message: 'forbidden', detail };
}

/** Whoever is banned. */
export const BANNED: ReplyError = Object.freeze({ ...forbidden('banned'), refusal: 'banned' });

/** A domain has as many connections as it may have. */
export const TOO_MANY_CONNECTIONS: ReplyError = Object.freeze({ ...TOO_MANY_REQUESTS, refusal: 'tooManyConnections' });

/** A client comes and goes more often than it may: not before `retryAfterS`. */
export function comesTooOften(retryAfterS: number): ReplyError {
  return { ...TOO_MANY_REQUESTS, detail: 'the client comes and goes too often', retryAfterS, refusal: 'flapping' };
}

export function badRequest(detail: string): ReplyError {
  return { status: 400, message: 'bad request', detail };
}

export function methodNotAllowed(allow: string): ReplyError {
  return { status: 405, message: 'method not allowed', allow };
}

export function isReplyError(value: object): value is ReplyError {
  return typeof (value as { readonly status?: unknown }).status === 'number' && 'message' in value;
}

/** Why the server ends a client's connection. */
export interface CloseReason {
  readonly name: string;
  /** WebSocket close code, RFC 6455 section 7.4; 4xxx as PROTOCOL.md section 7 assigns them. */
  readonly webSocketCode: number;
  /** MQTT 5 DISCONNECT reason code, section 3.14.2.1 of the standard. */
  readonly mqttReason: number;
}

function reason(name: string, webSocketCode: number, mqttReason: number): CloseReason {
  return Object.freeze({ name, webSocketCode, mqttReason });
}

export const CLOSE = Object.freeze({
  /** OFFLINE was called for the ticket. */
  stopped: reason('stopped', 1000, 0x98),
  /** The server drains. */
  shutdown: reason('shutdown', 1001, 0x8b),
  /** Another node has taken the client over. 1012 is registered with IANA for a service that restarts. */
  moved: reason('moved', 1012, 0x8b),
  /** Binary data on a text protocol. */
  binary: reason('binary refused', 1003, 0x82),
  tooLarge: reason('message too large', 1009, 0x95),
  badRequest: reason('bad request', 4400, 0x82),
  /** Also what a client hears whose endpoint failed: it comes online again. */
  ticketNotFound: reason('ticket not found', 4404, 0x98),
  /** Whoever is banned. */
  banned: reason('forbidden', 4403, 0x8a),
  /** It may come again later: RFC 6455 section 7.4.1, as registered with IANA. */
  tryAgainLater: reason('try again later', 1013, 0x9f),
  subscribeTimeout: reason('no subscribe in time', 4408, 0x8d),
  /** A newer transport of the same ticket took over. */
  replaced: reason('replaced', 4409, 0x8e),
});
