import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { RoomSizes } from '../src/actors/room-sizes.js';
import { RecentErrors } from '../src/recent-errors.js';
import { askAdmin } from './support/admin.js';
import { natsServer, testCluster } from './support/nats.js';
import { skipWithout } from './support/programs.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';
import { longPolling } from './support/transports.js';
import { WebSocketClient } from './support/websocket.js';

const admin = { admin: { port: -1 } };

async function lookup(server: TestServer, id: string, domain = siteA.domain) {
  const answer = await askAdmin(server, `/api/endpoint?${new URLSearchParams({ domain, id })}`);
  return answer.body as Record<string, unknown>;
}

t.test('an endpoint is shown with its clients, queues, buddies and rooms', async (t) => {
  const server = await testServer(t, admin);
  const site = server.site();
  await site.arrive('2', { buddies: '1' });
  await site.arrive('1', { buddies: '3', rooms: 'r', client: 'tab', show: 'dnd', status: 'busy with it' });
  await site.online('1', { client: 'phone' });
  await site.push('9', '1', 'waits for the phone');
  t.match(await lookup(server, '1'), {
    domain: siteA.domain,
    id: '1',
    kind: 'endpoint',
    endpoint: {
      online: true,
      nick: '1',
      show: 'dnd',
      status: 'busy with it',
      visible: true,
      clients: [
        { name: 'tab', transport: 'websocket', queuedPackets: 0, detachedAt: null },
        { name: 'phone', transport: null, queuedPackets: 1, detachedAt: Number },
      ],
      rooms: { total: 1, ids: ['r'] },
    },
    members: null,
    errors: [],
  });
  const { endpoint } = (await lookup(server, '1')) as { endpoint: { buddies: { ids: string[] } } };
  t.strictSame([...endpoint.buddies.ids].sort(), ['2', '3'], 'the relation holds both ways');
  t.match(await lookup(server, 'gid:r'), { kind: 'room', endpoint: null, members: { total: 1, ids: ['1'] } });
  t.match(await lookup(server, '1', siteB.domain), { endpoint: null }, 'it is nobody in another domain');
});

t.test('a lookup shows no message bodies and no whole tickets', async (t) => {
  const server = await testServer(t, admin);
  const { ticket } = await server.site().online('1');
  await server.site().push('9', '1', 'a secret');
  for (const path of ['/api/endpoint?domain=a.example&id=1', '/api/errors', '/api/stats', '/metrics']) {
    const { text } = await askAdmin(server, path);
    t.notMatch(text, /a secret/, path);
    t.notOk(text.includes(ticket.split(':')[2] as string), path);
  }
});

t.test('a ticket of another node is not said to be unknown', { skip: skipWithout('nats-server') }, async (t) => {
  const [home, other] = await testCluster(t, await natsServer(t), 2, admin);
  const { ticket } = await home.site().online('1');
  const socket = await WebSocketClient.open(other);
  socket.send(`subscribe ${siteA.domain} ${ticket}`);
  t.match(await socket.text(), /"ok"/);
  await other.site().message(ticket, '1', 'to itself');
  for (const node of [home, other]) t.match(await lookup(node, '1'), { errors: [] });
  const ended = await WebSocketClient.open(other);
  ended.send(`subscribe ${siteA.domain} ${ticket.slice(0, -32)}${'0'.repeat(32)}`);
  await ended.closed;
  t.match(await lookup(other, '1'), { errors: [{ reason: 'ticketNotFound', count: 1 }] });
  const unknown = new URLSearchParams({ domain: siteA.domain, ticket: `uid:2:${'0'.repeat(32)}` });
  t.equal((await fetch(`http://${other.host}/v5/packets?${unknown}`)).status, 404);
  t.match(await lookup(other, '2'), { errors: [{ reason: 'ticketNotFound', count: 1 }] }, 'a poll is told once');
});

t.test('recent errors are listed with the endpoint that they concern', async (t) => {
  const server = await testServer(t, admin);
  const site = server.site();
  for (let i = 0; i < 3; i++) await site.push('9', 'away', 'lost');
  await site.post('/v5/presences/online', { name: '1' });
  const socket = await WebSocketClient.open(server);
  const token = '0123456789abcdef'.repeat(2);
  socket.send(`subscribe ${siteA.domain} uid:42:${token}`);
  await socket.closed;
  t.match(await lookup(server, 'away'), { endpoint: null, errors: [{ reason: 'offline', count: 3, at: Number }] });
  t.match(await lookup(server, '42'), { errors: [{ reason: 'ticketNotFound' }] });
  const all = await askAdmin(server, '/api/errors');
  t.notOk(all.text.includes(token), 'the token is not shown');
  const { errors } = all.body as { errors: { reason: string; detail: string }[] };
  t.strictSame(
    errors.map(({ reason }) => reason),
    ['ticketNotFound', 'badRequest', 'offline'],
    'the latest first',
  );
  t.match(errors[1], { domain: siteA.domain, detail: /nick/ });
});

t.test('domains are listed by name, rooms by size', async (t) => {
  const server = await testServer(t, admin);
  await server.site(siteB).arrive('1', { rooms: 'small,big' });
  await server.site(siteB).arrive('2', { rooms: 'big' }, longPolling);
  await server.site().arrive('1', { rooms: 'big' });
  t.match((await askAdmin(server, '/api/domains')).body, {
    domains: [
      { domain: siteA.domain, source: 'file', endpoints: 1, connections: 1 },
      { domain: siteB.domain, source: 'file', endpoints: 2, connections: 2 },
    ],
    next: null,
  });
  t.match((await askAdmin(server, '/api/rooms?limit=1')).body, {
    total: 3,
    rooms: [{ domain: siteB.domain, room: 'big', members: 2 }],
  });
  t.strictSame((await askAdmin(server, '/api/rooms?domain=a.example')).body, {
    total: 1,
    rooms: [{ domain: siteA.domain, room: 'big', members: 1 }],
  });
  server.reload({ domains: [siteA] });
  t.match((await askAdmin(server, '/api/domains')).body, { domains: [{ domain: siteA.domain }], next: null });
});

t.test('a lookup of a wrong id or an unknown domain is answered 400', async (t) => {
  const server = await testServer(t, admin);
  for (const query of ['', 'domain=nowhere&id=1', 'domain=a.example', 'domain=a.example&id=a/b']) {
    t.equal((await askAdmin(server, `/api/endpoint?${query}`)).status, 400, query);
  }
});

t.test('the largest rooms are found whatever their sizes were before', async (t) => {
  const metrics = { rooms: 0 };
  const sizes = new RoomSizes(metrics);
  const rooms = Array.from({ length: 300 }, (_, i) => ({ address: `/domain/a/gid/${i}` as Address, size: 0 }));
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let step = 0; step < 5000; step++) {
    const room = rooms[random(rooms.length)];
    if (room) sizes.change(room, random(4) === 0 ? 0 : random(3000));
  }
  const wanted = rooms.filter(({ size }) => size > 0).sort((a, b) => b.size - a.size);
  t.equal(metrics.rooms, wanted.length);
  for (const count of [1, 10, 250, 1000]) {
    t.strictSame(
      sizes.largest(count).map(({ members }) => members),
      wanted.slice(0, count).map(({ size }) => size),
    );
  }
});

t.test('the oldest of the recent errors are forgotten', async (t) => {
  const recent = new RecentErrors();
  for (let i = 0; i < 1200; i++) recent.add('a', `/domain/a/uid/${i}`, 'offline');
  recent.add('a', '/domain/a/uid/1', 'queueOverflow');
  t.match(recent.of('a', '/domain/a/uid/1', 5), [{ reason: 'queueOverflow' }], 'what is rare stays');
  t.match(recent.of('a', '/domain/a/uid/1199', 5), [{ count: 1 }]);
  t.strictSame(recent.of('a', '/domain/a/uid/999', 5), []);
  const offline = recent.summary().filter(({ reason }) => reason === 'offline');
  t.match(offline, [{ reason: 'offline', domain: 'a', count: 200 }]);
  t.equal(offline[0]?.endpoints[0], '/domain/a/uid/1199');
});
