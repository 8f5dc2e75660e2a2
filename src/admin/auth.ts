/**
 * Who may use the admin port. With a token: who sends it, as `Authorization: Bearer …` or as the cookie that the login
 * form sets. Without one the port is on loopback, and then a request must name loopback as its host: a page elsewhere
 * whose name has been pointed at 127.0.0.1 names its own (DNS rebinding). What changes something must come from the
 * dashboard itself. The right token always opens: who shares an address with somebody who guesses is not kept out.
 *
 * A token may be that of an owner, who sees some domains alone.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type AdminConfig, isLoopback, type LockoutConfig } from '../config.js';
import type { Viewer } from '../directory/operations.js';
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

/** The header in which the parent of workers says whom it asks for; believed of the parent alone. */
export const VIEWER_HEADER = 'x-nextalk-viewer';
const FINGERPRINT_DIGITS = 8;
const HINT_DIGITS = 8;

export type Verdict =
  | { readonly kind: 'welcome'; readonly viewer: Viewer }
  | { readonly kind: 'unknown' | 'foreign' }
  | { readonly kind: 'blocked'; readonly waitS: number };

const UNKNOWN: Verdict = { kind: 'unknown' };
const FOREIGN: Verdict = { kind: 'foreign' };

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The name in a Host header, without its port. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '');
}

interface Token {
  readonly text: string;
  readonly hash: Buffer;
  /** The domains that the token opens, where it is an owner's; null: all domains. */
  readonly domains: ReadonlySet<string> | null;
}

type Configured = AdminConfig['token'];

function tokensOf(configured: Configured): readonly Token[] {
  return [configured ?? []].flat().map((one) => {
    const text = typeof one === 'string' ? one : one.token;
    return { text, hash: hashOf(text), domains: typeof one === 'string' ? null : new Set(one.domains) };
  });
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

  #configured: Configured = null;
  #tokens: readonly Token[] = [];

  constructor(
    private readonly token: () => Configured,
    private readonly now: () => number,
    lockout = LOCKOUT,
    /** Whether the one who asks is the parent of this worker, and says for whom. */
    private readonly isOfParent = false,
  ) {
    this.#lockout = new Lockout(now, () => lockout);
  }

  /** Whether this is a request of somebody who may use the port. */
  check(message: IncomingMessage): Verdict {
    const tokens = this.#known();
    const { headers, method } = message;
    const host = headers.host ?? '';
    const isRead = method === 'GET' || method === 'HEAD';
    if (!isRead && !isSameOrigin(headers.origin, headers['sec-fetch-site'], host)) return FOREIGN;
    if (tokens === null) return isLoopback(hostName(host)) ? this.#welcome(message, null) : FOREIGN;
    const bearer = /^bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
    if (bearer !== undefined) return this.present(message, bearer.trim());
    const found = this.#session(message);
    return found ? this.#welcome(message, found.token) : UNKNOWN;
  }

  /** Judges a token that somebody shows, and counts a wrong one against the address. */
  present(message: IncomingMessage, given: string): Verdict {
    const address = networkOf(message.socket.remoteAddress ?? '');
    const hash = hashOf(given);
    let right: Token | null = null;
    for (const token of this.#known() ?? []) if (timingSafeEqual(hash, token.hash)) right = token;
    if (right) {
      this.#lockout.right(address);
      return this.#welcome(message, right);
    }
    const waitS = this.#lockout.waitS(address);
    if (waitS > 0) return { kind: 'blocked', waitS };
    this.#lockout.wrong(address);
    return UNKNOWN;
  }

  /** The tokens as last configured; null: none is asked for. */
  #known(): readonly Token[] | null {
    const configured = this.token();
    if (configured !== this.#configured) {
      this.#configured = configured;
      this.#tokens = tokensOf(configured);
    }
    return configured === null ? null : this.#tokens;
  }

  #welcome(message: IncomingMessage, token: Token | null): Verdict {
    const asked = this.isOfParent ? viewerOf(message) : null;
    if (asked) return { kind: 'welcome', viewer: asked };
    const fingerprint = token ? ` ${token.hash.toString('hex').slice(0, FINGERPRINT_DIGITS)}` : '';
    const name = `${token?.domains ? 'owner' : 'admin'}${fingerprint}`;
    const address = networkOf(message.socket.remoteAddress ?? '');
    return { kind: 'welcome', viewer: { name, address, domains: token?.domains ?? null } };
  }

  /** The Set-Cookie header for a browser that has shown a token; without one, the first. */
  cookie(message: IncomingMessage, given = this.#known()?.[0]?.text ?? ''): string {
    const id = `${this.#hint(given)}${randomBytes(12).toString('hex')}`;
    const session = { id, until: Math.floor(this.now() / 1000) + SESSION_S };
    const value = `${session.until}.${session.id}.${this.#sign(session, given)}`;
    return setCookie(message, value, SESSION_S);
  }

  /** Whether the request's browser has logged in, and may log out. */
  hasSession(message: IncomingMessage): boolean {
    return this.#session(message) !== null;
  }

  /**
   * Logs a browser out: its cookie opens nothing any more, wherever it was copied to. Answers the Set-Cookie header that
   * removes it.
   */
  end(message: IncomingMessage): string {
    const found = this.#session(message);
    if (found) this.#end(found.session);
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

  /** How a session names its token: nothing to be read from it but by this server. */
  #hint(token: string): string {
    return createHmac('sha256', this.#secret).update(`token ${token}`).digest('hex').slice(0, HINT_DIGITS);
  }

  /** The session that a request's cookie names, and its token; null where there is none or it is over. */
  #session(message: IncomingMessage): { readonly session: Session; readonly token: Token } | null {
    const pattern = new RegExp(`(?:^|; *)${cookieName(message)}=(\\d{1,12})\\.([0-9a-f]{32})\\.([0-9a-f]{64})(?:;|$)`);
    const [, until, id, signature] = pattern.exec(message.headers.cookie ?? '') ?? [];
    if (until === undefined || id === undefined || signature === undefined) return null;
    const session = { id, until: Number(until) };
    if (session.until * 1000 <= this.now() || this.#ended.has(id)) return null;
    const token = this.#known()?.find(({ text }) => id.startsWith(this.#hint(text)));
    if (!token) return null;
    const isOwn = timingSafeEqual(Buffer.from(signature, 'hex'), Buffer.from(this.#sign(session, token.text), 'hex'));
    return isOwn ? { session, token } : null;
  }
}

/** The viewer for whom the parent process asks, as its header says; null: there is no such header. */
function viewerOf({ headers }: IncomingMessage): Viewer | null {
  const header = headers[VIEWER_HEADER];
  if (typeof header !== 'string') return null;
  const { name, address, domains } = JSON.parse(decodeURIComponent(header)) as {
    readonly name: string;
    readonly address: string;
    readonly domains: readonly string[] | null;
  };
  return { name, address, domains: domains && new Set(domains) };
}

/** The header in which the parent of workers says whom it asks for. */
export function viewerHeader({ name, address, domains }: Viewer): string {
  return encodeURIComponent(JSON.stringify({ name, address, domains: domains && [...domains] }));
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
