/** What stands between a page and the server: a relay that may go silent, cut, or refuse. */
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { Cleaner } from './server.js';

export interface Refusal {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export class Relay {
  /** True: the relay takes connections and carries nothing, as a link that has lost its far end. */
  isSilent = false;
  /** What a request is answered with in the place of the server's answer; null: the server answers. */
  refuse: (path: string, body: string) => Refusal | null | Promise<Refusal | null> = () => null;
  /** True: the relay ends each WebSocket at its handshake, as proxies do that do not know WebSockets. */
  blocksSockets = false;
  /** How often the server has sent something over a WebSocket. */
  heard = 0;
  readonly #pairs = new Set<net.Socket>();

  private constructor(
    readonly url: string,
    private readonly target: () => number,
  ) {}

  static async start(t: Cleaner, target: () => number): Promise<Relay> {
    const server = http.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const relay = new Relay(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, target);
    server.on('request', (req, res) => void relay.#request(req, res).catch(() => res.destroy()));
    server.on('upgrade', (req, socket: net.Socket, head) => relay.#upgrade(req, socket, head));
    t.teardown(() => {
      relay.cut();
      server.closeAllConnections();
      server.close();
    });
    return relay;
  }

  /** Ends all WebSockets that the relay carries. */
  cut(): void {
    for (const socket of this.#pairs) socket.destroy();
  }

  async #request(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of req) pieces.push(piece as Buffer);
    if (this.isSilent) return;
    const body = Buffer.concat(pieces);
    const refusal = await this.refuse(req.url ?? '', body.toString());
    if (refusal) {
      const headers = {
        'access-control-allow-origin': '*',
        'access-control-expose-headers': 'Retry-After',
        ...refusal.headers,
      };
      res.writeHead(refusal.status, headers).end(JSON.stringify(refusal.body ?? {}));
      return;
    }
    const { method, url: path, headers } = req;
    const onward = http.request({ host: '127.0.0.1', port: this.target(), method, path, headers, agent: false });
    onward.on('response', (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    onward.on('error', () => res.destroy());
    res.on('close', () => onward.destroy());
    onward.end(body);
  }

  #upgrade(req: http.IncomingMessage, socket: net.Socket, head: Buffer): void {
    if (this.blocksSockets) {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    if (this.isSilent) {
      this.#pairs.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#pairs.delete(socket));
      return;
    }
    const onward = net.connect(this.target(), '127.0.0.1');
    const lines = [`GET ${req.url} HTTP/1.1`];
    for (let i = 0; i < req.rawHeaders.length; i += 2) lines.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}`);
    onward.write(`${lines.join('\r\n')}\r\n\r\n`);
    onward.write(head);
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#pairs.add(from);
      from.on('data', (data) => {
        if (from === onward) this.heard += 1;
        if (!this.isSilent) to.write(data);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#pairs.delete(from);
        to.destroy();
      });
    }
  }
}
