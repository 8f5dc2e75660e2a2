import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import t from 'tap';
import { ANSWER_MS, type PostResult, post } from '../src/protocols/post.js';
import { ManualClock } from './mqtt/support/clock.js';
import type { Cleaner } from './support/server.js';

/** A site that answers a POST with these bytes and says no more. */
async function siteOf(t: Cleaner, answer: string): Promise<{ readonly url: string; readonly closed: Promise<void> }> {
  let isClosed = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    isClosed = resolve;
  });
  const server = net.createServer((socket) => {
    socket.once('data', () => socket.write(answer));
    socket.on('error', () => undefined);
    socket.on('close', isClosed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, closed };
}

function sent(clock: ManualClock, url: string): Promise<PostResult> {
  return new Promise((resolve) =>
    post({ domain: 'a.example', url, headers: {}, body: '{}', mayLeadInside: true, clock }, resolve),
  );
}

t.test('a site whose answer never ends holds its connection no longer than it may answer', async (t) => {
  const clock = new ManualClock();
  const { url, closed } = await siteOf(t, 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nslow');
  t.strictSame(await sent(clock, url), { status: 200 });
  clock.advance(ANSWER_MS);
  await closed;
});

t.test('an answer that changes the protocol is a failure, told at once', async (t) => {
  const answer = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
  const { url, closed } = await siteOf(t, answer);
  t.match(await sent(new ManualClock(), url), { why: String });
  await closed;
});

t.test('an answer of a gigabyte is not read to its end', async (t) => {
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'content-length': 2 ** 30 });
    const chunk = Buffer.alloc(65_536);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const closed = new Promise<void>((resolve) => server.on('connection', (socket) => socket.on('close', resolve)));
  const { port } = server.address() as AddressInfo;
  t.strictSame(await sent(new ManualClock(), `http://127.0.0.1:${port}/`), { status: 200 });
  await closed;
});
