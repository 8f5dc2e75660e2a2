/** An HTTP keep-alive connection: one request at a time, made of bytes prepared beforehand. No pipelining. */
import { httpAnswerEnd, httpBody, httpStatus } from '../scan.js';
import { each, Wire } from './wire.js';

/** Gets an answer: its status and where its header starts and it ends in the bytes, which must not be kept. */
export type OnAnswer = (status: number, bytes: Buffer, start: number, end: number) => void;

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** The bytes of a GET, or of a POST when there is a body. */
export function httpRequest(path: string, headers: string, body?: string): Buffer {
  const method = body === undefined ? 'GET' : 'POST';
  const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}${length}\r\n${body ?? ''}`);
}

export class HttpClient {
  readonly #waiting: { bytes: Buffer; onAnswer: OnAnswer }[] = [];
  #wire: Wire | undefined;
  #current: OnAnswer | undefined;

  private constructor(
    private readonly port: number,
    private readonly host: string | undefined,
  ) {}

  static async open(port: number, host?: string): Promise<HttpClient> {
    const client = new HttpClient(port, host);
    await client.#connect();
    return client;
  }

  /** Opens the connection, and again where the server has closed it because it was idle. */
  async #connect(): Promise<void> {
    const { port, host } = this;
    const wire = await Wire.open({
      port,
      host,
      unitEnd: httpAnswerEnd,
      onUnit: (bytes, start, end) => this.#answered(bytes, start, end),
    });
    wire.onClose = () => {
      if (this.#current) throw new Error('the server closed a keep-alive connection with a request on it');
      this.#wire = undefined;
      void this.#connect();
    };
    this.#wire = wire;
    this.#next();
  }

  /** Sends the request as soon as the ones before it are answered. */
  request(bytes: Buffer, onAnswer: OnAnswer): void {
    if (this.#current !== undefined || this.#wire === undefined) {
      this.#waiting.push({ bytes, onAnswer });
      return;
    }
    this.#current = onAnswer;
    this.#wire.write(bytes);
  }

  /** The same for set-up work, where convenience counts more than speed. */
  ask(bytes: Buffer): Promise<Answer> {
    return new Promise((resolve) => {
      this.request(bytes, (status, read, start, end) => {
        resolve({ status, body: read.toString('utf8', httpBody(read, start, end), end) });
      });
    });
  }

  close(): void {
    this.#wire?.close();
  }

  #answered(bytes: Buffer, start: number, end: number): void {
    const onAnswer = this.#current;
    this.#current = undefined;
    onAnswer?.(httpStatus(bytes, start), bytes, start, end);
    // The answer may have led to a new request already.
    if (this.#current === undefined) this.#next();
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) this.request(next.bytes, next.onAnswer);
  }
}

/** Several connections, used in turn. */
export class HttpPool {
  readonly #clients: HttpClient[] = [];
  #next = 0;

  static async open(port: number, size: number, host?: string): Promise<HttpPool> {
    const pool = new HttpPool();
    await each(size, 64, async () => {
      pool.#clients.push(await HttpClient.open(port, host));
    });
    return pool;
  }

  next(): HttpClient {
    const client = this.#clients[this.#next % this.#clients.length];
    if (client === undefined) throw new Error('the pool is empty');
    this.#next += 1;
    return client;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
