/** Writes to a socket past its stream. */
import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { DirectWrites } from '../../src/protocols/mqtt/direct-writes.js';
import type { Cleaner } from '../support/server.js';

/** More than the kernel keeps for a client that does not read. */
const MUCH = Buffer.alloc(16 * 1024 * 1024, 'much');

async function ends(t: Cleaner): Promise<{ client: net.Socket; socket: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  t.teardown(() => client.destroy());
  t.teardown(() => socket.destroy());
  return { client, socket: socket as net.Socket };
}

/** Reads so many bytes. */
async function read(client: net.Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let length = 0; length < bytes; ) {
    const [chunk] = (await once(client, 'data')) as [Buffer];
    chunks.push(chunk);
    length += chunk.length;
  }
  return Buffer.concat(chunks);
}

t.test('What the network does not take at once comes whole, and what the stream writes comes behind it', async (t) => {
  const { client, socket } = await ends(t);
  const drained = new Promise<void>((resolve) => {
    const direct = new DirectWrites(socket, resolve);
    t.equal(direct.write(Buffer.from('first')), true);
    t.equal(direct.waiting, 0);
    t.equal(direct.write(MUCH), true);
    t.ok(direct.waiting > 0);
    t.equal(direct.write(Buffer.from('refused')), false, 'while something waits');
  });
  socket.write('behind');
  const came = await read(client, 5 + MUCH.length + 6);
  t.ok(came.equals(Buffer.concat([Buffer.from('first'), MUCH, Buffer.from('behind')])));
  await drained;
  const again = new DirectWrites(socket, () => undefined);
  t.equal(again.write(Buffer.from('again')), true);
  t.equal((await read(client, 5)).toString(), 'again');
});

t.test('Where much waits in the stream behind what waits here, the stream alone tells when all is taken', async (t) => {
  const { client, socket } = await ends(t);
  const direct = new DirectWrites(socket, () => t.fail('the stream still has what it was given'));
  t.equal(direct.write(MUCH), true);
  const drained = once(socket, 'drain');
  t.equal(socket.write(MUCH), false);
  await Promise.all([drained, read(client, 2 * MUCH.length)]);
  t.equal(direct.waiting + socket.writableLength, 0);
});

t.test('The end of a socket comes behind what waits', async (t) => {
  const { client, socket } = await ends(t);
  t.equal(new DirectWrites(socket, () => undefined).write(MUCH), true);
  socket.end();
  t.ok((await read(client, MUCH.length)).equals(MUCH));
  if (!client.readableEnded) await once(client, 'end');
});

t.test('A socket that closes while bytes wait does not tell that they were taken', async (t) => {
  const { client, socket } = await ends(t);
  const direct = new DirectWrites(socket, () => t.fail('they were not'));
  t.equal(direct.write(MUCH), true);
  client.on('error', () => undefined);
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  client.resetAndDestroy();
  await closed;
  t.equal(direct.waiting, 0);
});

t.test('A write that fails closes the socket', async (t) => {
  const { client, socket } = await ends(t);
  client.on('error', () => undefined);
  const direct = new DirectWrites(socket, () => undefined);
  const closed = once(socket, 'close');
  socket.destroy();
  t.equal(direct.write(Buffer.from('late')), true);
  await closed;
});

t.test('Where a socket has no handle that is known the stream is to write', async (t) => {
  const socket = new net.Socket();
  t.teardown(() => socket.destroy());
  t.equal(new DirectWrites(socket, () => undefined).write(Buffer.from('bytes')), false);
});

t.test(
  'A request is not used again before it is completed, also where the network has taken all bytes meanwhile',
  async (t) => {
    const { binding } = process as unknown as {
      binding(name: string): { streamBaseState: number[]; kLastWriteWasAsync: number };
    };
    const { streamBaseState, kLastWriteWasAsync } = binding('stream_wrap');
    const requests: { oncomplete?: (status: number) => void }[] = [];
    // The peer has made room between the two tries of libuv, which no test can bring about with a real one.
    const handle = {
      writeQueueSize: 0,
      writeBuffer(request: object): number {
        requests.push(request);
        streamBaseState[kLastWriteWasAsync] = 1;
        return 0;
      },
    };
    const socketOf = (): net.Socket => Object.assign(new net.Socket(), { _handle: handle });
    let drained = 0;
    const direct = new DirectWrites(socketOf(), () => (drained += 1));
    t.equal(direct.write(Buffer.from('bytes')), true);
    t.equal(direct.write(Buffer.from('refused')), false, 'before the request is completed');
    t.equal(new DirectWrites(socketOf(), () => undefined).write(Buffer.from('others')), true);
    t.equal(requests.length, 2);
    t.not(requests[0], requests[1]);
    requests[0]?.oncomplete?.(0);
    t.equal(direct.waiting, 0);
    t.equal(drained, 1);
  },
);
