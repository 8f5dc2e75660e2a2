/**
 * Who may use the admin port. With a token: who sends it, as `Authorization: Bearer …` or as the cookie that the login
 * form sets. Without one the port is on loopback, and then a request must name loopback as its host: a page elsewhere
 * whose name has been pointed at 127.0.0.1 names its own (DNS rebinding). What changes something must come from the
 * dashboard itself. The right token always opens: who shares an address with somebody who guesses is not kept out.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopback, type LockoutConfig } from '../config.js';
import { Lockout } from '../lockout.js';
import { networkOf } from '../protocols/client-address.js';

const COOKIE = 'nextalk-admin';
const SESSION_S = 12 * 60 * 60;
/** Sessions remembered that a logout ended before their time; beyond this number all sessions end. */
const ENDED_SESSIONS = 10_000;
/** Wrong tokens of one address (a /64 of IPv6) before it has to wait, and how long: twice as long each time. */
export const LOCKOUT: LockoutConfig = {
  failures: 5,
  firstMs: 1000,
  longestMs: 15 * 60_000,
  forgetMs: Number.POSITIVE_INFINITY,
  entries: 10_000,
};
/** For a token that nobody can guess: nobody is kept out by others who try. */
export const NO_LOCKOUT: LockoutConfig = { ...LOCKOUT, failures: 0 };

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

/** One browser that has shown the token. */
interface Session {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly until: number;
}

export class Auth {
  /** The key that signs cookies. Each start makes a new one, so that a restart ends all sessions. */
  #secret = randomBytes(32);
  /** Ids of the sessions that a logout ended before their time, and when that time comes (seconds since the epoch). */
  readonly #ended = new Map<string, number>();
  readonly #lockout: Lockout;

  constructor(
    private readonly token: () => string | null,
    private readonly now: () => number,
    lockout = LOCKOUT,
  ) {
    this.#lockout = new Lockout(now, () => lockout);
  }

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
    return this.#session(message, token) ? WELCOME : UNKNOWN;
  }

  /** Judges a token that somebody shows, and counts a wrong one against the address. */
  present(message: IncomingMessage, given: string): Verdict {
    const token = this.token();
    const address = networkOf(message.socket.remoteAddress ?? '');
    if (token !== null && timingSafeEqual(hashOf(given), hashOf(token))) {
      this.#lockout.right(address);
      return WELCOME;
    }
    const waitS = this.#lockout.waitS(address);
    if (waitS > 0) return { kind: 'blocked', waitS };
    this.#lockout.wrong(address);
    return UNKNOWN;
  }

  /** The Set-Cookie header for a browser that has shown the token. */
  cookie(message: IncomingMessage): string {
    const session = { id: randomBytes(16).toString('hex'), until: Math.floor(this.now() / 1000) + SESSION_S };
    const value = `${session.until}.${session.id}.${this.#sign(session, this.token() ?? '')}`;
    return setCookie(message, value, SESSION_S);
  }

  /** Whether the request's browser has logged in, and may log out. */
  hasSession(message: IncomingMessage): boolean {
    const token = this.token();
    return token !== null && this.#session(message, token) !== null;
  }

  /**
   * Logs a browser out: its cookie opens nothing any more, wherever it was copied to. Answers the Set-Cookie header that
   * removes it.
   */
  end(message: IncomingMessage): string {
    const session = this.#session(message, this.token() ?? '');
    if (session) this.#end(session);
    return setCookie(message, '', 0);
  }

  #end({ id, until }: Session): void {
    const now = this.now() / 1000;
    for (const [ended, its] of this.#ended) if (its <= now) this.#ended.delete(ended);
    this.#ended.set(id, until);
    if (this.#ended.size <= ENDED_SESSIONS) return;
    this.#secret = randomBytes(32);
    this.#ended.clear();
  }

  /** The signature covers the token too, so that a new token ends the sessions that the old one began. */
  #sign({ id, until }: Session, token: string): string {
    return createHmac('sha256', this.#secret).update(`${until} ${id} ${token}`).digest('hex');
  }

  /** The session that a request's cookie names; null where there is none or it is over. */
  #session(message: IncomingMessage, token: string): Session | null {
    const pattern = new RegExp(`(?:^|; *)${cookieName(message)}=(\\d{1,12})\\.([0-9a-f]{32})\\.([0-9a-f]{64})(?:;|$)`);
    const [, until, id, signature] = pattern.exec(message.headers.cookie ?? '') ?? [];
    if (until === undefined || id === undefined || signature === undefined) return null;
    const session = { id, until: Number(until) };
    if (session.until * 1000 <= this.now() || this.#ended.has(id)) return null;
    const isOwn = timingSafeEqual(Buffer.from(signature, 'hex'), Buffer.from(this.#sign(session, token), 'hex'));
    return isOwn ? session : null;
  }
}

/** Browsers send a cookie to every port of a host: servers side by side must not take each other's. */
function cookieName({ socket }: IncomingMessage): string {
  return `${COOKIE}-${socket.localPort ?? 0}`;
}

/** The cookie names no path, so it has that of the login page, whichever path a proxy gives the dashboard. */
function setCookie(message: IncomingMessage, value: string, maxAgeS: number): string {
  const secure = isSecure(message) ? '; Secure' : '';
  return `${cookieName(message)}=${value}; HttpOnly; SameSite=Strict${secure}; Max-Age=${maxAgeS}`;
}

/** Whether the browser came by TLS, which ends in a proxy: the page's origin says so, or the proxy. */
function isSecure({ headers }: IncomingMessage): boolean {
  const proto = [headers['x-forwarded-proto'] ?? ''].flat().join(',').split(',').at(-1)?.trim();
  return proto === 'https' || (headers.origin ?? '').startsWith('https://');
}

/** A browser names the page that asks, and whether that is of one origin with what it asks; a program names neither. */
function isSameOrigin(origin: string | undefined, fetchSite: string | string[] | undefined, host: string): boolean {
  // Behind a proxy the Host header may differ from the host that the browser knows.
  if (fetchSite === 'same-origin') return true;
  if (fetchSite !== undefined && fetchSite !== 'none') return false;
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}
