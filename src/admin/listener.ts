/**
 * The admin port's listener. Bounded: beyond so many connections the one that has asked nothing for longest is closed
 * for the new one, so that nobody keeps others out by connecting; where all of them are being answered, the new one is.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { AdminMetrics } from '../metrics.js';

export interface Limits {
  readonly connections: number;
  /** How long a request may take to arrive. */
  readonly requestMs: number;
  /** How long a connection may stay on which nothing moves, such as one whose answer is not read. */
  readonly stillMs: number;
}

const LIMITS: Limits = { connections: 256, requestMs: 30_000, stillMs: 60_000 };

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** Keeps a server's connections within the bound, and counts them. */
class Connections {
  readonly #open = new Set<Socket>();
  /** Connections on which no request is being answered, the one that has been still for longest first. */
  readonly #idle = new Set<Socket>();

  constructor(
    server: Server,
    private readonly metrics: AdminMetrics,
    private readonly most: number,
  ) {
    server.on('connection', (socket: Socket) => this.#opened(socket));
    server.on('request', ({ socket, method }, response) => {
      // A body may take time to arrive: until then its connection counts as one that has not asked yet.
      if (method !== 'GET' && method !== 'HEAD') return;
      this.#idle.delete(socket);
      response.once('close', () => {
        if (!socket.destroyed) this.#idle.add(socket);
      });
    });
  }

  #opened(socket: Socket): void {
    if (this.metrics.connections >= this.most) {
      this.metrics.dropped += 1;
      const [stillest] = this.#idle;
      if (!stillest) {
        socket.destroy();
        return;
      }
      this.#closed(stillest);
      stillest.destroy();
    }
    this.metrics.connections += 1;
    this.#open.add(socket);
    this.#idle.add(socket);
    socket.once('close', () => this.#closed(socket));
  }

  #closed(socket: Socket): void {
    if (!this.#open.delete(socket)) return;
    this.#idle.delete(socket);
    this.metrics.connections -= 1;
  }
}

/** Rejects with the system's `code` and the `address` where the port cannot be had. */
export async function listen(
  host: string,
  port: number,
  metrics: AdminMetrics,
  respond: RequestListener,
  { connections, requestMs, stillMs }: Limits = LIMITS,
): Promise<Listener> {
  const server = createServer({ requestTimeout: requestMs, connectionsCheckingInterval: requestMs }, respond);
  server.setTimeout(stillMs);
  new Connections(server, metrics, connections);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(Object.assign(error, { address: `${host}:${port}` })));
    // Without `exclusive` a worker's parent would listen in its place (node:cluster).
    server.listen({ host, port: Math.max(port, 0), exclusive: true }, resolve);
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { port: (server.address() as AddressInfo).port, close };
}
