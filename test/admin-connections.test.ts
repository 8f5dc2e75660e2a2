import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { askAdmin } from './support/admin.js';
import { seriesOf } from './support/prometheus.js';
import { type TestServer, testServer } from './support/server.js';

const most = 256;

async function opened({ adminPort }: TestServer, text = ''): Promise<Socket> {
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
