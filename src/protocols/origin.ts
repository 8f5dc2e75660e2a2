/** Whose pages may connect: PROTOCOL.md section 10, "Origins: all, unless the domain lists some". */
import type { Domain } from '../actors/domain.js';

const ANY_HOST = '*.';

/** Whether a page of this origin may connect. A request without Origin is not from a page of another site. */
export function isAllowedOrigin(domain: Domain, origin: string): boolean {
  const { origins } = domain.settings;
  return origin === '' || origins.length === 0 || origins.some((listed) => matchesOrigin(listed, origin));
}

/** What an answer may say of origins in Access-Control-Allow-Origin; null: nothing, the domain lists others. */
export function allowedOrigin(domain: Domain | undefined, origin: string): string | null {
  if (!domain || domain.settings.origins.length === 0) return '*';
  return origin !== '' && isAllowedOrigin(domain, origin) ? origin : null;
}

/** `https://*.example.com` is every host below example.com, not that one; any other is the origin as browsers write it. */
export function matchesOrigin(listed: string, origin: string): boolean {
  const at = listed.indexOf(ANY_HOST);
  if (at < 0) return listed === origin;
  const end = origin.length - (listed.length - at - 1);
  if (end <= at || !origin.startsWith(listed.slice(0, at)) || !origin.endsWith(listed.slice(at + 1))) return false;
  const slash = origin.indexOf('/', at);
  return slash < 0 || slash >= end;
}
