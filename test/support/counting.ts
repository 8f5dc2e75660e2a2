/** Clients that keep a position, PROTOCOL.md section 12, over each transport: they count what they are told. */
import http from 'node:http';
import { WebSocket } from 'ws';
import { HANG_MS } from './hang.js';
import { siteA } from './server.js';

export interface Frame {
  readonly status: string;
  readonly position?: string;
  readonly missed?: number | true;
  readonly lost?: number;
  readonly replaced?: true;
  readonly messages?: readonly { readonly body: string; readonly id: string }[];
  readonly presences?: readonly object[];
  readonly statuses?: readonly object[];
}

/** What one client has had, over all of its connections. */
export abstract class CountingClient {
  position = '0';
  readonly bodies: string[] = [];
  readonly ids: string[] = [];
  readonly frames: Frame[] = [];
  missed = 0;
  lost = 0;
  /** Called when a connection has failed, or is refused, and the client does not come again by itself; null: nobody is. */
  onEnd: (() => void) | null = null;
  /** Called with each frame; null: nobody is. */
  onFrame: ((frame: Frame) => void) | null = null;
  #waiting: (() => void)[] = [];

  constructor(
    public port: number,
    readonly ticket: string,
    readonly domain: string = siteA.domain,
  ) {}

  /** Opens a connection that goes on from the position. */
  abstract connect(): Promise<void>;
  abstract disconnect(): void;

  close(): void {
    this.disconnect();
  }

  /** Waits until the client has had so many messages. */
  async has(count: number): Promise<void> {
    await this.until(() => this.bodies.length >= count, `${count} messages`);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${what}: ${JSON.stringify(this.frames)}`)), HANG_MS);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  protected take(frame: Frame): void {
    this.frames.push(frame);
    if (frame.position !== undefined) this.position = frame.position;
    const messages = frame.messages ?? [];
    for (const { body, id } of messages) {
      this.bodies.push(body);
      this.ids.push(id);
    }
    const missed = typeof frame.missed === 'number' ? frame.missed : 0;
    this.missed += missed;
    this.lost += frame.lost ?? 0;
    const dot = this.position.lastIndexOf('.');
    const packets = messages.length + (frame.presences?.length ?? 0) + (frame.statuses?.length ?? 0);
    if (dot >= 0) {
      this.position = `${this.position.slice(0, dot)}.${Number(this.position.slice(dot + 1)) + packets + missed}`;
    }
    this.onFrame?.(frame);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

export class CountingSocket extends CountingClient {
  readonly texts: string[] = [];
  pings: string[] = [];
  socket: WebSocket | null = null;

  async connect(): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/v5/wsocket`);
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('ping', (data) => this.pings.push(data.toString()));
    const answered = new Promise<void>((resolve, reject) => {
      socket.on('close', (code) => {
        reject(new Error(`closed with ${code}`));
        if (this.socket === socket) this.onEnd?.();
      });
      socket.on('message', (data) => {
        if (this.socket !== socket) return;
        const text = data.toString();
        this.texts.push(text);
        if (text.startsWith('{')) this.take(JSON.parse(text) as Frame);
        else this.take({ status: text });
        resolve();
      });
    });
    answered.catch(() => undefined);
    socket.on('open', () => socket.send(`resume ${this.domain} ${this.position} ${this.ticket}`));
    await answered;
  }

  disconnect(): void {
    this.socket?.terminate();
    this.socket = null;
  }

  say(word: 'ping' | 'received'): void {
    this.socket?.send(`${word} ${this.position}`);
  }
}

/** A client that polls again and again. */
export class CountingPoll extends CountingClient {
  /** It polls no more, and so confirms nothing, once it has had a message. */
  hasEnough = false;
  #request: http.ClientRequest | null = null;

  connect(): Promise<void> {
    return new Promise((resolve) => this.#poll(resolve));
  }

  disconnect(): void {
    const request = this.#request;
    this.#request = null;
    request?.destroy();
  }

  #poll(sent: () => void = () => undefined): void {
    const query = new URLSearchParams({ domain: this.domain, ticket: this.ticket, position: this.position });
    const request = http.get({ port: this.port, path: `/v5/packets?${query}`, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('error', () => undefined);
      response.on('end', () => {
        if (this.#request !== request || !response.complete) return;
        if (response.statusCode !== 200 && this.onEnd) return this.onEnd();
        this.take(JSON.parse(text) as Frame);
        const isOver = this.hasEnough && this.bodies.length > 0;
        if (response.statusCode === 200 && !isOver) this.#poll();
      });
    });
    this.#request = request;
    request.on('error', () => {
      if (this.#request === request) this.onEnd?.();
    });
    request.on('finish', sent);
  }
}

/** A stream of server-sent events, read as a browser's EventSource does; the client opens a new one by itself when the server ends it. */
export class CountingStream extends CountingClient {
  readonly events: string[] = [];
  readonly retries: number[] = [];
  status = 0;
  headers: http.IncomingHttpHeaders = {};
  opened = 0;
  #request: http.ClientRequest | null = null;
  #id = '';

  connect(): Promise<void> {
    return new Promise((resolve) => this.#open(resolve));
  }

  disconnect(): void {
    const request = this.#request;
    this.#request = null;
    request?.destroy();
  }

  #open(opened: () => void = () => undefined): void {
    const query = new URLSearchParams({ domain: this.domain, ticket: this.ticket });
    const headers = this.#id === '' ? {} : { 'Last-Event-ID': this.#id };
    const options = { port: this.port, path: `/v5/events?${query}`, agent: false, headers };
    const request = http.get(options, (response) => {
      this.status = response.statusCode ?? 0;
      this.headers = response.headers;
      this.opened += 1;
      opened();
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        if (this.#request !== request) return;
        text += part;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          this.#event(text.slice(0, end));
          text = text.slice(end + 2);
        }
      });
      response.on('error', () => undefined);
      response.on('close', () => {
        if (this.#request === request && !response.complete) this.onEnd?.();
      });
      response.on('end', () => {
        const last = this.retries.at(-1) ?? 0;
        if (this.#request === request && this.onEnd) return this.onEnd();
        if (this.#request === request && response.complete && last < 60_000 && this.status === 200) this.#open();
      });
    });
    this.#request = request;
    request.on('error', () => {
      if (this.#request === request) this.onEnd?.();
    });
  }

  #event(text: string): void {
    const fields = new Map(
      text.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const),
    );
    const wait = fields.get('retry');
    if (wait !== undefined) this.retries.push(Number(wait));
    const name = fields.get('event');
    if (name !== undefined) {
      this.events.push(name);
      return this.take({ status: name });
    }
    const data = fields.get('data');
    if (data === undefined) return;
    this.#id = fields.get('id') ?? this.#id;
    this.take(JSON.parse(data) as Frame);
    if (this.position !== this.#id) throw new Error(`counted ${this.position}, and the event's id is ${this.#id}`);
  }
}
