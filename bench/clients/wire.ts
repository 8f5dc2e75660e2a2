/** A TCP connection of the load generator: reads into one buffer that all of them share, and cuts it into units. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type OnUnit, Splitter, type UnitEnd } from '../scan.js';

/** One process runs one scenario: all its connections are secure, or none. */
let secure = false;

/** Makes every connection from now on a TLS one. The server's certificate is its own and not checked. */
export function useTls(): void {
  secure = true;
}

const shared = Buffer.allocUnsafe(256 * 1024);

export interface WireOptions {
  readonly port: number;
  /** The server's address, 127.0.0.1 without: towards each one a client machine has 28,000 ports. */
  readonly host?: string | undefined;
  readonly unitEnd: UnitEnd;
  readonly onUnit: OnUnit;
  /** Called once after all units of one read. */
  readonly onRead?: (() => void) | undefined;
}

export class Wire {
  readonly splitter: Splitter;
  /** The server ended the connection, or it broke. */
  onClose: (() => void) | undefined;
  #socket: Socket | undefined;
  #ended = false;

  private constructor(options: WireOptions) {
    this.splitter = new Splitter(options.unitEnd, options.onUnit);
  }

  static open(options: WireOptions): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const wire = new Wire(options);
      const { onRead } = options;
      const take = (length: number, bytes: Uint8Array): boolean => {
        wire.splitter.feed(bytes as Buffer, length);
        onRead?.();
        return true;
      };
      const socket = secure ? wireTls(options.port, take) : wireTcp(options.port, options.host ?? loopback, take);
      wire.#socket = socket;
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('close', () => {
        if (!wire.#ended) wire.onClose?.();
      });
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        socket.off('error', reject);
        socket.on('error', () => {});
        resolve(wire);
      });
    });
  }

  write(bytes: Buffer): void {
    this.#socket?.write(bytes);
  }

  close(): void {
    this.#ended = true;
    this.#socket?.destroy();
  }
}

type Take = (length: number, bytes: Uint8Array) => boolean;

const loopback = '127.0.0.1';

function wireTcp(port: number, host: string, callback: Take): Socket {
  return connect({ port, host, onread: { buffer: shared, callback } });
}

function wireTls(port: number, take: Take): Socket {
  const socket = connectTls({ port, host: loopback, rejectUnauthorized: false });
  socket.on('data', (bytes) => take(bytes.length, bytes));
  return socket;
}

/** Does `work` for 0 … count-1, at most `width` at a time. */
export async function each(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}
