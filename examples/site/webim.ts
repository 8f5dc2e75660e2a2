/**
 * The message server as the site's backend sees it: the REST calls, with HTTP Basic. The API key stays in here.
 */

export interface WebimOptions {
  /** Where the message server is, for example `http://127.0.0.1:8080`. */
  server: string;
  domain: string;
  apikey: string;
}

/** What ONLINE answers, as far as the page needs it. */
export interface Online {
  ticket: string;
  jsonp: string;
  websocket: string;
  /** The buddies that are online and visible: short id → show. */
  presences: Map<string, string>;
}

/** The message server refused a call (`status` is its HTTP status) or could not be reached (`status` is 502). */
export class WebimError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  get ticketNotFound(): boolean {
    return this.status === 404 && this.message === 'ticket not found';
  }
}

const ANSWER_WITHIN_MS = 8000;

type Fields = Record<string, string>;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function texts(value: unknown): Map<string, string> {
  const found = new Map<string, string>();
  if (!isRecord(value)) return found;
  for (const [id, show] of Object.entries(value)) if (typeof show === 'string') found.set(id, show);
  return found;
}

function text(answer: Record<string, unknown>, field: string): string {
  const value = answer[field];
  if (typeof value !== 'string') throw new WebimError(502, `The message server sent no ${field}.`);
  return value;
}

/** The REST API of one domain on one message server. */
export class Webim {
  readonly domain: string;
  readonly #base: string;
  readonly #authorization: string;

  constructor({ server, domain, apikey }: WebimOptions) {
    this.domain = domain;
    this.#base = `${server.replace(/\/+$/, '')}/v5`;
    this.#authorization = `Basic ${Buffer.from(`${domain}:${apikey}`).toString('base64')}`;
  }

  /** ONLINE: one more client of `name`. The answer's ticket is that client's. */
  async online(fields: {
    name: string;
    nick: string;
    show: string;
    status: string;
    buddies: string;
    rooms: string;
  }): Promise<Online> {
    const answer = await this.#post('/presences/online', fields);
    return {
      ticket: text(answer, 'ticket'),
      jsonp: text(answer, 'jsonp'),
      websocket: text(answer, 'websocket'),
      presences: texts(answer.presences),
    };
  }

  async offline(ticket: string): Promise<void> {
    await this.#post('/presences/offline', { ticket });
  }

  async show(fields: { ticket: string; show: string; status: string; nick: string }): Promise<void> {
    await this.#post('/presences/show', fields);
  }

  /** MESSAGES with a ticket, PUSH with `from`. */
  async message(fields: Fields): Promise<void> {
    await this.#post('/messages', fields);
  }

  /** STATUSES: what somebody is doing right now, such as typing. */
  async status(fields: { ticket: string; to: string; show: string; nick: string }): Promise<void> {
    await this.#post('/statuses', fields);
  }

  async join(room: string, ticket: string, nick: string): Promise<void> {
    await this.#post(`/rooms/${encodeURIComponent(room)}/join`, { ticket, nick });
  }

  async leave(room: string, ticket: string, nick: string): Promise<void> {
    await this.#post(`/rooms/${encodeURIComponent(room)}/leave`, { ticket, nick });
  }

  /** MEMBERS: who is in the room, online and visible: short id → show. */
  async members(room: string, ticket: string): Promise<Map<string, string>> {
    const query = new URLSearchParams({ domain: this.domain, ticket });
    return texts(await this.#call(`/rooms/${encodeURIComponent(room)}/members?${query}`, {}));
  }

  #post(path: string, fields: Fields): Promise<Record<string, unknown>> {
    const body = new URLSearchParams({ domain: this.domain, ...fields });
    return this.#call(path, { method: 'POST', body });
  }

  async #call(path: string, init: RequestInit): Promise<Record<string, unknown>> {
    let status: number;
    let answer: unknown;
    try {
      const response = await fetch(this.#base + path, {
        ...init,
        headers: { authorization: this.#authorization },
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      status = response.status;
      answer = await response.json();
    } catch {
      throw new WebimError(502, 'The message server cannot be reached.');
    }
    if (!isRecord(answer)) throw new WebimError(502, 'The message server sent no object.');
    if (status === 200) return answer;
    const detail = typeof answer.detail === 'string' ? answer.detail : answer.message;
    throw new WebimError(status, typeof detail === 'string' ? detail : `The message server answered ${status}.`);
  }
}
