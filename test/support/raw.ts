import net from 'node:net';
import { HANG_MS } from './hang.js';
import type { TestServer } from './server.js';

/** What came back on a socket: a status of 0 means that the server closed the socket without a word. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** A bare TCP connection, for what no HTTP library would send. */
export class RawSocket {
  readonly socket: net.Socket;
  readonly closed: Promise<void>;
  #received = Buffer.alloc(0);
  #look: (() => void) | undefined;
  #over = false;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = net.connect({ port, host });
    this.socket.setNoDelay(true);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#look?.();
    });
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()));
    this.closed.then(() => {
      this.#over = true;
      this.#look?.();
    });
  }

  static async open(server: TestServer): Promise<RawSocket> {
    const raw = new RawSocket(server.port);
    server.own(raw);
    await new Promise((resolve) => raw.socket.once('connect', resolve));
    return raw;
  }

  write(data: string | Buffer): void {
    this.socket.write(data);
  }

  /** All bytes so far, as Latin-1 so that none is lost. */
  get received(): string {
    return this.#received.toString('latin1');
  }

  /** The first whole answer, or what came until the server closed. */
  answer(timeoutMs = HANG_MS): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`neither answer nor close in ${timeoutMs} ms`)), timeoutMs);
      this.#look = () => {
        const whole = this.#whole();
        if (!whole && !this.#over) return;
        clearTimeout(timer);
        resolve(whole ?? { status: this.#status(), text: this.received });
      };
      this.#look();
    });
  }

  close(): void {
    this.socket.destroy();
  }

  #status(): number {
    return Number(/^HTTP\/1\.[01] (\d{3})/.exec(this.received)?.[1] ?? 0);
  }

  #whole(): RawAnswer | undefined {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const head = this.#received.subarray(0, end).toString('latin1');
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const body = this.#received.subarray(end + 4, end + 4 + length);
    return body.length < length ? undefined : { status: this.#status(), text: body.toString('utf8') };
  }
}

/** Sends bytes on a connection of their own; the answer, or the bytes until the close. */
export async function rawRequest(server: TestServer, bytes: string | Buffer): Promise<RawAnswer> {
  const raw = await RawSocket.open(server);
  raw.write(bytes);
  const answer = await raw.answer();
  raw.close();
  return answer;
}

/** A whole request's text, every line as given; the length of the body is added unless a header states one. */
export function requestText(line: string, headers: readonly string[] = [], body = ''): string {
  const stated = headers.some((header) => /^(content-length|transfer-encoding):/i.test(header));
  const length = body && !stated ? [`Content-Length: ${Buffer.byteLength(body)}`] : [];
  return [`${line} HTTP/1.1`, 'Host: im.example', ...headers, ...length, '', body].join('\r\n');
}
