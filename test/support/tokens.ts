/** Signed tokens as a site makes them: by hand, with no library of the server's. */
import { createHmac } from 'node:crypto';

export const SECRET = 'a secret of a.example, 32 bytes or more';

function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** `header` and `payload` as objects, or as the JSON text itself. */
export function jwt(payload: unknown, secret = SECRET, header: unknown = { alg: 'HS256', typ: 'JWT' }): string {
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

export function seconds(now = Date.now()): number {
  return Math.floor(now / 1000);
}

/** A token of a user of `a.example` that holds for an hour. */
export function token(sub: unknown, claims: object = {}, secret = SECRET): string {
  return jwt({ aud: 'a.example', sub, iat: seconds(), exp: seconds() + 3600, ...claims }, secret);
}
