/** MQTT over TCP and TLS. */
import net from 'node:net';
import tls from 'node:tls';
import type { Certificate } from '../../certificate.js';
import { Timeouts } from '../../clock.js';
import { networkOf } from '../client-address.js';
import { Connection } from './connection.js';
import { DirectWrites } from './direct-writes.js';
import type { MqttHost } from './host.js';
import { withSharedReads } from './shared-reads.js';
import type { Wire } from './wire.js';

/** Bytes up to which chunks that are written together are copied into one; larger chunks go out as they are. */
const GATHER_BYTES = 64 * 1024;
/** Milliseconds that a connection is read from after the server has ended it, for its client to see the end. */
const LINGER_MS = 5000;
/** Milliseconds of silence before TCP asks whether the client is still there: one without keep alive may have vanished. */
const PROBE_MS = 60_000;
/** Milliseconds that a TLS handshake may take; CONNECT has its own time after that. */
const HANDSHAKE_MS = 10_000;

class TcpWire implements Wire {
  readonly kind = 'mqtt';
  readonly origin = '';
  readonly unseenBytes = 0;
  readonly address: string;
  /** Called when the network has taken what waited for it. */
  onDrained: () => void = () => undefined;
  /** Null: the socket encrypts. */
  readonly #direct: DirectWrites | null;
  /** Whether the socket's stream may have bytes: to look there costs more than to remember. */
  #isStreaming = false;
  #isEnded = false;

  constructor(
    private readonly socket: net.Socket,
    private readonly lingering: Timeouts<net.Socket>,
  ) {
    this.address = networkOf(socket.remoteAddress ?? '');
    this.#direct = socket instanceof tls.TLSSocket ? null : new DirectWrites(socket, () => this.onDrained());
    socket.on('drain', () => this.onDrained());
  }

  get buffered(): number {
    const streamed = this.#isStreaming ? this.socket.writableLength : 0;
    this.#isStreaming = streamed > 0;
    return streamed + (this.#direct?.waiting ?? 0);
  }

  write(chunks: readonly Buffer[]): void {
    if (this.#isEnded) return;
    const [first] = chunks;
    if (chunks.length === 1 && first) return this.#write(first);
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    if (bytes <= GATHER_BYTES) return this.#write(Buffer.concat(chunks, bytes));
    this.socket.cork();
    this.#writeInPieces(chunks);
    this.socket.uncork();
  }

  #write(bytes: Buffer): void {
    if (this.buffered === 0 && this.#direct?.write(bytes)) return;
    this.#writeToStream(bytes);
  }

  #writeToStream(bytes: Buffer): void {
    const { socket } = this;
    if (socket.destroyed) return;
    this.#isStreaming = true;
    socket.write(bytes);
  }

  /** Each write costs 10 us: thousands of small chunks are copied together, piece by piece. */
  #writeInPieces(chunks: readonly Buffer[]): void {
    let from = 0;
    let bytes = 0;
    for (const [i, { length }] of chunks.entries()) {
      if (bytes + length > GATHER_BYTES && i > from) {
        this.#writePiece(chunks, from, i);
        from = i;
        bytes = 0;
      }
      bytes += length;
    }
    this.#writePiece(chunks, from, chunks.length);
  }

  #writePiece(chunks: readonly Buffer[], from: number, to: number): void {
    this.#writeToStream(to - from === 1 ? (chunks[from] as Buffer) : Buffer.concat(chunks.slice(from, to)));
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    const { socket } = this;
    this.#isEnded = true;
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    this.lingering.start(socket);
  }

  drop(): void {
    this.#isEnded = true;
    this.socket.destroy();
  }
}

export interface TcpListener {
  readonly port: number;
  /** Takes no further connections. */
  stop(): void;
  /** Connections that begin from now on are served with this certificate; without TLS nothing changes. */
  replaceCertificate(certificate: Certificate): void;
  close(): Promise<void>;
}

/** Begins a connection, which is to be given what is read from the socket. */
function accept(host: MqttHost, lingering: Timeouts<net.Socket>, socket: net.Socket): Connection {
  const { metrics } = host.context.runtime;
  // A connection may be reset at any time; `close` follows, and does what is to be done.
  socket.on('error', () => undefined);
  metrics.opens('mqtt');
  const wire = new TcpWire(socket, lingering);
  const connection = new Connection(host, wire);
  wire.onDrained = () => connection.drained();
  socket.on('end', () => connection.lost());
  socket.on('close', () => {
    lingering.cancel(socket);
    metrics.connections.mqtt -= 1;
    connection.lost();
  });
  return connection;
}

/** Counts a connection under its address before anything is read from it. False where the address has too many. */
function admit({ context }: MqttHost, socket: net.Socket): boolean {
  const { connections, runtime } = context;
  const { metrics } = runtime;
  const address = networkOf(socket.remoteAddress ?? '');
  if (!context.isDraining() && connections.add(address, context.config().limits.connectionsPerAddress)) {
    socket.on('close', () => connections.remove(address));
    return true;
  }
  metrics.refuse(context.isDraining() ? 'unavailable' : 'tooManyConnections', { address });
  socket.destroy();
  return false;
}

function createServer(
  host: MqttHost,
  certificate: Certificate | null,
  /** Called with each connection, also where it is not admitted or its TLS handshake is not over. */
  onConnection: (socket: net.Socket) => void,
  onSocket: (socket: net.Socket) => Connection,
) {
  // Half open: a client that has ended its side still gets its answers.
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBE_MS };
  if (!certificate) {
    return net.createServer({ ...options, pauseOnConnect: true }, (accepted) => {
      let connection: Connection | null = null;
      const socket = withSharedReads(accepted, (bytes, end) => {
        if (connection) host.read(connection, bytes, end);
      });
      onConnection(socket);
      if (admit(host, socket)) connection = onSocket(socket);
    });
  }
  const { cert, key } = certificate;
  const server = tls.createServer({ ...options, cert, key, handshakeTimeout: HANDSHAKE_MS }, (socket) => {
    const connection = onSocket(socket);
    socket.on('data', (chunk) => host.read(connection, chunk, chunk.length));
  });
  server.on('connection', (socket) => {
    onConnection(socket);
    admit(host, socket);
  });
  server.on('tlsClientError', (_error, socket) => {
    host.context.runtime.metrics.refused.handshakeFailed += 1;
    // Node leaves a socket open whose handshake took too long.
    socket.destroy();
  });
  return server;
}

/** Listens; `port` -1 is any free port. Rejects where it cannot listen. */
export async function listenTcp(
  host: MqttHost,
  address: string,
  port: number,
  /** Null: without TLS. */
  certificate: Certificate | null,
): Promise<TcpListener> {
  const sockets = new Set<net.Socket>();
  const lingering = new Timeouts<net.Socket>(host.context.runtime.clock, LINGER_MS, (socket) => socket.destroy());
  const track = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer(host, certificate, track, (socket) => accept(host, lingering, socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(Object.assign(error, { address: `${address}:${port}` })));
    server.listen(Math.max(port, 0), address, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : port,
    stop: () => void server.close(),
    replaceCertificate({ cert, key }) {
      if (server instanceof tls.Server) server.setSecureContext({ cert, key });
    },
    async close() {
      lingering.close();
      const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all(closed);
    },
  };
}
