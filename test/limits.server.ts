import http from 'node:http';
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import type { Check } from './support/check.js';
import { upgradeHeaders } from './support/hostile.js';
import { type Answer, exchange } from './support/http.js';
import { openPoll, poll } from './support/polling.js';
import { RawSocket, requestText } from './support/raw.js';
import { siteA, siteB, type TestServer, testServer, times } from './support/server.js';
import type { Site } from './support/site.js';
import { until } from './support/until.js';
import { WebSocketClient } from './support/websocket.js';

const online = '/v5/presences/online';

/** What the body of an answer has besides the table of errors: a call's `success`, and what a page, which reads no headers, is told of a poll. */
type Besides = 'success' | 'retryAfter' | null;

/** Wants an answer of 503 or 429 with the body of the table of errors, and Retry-After. */
function refused(t: Check, answer: Answer, status: 429 | 503, besides: Besides = null): void {
  const after = answer.headers['retry-after'] ?? '';
  const error = { status: 'error', message: status === 429 ? 'too many requests' : 'unavailable' };
  const more = { success: { success: false }, retryAfter: { retryAfter: Number(after) } };
  t.strictSame(
    [answer.status, answer.body],
    [status, besides === null ? error : { ...error, ...more[besides] }],
    answer.text,
  );
  t.strictSame(/^\d+$/.test(after), true, 'Retry-After is in seconds');
}

t.test('a domain that calls too often is answered 429, others are not', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { limits: { requestsPerSecond: 10 } }, clock);
  const [a, b] = [server.site(siteA), server.site(siteB)];
  const { ticket } = await b.online('1');
  const answers = await Promise.all(Array.from({ length: 30 }, () => a.get('/v5/presences', { ids: '1' })));
  const over = answers.filter(({ status }) => status !== 200);
  t.equal(over.length, 20);
  for (const answer of over) refused(t, answer, 429);
  refused(t, await a.post(online, { name: '1', nick: 'One' }), 429, 'success');
  t.strictSame(await b.presences('1'), { 1: 'available' });
  const polls = await Promise.all(Array.from({ length: 20 }, () => openPoll(server, ticket, { domain: siteB.domain })));
  await polls.at(-1)?.sent;
  t.equal((await b.get('/v5/presences', { ids: '1' })).status, 200, 'polls are no REST calls');
  clock.advance(100);
  t.equal((await a.get('/v5/presences', { ids: '1' })).status, 200, 'a tenth of a second later there is one more');
  t.equal((await a.get('/v5/presences', { ids: '1' })).status, 429);
});

t.test('a client that sends too much itself is refused its messages, and told so', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { limits: { messagesPerSecond: 1 }, mqtt: { port: -1 } }, clock);
  const site = server.site();
  const two = await site.arrive('2');
  const { ticket } = await site.online('1');
  const connect = () => client(t, `mqtt://127.0.0.1:${server.mqttPort}`, { password: ticket });
  const say = async (by: Awaited<ReturnType<typeof connect>>, body: string) => {
    await by.client.publishAsync(`/domain/${siteA.domain}/uid/2`, body, { qos: 1 });
  };
  const phone = await connect();
  await say(phone, 'one');
  await say(phone, 'two');
  await t.rejects(say(phone, 'three'), { code: 0x97 });
  await t.rejects(say(await connect(), 'four'), { code: 0x97 }, 'another connection is the same client');
  await site.push('x', '2', 'from the site');
  clock.advance(1000);
  await say(await connect(), 'five');
  const bodies: unknown[] = [];
  for (let n = 0; n < 4; n++) bodies.push((await two.client.next()).body);
  t.strictSame(bodies, ['one', 'two', 'from the site', 'five']);
});

t.test(
  'a client that sends without end is stopped after a burst of 40, at 20 in a second, unless configured; backends are not',
  async (t) => {
    const clock = new ManualClock();
    const server = await testServer(t, { mqtt: { port: -1 }, admin: { port: -1 } }, clock);
    const topic = `/domain/${siteA.domain}/uid/2`;
    const accepted = async (by: Awaited<ReturnType<typeof client>>, payload: string) => {
      const tries = Array.from({ length: 60 }, () => by.client.publishAsync(topic, payload, { qos: 1 }));
      return (await Promise.allSettled(tries)).filter(({ status }) => status === 'fulfilled').length;
    };
    const url = `mqtt://127.0.0.1:${server.mqttPort}`;
    const phone = await client(t, url, { password: (await server.site().online('1')).ticket });
    t.equal(await accepted(phone, 'hello'), 40);
    clock.advance(1000);
    t.equal(await accepted(phone, 'hello'), 20);
    t.equal(await accepted(await client(t, url), '{"from":"1","body":"hello"}'), 60, 'a backend has no such bound');
    const { text } = await exchange(server.adminPort, { path: '/metrics' }).answer;
    t.match(text, /nextalk_domain_packets_dropped_total\{domain="[^"]+",reason="rateExceeded"\} 60/);
  },
);

t.test('a domain’s own limit counts before the server’s', async (t) => {
  const server = await testServer(t, {
    domains: [{ ...siteA, limits: { messageBytes: 10, endpointsPerDomain: 1 } }, siteB],
  });
  const long = { from: '1', to: '2', body: 'x'.repeat(11) };
  t.match(await server.site(siteA).post('/v5/messages', long), { status: 400, body: { detail: /\bbody\b/ } });
  t.equal((await server.site(siteB).post('/v5/messages', long)).status, 200);
  await server.site(siteA).online('1');
  refused(t, await server.site(siteA).post(online, { name: '2', nick: 'Two' }), 503, 'success');
  await server.site(siteB).online('1');
  await server.site(siteB).online('2');
});

t.test('one endpoint more than the domain may have is answered 503', async (t) => {
  const clock = new ManualClock();
  const presence = { graceMs: times.graceMs };
  const server = await testServer(t, { limits: { endpointsPerDomain: 2 }, presence }, clock);
  const site = server.site();
  const { ticket } = await site.online('1');
  await site.online('vid:2');
  refused(t, await site.post(online, { name: '3', nick: 'Three' }), 503, 'success');
  t.strictSame(await site.presences('1', 'vid:2', '3'), { 1: 'available', 'vid:2': 'available' });
  await site.online('1');
  await server.site(siteB).online('3');
  const further = await site.online('vid:2');
  await site.offline(further.ticket);
  clock.advance(times.graceMs);
  refused(t, await site.post(online, { name: '3', nick: 'Three' }), 503, 'success');
  await site.offline(ticket);
  clock.advance(times.graceMs);
  t.strictSame(await site.presences('1'), { 1: 'available' }, 'its other client is there');
});

t.test('an endpoint that goes offline makes room for another', async (t) => {
  const clock = new ManualClock();
  const presence = { graceMs: times.graceMs };
  const site = (await testServer(t, { limits: { endpointsPerDomain: 2 }, presence }, clock)).site();
  const watcher = await site.arrive('1', { buddies: '2' });
  const { ticket } = await site.online('2');
  await watcher.next();
  await site.offline(ticket);
  clock.advance(times.graceMs);
  t.hasStrict(await watcher.next(), { type: 'offline' });
  await site.online('3');
});

t.test('one client more than an endpoint may have is answered 503', async (t) => {
  const site = (await testServer(t, { limits: { clientsPerEndpoint: 2 } })).site();
  const tabs = [await site.arrive('1', { client: 'a' }), await site.arrive('1')];
  refused(t, await site.post(online, { name: '1', nick: 'One' }), 503, 'success');
  await site.online('2');
  for (const tab of tabs) t.strictSame(await tab.before(), []);
  const renewed = await site.arrive('1', { client: 'a' });
  t.strictSame(await renewed.before(), [], 'who takes another’s place needs none of its own');
  await site.offline(renewed.ticket);
  await site.online('1');
});

t.test('one member more than a room may have is answered 503', async (t) => {
  const site = (await testServer(t, { limits: { roomMembers: 2 } })).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.arrive('b', { rooms: 'r1' });
  await a.next();
  const c = await site.arrive('c');
  refused(t, await site.post('/v5/rooms/r1/join', { ticket: c.ticket }), 503);
  t.strictSame(await site.members(a.ticket, 'r1'), { a: 'available', b: 'available' });
  t.strictSame(await a.before(c), []);
  await site.join(b.ticket, 'r1');
  await site.arrive('b', { rooms: 'r1' });
  await site.join(c.ticket, 'r2');
  await site.leave(b.ticket, 'r1');
  await site.join(c.ticket, 'r1');
  t.strictSame(await site.members(a.ticket, 'r1'), { a: 'available', c: 'available' });
});

t.test('one address may hold as many connections as the limit says and no more', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerAddress: 5 } });
  const site = server.site();
  const people = [await site.arrive('1'), await site.arrive('2'), await site.arrive('3')];
  const [four, five, six] = [await site.online('4'), await site.online('5'), await site.online('6')];
  await openPoll(server, four.ticket);
  await openPoll(server, five.ticket);
  const tooMany = await poll(server, six.ticket, { headers: { origin: 'https://page.example' } }).answer;
  refused(t, tooMany, 429, 'retryAfter');
  t.equal(tooMany.headers['access-control-allow-origin'], '*', 'a page may read why');
  const socket = new WebSocketClient(server);
  socket.socket.on('open', () => socket.send(`subscribe ${siteA.domain} ${six.ticket}`));
  t.not((await socket.closed).code, 1000, 'a socket is one too many as well');
  const agent = new http.Agent({ localAddress: '127.0.0.2' } as http.AgentOptions);
  const elsewhere = await openPoll(server, six.ticket, { agent });
  for (const person of people) t.strictSame(await person.before(), [], 'those that are open are served on');
  // This poll is answered, so that what follows waits in the queue for the poll that is let in.
  await site.push('x', '6', 'hi');
  await elsewhere.answer;
  people[0]?.client.close();
  await people[0]?.client.ended;
  const status = await until('a poll that is let in', async () => {
    await site.push('x', '6', 'hi');
    const { status } = await poll(server, six.ticket).answer;
    return status !== 429 && status;
  });
  t.equal(status, 200, 'a closed one makes room');
  await site.push('x', '6', 'hi');
  t.equal((await poll(server, six.ticket).answer).status, 200, 'and so does a poll that is answered');
});

t.test('connections of one address are counted over all protocols together', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerAddress: 2 }, mqtt: { port: -1 } });
  await server.site().arrive('1');
  const url = `mqtt://127.0.0.1:${server.mqttPort}`;
  await client(t, url);
  await t.rejects(client(t, url), 'by TCP');
  await t.rejects(client(t, `ws://${server.host}/mqtt`), 'by WebSocket');
  const { ticket } = await server.site().online('2');
  refused(t, await poll(server, ticket).answer, 429, 'retryAfter');
});

/** Ways to a connection that is counted: a WebSocket, MQTT by one, and a poll for which something waits. */
const ways = ['/v5/wsocket', '/mqtt', '/v5/packets'] as const;

/** The status of the answer to a connection that says it is `from` others; one that is let in stays open. */
async function knock(server: TestServer, way: (typeof ways)[number], from: string): Promise<number> {
  if (way === '/v5/packets') {
    const { ticket } = await server.site().online('knocks');
    await server.site().push('x', 'knocks', 'hi');
    return (await poll(server, ticket, { headers: { 'x-forwarded-for': from } }).answer).status;
  }
  const raw = await RawSocket.open(server);
  raw.write(requestText(`GET ${way}`, [...upgradeHeaders, `X-Forwarded-For: ${from}`, 'Sec-WebSocket-Protocol: mqtt']));
  return (await raw.answer()).status;
}

t.test('behind a proxy connections are counted for the address that it names, by every way', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerAddress: 1 }, trustProxy: true });
  const { ticket } = await server.site().online('1');
  await openPoll(server, ticket, { headers: { 'x-forwarded-for': '192.0.2.1' } });
  t.equal(await knock(server, '/v5/wsocket', '192.0.2.2'), 101);
  t.equal(await knock(server, '/mqtt', '192.0.2.3'), 101);
  for (const [n, way] of ways.entries()) {
    for (const from of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '198.51.100.7, 192.0.2.1']) {
      t.equal(await knock(server, way, from), 429, `${from} has one already: ${way}`);
    }
    const status = way === '/v5/packets' ? 200 : 101;
    t.equal(await knock(server, way, `192.0.2.1, 203.0.113.${n}`), status, `another address: ${way}`);
  }
});

t.test('without a trusted proxy nobody has another address by claiming it', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerAddress: 1 } });
  t.equal(await knock(server, '/v5/wsocket', '192.0.2.1'), 101);
  for (const way of ways) t.equal(await knock(server, way, '192.0.2.2'), 429, way);
  t.equal(server.metrics.refused.tooManyConnections, ways.length);
});

t.test('a request with headers of 16 KiB is read, one with a megabyte is refused', async (t) => {
  const server = await testServer(t);
  const site: Site = server.site();
  const headers = { 'x-padding': 'x'.repeat(15_500) };
  t.equal((await site.send({ path: '/v5/presences', query: { ids: '1' }, headers })).status, 200);
  const long = Array.from({ length: 1500 }, (_, n) => `user-${n}`).join(',');
  t.equal((await site.send({ path: `/v5/presences?ids=${long}` })).status, 200);
  const raw = await RawSocket.open(server);
  raw.write(`GET /v5/presences?ids=1 HTTP/1.1\r\nHost: x\r\nX-Padding: ${'x'.repeat(1_000_000)}\r\n\r\n`);
  const { status } = await raw.answer();
  t.ok(status === 0 || (status >= 400 && status < 500), `${status}`);
});
