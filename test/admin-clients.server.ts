/** What an operator sees of an endpoint's clients: where each is connected from, since when, and how others ended. */
import t from 'tap';
import type { EndpointView } from '../src/actors/inspect.js';
import { ManualClock } from './mqtt/support/clock.js';
import { askAdmin } from './support/admin.js';
import { exchange } from './support/http.js';
import { MqttChatClient } from './support/mqtt.js';
import { natsServer, testCluster } from './support/nats.js';
import { openPoll } from './support/polling.js';
import { skipWithout } from './support/programs.js';
import { expire, siteA, type TestServer, testServer, times } from './support/server.js';
import { mqttTcp, mqttWebSocket } from './support/transports.js';
import { until } from './support/until.js';
import { WebSocketClient } from './support/websocket.js';

const admin = { admin: { port: -1 }, presence: times };
const proxied = { 'x-forwarded-for': '192.0.2.7' };

async function viewOf(server: TestServer, id = '1'): Promise<EndpointView | null> {
  const answer = await askAdmin(server, `/api/endpoint?${new URLSearchParams({ domain: siteA.domain, id })}`);
  return (answer.body as { endpoint: EndpointView | null }).endpoint;
}

async function openEvents(server: TestServer, ticket: string): Promise<void> {
  const { abort, sent } = exchange(server.port, {
    path: '/v5/events',
    query: { domain: siteA.domain, ticket },
    headers: proxied,
    agent: false,
  });
  server.own({ close: abort });
  await sent;
  await server.settled();
}

type Connect = (server: TestServer, ticket: string) => Promise<unknown>;

const direct: Record<string, Connect> = {
  websocket: (server, ticket) => WebSocketClient.connect(server, ticket),
  jsonp: (server, ticket) => openPoll(server, ticket),
  events: openEvents,
  mqtt: mqttTcp.connect,
  mqttws: mqttWebSocket.connect,
};

/** MQTT by TCP passes no proxy that could name the client. */
const behindProxy: Record<string, Connect> = {
  websocket: (server, ticket) => WebSocketClient.connect(server, ticket, { headers: proxied }),
  jsonp: (server, ticket) => openPoll(server, ticket, { headers: proxied }),
  events: openEvents,
};

for (const connectionsPerAddress of [0, 10]) {
  t.test(`each client has its address, with connectionsPerAddress ${connectionsPerAddress}`, async (t) => {
    const limits = { connectionsPerAddress };
    const clock = new ManualClock();
    const server = await testServer(t, { ...admin, limits, mqtt: { port: -1 } }, clock);
    for (const [kind, connect] of Object.entries(direct)) {
      const { ticket } = await server.site().online(kind);
      t.match(await viewOf(server, kind), {
        clients: [{ transport: null, address: null, connectedAt: null, seenAt: clock.now(), detachedAt: clock.now() }],
      });
      clock.advance(100);
      await connect(server, ticket);
      const client = { transport: kind, address: '127.0.0.1', connectedAt: clock.now(), detachedAt: null };
      t.match(await viewOf(server, kind), { clients: [client] }, kind);
    }
    const proxy = await testServer(t, { ...admin, limits, trustProxy: true });
    for (const [kind, connect] of Object.entries(behindProxy)) {
      await connect(proxy, (await proxy.site().online(kind)).ticket);
      t.match(await viewOf(proxy, kind), { clients: [{ transport: kind, address: '192.0.2.7' }] }, `proxied ${kind}`);
    }
  });
}

t.test('a client was last seen when something came from it', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { ...admin, mqtt: { port: -1 } }, clock);
  const site = server.site();
  const socket = await WebSocketClient.connect(server, (await site.online('1')).ticket);
  const mqtt = await MqttChatClient.connect(
    server,
    `mqtt://127.0.0.1:${server.mqttPort}`,
    (await site.online('2')).ticket,
  );
  await openPoll(server, (await site.online('3')).ticket);
  const before = clock.now();
  clock.advance(200);
  for (const id of ['1', '2', '3']) t.match(await viewOf(server, id), { clients: [{ seenAt: before }] }, id);
  socket.send('ping');
  t.equal(await socket.text(), 'pong');
  t.match(await viewOf(server, '1'), { clients: [{ seenAt: before + 200, connectedAt: before }] });
  clock.advance(100);
  socket.close();
  mqtt.close();
  await socket.closed;
  await server.settled();
  t.match(await viewOf(server, '1'), { clients: [{ seenAt: before + 300, connectedAt: null, address: null }] });
});

t.test('clients that ended are listed with when and why, the last eight, while the endpoint goes on', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, admin, clock);
  const site = server.site();
  const first = await site.online('1', { client: 'tab' });
  t.strictSame((await viewOf(server))?.ended, []);
  clock.advance(10);
  const tab = await site.online('1', { client: 'tab' });
  t.strictSame((await viewOf(server))?.ended, [{ name: 'tab', at: clock.now(), reason: 'name taken by a new client' }]);
  t.not(tab.ticket, first.ticket);
  const phone = await site.arrive('1', { client: 'phone' });
  await site.post('/v5/presences/offline', { ticket: phone.ticket });
  t.match((await viewOf(server))?.ended[0], { name: 'phone', at: clock.now(), reason: 'stopped' });
  await site.arrive('1', { client: 'stays' });
  clock.advance(times.clientIdleMs);
  await server.settled();
  t.match((await viewOf(server))?.ended[0], { name: 'tab', at: clock.now(), reason: 'not connected in time' });
  for (let n = 1; n <= 9; n++) {
    const { ticket } = await site.online('1', { client: `c${n}` });
    await site.post('/v5/presences/offline', { ticket });
  }
  t.strictSame(
    (await viewOf(server))?.ended.map(({ name }) => name),
    ['c9', 'c8', 'c7', 'c6', 'c5', 'c4', 'c3', 'c2'],
  );
});

t.test('what ended is forgotten with the endpoint', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, admin, clock);
  await server.site().online('1', { client: 'tab' });
  clock.advance(times.clientIdleMs);
  await server.settled();
  t.match(await viewOf(server), { clients: [], ended: [{ name: 'tab' }] });
  await server.site().online('1', { client: 'back' });
  t.match(await viewOf(server), { ended: [{ name: 'tab' }] });
  await expire(server, clock);
  t.equal(await viewOf(server), null);
  await server.site().online('1');
  t.strictSame((await viewOf(server))?.ended, []);
});

t.test('a connection to another node has its address', { skip: skipWithout('nats-server') }, async (t) => {
  const settings = { admin: { port: -1 }, trustProxy: true };
  const [home, other] = await testCluster(t, await natsServer(t), 2, settings);
  for (const kind of ['websocket', 'jsonp', 'events']) {
    const { ticket } = await home.site().online(kind);
    await behindProxy[kind]?.(other, ticket);
    const view = await until(`${kind} through n2`, async () => {
      const view = await viewOf(home, kind);
      return view?.clients[0]?.via === 'n2' && view;
    });
    const seenAt = kind === 'websocket' ? null : Number;
    t.match(
      view,
      { clients: [{ transport: kind, via: 'n2', address: '192.0.2.7', connectedAt: Number, seenAt }] },
      kind,
    );
  }
});
