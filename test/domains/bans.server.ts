import t from 'tap';
import { client } from '../mqtt/support/clients.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { HANG_MS } from '../support/hang.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, siteA, type TestServer, testServer } from '../support/server.js';
import { WebSocketClient } from '../support/websocket.js';
import { Admin } from './support.js';

const settings = { admin: { port: -1 }, mqtt: { port: -1 } };
const path = `/api/domains/${siteA.domain}`;

async function ban(server: TestServer, body: object): Promise<void> {
  const answer = await new Admin(server).ask('POST', `${path}/ban`, body);
  if (answer.status !== 201) throw new Error(`ban answered ${answer.status} ${answer.text}`);
}

/** What each way of connecting answers for a ticket. */
async function waysIn(t: Cleaner, server: TestServer, ticket: string): Promise<Record<string, unknown>> {
  const query = { domain: siteA.domain, ticket };
  const poll = await server.request({ path: '/v5/packets', query });
  const jsonp = await server.request({ path: '/v5/packets', query: { ...query, callback: 'f' } });
  const events = await server.request({ path: '/v5/events', query });
  const calls = await server.request({
    method: 'POST',
    path: '/v5/packets',
    query,
    json: { call: 'presences', ids: '1' },
  });
  const socket = await WebSocketClient.open(server);
  socket.send(`subscribe ${siteA.domain} ${ticket}`);
  const url = `mqtt://127.0.0.1:${server.mqttPort}`;
  const mqtt = async (protocolVersion: 4 | 5) => {
    const error = await client(t, url, { username: siteA.domain, password: ticket, protocolVersion }).catch((e) => e);
    return (error as { code?: number }).code;
  };
  return {
    poll: [poll.status, poll.body],
    jsonp: jsonp.status,
    events: events.status,
    calls: calls.status,
    socket: (await socket.closed).code,
    mqtt: [await mqtt(4), await mqtt(5)],
  };
}

const FORBIDDEN = {
  poll: [403, { status: 'error', message: 'forbidden', detail: 'banned' }],
  jsonp: 403,
  events: 403,
  calls: 403,
  socket: 4403,
  mqtt: [5, 0x8a],
};

t.test('an address, an endpoint or a client that is banned is let in by no way', { timeout: HANG_MS }, async (t) => {
  for (const whom of [{ address: '127.0.0.1' }, { id: 'jack' }, { clientId: 'tab' }]) {
    const server = await testServer(t, settings);
    const { ticket } = await server.site().online('jack', { client: 'tab' });
    // A ban of an address ends who is connected from there: a ticket that is not connected stays, and is let in nowhere.
    const kept = await server.site().online('ann', { client: 'phone' });
    await ban(server, { ...whom, minutes: 5, reason: 'spam' });
    if ('address' in whom) t.match(await waysIn(t, server, kept.ticket), FORBIDDEN, JSON.stringify(whom));
    else {
      const again = await server.site().post('/v5/presences/online', { name: 'jack', nick: 'J', client: 'tab' });
      t.match(again, { status: 403, body: { message: 'forbidden', detail: 'banned' } }, JSON.stringify(whom));
      t.equal((await server.request({ path: '/v5/packets', query: { domain: siteA.domain, ticket } })).status, 404);
      t.equal(
        (await server.site().post('/v5/presences/online', { name: 'joe', nick: 'J' })).status,
        200,
        'others come',
      );
    }
    t.ok(server.metrics.refused.banned > 0, 'it is counted');
  }
});

t.test(
  'who is connected is ended by a ban, and by a kick, which lets it come again',
  { timeout: HANG_MS },
  async (t) => {
    const server = await testServer(t, settings);
    const admin = new Admin(server);
    const jack = await server.site().arrive('jack');
    const tab = await server.site().arrive('ann', { client: 'tab' });
    const phone = await server.site().arrive('ann', { client: 'phone' });
    t.equal((await admin.ask('POST', `${path}/kick`, { clientId: 'tab' })).status, 200);
    t.equal(await tab.client.ended, 'stopped');
    t.equal((await admin.ask('POST', `${path}/kick`, { id: 'ann' })).status, 200);
    t.equal(await phone.client.ended, 'stopped');
    t.ok(await server.site().arrive('ann', { client: 'tab' }));
    const backend = await client(t, `mqtt://127.0.0.1:${server.mqttPort}`, {
      username: siteA.domain,
      password: siteA.apikey,
      clientId: 'backend',
      reconnectPeriod: 0,
    });
    const closed = new Promise<void>((resolve) => backend.client.once('close', () => resolve()));
    await ban(server, { address: '127.0.0.1' });
    t.equal(await jack.client.ended, 'stopped');
    await closed;
  },
);

t.test('bans are listed, lifted, and end by themselves', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, settings, clock);
  const admin = new Admin(server);
  const status = async () => (await server.site().post('/v5/presences/online', { name: 'jack', nick: 'J' })).status;
  await ban(server, { id: 'uid:jack', minutes: 2, reason: 'spam' });
  t.match((await admin.ask('GET', `${path}/ban`)).body, { bans: [{ id: 'jack', reason: 'spam', by: 'admin' }] });
  t.equal(await status(), 403);
  clock.advance(120_000);
  t.equal(await status(), 200);
  t.strictSame((await admin.ask('GET', `${path}/ban`)).body, { bans: [] });
  await ban(server, { id: 'jack' });
  t.equal((await admin.ask('DELETE', `${path}/ban`, { id: 'jack' })).status, 200);
  t.equal(await status(), 200);
  t.equal((await admin.ask('DELETE', `${path}/ban?id=jack`)).status, 404);
  for (const address of ['2001:DB8:0:0::/64', '2001:db8::/64', '2001:0db8::1', '2001:db8:0:0:9::']) {
    const { status, body } = await admin.ask('POST', `${path}/ban`, { address });
    t.match([status, body], [201, { address: '2001:db8:0:0::/64' }], 'a network has one name, however it is written');
  }
  for (const [body, detail] of [
    [{}, 'one of address, id, clientId is required'],
    [{ address: 'example.com' }, 'address must be an IP address'],
    [{ id: 'gid:r' }, 'id is not the id of a user, visitor or service'],
    [{ id: 'a', minutes: 0 }, /^minutes must be a number/],
    [{ id: 'a', reason: 'x'.repeat(201) }, /^reason must be/],
  ] as const) {
    t.match(await admin.ask('POST', `${path}/ban`, body), { status: 400, body: { detail } });
  }
});

t.test('a ban is there after a restart', async (t) => {
  const data = t.testdir();
  const first = await testServer(t, { ...settings, data });
  await ban(first, { id: 'jack' });
  await first.close();
  const second = await testServer(t, { ...settings, data });
  t.equal((await second.site().post('/v5/presences/online', { name: 'jack', nick: 'J' })).status, 403);
});

t.test('a ban and a kick hold on all nodes', { skip: skipWithout('nats-server'), timeout: HANG_MS }, async (t) => {
  const [one, two] = await testCluster(t, await natsServer(t), 2, settings);
  const tab = await two.site().arrive('ann', { client: 'tab' });
  await new Admin(one).ask('POST', `${path}/kick`, { clientId: 'tab' });
  t.equal(await tab.client.ended, 'stopped');
  const jack = await two.site().arrive('jack');
  await ban(one, { id: 'jack' });
  t.equal(await jack.client.ended, 'stopped');
  t.equal((await two.site().post('/v5/presences/online', { name: 'jack', nick: 'J' })).status, 403);
});

t.test(
  'who comes more often than 30 times in a minute waits, and is told how long',
  { timeout: HANG_MS },
  async (t) => {
    const clock = new ManualClock();
    const server = await testServer(t, { ...settings, limits: { comingsPerMinute: 30 } }, clock);
    const site = server.site();
    const online = () => site.post('/v5/presences/online', { name: 'jack', nick: 'J', client: 'tab' });
    for (let n = 0; n < 30; n++) t.equal((await online()).status, 200);
    t.match(await online(), { status: 429, headers: { 'retry-after': '60' }, body: { detail: /too often/ } });
    const { ticket } = await site.online('ann');
    const come = async () => {
      const socket = await WebSocketClient.open(server);
      socket.send(`subscribe ${siteA.domain} ${ticket}`);
      return socket;
    };
    for (let n = 0; n < 30; n++) {
      const socket = await come();
      t.equal(await socket.text(), '{"status":"ok"}');
      socket.close();
    }
    t.equal((await (await come()).closed).code, 1013);
    t.match(await server.request({ path: '/v5/events', query: { domain: siteA.domain, ticket } }), { status: 429 });
    clock.advance(60_000);
    t.equal((await online()).status, 200);
  },
);

t.test('a domain has no more connections than it may, whatever carries them', { timeout: HANG_MS }, async (t) => {
  const limits = { connectionsPerDomain: 2 };
  const server = await testServer(t, { ...settings, limits });
  await server.site().arrive('1');
  await server.site().arrive('2');
  const { ticket } = await server.site().online('3');
  t.match(await waysIn(t, server, ticket), { poll: [429], events: 429, socket: 1013, mqtt: [3, 0x97] });
});

t.test('a domain sends no more messages in a second than it may, whoever sends them', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { ...settings, limits: { domainMessagesPerSecond: 3 } }, clock);
  const site = server.site();
  const { ticket } = await site.online('1');
  const push = () => site.post('/v5/messages', { from: '2', to: '1', body: 'x' });
  const message = () => site.post('/v5/messages', { ticket, to: '2', body: 'x' });
  clock.advance(1000);
  const statuses = [];
  for (const send of [push, message, push, message, push]) statuses.push((await send()).status);
  t.strictSame(statuses, [200, 200, 200, 429, 429]);
  clock.advance(1000);
  t.equal((await push()).status, 200);
  t.equal(server.metrics.domain(siteA.domain).exceeded.get('domainMessagesPerSecond'), 2);
});
