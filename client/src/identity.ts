/** How a page comes online: a token that the server checks (section 15), or a call that the site makes (section 3). */
import { addressesOf, type Network, reasonOf, retryAfterMs, within } from './http.js';
import { NoSession } from './machine.js';
import { type Addresses, isObject, type Json, parse, type Session } from './wire.js';

export type Token = string | (() => string | null | undefined | Promise<string | null | undefined>);

export interface Credentials {
  readonly token?: Token;
  readonly online?: () => unknown;
  readonly domain?: string;
  readonly user?: string;
}

/** The user has come online. */
export interface Come {
  readonly session: Session;
  /** The buddies that are there, by short id. */
  readonly presences: Json;
  /** The rooms that were named. */
  readonly rooms: readonly string[];
}

const ANSWER_MS = 15_000;
const EXPIRES_SOON_S = 5;

/** `uid:jack` of a short id, `vid:x` and `sid:x` as they are. */
function whole(id: string): string {
  return /^(uid|vid|sid):/.test(id) ? id : `uid:${id}`;
}

/** Whom a ticket is for, as `uid:jack`. */
function holder(ticket: string): string {
  return ticket.slice(0, ticket.lastIndexOf(':'));
}

/** The short id of whom a ticket is for. */
export function shortId(ticket: string): string {
  const id = holder(ticket);
  return id.startsWith('uid:') && !/^uid:(uid|vid|sid|gid):/.test(id) ? id.slice(4) : id;
}

/** The claims of a token, unchecked; undefined where the text is no token. */
export function claimsOf(token: string): Json {
  try {
    const part = (token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
    return parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
}

/** An array, or texts between commas. */
export function listOf(value: unknown): string[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];
  return items.map((item) => String(item).trim()).filter((item) => item !== '');
}

export class Identity {
  #token: string | null = null;
  #addresses: Addresses | null;
  /** What the call `show` has set, so that coming online anew does not forget it. */
  appearance: { readonly show?: string; readonly status?: string } = {};

  constructor(
    private readonly credentials: Credentials,
    private readonly network: Network,
    /** The server's address; null: only the answer to ONLINE names it. */
    private readonly server: string | null,
  ) {
    this.#addresses = server === null ? null : addressesOf(server);
  }

  /** Who the page is for, as `uid:jack`; undefined where only ONLINE's answer says so. Rejects with NoSession. */
  async who(): Promise<string | undefined> {
    const { online, user } = this.credentials;
    if (user !== undefined) return whole(user);
    if (online) return undefined;
    const { sub } = claimsOf(await this.#currentToken());
    return typeof sub === 'string' ? whole(sub) : undefined;
  }

  /** Whether a session that an earlier page has left is this user's. */
  async owns({ ticket, domain }: Session): Promise<boolean> {
    const who = await this.who();
    if (who === undefined || who !== holder(ticket)) return false;
    return this.credentials.online !== undefined || domain === this.#domain(claimsOf(await this.#currentToken()));
  }

  /** Brings the user online. Rejects with NoSession. */
  come(): Promise<Come> {
    return this.credentials.online ? this.#askSite(this.credentials.online) : this.#askServer();
  }

  #domain(claims: Json): string {
    return this.credentials.domain ?? listOf(Array.isArray(claims.aud) ? claims.aud : [claims.aud ?? ''])[0] ?? '';
  }

  async #askSite(online: () => unknown): Promise<Come> {
    const answer = await Promise.resolve()
      .then(online)
      .catch(() => {
        throw new NoSession('the site does not answer');
      });
    if (answer === null) throw new NoSession('not signed in', true);
    const json = isObject(answer) ? answer : {};
    const { ticket } = json;
    if (typeof ticket !== 'string') throw new NoSession('the site has answered no ticket');
    const { domain = '' } = this.credentials;
    const { websocket, server, jsonp } = json;
    const packets = String(server ?? jsonp ?? '');
    this.#addresses ??= { websocket: String(websocket), packets, events: packets.replace(/packets$/, 'events') };
    return this.#come(domain, ticket, json, json);
  }

  async #askServer(): Promise<Come> {
    const held = this.#token;
    const token = await this.#currentToken();
    const { status, json, waitMs } = await this.#online(token);
    const claims = claimsOf(token);
    if (status === 200 && typeof json.ticket === 'string')
      return this.#come(this.#domain(claims), json.ticket, json, claims);
    const reason = reasonOf(json, status);
    if (status === 401) {
      this.#token = null;
      // A token that was used before may have expired or have been revoked: another one is fetched at once.
      if (held !== null && held === token && typeof this.credentials.token === 'function') return this.#askServer();
      throw new NoSession(reason, true);
    }
    throw new NoSession(reason, status === 400, waitMs);
  }

  #come(domain: string, ticket: string, answer: Json, named: Json): Come {
    const addresses = this.#addresses ?? { websocket: '', events: '', packets: '' };
    const presences = isObject(answer.presences) ? answer.presences : {};
    return { session: { domain, ticket, addresses }, presences, rooms: listOf(named.rooms) };
  }

  async #online(token: string): Promise<{ status: number; json: Json; waitMs: number }> {
    const body = new URLSearchParams({ token, ...this.appearance });
    const url = `${(this.server ?? '').replace(/\/+$/, '')}/v5/presences/online`;
    const init = { method: 'POST', body, credentials: 'omit' } as const;
    try {
      return await within(this.network, ANSWER_MS, url, init, async (response) => ({
        status: response.status,
        json: parse(await response.text()) ?? {},
        waitMs: retryAfterMs(response),
      }));
    } catch {
      throw new NoSession('no network');
    }
  }

  /** The token at hand while it is valid, else a new one. */
  async #currentToken(): Promise<string> {
    const { token } = this.credentials;
    const { exp } = this.#token === null ? {} : claimsOf(this.#token);
    const isValid = typeof exp === 'number' && exp - EXPIRES_SOON_S > this.network.clock.now() / 1000;
    if (this.#token !== null && isValid) return this.#token;
    const fetched = typeof token === 'function' ? await this.#fetch(token) : token;
    if (fetched === null || fetched === undefined || fetched === '') throw new NoSession('not signed in', true);
    this.#token = String(fetched).trim();
    return this.#token;
  }

  async #fetch(
    token: () => string | null | undefined | Promise<string | null | undefined>,
  ): Promise<string | null | undefined> {
    try {
      return await token();
    } catch {
      throw new NoSession('the site gives no token');
    }
  }
}
