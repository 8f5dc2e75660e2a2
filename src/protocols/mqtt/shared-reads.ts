/**
 * TCP sockets that are all read into one buffer. By itself node:net reads into 64 KiB that it makes for each read and cuts down to what
 * came, and passes that through a stream, which looks once more, a tick later, whether it wants to read on.
 */
import net from 'node:net';

/** Bytes that one read brings at most. */
const READ_BYTES = 64 * 1024;

/** Every read is copied out of it before the next one. */
const buffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** A socket, with the handle that node:net documents for nobody. */
interface Handled extends net.Socket {
  _handle?: object | null;
}

interface HandleOptions extends net.SocketConstructorOpts, net.ConnectOpts {
  readonly handle: object;
}

/**
 * Takes the place of a socket that a server has accepted with `pauseOnConnect`, which must not be used afterwards: node:net takes the
 * buffer where a socket is made, and a server has no option for it. Where node:net has no handle to give, it is the socket itself.
 */
export function withSharedReads(accepted: net.Socket): net.Socket {
  const { _handle: handle } = accepted as Handled;
  if (!handle) return accepted.resume();
  (accepted as Handled)._handle = null;
  accepted.destroy();
  const callback = (length: number): true => {
    socket.emit('data', Buffer.from(buffer.subarray(0, length)));
    return true;
  };
  const options: HandleOptions = { handle, allowHalfOpen: true, onread: { buffer, callback } };
  const socket = new net.Socket(options);
  return socket;
}
