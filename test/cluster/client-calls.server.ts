/** A client whose connection reaches another node than its own calls as it does at home: PROTOCOL.md section 14. */
import t from 'tap';
import { CountingSocket } from '../support/counting.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { siteA } from '../support/server.js';
import { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
const domains = [{ ...siteA, clientCalls: true, clientSend: ['websocket', 'http'], clientJoin: ['lobby'] }];

t.test('a socket and a POST at another node are answered as those at the client’s own', { skip }, async (t) => {
  const [home, other] = await testCluster(t, await natsServer(t), 2, { domains });
  const rose = await home.site().arrive('rose', { rooms: 'lobby' });
  const { ticket } = await home.site().online('jack');
  const socket = await WebSocketClient.connect(other, ticket);
  const call = async (words: object): Promise<unknown> => {
    socket.send(JSON.stringify(words));
    return JSON.parse(await socket.text());
  };
  t.match(await call({ call: 'message', ref: '1', to: 'rose', body: 'hi' }), { reply: '1', status: 'ok', id: /^\w+$/ });
  t.match(await rose.next(), { from: 'jack', nick: 'JACK', body: 'hi' });
  const outside = { message: 'forbidden', detail: 'not in the room' };
  t.match(await call({ call: 'message', to: 'lobby', type: 'grpchat', body: 'x' }), outside);
  t.match(await call({ call: 'join', ref: '2', room: 'lobby' }), { reply: '2', status: 'ok' });
  t.match(await rose.next(), { from: 'jack', to: 'lobby', type: 'join' });
  t.match(await call({ call: 'members', room: 'lobby' }), { presences: { jack: 'available', rose: 'available' } });
  const request = { method: 'POST', path: '/v5/packets', query: { domain: 'a.example', ticket }, type: 'text/plain' };
  const posted = await other.request({ ...request, body: JSON.stringify([{ call: 'show', ref: '3', show: 'away' }]) });
  t.strictSame(posted.body, [{ reply: '3', status: 'ok' }]);
  t.strictSame(await home.site().presences('jack'), { jack: 'away' });
  t.match(await call({ call: 'offline', ref: '4' }), { status: /ok|stopped/ });
  t.equal(await socket.ended, 'stopped');
});

t.test(
  'a call at another node whose unknown field is nested deeply is answered, over a socket and by POST',
  { skip },
  async (t) => {
    const [home, other] = await testCluster(t, await natsServer(t), 2, { domains });
    await home.site().arrive('rose');
    const { ticket } = await home.site().online('jack');
    const deep = `${'['.repeat(9000)}${']'.repeat(9000)}`;
    const text = `{"call":"message","ref":"1","to":"rose","body":"hi","unknown":${deep}}`;
    const socket = await WebSocketClient.connect(other, ticket);
    socket.send(text);
    t.match(JSON.parse(await socket.text()), { reply: '1', status: 'ok' });
    const request = { method: 'POST', path: '/v5/packets', query: { domain: 'a.example', ticket }, type: 'text/plain' };
    t.match((await other.request({ ...request, body: text })).body, { reply: '1', status: 'ok' });
    const list = `{"call":"message","ref":"1","to":${deep},"body":"hi"}`;
    t.match((await other.request({ ...request, body: list })).body, { reply: '1', message: 'bad request' });
  },
);

t.test('a client confirms by calls at another node than its own, over its socket and by POST', { skip }, async (t) => {
  const [home, other] = await testCluster(t, await natsServer(t), 2, { domains });
  const site = home.site();
  const { ticket } = await site.online('jack');
  const queued = () => home.metrics.domain(siteA.domain).queuedPackets;
  const client = home.own(new CountingSocket(other.port, ticket));
  await client.connect();
  await site.push('anna', 'jack', 'one');
  await client.has(1);
  const { position } = client;
  await site.push('anna', 'jack', 'two');
  await client.has(2);
  t.equal(queued(), 2);
  client.socket?.send(JSON.stringify({ call: 'received', ref: 'r', position }));
  await client.until(() => client.texts.includes('{"reply":"r","status":"ok"}'), 'reply');
  await home.settledWhile(() => queued() === 2);
  t.equal(queued(), 1);
  const request = { method: 'POST', path: '/v5/packets', query: { domain: 'a.example', ticket }, type: 'text/plain' };
  const body = JSON.stringify([
    { call: 'received', ref: 'a', position: 'nonsense' },
    { call: 'received', ref: 'b', position: client.position },
  ]);
  t.match((await other.request({ ...request, body })).body, [
    { reply: 'a', status: 'error', message: 'bad request' },
    { reply: 'b', status: 'ok' },
  ]);
  await home.settledWhile(() => queued() > 0);
});

t.test('a client that signs out for all ends those of its user on every node', { skip }, async (t) => {
  const [home, other] = await testCluster(t, await natsServer(t), 2, { domains });
  if (!home || !other) throw new Error('no cluster');
  const { ticket } = await home.site().online('jack');
  const roaming = await WebSocketClient.connect(other, ticket);
  const here = await home.site().arrive('jack');
  const there = await other.site().arrive('jack');
  const rose = await other.site().arrive('rose');
  roaming.send('{"call":"offline","ref":"1","all":"1"}');
  t.strictSame(JSON.parse(await roaming.text()), { reply: '1', status: 'ok' });
  for (const { client } of [here, there]) t.equal(await (client as WebSocketClient).ended, 'stopped');
  t.equal(await roaming.ended, 'stopped');
  await home.site().push('anna', 'rose', 'still here');
  t.match(await rose.next(), { body: 'still here' });
});
