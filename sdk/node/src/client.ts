import { randomUUID } from 'node:crypto';
import { conversationsOf, historyOf, onlineOf, presencesOf, resultsOf, sentOf, shows } from './answers.js';
import type { NexTalkError } from './error.js';
import { type Answer, type Parameters, perform, systemClock, type Transport } from './request.js';
import { signToken } from './token.js';
import type * as types from './types.js';
import { isSigned, webhookKeys } from './webhook.js';

type Fields = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 5000;
const RETRIES = 2;
const TOKEN_TTL_S = 60 * 60;
/** Of a query of ids, in encoded characters: far below the 4 KiB of headers that every server takes. */
const LONGEST_IDS = 2000;

function list(secrets: string | readonly string[] | undefined): readonly string[] {
  return typeof secrets === 'string' ? [secrets] : (secrets ?? []);
}

/** One id or several as the server takes them. A comma would make two ids of one. */
function joined(ids: types.Id | readonly types.Id[]): string {
  const all = (Array.isArray(ids) ? ids : [ids]).map(String);
  const wrong = all.find((id) => id.includes(','));
  if (wrong !== undefined) throw new TypeError(`an id holds no comma: ${wrong}`);
  return all.join(',');
}

/** What is undefined is left out, what is true is 1. */
function parameters(fields: Fields): Parameters {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    return [[name, value === true ? '1' : String(value)] as const];
  });
}

function roomPath(room: types.Id, call: string): string {
  // `.` and `..` would be steps of the path.
  const id = /^\.\.?$/.test(String(room)) ? `gid:${room}` : String(room);
  return `/v5/rooms/${encodeURIComponent(id)}/${call}`;
}

/** Parts whose encoded ids are no longer than a query may be. */
function parts(ids: readonly types.Id[]): types.Id[][] {
  const found: types.Id[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const id of ids) {
    const more = encodeURIComponent(id).length + 3;
    length += more;
    if (length > LONGEST_IDS) {
      found.push([]);
      length = more;
    }
    found.at(-1)?.push(id);
  }
  return found;
}

function messageFields(message: types.Message, id: string): Fields {
  const { to, data, receipt, id: _, ...rest } = message;
  const receivers = to === undefined ? {} : { to: joined(to) };
  return { ...rest, ...receivers, data, ...(id === '' ? {} : { id }), ...(receipt ? { receipt: '1' } : {}) };
}

/** A domain of a NexTalk server, for the site that owns it. */
export class NexTalk {
  readonly domain: string;
  readonly #transport: Transport;
  readonly #tokenSecrets: readonly string[];
  readonly #webhookKeys: readonly string[];

  constructor(options: types.Options) {
    const { server, domain, apiKey, timeoutMs = TIMEOUT_MS, retries = RETRIES, clock = systemClock } = options;
    if (!/^https?:\/\//.test(server)) throw new TypeError('server is an address that begins with https:// or http://');
    if (domain === '' || apiKey === '') throw new TypeError('domain and apiKey are needed');
    const authorization = `Basic ${Buffer.from(`${domain}:${apiKey}`).toString('base64')}`;
    this.domain = domain;
    this.#transport = { server: server.replace(/\/+$/, ''), authorization, timeoutMs, retries, clock };
    this.#tokenSecrets = list(options.tokenSecret);
    this.#webhookKeys = webhookKeys(apiKey, list(options.webhookSecret));
  }

  /** A token with which the page of `sub` comes online by itself, for `ttl` seconds (an hour; at most 24 h). */
  token(sub: types.Id, claims: types.Claims = {}, ttl: number = TOKEN_TTL_S): string {
    const [secret = ''] = this.#tokenSecrets;
    return signToken(sub, claims, { domain: this.domain, secret, now: this.#transport.clock.now() / 1000, ttl });
  }

  /** Brings somebody online: a user, `vid:…` or `sid:…`. */
  async online(name: types.Id, options: types.OnlineOptions = {}): Promise<types.Online> {
    const { nick = '', buddies, rooms, ...rest } = options;
    const lists = {
      ...(buddies === undefined ? {} : { buddies: joined(buddies) }),
      ...(rooms === undefined ? {} : { rooms: joined(rooms) }),
    };
    return onlineOf(await this.#post('/v5/presences/online', { name, nick, ...rest, ...lists }));
  }

  /** By ticket one client; by name all of them, who are signed out. */
  async offline(who: types.Who): Promise<void> {
    await this.#post('/v5/presences/offline', who, { ends: 'ticket' in who });
  }

  async show(who: types.Who, show: types.Show, more: { nick?: string; status?: string } = {}): Promise<void> {
    await this.#post('/v5/presences/show', { ...who, show, ...more });
  }

  /** Sends a message to one receiver or several. */
  async send(message: types.Message): Promise<types.Sent> {
    const id = message.id ?? randomUUID();
    const { data, ...fields } = messageFields(message, id);
    const text = data === undefined ? {} : { data: JSON.stringify(data) };
    return sentOf(await this.#post('/v5/messages', { ...fields, ...text }, { repeatable: id !== '' }), id);
  }

  /** Sends up to 1,000 messages in one call; a result for each, in order: what was sent, or why that one was not. */
  async sendBatch(batch: readonly types.Message[]): Promise<(types.Sent | NexTalkError)[]> {
    const ids = batch.map(({ id }) => id ?? randomUUID());
    const messages = batch.map((message, i) => messageFields(message, ids[i] ?? ''));
    const answer = await perform(this.#transport, {
      method: 'POST',
      path: '/v5/messages/batch',
      parameters: [],
      json: { domain: this.domain, messages },
      repeatable: !ids.includes(''),
    });
    return resultsOf(answer, ids);
  }

  /** Tells somebody or a room (`gid:…`) what `who` is doing: `typing`, `paused`, `read {id}`. */
  async status(who: types.Who, to: types.Id, show: string, more: { nick?: string } = {}): Promise<void> {
    await this.#post('/v5/statuses', { ...who, to: joined(to), show, ...more });
  }

  /** The show of those who are online and visible. */
  async presences(ids: readonly types.Id[]): Promise<Map<string, string>> {
    return this.#presences(ids, {}, shows);
  }

  /** The same with nick and status. */
  async fullPresences(ids: readonly types.Id[]): Promise<Map<string, types.Presence>> {
    return this.#presences(ids, { full: true }, presencesOf);
  }

  /** Everybody who is online and visible, in no order; `limit` is the size of a page. */
  async *allPresences(more: { limit?: number } = {}): AsyncGenerator<[id: string, show: string]> {
    for (let after: unknown; ; ) {
      const { presences, next } = await this.#get('/v5/presences/all', { after, limit: more.limit });
      yield* shows(presences);
      if (typeof next !== 'string' || next === '') return;
      after = next;
    }
  }

  /** The members of a room that are online and visible. */
  async members(room: types.Id, who?: types.Who): Promise<Map<string, string>> {
    return shows(await this.#get(roomPath(room, 'members'), { ...who }));
  }

  /** The same with nick and status. */
  async fullMembers(room: types.Id, who?: types.Who): Promise<Map<string, types.Presence>> {
    return presencesOf(await this.#get(roomPath(room, 'members'), { ...who, full: true }));
  }

  async join(room: types.Id, who: types.Who, more: { nick?: string } = {}): Promise<void> {
    await this.#post(roomPath(room, 'join'), { ...who, ...more });
  }

  async leave(room: types.Id, who: types.Who, more: { nick?: string } = {}): Promise<void> {
    await this.#post(roomPath(room, 'leave'), { ...who, ...more });
  }

  /** The conversation of `name` with somebody or with a room (`gid:…`). */
  async history(name: types.Id, other: types.Id, range: types.Range = {}): Promise<types.History> {
    return historyOf(await this.#get('/v5/history', { name, with: other, ...range }));
  }

  /** The conversations of `name`, the newest first; `before` is the `next` of a page. */
  async conversations(name: types.Id, range: Omit<types.Range, 'after'> = {}): Promise<types.Conversations> {
    return conversationsOf(await this.#get('/v5/history', { name, ...range }));
  }

  /** Forgets the conversations of `name`, that with one other, or one message. */
  async forget(name: types.Id, what: { with?: types.Id; id?: string } = {}): Promise<void> {
    const fields = { domain: this.domain, name, ...what };
    await perform(this.#transport, {
      method: 'DELETE',
      path: '/v5/history',
      parameters: parameters(fields),
      repeatable: true,
    });
  }

  /** Whether the server signed this body: `signature` is the header `X-NexTalk-Signature`, the body as it came, unparsed. */
  verifyWebhook(body: string | Uint8Array, signature: string | null | undefined): boolean {
    return isSigned(body, signature, this.#webhookKeys);
  }

  async #presences<T>(
    ids: readonly types.Id[],
    more: Fields,
    read: (answer: Answer) => Map<string, T>,
  ): Promise<Map<string, T>> {
    const found = new Map<string, T>();
    for (const part of parts(ids)) {
      const answer = await this.#get('/v5/presences', { ids: joined(part), ...more });
      for (const [id, one] of read(answer)) found.set(id, one);
    }
    return found;
  }

  #get(path: string, fields: Fields): Promise<Answer> {
    const all = parameters({ domain: this.domain, ...fields });
    return perform(this.#transport, { method: 'GET', path, parameters: all, repeatable: true });
  }

  #post(path: string, fields: Fields, how: { repeatable?: boolean; ends?: boolean } = {}): Promise<Answer> {
    const all = parameters({ domain: this.domain, ...fields });
    return perform(this.#transport, { method: 'POST', path, parameters: all, repeatable: true, ...how });
  }
}
