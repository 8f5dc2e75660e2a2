/** Who calls: HTTP Basic with the domain and an API key, or the parameters `domain` and `apikey`. PROTOCOL.md section 3. */
import type { Domain } from '../actors/domain.js';
import { authenticate } from '../protocols/keys.js';
import type { Parameters } from '../protocols/parameters.js';

const BASIC = /^basic +([A-Za-z0-9+/=_-]+) *$/i;

/** Domain and key; Basic splits at the first colon. */
function basic(authorization: string): readonly [string, string] | null {
  const encoded = BASIC.exec(authorization)?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? null : [text.slice(0, colon), text.slice(colon + 1)];
}

/** The authenticated domain, which a `domain` parameter must name too; null otherwise. */
export function authenticatedDomain(
  domains: ReadonlyMap<string, Domain>,
  authorization: string,
  parameters: Parameters,
): Domain | null {
  const named = parameters.get('domain');
  const isBasic = /^basic(\s|$)/i.test(authorization);
  const [name, key] = isBasic ? (basic(authorization) ?? [null, null]) : [named, parameters.get('apikey')];
  if (typeof name !== 'string' || typeof key !== 'string') return null;
  const domain = domains.get(name);
  if (!domain || !authenticate(domain, key)) return null;
  return named === undefined || named === name ? domain : null;
}
