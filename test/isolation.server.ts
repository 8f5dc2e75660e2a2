import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { poll, unwrap } from './support/polling.js';
import { siteA, siteB, testServer } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

t.test('endpoints of the same id in two domains never see each other', async (t) => {
  const server = await testServer(t);
  const [a, b] = [server.site(siteA), server.site(siteB)];
  const watcher = await a.arrive('2', { buddies: '1', rooms: 'r1' });
  const double = await b.arrive('1', { buddies: '2', rooms: 'r1' });
  t.strictSame(double.answer.presences, {});
  t.strictSame(await a.presences('1', '2'), { 2: 'available' });
  t.strictSame(await b.presences('1', '2'), { 1: 'available' });
  t.strictSame(await a.members(watcher.ticket, 'r1'), { 2: 'available' });
  await b.message(double.ticket, '2', 'hi');
  await b.push('1', '2', 'hi');
  await b.say(double.ticket, 'r1', 'hi');
  await b.status(double.ticket, '2', 'typing');
  await b.status(double.ticket, 'gid:r1', 'typing');
  await b.show(double.ticket, 'away');
  await b.join(double.ticket, 'r2');
  await b.push('1', '*', 'hi', { type: 'broadcast' });
  t.strictSame((await double.next()).body, 'hi', 'its own domain hears its broadcast');
  await b.leave(double.ticket, 'r1');
  await b.offline(double.ticket);
  t.strictSame(await watcher.before(), []);
});

t.test('a ticket of one domain is unknown in another, over every way in', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site(siteA).online('1');
  const polled = await poll(server, ticket, { domain: siteB.domain, callback: 'f' }).answer;
  t.equal(polled.status, 404);
  t.strictSame(unwrap(polled).value, { status: 'error', message: 'ticket not found' });
  const nowhere = await poll(server, ticket, { domain: 'c.example' }).answer;
  t.equal(nowhere.status, 404);
  const socket = await WebSocketClient.open(server);
  socket.send(`subscribe ${siteB.domain} ${ticket}`);
  t.equal(await socket.text(), '{"status":"error","message":"ticket not found"}');
  t.equal((await socket.closed).code, 4404);
  t.strictSame(await server.site(siteA).presences('1'), { 1: 'available' });
});

t.test('an API key of one domain opens no other, also after it has opened its own', async (t) => {
  const server = await testServer(t, { mqtt: { port: -1 } });
  const url = `mqtt://127.0.0.1:${server.mqttPort}`;
  for (const [{ apikey }, { domain }] of [
    [siteA, siteB],
    [siteB, siteA],
  ] as const) {
    t.strictSame(await server.site(siteA).presences('1'), {});
    t.strictSame(await server.site(siteB).presences('1'), {});
    const answer = await server.site({ domain, apikey }).get('/v5/presences', { ids: '1' });
    t.equal(answer.status, 401);
    await t.rejects(client(t, url, { username: domain, password: apikey }), { code: 0x86 });
  }
});
