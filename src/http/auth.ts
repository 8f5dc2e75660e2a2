/** Who calls: HTTP Basic with the domain and an API key, or the parameters `domain` and `apikey`. PROTOCOL.md section 3. */
import type { Domain } from '../actors/domain.js';
import { AUTHENTICATION_FAILED, lockedOut, type ReplyError } from '../errors.js';
import type { Caller } from '../protocols/api-keys.js';
import type { Context } from '../protocols/context.js';
import type { Parameters } from '../protocols/parameters.js';

const BASIC = /^basic +([A-Za-z0-9+/=_-]+) *$/i;

/** Domain and key. */
type Credentials = readonly [domain: string, key: string];

/** The last header of this scheme and what it said: a site's backend sends the same header with every call. */
let last: { readonly header: string; readonly credentials: Credentials | null } = {
  header: 'Basic',
  credentials: null,
};

/** Splits Basic credentials at the first colon (RFC 7617 section 2). */
function basic(authorization: string): Credentials | null {
  if (authorization === last.header) return last.credentials;
  const encoded = BASIC.exec(authorization)?.[1];
  const text = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  last = { header: authorization, credentials: colon < 0 ? null : [text.slice(0, colon), text.slice(colon + 1)] };
  return last.credentials;
}

/** The domain that Basic credentials authenticate, or the error where they are wrong; null where there are none. */
export function basicDomain(context: Context, authorization: string, caller: Caller): Domain | ReplyError | null {
  if (authorization !== last.header && !/^basic(?:\s|$)/i.test(authorization)) return null;
  const credentials = basic(authorization);
  return credentials ? check(context, credentials, caller) : AUTHENTICATION_FAILED;
}

/** The authenticated domain, by Basic credentials or by the parameters, which may name no other. */
export function namedDomain(
  context: Context,
  basic: Domain | null,
  parameters: Parameters,
  caller: Caller,
): Domain | ReplyError {
  const named = parameters.get('domain');
  if (basic) return named === undefined || named === basic.name ? basic : AUTHENTICATION_FAILED;
  const key = parameters.get('apikey');
  if (typeof named !== 'string' || typeof key !== 'string') return AUTHENTICATION_FAILED;
  return check(context, [named, key], caller);
}

function check({ domains, apiKeys }: Context, [name, key]: Credentials, caller: Caller): Domain | ReplyError {
  const domain = domains.get(name);
  if (!domain) return AUTHENTICATION_FAILED;
  const checked = apiKeys.check(domain, key, caller);
  if (checked === true) return domain;
  return { ...(checked === false ? AUTHENTICATION_FAILED : lockedOut(checked)), domain: domain.name };
}
