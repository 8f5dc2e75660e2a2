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

/** How a client makes its connection. */
export type OpenWire = (options: WireOptions) => Promise<Wire>;

export class Wire {
  readonly splitter: Splitter;
  /** The server ended the connection, or it broke. */
  onClose: (() => void) | undefined;
  #socket: Socket | undefined;
  /** Whether the connection is over, and whether its owner knows. */
  #isOver = false;
  #ended = false;
  #isSilent = false;

  private constructor(options: WireOptions) {
    this.splitter = new Splitter(options.unitEnd, options.onUnit);
  }

  static open(options: WireOptions): Promise<Wire> {
    return new Promise((resolve, reject) => Wire.begin(options, resolve, reject));
  }

  /** Opens a connection without a promise, for those who open very many: calls either `opened` or `failed`. */
  static begin(options: WireOptions, opened: (wire: Wire) => void, failed: (error: Error) => void): void {
    const wire = new Wire(options);
    const { onRead } = options;
    const take = (length: number, bytes: Uint8Array): boolean => {
      if (wire.#isSilent) return true;
      wire.splitter.feed(bytes as Buffer, length);
      onRead?.();
      return true;
    };
    const socket = secure ? wireTls(options.port, take) : wireTcp(options.port, options.host ?? loopback, take);
    let isOpen = false;
    wire.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      if (!isOpen) failed(error);
    });
    socket.once('close', () => {
      wire.#isOver = true;
      if (!wire.#isSilent) wire.#tellEnd();
    });
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      isOpen = true;
      opened(wire);
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  write(bytes: Buffer): void {
    if (!this.#isSilent) this.#socket?.write(bytes);
  }

  close(): void {
    this.#ended = true;
    this.#socket?.destroy();
  }

  /** The network carries nothing any more, and this end hears of nothing, not even that the server has ended the connection. */
  silence(): void {
    this.#isSilent = true;
  }

  /** The network breaks the connection, and both ends hear of that. */
  cut(): void {
    this.#isSilent = false;
    this.#socket?.destroy();
    if (this.#isOver) this.#tellEnd();
  }

  #tellEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onClose?.();
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
