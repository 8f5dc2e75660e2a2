import t from 'tap';
import { upgradeHeaders } from './support/hostile.js';
import { openPoll, poll, unwrap } from './support/polling.js';
import { RawSocket, requestText } from './support/raw.js';
import { siteA, testServer } from './support/server.js';
import { turnsUntil } from './support/until.js';
import { WebSocketClient } from './support/websocket.js';

const empty = { status: 'ok', messages: [], presences: [], statuses: [] };

t.test('a server that drains answers open polls, closes sockets with 1001 and takes no new clients', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const one = await site.arrive('1');
  const silent = await WebSocketClient.open(server);
  const { ticket } = await site.online('2');
  const open = await openPoll(server, ticket, { callback: 'f' });
  const draining = server.drain();
  t.strictSame(unwrap(await open.answer).value, empty);
  t.equal((await (one.client as WebSocketClient).closed).code, 1001);
  t.equal((await silent.closed).code, 1001, 'one that has not subscribed too');
  const refused = await site.post('/v5/presences/online', { name: '3', nick: 'Three' });
  t.strictSame([refused.status, refused.body], [503, { success: false, status: 'error', message: 'unavailable' }]);
  t.match(refused.headers['retry-after'], /^\d+$/);
  const message = await site.post('/v5/messages', { from: '1', to: '2', body: 'x' });
  t.strictSame([message.status, message.body], [503, { status: 'error', message: 'unavailable' }]);
  t.match(message.headers['retry-after'], /^\d+$/);
  await draining;
});

t.test('a poll or a socket that comes while the server drains is not kept', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const draining = server.drain();
  const late = await poll(server, ticket).answer.catch(() => undefined);
  if (late) t.ok(late.status === 503 || late.text.includes('"messages":[]'), late.text);
  const socket = new WebSocketClient(server);
  socket.socket.on('open', () => socket.send(`subscribe ${siteA.domain} ${ticket}`));
  t.not((await socket.closed).code, 1000);
  await draining;
});

t.test('an upgrade on a connection that was open before is refused while the server drains', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  await openPoll(server, ticket);
  const raw = await RawSocket.open(server);
  raw.write(requestText('GET /v5/docs', []));
  t.equal((await raw.answer()).status, 200);
  const draining = server.drain();
  raw.write(requestText('GET /v5/wsocket', upgradeHeaders));
  await draining;
  await server.settledWhile(() => !raw.received.includes('HTTP/1.1 503 '));
  t.equal(server.metrics.refused.unavailable, 1);
  await draining;
});

/** What keeps a process alive, by kind. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/Timeout|TCP|Immediate/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

t.test('closing a server leaves nothing running', async (t) => {
  const before = resources();
  const server = await testServer(t, { admin: { port: -1 } });
  const site = server.site();
  const one = await site.arrive('1', { buddies: '2,3', rooms: 'r1' });
  await site.arrive('2', { rooms: 'r1' });
  const { ticket } = await site.online('3');
  await openPoll(server, ticket);
  await site.online('4');
  await one.offline();
  await server.close();
  // A socket of an earlier test may still have been closing.
  const left = () => Object.entries(resources()).filter(([kind, count]) => count > (before[kind] ?? 0));
  await turnsUntil('nothing that runs', () => left().length === 0);
});

t.test('closing a server ends clients that are still connected', async (t) => {
  const server = await testServer(t);
  const one = await server.site().arrive('1');
  const silent = await WebSocketClient.open(server);
  await server.stop();
  await Promise.all([(one.client as WebSocketClient).closed, silent.closed]);
});

t.test('two servers in one process know nothing of each other', async (t) => {
  const [first, second] = [await testServer(t), await testServer(t)];
  const { ticket } = await first.site().online('1');
  t.strictSame(await second.site().presences('1'), {});
  t.equal((await poll(second, ticket).answer).status, 404);
  await first.close();
  t.strictSame(await second.site().presences('1'), {}, 'and one lives when the other is closed');
});
