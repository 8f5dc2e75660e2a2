/**
 * The tickets of a domain: token → client. A store keeps hashes of tokens only, so a client that was restored from it is entered by the
 * hash of its token. The first request that brings the token enters the client by the token, as every other client is.
 */
import { createHash } from 'node:crypto';
import type { Client } from './client.js';

/** No token begins with it. */
const HASHED = '#';

/** SHA-256 of a token, as it is kept. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

export class Tickets extends Map<string, Client> {
  /** How many clients stand under a hash. */
  #hashed = 0;

  /** The client of a token, also of one that was restored; undefined for a text that is no token, such as a key of a restored client. */
  find(token: string): Client | undefined {
    if (token.startsWith(HASHED)) return undefined;
    return this.get(token) ?? (this.#hashed > 0 ? this.#reveal(token) : undefined);
  }

  /** What is kept of the token of a client. */
  hashOf({ token }: Client): string {
    return token.startsWith(HASHED) ? token.slice(HASHED.length) : hashOf(token);
  }

  /** Enters a client of which only the hash of its token is known. */
  restore(hash: string, client: Client): void {
    client.token = HASHED + hash;
    this.#hashed += 1;
    this.set(client.token, client);
  }

  override delete(token: string): boolean {
    const isThere = super.delete(token);
    if (isThere && token.startsWith(HASHED)) this.#hashed -= 1;
    return isThere;
  }

  #reveal(token: string): Client | undefined {
    const client = this.get(HASHED + hashOf(token));
    if (!client) return undefined;
    this.delete(client.token);
    client.token = token;
    this.set(token, client);
    return client;
  }
}
