/** What the browser library has of a browser, in the test's hands: sockets, requests, time, storage, the page's signals. */
import { Chat, type Options } from '../../client/src/chat.js';
import type { Platform, Signals } from '../../client/src/engine.js';
import type { Socket } from '../../client/src/http.js';
import type { Kind } from '../../client/src/wire.js';
import { HandClock } from './client.js';

export class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: ((event: { readonly code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly sent: string[] = [];
  isClosed = false;

  constructor(readonly url: string) {}

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.isClosed = true;
  }

  open(): void {
    this.onopen?.();
  }

  say(json: unknown): void {
    this.onmessage?.({ data: typeof json === 'string' ? json : JSON.stringify(json) });
  }

  end(code: number): void {
    this.onclose?.({ code });
  }

  /** The calls that were sent over it. */
  get calls(): Record<string, unknown>[] {
    return this.sent.filter((text) => text.startsWith('{')).map((text) => JSON.parse(text));
  }
}

export interface Asked {
  readonly url: string;
  readonly body: string;
  readonly signal: AbortSignal | null;
  answer(status: number, body: unknown, headers?: Record<string, string>): void;
  fail(): void;
}

/** A token as a site makes it; nobody here checks its signature. */
export function token(claims: Record<string, unknown>, clock: HandClock): string {
  const all = { aud: 'a.example', exp: clock.now() / 1000 + 3600, ...claims };
  return `e30.${Buffer.from(JSON.stringify(all)).toString('base64url')}.c2ln`;
}

/** Lets everything that follows from what has happened happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class FakePlatform implements Platform {
  readonly clock = new HandClock();
  readonly sockets: FakeSocket[] = [];
  readonly asked: Asked[] = [];
  readonly stored = new Map<string, string>();
  readonly beacons: { url: string; text: string }[] = [];
  readonly reported: unknown[] = [];
  signals: Signals | null = null;
  hidden = false;
  #ids = 0;

  readonly fetch: typeof fetch = (input, init) =>
    new Promise((resolve, reject) => {
      const signal = init?.signal ?? null;
      signal?.addEventListener('abort', () => reject(new Error('aborted')));
      this.asked.push({
        url: String(input),
        body: String(init?.body ?? ''),
        signal,
        answer: (status, body, headers = {}) => {
          const isStream = body instanceof ReadableStream;
          resolve(
            new Response(isStream || typeof body === 'string' ? body : JSON.stringify(body), { status, headers }),
          );
        },
        fail: () => reject(new TypeError('Failed to fetch')),
      });
    });

  readonly socket = (url: string): Socket => {
    const socket = new FakeSocket(url);
    this.sockets.push(socket);
    return socket;
  };

  readonly storage = {
    get: (key: string): string | null => this.stored.get(key) ?? null,
    set: (key: string, text: string | null): void => {
      if (text === null) this.stored.delete(key);
      else this.stored.set(key, text);
    },
  };

  beacon(url: string, text: string): boolean {
    this.beacons.push({ url, text });
    return true;
  }

  watch(signals: Signals): () => void {
    this.signals = signals;
    return () => {
      this.signals = null;
    };
  }

  isHidden(): boolean {
    return this.hidden;
  }

  report = (error: unknown): void => void this.reported.push(error);

  uuid(): string {
    this.#ids += 1;
    return `id-${this.#ids}`;
  }

  get lastSocket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  /** The latest request whose URL holds `part`. */
  request(part: string): Asked {
    const asked = this.asked.findLast(({ url }) => url.includes(part));
    if (!asked) throw new Error(`nothing was asked of ${part}`);
    return asked;
  }
}

export interface Heard {
  readonly messages: string[];
  readonly states: string[];
  readonly missed: unknown[];
}

/** A chat in a fake browser, and what it tells. */
export class Visit {
  readonly chat: Chat;
  readonly heard: Heard = { messages: [], states: [], missed: [] };

  constructor(
    readonly platform: FakePlatform,
    options: Partial<Options> = {},
  ) {
    const all: Options = { token: () => token({ sub: 'jack', rooms: ['lobby'] }, platform.clock), ...options };
    const transports: readonly Kind[] = all.transports ?? ['websocket', 'events', 'poll'];
    const settings = { visible: true, leaveOnClose: false, ...all, server: 'https://im.example', transports };
    this.chat = new Chat(all, platform, settings);
    this.chat.on('message', ({ from, body }) => this.heard.messages.push(`${from}: ${body}`));
    this.chat.on('state', ({ state, transport, reason, fresh }) =>
      this.heard.states.push([state, transport ?? reason, fresh ? 'fresh' : ''].filter(Boolean).join(' ')),
    );
    this.chat.on('missed', (missed) => this.heard.missed.push(missed));
  }

  /** The server gives a ticket. */
  async come(ticket = 'uid:jack:0df3', presences: object = {}): Promise<void> {
    await settle();
    this.platform.request('/v5/presences/online').answer(200, { success: true, ticket, presences });
    await settle();
  }

  /** The server takes the socket. */
  async take(position = '7.0'): Promise<FakeSocket> {
    const socket = this.platform.lastSocket;
    socket.open();
    socket.say({ status: 'ok', position });
    await settle();
    return socket;
  }

  /** Online over a socket, with whatever that made the library ask answered `forbidden`. */
  async online(): Promise<FakeSocket> {
    await this.come();
    const socket = await this.take();
    await this.refuse(socket);
    return socket;
  }

  /** Answers each call that waits as a domain without `clientCalls` does. */
  async refuse(socket: FakeSocket): Promise<void> {
    for (const { ref } of socket.calls) socket.say({ reply: ref, status: 'error', message: 'forbidden' });
    socket.sent.length = 0;
    await settle();
  }
}
