/** Tickets: `{node}:{nodeId}:{token}`, PROTOCOL.md section 2. */
import { randomFillSync } from 'node:crypto';
import type { Node } from './address.js';

/** 128 random bits, as 32 hex digits. */
const TOKEN_BYTES = 16;
const POOL_BYTES = 4096;
const TOKEN = /^[0-9a-f]{32,}$/;

const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** A new token: lower-case hex from a cryptographic source, which is read in large pieces. */
export function newToken(): string {
  if (used + TOKEN_BYTES > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const token = pool.toString('hex', used, used + TOKEN_BYTES);
  pool.fill(0, used, used + TOKEN_BYTES);
  used += TOKEN_BYTES;
  return token;
}

/** A client's name, whose last eight characters are written anew for each. */
const NAME = Buffer.from('auto-00000000');
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';

/** A name for a client that the site gave none. Written into one text: put together of two it would take 24 bytes more. */
export function newName(): string {
  for (let at = 'auto-'.length; at < NAME.length; at++) {
    NAME[at] = DIGITS.charCodeAt(Math.floor(Math.random() * DIGITS.length));
  }
  return NAME.toString('latin1');
}

export function formatTicket(node: Node, id: string, token: string): string {
  return `${node}:${id}:${token}`;
}

export interface Ticket {
  readonly node: string;
  readonly id: string;
  readonly token: string;
}

const TOKEN_CHARACTERS = 2 * TOKEN_BYTES;

/** The node is before the first colon, the token after the last one. Null for what cannot be a ticket. */
export function parseTicket(text: string): Ticket | null {
  const parts = splitTicket(text);
  return parts && isToken(parts.token) ? parts : null;
}

/** The parts of a text that has the form of a ticket; its last part need not be a valid token (`isToken`). */
export function splitTicket(text: string): Ticket | null {
  const first = text.indexOf(':');
  // The colon before a token stands at the same distance from the end in all valid tickets; a part behind a later colon is no token.
  const usual = text.length - TOKEN_CHARACTERS - 1;
  const last = text[usual] === ':' ? usual : text.lastIndexOf(':');
  if (first < 0 || last <= first) return null;
  return { node: text.slice(0, first), id: text.slice(first + 1, last), token: text.slice(last + 1) };
}

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}
