/**
 * Writes to TCP sockets past node:net's stream, which makes a request, callbacks and a tick for each write, and for that touches memory
 * that is in no cache where there are many sockets. Nearly always the kernel takes all bytes at once, so nothing of that is needed.
 */
import type { Socket } from 'node:net';

/** What libuv is given with a write, and keeps where the kernel has not taken all bytes at once. */
interface Request {
  /** Called with a negative status where the bytes cannot be sent. */
  oncomplete?: (status: number) => void;
  /** The bytes, which must not be collected before. */
  buffer?: Buffer;
}

/** A TCP socket's handle, which node:net does not document. */
interface Handle {
  /** Answers 0, or a negative error. */
  writeBuffer(request: Request, bytes: Buffer): number;
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number;
}

/** What node:net itself writes with. */
interface Binding {
  readonly WriteWrap: new () => Request;
  /** What the last write of any socket has come to, by places in the list. */
  readonly streamBaseState: Int32Array;
  /** The place of whether that write's request is in use until it is completed, which is later. */
  readonly kLastWriteWasAsync: number;
}

/** Null: this Node does not give it away. */
function bindingOfStreams(): Binding | null {
  try {
    const { binding } = process as unknown as { binding(name: string): Partial<Binding> };
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = binding('stream_wrap');
    if (!WriteWrap || !streamBaseState || kLastWriteWasAsync === undefined) return null;
    return { WriteWrap, streamBaseState, kLastWriteWasAsync };
  } catch {
    return null;
  }
}

const natives = bindingOfStreams();
/** The request of all writes, until one of them is kept with it. */
let request = natives && new natives.WriteWrap();

export class DirectWrites {
  readonly #handle: Handle | null;
  #waiting = 0;

  /**
   * The socket is no TLS one, and its handle has not been replaced since. `drained`: the network has taken what waited here, and the
   * socket's stream has no more than it takes at once; where it has more, its `drain` event tells of both.
   */
  constructor(
    private readonly socket: Socket,
    private readonly drained: () => void,
  ) {
    const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<Handle> | null };
    const isKnown = typeof handle?.writeBuffer === 'function' && typeof handle.writeQueueSize === 'number';
    this.#handle = isKnown ? (handle as Handle) : null;
  }

  /** Bytes that the network has not taken yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Writes, where nothing waits for the network, neither here nor in the socket's stream. What the network does not take at once goes
   * before all that is written later, by the stream too. False: nothing was written, and the stream is to do it.
   */
  write(bytes: Buffer): boolean {
    const handle = this.#handle;
    if (handle === null || natives === null || request === null || this.#waiting > 0) return false;
    if (handle.writeBuffer(request, bytes) < 0) {
      this.socket.destroy();
      return true;
    }
    if (natives.streamBaseState[natives.kLastWriteWasAsync] !== 0) {
      const kept = request;
      request = new natives.WriteWrap();
      this.#wait(handle.writeQueueSize, bytes, kept);
    }
    return true;
  }

  #wait(bytes: number, buffer: Buffer, kept: Request): void {
    // Where the kernel has taken the rest at libuv's second try none waits, but the request is in use: Node aborts where it is used again.
    this.#waiting = Math.max(bytes, 1);
    kept.buffer = buffer;
    kept.oncomplete = (status) => {
      this.#waiting = 0;
      if (status < 0) this.socket.destroy();
      else if (!this.socket.writableNeedDrain) this.drained();
    };
  }
}
