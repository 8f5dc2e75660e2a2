/**
 * Who may use the admin port. With a token: who sends it, as `Authorization: Bearer …` or as the cookie that the login
 * form sets. Without one the port is on loopback, and then a request must name loopback as its host: a page elsewhere
 * whose name has been pointed at 127.0.0.1 names its own (DNS rebinding). What changes something must come from the
 * dashboard itself.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../config.js';

const COOKIE = 'nextalk-admin';
const SESSION_S = 12 * 60 * 60;
/** Wrong tokens of one address before it has to wait, and how long: twice as long each time. */
export const FREE_ATTEMPTS = 5;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15 * 60_000;
const REMEMBERED_ADDRESSES = 10_000;

interface Attempts {
  wrong: number;
  /** Milliseconds since the epoch. */
  blockedUntil: number;
}

export type Verdict =
  | { readonly kind: 'welcome' | 'unknown' | 'foreign' }
  | { readonly kind: 'blocked'; waitS: number };

const WELCOME: Verdict = { kind: 'welcome' };
const UNKNOWN: Verdict = { kind: 'unknown' };
const FOREIGN: Verdict = { kind: 'foreign' };

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The name in a Host header, without its port. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '');
}

export class Guard {
  /** Signs cookies: another one with each start, so that a restart ends all sessions. */
  readonly #secret = randomBytes(32);
  readonly #attempts = new Map<string, Attempts>();

  constructor(
    private readonly token: () => string | null,
    private readonly now: () => number,
    /** `Infinity` for a token that nobody can guess: then nobody is kept out by others who try. */
    private readonly freeAttempts = FREE_ATTEMPTS,
  ) {}

  /** Whether this is a request of somebody who may use the port. */
  check(message: IncomingMessage): Verdict {
    const token = this.token();
    const { headers, method } = message;
    const host = headers.host ?? '';
    const isRead = method === 'GET' || method === 'HEAD';
    if (!isRead && !isSameOrigin(headers.origin, headers['sec-fetch-site'], host)) return FOREIGN;
    if (token === null) return isLoopback(hostName(host)) ? WELCOME : FOREIGN;
    const bearer = /^bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
    if (bearer !== undefined) return this.present(message, bearer.trim());
    return this.#isValidCookie(headers.cookie ?? '', token) ? WELCOME : UNKNOWN;
  }

  /** Somebody shows a token. */
  present(message: IncomingMessage, given: string): Verdict {
    const token = this.token();
    const address = message.socket.remoteAddress ?? '';
    const attempts = this.#attempts.get(address);
    const now = this.now();
    if (attempts && attempts.blockedUntil > now) {
      return { kind: 'blocked', waitS: Math.ceil((attempts.blockedUntil - now) / 1000) };
    }
    if (token !== null && timingSafeEqual(hashOf(given), hashOf(token))) {
      this.#attempts.delete(address);
      return WELCOME;
    }
    this.#remember(address, attempts?.wrong ?? 0, now);
    return UNKNOWN;
  }

  /** What a browser that has shown the token is given to come back with. */
  cookie(): string {
    const until = Math.floor(this.now() / 1000) + SESSION_S;
    const value = `${until}.${this.#sign(until, this.token() ?? '')}`;
    return `${COOKIE}=${value}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${SESSION_S}`;
  }

  endedCookie(): string {
    return `${COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0`;
  }

  #remember(address: string, before: number, now: number): void {
    const wrong = before + 1;
    const beyond = wrong - this.freeAttempts;
    const waitMs = beyond < 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** beyond);
    this.#attempts.delete(address);
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size >= REMEMBERED_ADDRESSES && oldest !== undefined) this.#attempts.delete(oldest);
    this.#attempts.set(address, { wrong, blockedUntil: now + waitMs });
  }

  /** Holds the token too: another token ends the sessions that the old one began. */
  #sign(until: number, token: string): string {
    return createHmac('sha256', this.#secret).update(`${until} ${token}`).digest('hex');
  }

  #isValidCookie(header: string, token: string): boolean {
    const pattern = new RegExp(`(?:^|; *)${COOKIE}=(\\d{1,12})\\.([0-9a-f]{64})(?:;|$)`);
    const [, until, signature] = pattern.exec(header) ?? [];
    if (until === undefined || signature === undefined || Number(until) * 1000 <= this.now()) return false;
    return timingSafeEqual(Buffer.from(signature, 'hex'), Buffer.from(this.#sign(Number(until), token), 'hex'));
  }
}

/** A browser names the page that asks; a program names none. */
function isSameOrigin(origin: string | undefined, fetchSite: string | string[] | undefined, host: string): boolean {
  if (fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none') return false;
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}
