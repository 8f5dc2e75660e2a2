/** Backends whose API key is taken away: their connections end, as new ones with that key are refused. */
import { createHash } from 'node:crypto';
import type { Domain } from '../../actors/domain.js';
import { hasHash } from '../credentials.js';
import type { Connection } from './connection.js';

/** SHA-256 of the key that a backend connected with. */
const hashes = new WeakMap<Connection, Buffer>();

export function noteKey(connection: Connection, key: string): void {
  hashes.set(connection, createHash('sha256').update(key).digest());
}

/** Whether the key that a connection came with is none of its domain's any more. */
export function isKeyTaken(domain: Domain, connection: Connection): boolean {
  const hash = hashes.get(connection);
  return hash !== undefined && !hasHash(domain, hash);
}
