/**
 * TCP sockets that are all read into one buffer. By itself node:net reads into 64 KiB that it makes for each read and cuts down to what
 * came, and passes that through a stream, which looks once more, a tick later, whether it wants to read on.
 */
import net from 'node:net';

/** How many bytes one read of a socket brings at most. */
const READ_BYTES = 64 * 1024;

const buffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** A socket with its handle, which node:net does not document. */
interface Handled extends net.Socket {
  _handle?: object | null;
}

interface HandleOptions extends net.SocketConstructorOpts, net.ConnectOpts {
  readonly handle: object;
}

/** Gets what has been read: the first `end` bytes, which the next read of any socket overwrites. */
export type OnRead = (bytes: Buffer, end: number) => void;

/**
 * Takes the place of a socket that a server has accepted with `pauseOnConnect`, which must not be used afterwards: node:net takes the
 * buffer where a socket is made, and a server has no option for it. Where node:net has no handle to give, it is the socket itself.
 */
export function withSharedReads(accepted: net.Socket, onRead: OnRead): net.Socket {
  const { _handle: handle } = accepted as Handled;
  if (!handle) return accepted.on('data', (chunk) => onRead(chunk, chunk.length)).resume();
  (accepted as Handled)._handle = null;
  accepted.destroy();
  const callback = (end: number): true => {
    onRead(buffer, end);
    return true;
  };
  const options: HandleOptions = { handle, allowHalfOpen: true, onread: { buffer, callback } };
  return new net.Socket(options);
}
