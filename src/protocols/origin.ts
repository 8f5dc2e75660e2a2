/** Whose pages may connect: PROTOCOL.md section 10, "Origins: all, unless the domain lists some". */
import type { Domain } from '../actors/domain.js';

/** What sends no Origin is no page of another site. */
export function isAllowedOrigin(domain: Domain, origin: string): boolean {
  const { origins } = domain.settings;
  return origin === '' || origins.length === 0 || origins.includes(origin);
}
