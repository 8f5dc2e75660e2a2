/** Sockets that a server has accepted and that are read into one buffer. */
import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { withSharedReads } from '../../src/protocols/mqtt/shared-reads.js';
import type { Cleaner } from '../support/server.js';

interface Ends {
  readonly client: net.Socket;
  readonly socket: net.Socket;
  /** What has come to `socket`. */
  readonly chunks: readonly Buffer[];
}

async function listen(t: Cleaner): Promise<{ server: net.Server; ends(): Promise<Ends> }> {
  const accepted: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => accepted.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  return {
    server,
    async ends() {
      const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      await Promise.all([once(client, 'connect'), once(server, 'connection')]);
      const chunks: Buffer[] = [];
      const socket = withSharedReads(accepted.shift() as net.Socket, (bytes, end) => {
        chunks.push(Buffer.from(bytes.subarray(0, end)));
        socket.emit('read');
      });
      t.teardown(() => client.destroy());
      t.teardown(() => socket.destroy());
      return { client, socket, chunks };
    },
  };
}

t.test('What one socket has brought is not overwritten by what another one brings', async (t) => {
  const { ends } = await listen(t);
  const one = await ends();
  const other = await ends();
  one.client.write('one');
  await once(one.socket, 'read');
  other.client.write('other');
  await once(other.socket, 'read');
  const large = Buffer.alloc(1_000_000, 'large');
  one.client.write(large);
  while (Buffer.concat(one.chunks).length < 3 + large.length) await once(one.socket, 'read');
  t.ok(Buffer.concat(one.chunks).equals(Buffer.concat([Buffer.from('one'), large])));
  t.equal(Buffer.concat(other.chunks).toString(), 'other');
  t.equal(one.socket.remotePort, one.client.localPort);
});

t.test('A socket that is paused is not read from until it goes on', async (t) => {
  const { ends } = await listen(t);
  const paused = await ends();
  const other = await ends();
  paused.socket.pause();
  paused.client.write('1');
  // By the time that this has come, the other would have.
  for (let n = 0; n < 10; n++) {
    other.client.write('x');
    await once(other.socket, 'read');
  }
  t.strictSame(paused.chunks, []);
  paused.socket.resume();
  await once(paused.socket, 'read');
  t.equal(Buffer.concat(paused.chunks).toString(), '1');
});

t.test('A client that ends its side gets what is written afterwards, and both ends close', async (t) => {
  const { ends } = await listen(t);
  const { client, socket } = await ends();
  const answer: Buffer[] = [];
  client.on('data', (chunk) => answer.push(chunk));
  const closed = [once(client, 'close'), once(socket, 'close')];
  client.end('asked');
  await once(socket, 'end');
  socket.end('answered');
  await Promise.all(closed);
  t.equal(Buffer.concat(answer).toString(), 'answered');
});

t.test('A connection that is reset is an error and closes the socket', async (t) => {
  const { ends } = await listen(t);
  const { client, socket } = await ends();
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => socket.on('error', resolve));
  client.resetAndDestroy();
  t.equal((await failed).code, 'ECONNRESET');
  await closed;
});

t.test('A server does not wait for sockets that are its no more', async (t) => {
  const { server, ends } = await listen(t);
  const { client, socket } = await ends();
  await new Promise((resolve) => server.close(resolve));
  client.write('still there');
  await once(socket, 'read');
});

t.test('Where there is no handle to be had, the accepted socket itself is read', async (t) => {
  const accepted = new net.Socket();
  t.teardown(() => accepted.destroy());
  accepted.pause();
  const chunks: string[] = [];
  t.equal(
    withSharedReads(accepted, (bytes, end) => chunks.push(bytes.toString('latin1', 0, end))),
    accepted,
  );
  t.notOk(accepted.isPaused());
  accepted.emit('data', Buffer.from('read'));
  t.strictSame(chunks, ['read']);
});
