/** The refusals of errors.ts as responses of the description: their bodies and headers are the server's own. */
import {
  AUTHENTICATION_FAILED,
  BANNED,
  badRequest,
  forbidden,
  methodNotAllowed,
  NOT_FOUND,
  PAYLOAD_TOO_LARGE,
  type ReplyError,
  TICKET_NOT_FOUND,
  TOO_MANY_REQUESTS,
  UNAVAILABLE,
  UNSUPPORTED_MEDIA_TYPE,
} from '../../errors.js';
import { errorBody } from '../../protocols/error-body.js';
import type { Response } from './types.js';

interface Refusal {
  readonly error: ReplyError;
  readonly when: string;
}

/** In the order in which they are looked for (PROTOCOL.md section 10). */
export const REFUSALS: Readonly<Record<string, Refusal>> = {
  NotFound: { error: NOT_FOUND, when: 'There is no such path.' },
  MethodNotAllowed: { error: methodNotAllowed('POST'), when: 'The path takes another method, which `Allow` names.' },
  Unavailable: { error: UNAVAILABLE, when: 'The server is draining, or over its capacity.' },
  PayloadTooLarge: { error: PAYLOAD_TOO_LARGE, when: 'The body is over the limit: 64 KiB unless configured.' },
  UnsupportedMediaType: {
    error: UNSUPPORTED_MEDIA_TYPE,
    when: 'The body is neither a form nor JSON. Without Content-Type it is a form.',
  },
  AuthenticationFailed: { error: AUTHENTICATION_FAILED, when: 'The domain or its API key is missing or wrong.' },
  Forbidden: {
    error: forbidden('the domain keeps no history'),
    when: 'It is not allowed in this domain: `detail` says what.',
  },
  TooManyRequests: {
    error: TOO_MANY_REQUESTS,
    when: "The domain's calls in a second, or the connections from one address, are over their limit.",
  },
  Banned: { error: BANNED, when: 'The endpoint or its client is banned: `detail` says so.' },
  BadRequest: {
    error: badRequest('nick is required'),
    when: 'The request cannot be read, or a parameter is missing, malformed or out of range: `detail` names it.',
  },
  TicketNotFound: { error: TICKET_NOT_FOUND, when: 'The ticket is unknown, expired or of another domain.' },
};

function header(description: string, type: 'string' | 'integer') {
  return { description, schema: { type } };
}

/** `fields` are those that a call's errors carry besides. */
export function errorResponse({ error, when }: Refusal, schema: string, fields: object = {}): Response {
  const headers = {
    ...(error.status === 401 && { 'WWW-Authenticate': header('`Basic realm="nextalk"`', 'string') }),
    ...(error.allow !== undefined && { Allow: header('The methods that the path takes.', 'string') }),
    ...(error.retryAfterS !== undefined && { 'Retry-After': header('Seconds to wait.', 'integer') }),
  };
  const value: unknown = JSON.parse(errorBody(error, fields));
  return {
    description: when,
    ...(Object.keys(headers).length > 0 && { headers }),
    content: {
      'application/json': { schema: { $ref: `#/components/schemas/${schema}` }, examples: { refused: { value } } },
    },
  };
}
