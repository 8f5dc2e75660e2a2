/** Parts of keys for what users name: LMDB bounds the length of a key, and an MQTT topic may have 64 KiB. */
import { createHash } from 'node:crypto';
import type { Key } from './store.js';

/** The same short text for the same name; 128 bits of SHA-256, so that two names never meet. */
export function part(name: string): string {
  return createHash('sha256').update(name).digest('base64url').slice(0, 22);
}

/** The order of keys in the store: numbers before texts, shorter keys before those that they begin. For texts of ASCII. */
export function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [one, other] = [a[i] as string | number, b[i] as string | number];
    if (one === other) continue;
    if (typeof one !== typeof other) return typeof one === 'number' ? -1 : 1;
    return one < other ? -1 : 1;
  }
  return a.length - b.length;
}

export function beginsWith(key: Key, prefix: Key): boolean {
  return key.length >= prefix.length && prefix.every((part, i) => part === key[i]);
}
