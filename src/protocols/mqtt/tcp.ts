/** MQTT over TCP and TLS. */
import net from 'node:net';
import tls from 'node:tls';
import { Timeouts } from '../../clock.js';
import { Connection } from './connection.js';
import type { MqttHost } from './host.js';
import type { Wire } from './wire.js';

/** What is written together is copied together up to this; larger chunks go out as they are. */
const GATHER_BYTES = 64 * 1024;
/** How long a connection that the server has ended is read from, for its client to see the end. */
const LINGER_MS = 5000;
/** Before a silent peer is asked whether it is still there: a client without keep alive may have vanished. */
const PROBE_MS = 60_000;
const HANDSHAKE_MS = 10_000;

class TcpWire implements Wire {
  readonly kind = 'mqtt';
  readonly origin = '';

  constructor(
    private readonly socket: net.Socket,
    private readonly lingering: Timeouts<net.Socket>,
  ) {}

  get buffered(): number {
    return this.socket.writableLength;
  }

  write(chunks: readonly Buffer[]): void {
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) return;
    const [first] = chunks;
    if (chunks.length === 1 && first) {
      socket.write(first);
      return;
    }
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    if (bytes <= GATHER_BYTES) {
      socket.write(Buffer.concat(chunks, bytes));
      return;
    }
    socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    socket.uncork();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    const { socket } = this;
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    this.lingering.start(socket);
  }
}

export interface TcpListener {
  readonly port: number;
  /** Takes no further connections. */
  stop(): void;
  close(): Promise<void>;
}

/** Connections of one network address, over TCP and TLS together. */
export class AddressCounts {
  readonly #counts = new Map<string, number>();

  /** False where the address has as many as it may; 0 is no limit. */
  add(address: string, limit: number): boolean {
    const count = this.#counts.get(address) ?? 0;
    if (limit > 0 && count >= limit) return false;
    this.#counts.set(address, count + 1);
    return true;
  }

  remove(address: string): void {
    const count = this.#counts.get(address) ?? 0;
    if (count > 1) this.#counts.set(address, count - 1);
    else this.#counts.delete(address);
  }
}

function accept(host: MqttHost, counts: AddressCounts, lingering: Timeouts<net.Socket>, socket: net.Socket): void {
  const { metrics } = host.context.runtime;
  const address = socket.remoteAddress ?? '';
  // A connection may be reset at any time; `close` follows.
  socket.on('error', () => undefined);
  if (host.context.isDraining() || !counts.add(address, host.context.config().limits.connectionsPerAddress)) {
    metrics.refused[host.context.isDraining() ? 'unavailable' : 'tooManyConnections'] += 1;
    socket.destroy();
    return;
  }
  metrics.connections.mqtt += 1;
  const connection = new Connection(host, new TcpWire(socket, lingering));
  socket.on('data', (chunk: Buffer) => connection.receive(chunk));
  socket.on('drain', () => connection.drained());
  socket.on('end', () => connection.lost());
  socket.on('close', () => {
    lingering.cancel(socket);
    metrics.connections.mqtt -= 1;
    counts.remove(address);
    connection.lost();
  });
}

/** Listens; `port` -1 is any free one. Rejects where it cannot. */
export async function listenTcp(
  host: MqttHost,
  counts: AddressCounts,
  address: string,
  port: number,
  secure: tls.TlsOptions | null,
): Promise<TcpListener> {
  const sockets = new Set<net.Socket>();
  const track = (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  };
  const lingering = new Timeouts<net.Socket>(host.context.runtime.clock, LINGER_MS, (socket) => socket.destroy());
  const onSocket = (socket: net.Socket) => accept(host, counts, lingering, socket);
  // Half open: what was to be said to a client that has ended its side is still said.
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBE_MS };
  const server = secure
    ? tls.createServer({ ...options, ...secure, handshakeTimeout: HANDSHAKE_MS }, onSocket)
    : net.createServer(options, onSocket);
  // Of TLS too this is the bare connection, whose handshake may never end.
  server.on('connection', track);
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Math.max(port, 0), address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : port,
    stop: () => void server.close(),
    async close() {
      lingering.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
