import { WebSocket } from 'ws';
import { HANG_MS } from './hang.js';
import { Inbox, isFrame, type Packet, packetsOf } from './packets.js';
import { siteA, type TestServer } from './server.js';
import type { ChatClient } from './transports.js';

export interface SocketOptions {
  readonly domain?: string | undefined;
  readonly path?: string;
  readonly origin?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A WebSocket client that keeps what it was told: texts in order, packets, and how it ended. */
export class WebSocketClient implements ChatClient {
  readonly socket: WebSocket;
  readonly ended: Promise<string>;
  /** Code and reason of the close. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #texts: string[] = [];
  readonly #waiting: ((text: string) => void)[] = [];
  readonly #inbox = new Inbox();
  #last = '';

  constructor(server: TestServer, options: SocketOptions = {}) {
    this.socket = new WebSocket(`ws://${server.host}${options.path ?? '/v5/wsocket'}`, {
      origin: options.origin,
      headers: options.headers,
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.ended = this.closed.then(({ code }) => {
      this.#inbox.end(new Error(`the socket is closed with ${code}`));
      return this.#last;
    });
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data) => this.#read(data.toString()));
    server.own(this);
  }

  /** Opens, subscribes and waits for the server's ok. */
  static async connect(server: TestServer, ticket: string, options: SocketOptions = {}): Promise<WebSocketClient> {
    const client = await WebSocketClient.open(server, options);
    client.send(`subscribe ${options.domain ?? siteA.domain} ${ticket}`);
    const first = await client.text().catch((error: Error) => error.message);
    if (first === '{"status":"ok"}') return client;
    client.close();
    throw new Error(`subscribe answered ${first}`);
  }

  static async open(server: TestServer, options: SocketOptions = {}): Promise<WebSocketClient> {
    const client = new WebSocketClient(server, options);
    await new Promise<void>((resolve, reject) => {
      client.socket.once('open', () => resolve());
      client.socket.once('error', reject);
    });
    return client;
  }

  send(data: string | Buffer): void {
    this.socket.send(data);
  }

  /** The next text that is no frame. */
  text(timeoutMs = HANG_MS): Promise<string> {
    const text = this.#texts.shift();
    if (text !== undefined) return Promise.resolve(text);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no text within ${timeoutMs} ms`)), timeoutMs);
      this.#waiting.push((arrived) => {
        clearTimeout(timer);
        resolve(arrived);
      });
    });
  }

  next(timeoutMs?: number): Promise<Packet> {
    return this.#inbox.next(timeoutMs);
  }

  close(): void {
    this.socket.terminate();
  }

  #read(text: string): void {
    const value: unknown = text === 'pong' ? text : JSON.parse(text);
    if (isFrame(value)) {
      this.#packets(value);
      return;
    }
    this.#last = (value as { status: string }).status;
    const waiting = this.#waiting.shift();
    if (waiting) waiting(text);
    else this.#texts.push(text);
  }

  #packets(frame: unknown): void {
    try {
      this.#inbox.put(packetsOf(frame));
    } catch (error) {
      this.#inbox.end(error as Error);
    }
  }
}
