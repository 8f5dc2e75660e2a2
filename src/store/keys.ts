/** Parts of keys for what users name: LMDB bounds the length of a key, and an MQTT topic may have 64 KiB. */
import { createHash } from 'node:crypto';

/** The same short text for the same name; 128 bits of SHA-256, so that two names never meet. */
export function part(name: string): string {
  return createHash('sha256').update(name).digest('base64url').slice(0, 22);
}
