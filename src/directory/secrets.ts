/** Keys and secrets that the server makes for domains, and how keys are named without being shown. */
import { createHash, randomBytes } from 'node:crypto';

const HASHED = 'sha256:';
const KEY_BYTES = 24;
const SECRET_BYTES = 36;
const FINGERPRINT_DIGITS = 16;

/** 192 bits. */
export function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64url');
}

/** Signs tokens or webhooks: 288 bits. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/** A key as it is kept, `sha256:` and 64 hex digits; one that is hashed already stays as it is. */
export function hashedKey(key: string): string {
  return key.startsWith(HASHED) ? key : `${HASHED}${createHash('sha256').update(key).digest('hex')}`;
}

/** How a key is named: the first digits of its hash. */
export function fingerprintOf(key: string): string {
  return hashedKey(key).slice(HASHED.length, HASHED.length + FINGERPRINT_DIGITS);
}
