import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { History } from '../src/admin/history.js';
import { listen } from '../src/admin/listener.js';
import { SAMPLE_FIELDS, type Sample } from '../src/admin/measures.js';
import { Stream } from '../src/admin/stream.js';
import { type AdminMetrics, Metrics } from '../src/metrics.js';
import { askAdmin } from './support/admin.js';
import { seriesOf } from './support/prometheus.js';
import { type TestServer, testServer } from './support/server.js';
import { turnsUntil, until } from './support/until.js';

const most = 256;

async function opened({ adminPort }: Pick<TestServer, 'adminPort'>, text = ''): Promise<Socket> {
  const socket = connect(adminPort, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

async function metrics(server: TestServer): Promise<{ open: number | undefined; dropped: number | undefined }> {
  const series = seriesOf((await askAdmin(server, '/metrics')).text);
  return {
    open: series.get('nextalk_admin_connections'),
    dropped: series.get('nextalk_admin_connections_dropped_total'),
  };
}

t.test('who connects to the admin port and asks nothing keeps nobody out', async (t) => {
  const server = await testServer(t, { admin: { port: -1 } });
  const half = 'POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntoken=';
  const texts = ['', 'GET / HT', half];
  const sockets: Socket[] = [];
  t.teardown(() => sockets.map((socket) => socket.destroy()));
  for (let i = 0; i < most; i += 1) sockets.push(await opened(server, texts[i % texts.length]));
  const first = once(sockets[0] as Socket, 'close');
  t.equal((await askAdmin(server, '/healthz')).status, 200);
  await first;
  t.strictSame(await metrics(server), { open: most, dropped: 1 });
  t.equal(sockets.filter(({ closed }) => closed).length, 1, 'the one that was there first');
});

t.test('connections that have been answered and stay open keep nobody out of the admin port', async (t) => {
  const server = await testServer(t, { admin: { port: -1 } });
  const sockets: Socket[] = [];
  t.teardown(() => sockets.map((socket) => socket.destroy()));
  for (let i = 0; i < most; i += 1)
    sockets.push(await opened(server, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'));
  await turnsUntil('an answer to everybody', () => sockets.every(({ bytesRead }) => bytesRead > 0));
  t.equal((await askAdmin(server, '/healthz')).status, 200);
});

t.test('what the admin port answers is not cut off for those who come later', async (t) => {
  const server = await testServer(t, { admin: { port: -1 } });
  const stream = await opened(server, 'GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
  t.teardown(() => stream.destroy());
  await once(stream, 'data');
  const later = await Promise.all(Array.from({ length: most + 20 }, () => opened(server)));
  t.teardown(() => later.map((socket) => socket.destroy()));
  t.match(await metrics(server), { open: most });
  await once(stream, 'data');
  t.notOk(stream.closed);
});

/** A listener for two connections that answers nobody. */
async function narrow(t: Test): Promise<{ admin: AdminMetrics; open: (text: string) => Promise<Socket> }> {
  const { admin } = new Metrics();
  let asked = 0;
  const limits = { connections: 2, requestMs: 30_000, stillMs: 60_000 };
  const listener = await listen('127.0.0.1', 0, admin, () => (asked += 1), limits);
  t.teardown(() => listener.close());
  const open = async (text: string): Promise<Socket> => {
    const before = asked;
    const socket = await opened({ adminPort: listener.port }, text);
    await turnsUntil('a request asked, or refused', () => asked > before || socket.closed);
    return socket;
  };
  return { admin, open };
}

t.test('where everybody is being answered, who comes is closed, and comes again when one has gone', async (t) => {
  const { admin, open } = await narrow(t);
  const get = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const [first, second] = [await open(get), await open(get)];
  t.ok((await open(get)).closed);
  t.match(admin, { connections: 2, dropped: 1 });
  first.destroy();
  await turnsUntil('the end of one connection', () => admin.connections <= 1);
  t.notOk((await open(get)).closed);
  t.notOk(second.closed);
});

t.test('a connection that sends a body without end is closed for a new one', async (t) => {
  const { admin, open } = await narrow(t);
  const post = 'POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n';
  const [first, second] = [await open(post), await open(post)];
  t.notOk((await open(post)).closed);
  await turnsUntil('the end of the first connection', () => first.closed);
  t.notOk(second.closed);
  t.match(admin, { connections: 2, dropped: 1 });
});

t.test('a request that drips in and an answer that is not read end their connections', async (t) => {
  const { admin } = new Metrics();
  const slow = await listen('127.0.0.1', 0, admin, (_message, response) => response.end(), {
    connections: 2,
    requestMs: 100,
    stillMs: 60_000,
  });
  t.teardown(() => slow.close());
  const dripping = await opened({ adminPort: slow.port }, 'GET / HTTP/1.1\r\nHost: ');
  const drip = setInterval(() => dripping.write('x'), 10);
  t.teardown(() => clearInterval(drip));
  if (!dripping.closed) await once(dripping, 'close');
  clearInterval(drip);
  let asked = false;
  const answer: RequestListener = (_message, response) => {
    asked = true;
    response.end('x'.repeat(20_000_000));
  };
  const limits = { connections: 2, requestMs: 30_000, stillMs: 100 };
  const large = await listen('127.0.0.1', 0, admin, answer, limits);
  t.teardown(() => large.close());
  const unread = await opened({ adminPort: large.port }, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  unread.pause();
  await until('the end of the connection that is not read', () => asked && admin.connections === 0);
  t.match(admin, { connections: 0, dropped: 0 });
});

const ask = 'GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n';

t.test('fifty dashboards are open at once; one more is refused until another is closed', async (t) => {
  const server = await testServer(t, { admin: { port: -1 } });
  const sockets: Socket[] = [];
  t.teardown(() => sockets.map((socket) => socket.destroy()));
  const status = async (): Promise<string> => {
    const socket = await opened(server, ask);
    sockets.push(socket);
    const [head] = await once(socket, 'data');
    return String(head).slice(9, 12);
  };
  for (let n = 0; n < 50; n++) t.equal(await status(), '200');
  t.equal(await status(), '503');
  sockets[0]?.destroy();
  await until('the end of one dashboard', async () => ((await metrics(server)).open ?? 0) <= 51);
  t.equal(await status(), '200');
  t.equal(await status(), '503');
});

t.test('a dashboard that does not read is cut off, one that reads goes on', async (t) => {
  const watchers: History['watchers'] = new Set();
  const stream = new Stream({ samples: [], watchers } as unknown as History, () => ({ text: 'x'.repeat(100_000) }));
  const { admin } = new Metrics();
  const listener = await listen('127.0.0.1', 0, admin, (_message, response) => stream.watch(response));
  t.teardown(() => listener.close());
  const at = { adminPort: listener.port };
  const [reads, stalls] = [await opened(at, ask), await opened(at, ask)];
  await Promise.all([reads, stalls].map((socket) => once(socket, 'data')));
  stalls.pause();
  const sample = Object.fromEntries(SAMPLE_FIELDS.map((field) => [field, 0])) as Sample;
  let sent = 0;
  for (; admin.connections > 1 && sent < 200; sent++) {
    const read = reads.bytesRead;
    for (const watcher of watchers) watcher(sample);
    while (reads.bytesRead < read + 100_000) await once(reads, 'data');
  }
  t.equal(admin.connections, 1);
  t.ok(sent > 10, `a megabyte may wait: ${sent} samples of 100 KB were sent`);
  t.notOk(reads.closed);
});
