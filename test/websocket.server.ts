import { once } from 'node:events';
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { openPoll, poll, pollPackets } from './support/polling.js';
import { siteA, testServer } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

const notFound = '{"status":"error","message":"ticket not found"}';
const badRequest = '{"status":"error","message":"bad request"}';

t.test('subscribe is answered ok, and frames come as they arise, what was queued first', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  for (const path of ['/v5/wsocket', '/v4/wsocket', '/v5/wsocket/']) {
    const { ticket } = await site.online('1');
    await site.push('2', '1', 'queued 1');
    await site.push('2', '1', 'queued 2');
    const client = await WebSocketClient.connect(server, ticket, { path });
    await site.push('2', '1', 'live');
    for (const body of ['queued 1', 'queued 2', 'live']) t.hasStrict(await client.next(), { body }, path);
    await site.offline(ticket);
  }
});

t.test('a socket with an unknown ticket is told so and closed with 4404', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  await server.site().offline(ticket);
  const texts = [
    `subscribe ${siteA.domain} ${ticket}`,
    `subscribe ${siteA.domain} x`,
    `subscribe ${siteA.domain} uid:1:00112233445566778899aabbccddeeff`,
    `subscribe ${siteA.domain} uid with spaces:1`,
    `subscribe ${siteA.domain} __proto__`,
    'subscribe c.example uid:1:00',
    'subscribe __proto__ constructor',
  ];
  for (const text of texts) {
    const client = await WebSocketClient.open(server);
    client.send(text);
    t.equal(await client.text(), notFound, text);
    t.equal((await client.closed).code, 4404, text);
  }
  t.equal(server.metrics.refused.ticketNotFound, texts.length);
});

t.test('a socket whose first text is malformed is told so and closed with 4400', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const texts = [
    'hello',
    '',
    'subscribe',
    'subscribe ',
    `subscribe ${siteA.domain}`,
    `SUBSCRIBE ${siteA.domain} ${ticket}`,
    `unsubscribe ${siteA.domain} ${ticket}`,
    '{"subscribe":true}',
    'heartbeat',
    'x'.repeat(60_000),
  ];
  for (const text of texts) {
    const client = await WebSocketClient.open(server);
    client.send(text);
    t.equal(await client.text(), badRequest, text.slice(0, 40));
    t.equal((await client.closed).code, 4400, text.slice(0, 40));
  }
  t.equal(server.metrics.refused.badRequest, texts.length);
});

t.test('the ticket is everything after the second space', async (t) => {
  const server = await testServer(t);
  for (const name of ['Jane Doe', ' two  blanks ', 'a b c d']) {
    const { ticket } = await server.site().online(name);
    const client = await WebSocketClient.connect(server, ticket);
    await server.site().push('2', name, 'hi');
    t.hasStrict(await client.next(), { body: 'hi' });
  }
});

t.test('a socket without a first text in time is closed with 4408', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { socket: { subscribeMs: 60 } }, clock);
  const silent = await WebSocketClient.open(server);
  const { ticket } = await server.site().online('1');
  const good = await WebSocketClient.connect(server, ticket);
  const silentToo = await WebSocketClient.open(server);
  await server.settledWhile(() => server.metrics.connections.websocket < 3);
  clock.advance(60);
  t.equal((await silent.closed).code, 4408);
  t.equal((await silentToo.closed).code, 4408);
  await server.site().push('2', '1', 'hi');
  t.hasStrict(await good.next(), { body: 'hi' }, 'who subscribed in time stays');
});

t.test('heartbeats and unknown texts are accepted and not answered', async (t) => {
  const server = await testServer(t);
  const one = await server.site().arrive('1');
  const client = one.client as WebSocketClient;
  for (const text of [
    'heartbeat',
    'hello',
    '',
    '{}',
    '{"status":',
    `subscribe ${siteA.domain} x`,
    'x'.repeat(65_536),
  ]) {
    client.send(text);
  }
  t.strictSame(await one.before(), []);
  t.equal(client.socket.readyState, client.socket.OPEN);
  await t.rejects(client.text(1), 'no text but frames came');
});

t.test('the text ping is answered pong, for pages to find out that their connection is dead', async (t) => {
  const server = await testServer(t);
  const client = (await server.site().arrive('1')).client as WebSocketClient;
  for (let n = 0; n < 3; n++) {
    client.send('ping');
    t.equal(await client.text(), 'pong');
  }
  client.send('pingping');
  client.send('ping');
  t.equal(await client.text(), 'pong', 'other texts are still not answered');
  const stranger = await WebSocketClient.open(server);
  stranger.send('ping');
  t.equal((await stranger.closed).code, 4400, 'the first text is subscribe');
});

t.test('a binary message closes the socket with 1003, before and after subscribing', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const fresh = await WebSocketClient.open(server);
  fresh.send(Buffer.from(`subscribe ${siteA.domain} ${ticket}`));
  t.equal((await fresh.closed).code, 1003);
  const subscribed = await WebSocketClient.connect(server, ticket);
  subscribed.send(Buffer.from('heartbeat'));
  t.equal((await subscribed.closed).code, 1003);
  await server.site().push('2', '1', 'hi');
  t.hasStrict(await pollPackets(server, ticket), [{ body: 'hi' }], 'and the ticket lives on');
});

t.test('a text over 64 KiB is closed with 1009', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const fresh = await WebSocketClient.open(server);
  fresh.send('x'.repeat(65_537));
  t.equal((await fresh.closed).code, 1009);
  const subscribed = await WebSocketClient.connect(server, ticket);
  subscribed.send('x'.repeat(65_537));
  t.equal((await subscribed.closed).code, 1009);
  t.strictSame(await server.site().presences('1'), { 1: 'available' });
});

t.test('a text over 256 KiB is not gathered: the connection is cut off', async (t) => {
  const server = await testServer(t);
  const far = await WebSocketClient.open(server);
  far.send('x'.repeat(4 * 65_536 + 1));
  t.equal((await far.closed).code, 1006, 'without a word');
});

t.test('a second socket with the same ticket replaces the first', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const first = await WebSocketClient.connect(server, ticket);
  const second = await WebSocketClient.connect(server, ticket);
  t.equal((await first.closed).code, 4409);
  await server.site().push('2', '1', 'hi');
  t.hasStrict(await second.next(), { body: 'hi' });
});

t.test('the newest transport wins, whatever the kinds', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const firstPoll = await openPoll(server, ticket);
  const socket = await WebSocketClient.connect(server, ticket);
  t.hasStrict((await firstPoll.answer).body, { status: 'ok', messages: [], presences: [], statuses: [] });
  await server.site().push('2', '1', 'to the socket');
  t.hasStrict(await socket.next(), { body: 'to the socket' });
  const secondPoll = await openPoll(server, ticket);
  t.equal((await socket.closed).code, 4409);
  await server.site().push('2', '1', 'to the poll');
  t.hasStrict((await secondPoll.answer).body, { messages: [{ body: 'to the poll' }] });
});

t.test('OFFLINE says stopped and closes with 1000', async (t) => {
  const server = await testServer(t);
  const one = await server.site().arrive('1');
  await one.offline();
  const client = one.client as WebSocketClient;
  t.equal(await client.text(), '{"status":"stopped"}');
  t.equal((await client.closed).code, 1000);
  t.equal((await poll(server, one.ticket).answer).status, 404);
});

t.test('the server pings silent sockets', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { socket: { pingMs: 30 } }, clock);
  const one = await server.site().arrive('1');
  const { socket } = one.client as WebSocketClient;
  for (let n = 0; n < 3; n++) {
    const pinged = once(socket, 'ping');
    clock.advance(30);
    await pinged;
  }
  t.strictSame(await one.before(), []);
});

t.test('a ticket connects again after its socket is closed', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  for (let round = 0; round < 5; round++) {
    const client = await WebSocketClient.connect(server, ticket);
    await server.site().push('2', '1', `${round}`);
    t.hasStrict(await client.next(), { body: `${round}` });
    if (round % 2) client.close();
    else client.socket.close();
    await client.closed;
  }
});

t.test('a plain request to the path of sockets is refused and does no harm', async (t) => {
  const server = await testServer(t);
  const answer = await server.request({ path: '/v5/wsocket' });
  t.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
});
