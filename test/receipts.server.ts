/** What a sender is told of its message, for each state that a receiver may be in: PROTOCOL.md section 11. */
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { type Cleaner, type Settings, siteA, testServer, times } from './support/server.js';
import type { Site } from './support/site.js';
import { transports } from './support/transports.js';
import { WebhookServer } from './support/webhook.js';
import { WebSocketClient } from './support/websocket.js';

const ID = /^[A-Za-z0-9]{26}$/;
const push = { from: 'shop', body: 'hi', receipt: 1 };

async function outcomes(site: Site, form: Record<string, string | number>): Promise<Record<string, unknown>> {
  const answer = await site.post('/v5/messages', { ...push, ...form });
  return answer.body as Record<string, unknown>;
}

async function storing(t: Cleaner & { testdir(): string }, settings: Settings = {}, clock?: ManualClock) {
  const domains = [{ ...siteA, offline: true, ...settings }];
  return testServer(t, { data: t.testdir(), domains, presence: times, mqtt: { port: -1 } }, clock);
}

for (const transport of transports) {
  t.test(`by ${transport.name}, a message is delivered to an open connection and queued without one`, async (t) => {
    const clock = new ManualClock();
    const server = await storing(t, {}, clock);
    const site = server.site();
    const jack = await site.arrive('jack', {}, transport);
    t.match(await outcomes(site, { to: 'jack' }), { status: 'ok', id: ID, outcome: 'delivered' });
    t.hasStrict(await jack.next(), { body: 'hi' });
    jack.client.close();
    const connections = () => Object.values(server.metrics.domain('a.example').connections);
    await server.settledWhile(() => connections().some((open) => open > 0));
    t.match(await outcomes(site, { to: 'jack' }), { outcome: 'queued' });
    clock.advance(times.clientIdleMs);
    await server.settled();
    t.match(await outcomes(site, { to: 'jack' }), { outcome: 'queued' }, 'in the grace');
    clock.advance(times.graceMs);
    await server.settled();
    t.match(await outcomes(site, { to: 'jack' }), { outcome: 'stored' });
  });
}

t.test('of several clients of a receiver the best counts', async (t) => {
  const site = (await testServer(t)).site();
  await site.online('jack');
  t.match(await outcomes(site, { to: 'jack' }), { outcome: 'queued' });
  await site.arrive('jack');
  t.match(await outcomes(site, { to: 'jack' }), { outcome: 'delivered' });
});

t.test('a message to nobody is dropped where nobody keeps it', async (t) => {
  const site = (await testServer(t)).site();
  t.match(await outcomes(site, { to: 'jack' }), { outcome: 'dropped' });
  t.match(await outcomes(site, { to: '*', type: 'broadcast' }), { outcome: 'dropped' });
  await site.arrive('anna', { client: 'phone' });
  t.match(await outcomes(site, { to: '/domain/a.example/uid/anna/client/desk' }), { outcome: 'dropped' });
  t.match(await outcomes(site, { to: '/domain/a.example/uid/anna/client/phone' }), { outcome: 'delivered' });
  t.match(await outcomes(site, { to: '*', type: 'broadcast' }), { outcome: 'delivered' });
});

t.test('what the offline store has no room for is dropped', async (t) => {
  const server = await storing(t, { limits: { offlineBytes: 1 } });
  t.match(await outcomes(server.site(), { to: 'jack' }), { outcome: 'dropped' });
});

t.test('a room says how many members it has that can be seen, and is dropped where there are none', async (t) => {
  const site = (await testServer(t)).site();
  t.match(await outcomes(site, { to: 'lobby', type: 'grpchat' }), { outcome: 'dropped', members: 0 });
  const jack = await site.arrive('jack', { rooms: 'lobby', show: 'invisible' });
  t.match(await outcomes(site, { to: 'lobby', type: 'grpchat' }), { outcome: 'dropped', members: 0 });
  t.hasStrict(await jack.next(), { body: 'hi' }, 'who is invisible has it, and is not found out');
  const { ticket } = await site.online('anna', { rooms: 'lobby' });
  t.match(await outcomes(site, { to: 'lobby', type: 'grpchat' }), { outcome: 'delivered', members: 1 });
  const said = await site.post('/v5/messages', { ticket, to: 'lobby', type: 'grpchat', body: 'x', receipt: 1 });
  t.match(said.body, { outcome: 'delivered', members: 1 });
});

t.test('the only member of a room who speaks in it is heard by nobody', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.arrive('anna', { rooms: 'lobby' });
  const answer = await site.post('/v5/messages', { ticket, to: 'lobby', type: 'grpchat', body: 'x', receipt: 1 });
  t.match(answer.body, { outcome: 'dropped', members: 1 });
});

t.test('a message to a service is queued for its webhook, and delivered to a client', async (t) => {
  const hook = await WebhookServer.start(t);
  const services = { help: { webhook: hook.url } };
  const site = (await testServer(t, { domains: [{ ...siteA, services, webhookPrivate: true }] })).site();
  t.match(await outcomes(site, { to: 'sid:help' }), { outcome: 'queued' });
  await site.arrive('sid:help');
  t.match(await outcomes(site, { to: 'sid:help' }), { outcome: 'delivered' });
});

t.test('several receivers have an outcome each, by their short ids', async (t) => {
  const site = (await storing(t)).site();
  const jack = await site.arrive('jack');
  const visitor = await site.arrive('vid:7');
  const answer = await site.post('/v5/messages', {
    ...push,
    to: 'jack, vid:7,uid:jack,/domain/a.example/uid/__proto__',
  });
  const { id } = answer.body as { id: string };
  t.equal(
    answer.text,
    `{"status":"ok","id":"${id}","outcomes":{"jack":"delivered","vid:7":"delivered","__proto__":"stored"}}`,
  );
  t.hasStrict(await jack.next(), { to: 'jack', body: 'hi' });
  t.hasStrict(await visitor.next(), { to: 'vid:7', body: 'hi' });
  t.strictSame(await jack.before(), [], 'who is named twice has it once');
});

t.test('several rooms have a packet each', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.arrive('jack', { rooms: 'red,blue' });
  const answer = await site.post('/v5/messages', { ...push, to: 'red,blue,none', type: 'grpchat' });
  t.match(answer.body, { outcomes: { red: 'delivered', blue: 'delivered', none: 'dropped' }, members: undefined });
  for (const room of ['red', 'blue']) t.hasStrict(await jack.next(), { to: room, type: 'grpchat' });
});

t.test('receivers may be a list in JSON and in a form, and a wrong one is refused for all', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.arrive('jack');
  const json = { domain: 'a.example', ...push, to: ['jack', 7] };
  t.match((await site.send({ method: 'POST', path: '/v5/messages', json })).body, {
    outcomes: { jack: 'delivered', 7: 'dropped' },
  });
  t.hasStrict(await jack.next(), { to: 'jack' });
  const form = 'domain=a.example&from=shop&body=hi&receipt=1&to[]=jack&to[]=anna';
  const type = 'application/x-www-form-urlencoded';
  t.match((await site.send({ method: 'POST', path: '/v5/messages', body: form, type })).body, {
    outcomes: { jack: 'delivered', anna: 'dropped' },
  });
  t.hasStrict(await jack.next(), { to: 'jack' });
  for (const to of ['jack,a/b', 'jack,gid:lobby', 'jack,,', ',', 'jack,#', Array(1001).fill('jack').join()]) {
    const answer = await site.post('/v5/messages', { ...push, to });
    t.match(answer, { status: 400, body: { detail: /^to / } }, to.slice(0, 20));
  }
  t.strictSame(await jack.before(), []);
});

t.test('without a receipt the answer is as ever, byte for byte', async (t) => {
  const site = (await storing(t)).site();
  const { ticket } = await site.arrive('jack', { rooms: 'lobby' });
  const forms: Record<string, string>[] = [
    { from: 'shop', to: 'jack' },
    { from: 'shop', to: 'jack', receipt: '0' },
    { from: 'shop', to: 'nobody' },
    { from: 'shop', to: 'jack,nobody' },
    { from: 'shop', to: '*', type: 'broadcast' },
    { ticket, to: 'jack' },
    { ticket, to: 'lobby', type: 'grpchat' },
    { ticket, to: 'nobody', id: 'my-id' },
  ];
  for (const form of forms) t.equal((await site.post('/v5/messages', { body: 'x', ...form })).text, '{"status":"ok"}');
  t.match(await site.post('/v5/messages', { ...push, to: 'jack', receipt: 'yes' }), { status: 400 });
});

t.test('a client’s own message is always answered with its outcome', async (t) => {
  const domains = [{ ...siteA, clientCalls: true, clientSend: ['websocket', 'http'] }];
  const server = await testServer(t, { domains });
  const site = server.site();
  const { ticket } = await site.online('jack', { rooms: 'lobby' });
  await site.arrive('anna', { rooms: 'lobby' });
  const socket = await WebSocketClient.connect(server, ticket);
  const ask = async (call: object): Promise<string> => {
    socket.send(JSON.stringify({ call: 'message', body: 'x', ...call }));
    return socket.text();
  };
  t.match(
    await ask({ ref: '"', to: 'anna', id: 'm1' }),
    '{"reply":"\\"","status":"ok","id":"m1","outcome":"delivered"}',
  );
  t.match(JSON.parse(await ask({ to: 'lobby', type: 'grpchat' })), { outcome: 'delivered', members: 2 });
  t.match(JSON.parse(await ask({ to: ['anna', 'nobody'] })), { outcomes: { anna: 'delivered', nobody: 'dropped' } });
  t.match(JSON.parse(await ask({ to: 'lobby,other', type: 'grpchat' })), { message: 'forbidden' });
  t.match(JSON.parse(await ask({ to: 'anna,a/b' })), { message: 'bad request', detail: /^to / });
  t.match(JSON.parse(await ask({ to: { a: 1 } })), { message: 'bad request', detail: /^to / });
  const query = { domain: 'a.example', ticket };
  const body = JSON.stringify([{ call: 'message', ref: '1', to: 'anna', body: 'x' }]);
  const posted = await server.request({ method: 'POST', path: '/v5/packets', query, body, type: 'text/plain' });
  t.match(posted.body, [{ reply: '1', status: 'ok', id: ID, outcome: 'delivered' }]);
});
