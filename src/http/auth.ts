/** Who calls: HTTP Basic with the domain and an API key, or the parameters `domain` and `apikey`. PROTOCOL.md section 3. */
import type { Domain } from '../actors/domain.js';
import { AUTHENTICATION_FAILED, lockedOut, type ReplyError } from '../errors.js';
import type { Context } from '../protocols/context.js';
import type { Parameters } from '../protocols/parameters.js';

const BASIC = /^basic +([A-Za-z0-9+/=_-]+) *$/i;

/** Domain and key. */
type Credentials = readonly [domain: string, key: string];

/** What the last header said: a site's backend sends the same one with every call. */
let last: { readonly header: string; readonly credentials: Credentials | null } = { header: '', credentials: null };

/** Basic splits at the first colon. */
function basic(authorization: string): Credentials | null {
  if (authorization === last.header) return last.credentials;
  const encoded = BASIC.exec(authorization)?.[1];
  const text = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  last = { header: authorization, credentials: colon < 0 ? null : [text.slice(0, colon), text.slice(colon + 1)] };
  return last.credentials;
}

/** The authenticated domain, which a `domain` parameter must name too; or why there is none. */
export function authenticatedDomain(
  { domains, apiKeys }: Context,
  authorization: string,
  parameters: Parameters,
  address: () => string,
): Domain | ReplyError {
  const named = parameters.get('domain');
  const isBasic = authorization !== '' && /^basic(\s|$)/i.test(authorization);
  const [name, key] = isBasic ? (basic(authorization) ?? [null, null]) : [named, parameters.get('apikey')];
  if (typeof name !== 'string' || typeof key !== 'string') return AUTHENTICATION_FAILED;
  const domain = domains.get(name);
  if (!domain || (named !== undefined && named !== name)) return AUTHENTICATION_FAILED;
  const checked = apiKeys.check(domain, key, address);
  if (checked === true) return domain;
  return checked === false ? AUTHENTICATION_FAILED : lockedOut(checked);
}
