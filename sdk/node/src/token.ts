import { createHmac } from 'node:crypto';
import type { Claims, Id } from './types.js';

const LEAST_BYTES = 32;
const LONGEST_S = 24 * 60 * 60;

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function texts(claims: Claims): Record<string, unknown> {
  const { buddies, rooms } = claims;
  return {
    ...claims,
    ...(buddies === undefined ? {} : { buddies: buddies.map(String) }),
    ...(rooms === undefined ? {} : { rooms: rooms.map(String) }),
  };
}

export interface Signing {
  readonly domain: string;
  readonly secret: string;
  /** Seconds since 1970. */
  readonly now: number;
  readonly ttl: number;
}

/** A JWT, HS256; `aud`, `sub`, `iat` and `exp` first, then the claims, which may not set those four. */
export function signToken(sub: Id, claims: Claims, { domain, secret, now, ttl }: Signing): string {
  if (String(sub) === '') throw new TypeError('a token is for somebody: sub is empty');
  if (Buffer.byteLength(secret) < LEAST_BYTES) throw new TypeError(`tokenSecret has less than ${LEAST_BYTES} bytes`);
  if (!(ttl > 0 && ttl <= LONGEST_S)) throw new TypeError('ttl is not between 1 s and 24 h');
  const reserved = ['aud', 'sub', 'iat', 'exp'].find((name) => name in claims);
  if (reserved !== undefined) throw new TypeError(`the claim ${reserved} is set by the library`);
  const iat = Math.floor(now);
  const payload = { aud: domain, sub: String(sub), iat, exp: iat + Math.floor(ttl), ...texts(claims) };
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
