/** `nextalk token`: a signed token as a site would make it, printed for trying things. PROTOCOL.md section 15. */
import { SignJWT } from 'jose';
import type { TokenOptions } from './command-line.js';
import { type Config, secretsOf } from './config.js';

const LONGEST_LIFE_S = 24 * 60 * 60;

/** Signs it with the first secret of its domain, or says why it cannot. */
export async function signToken(
  { domains }: Config,
  { domain: name, sub, ttl, ...claims }: TokenOptions,
): Promise<{ readonly token: string } | { readonly error: string }> {
  const named = domains.find(({ domain }) => domain === name);
  if (name === undefined) return { error: '--domain: is missing; it names whose secret signs the token' };
  if (!named) return { error: `--domain: ${name} is not among the domains` };
  const [secret] = secretsOf(named);
  if (secret === undefined) return { error: `--domain: ${name} has no tokenSecret` };
  const lifeS = /^\d{1,5}$/.test(ttl) ? Number(ttl) : 0;
  if (lifeS < 1 || lifeS > LONGEST_LIFE_S) return { error: `--ttl: must be 1 to ${LONGEST_LIFE_S} seconds` };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setAudience(name)
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime(`${lifeS}s`)
    .sign(Buffer.from(secret));
  return { token };
}
