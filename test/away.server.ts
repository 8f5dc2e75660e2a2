/** Clients that keep a position and lose their connection for long: their tickets are kept, and their endpoints are away. */
import t from 'tap';
import { awayWorld, cut, goAway, idleAndGrace, keepMs, statusOfTicket, stay } from './support/away.js';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import type { Packet } from './support/packets.js';
import { pollPackets } from './support/polling.js';
import { siteA, times } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

const clients = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };
function bodies(packets: readonly Packet[]): (string | undefined)[] {
  return packets.map(({ body }) => body);
}

for (const [name, Client] of Object.entries(clients)) {
  t.test(`somebody away is offline to others and comes back to everything, in order, over ${name}`, async (t) => {
    const one = await awayWorld(t);
    const { server, site, metrics } = one;
    const anna = await site.arrive('anna', { rooms: 'lobby', buddies: 'jack' });
    const { ticket } = await site.online('jack', { rooms: 'lobby', show: 'dnd', buddies: 'bob' });
    const client = new Client(server.port, ticket);
    const told = { from: 'jack', show: 'unavailable' };
    t.hasStrict(await anna.next(), { type: 'online', show: 'dnd' });
    t.hasStrict(await anna.next(), { type: 'grponline', show: 'dnd' });
    await goAway(one, client);
    t.hasStrict(await anna.next(), { ...told, type: 'offline' });
    t.hasStrict(await anna.next(), { ...told, type: 'grpoffline', to: 'lobby', status: 'lobby' });
    t.strictSame(await site.presences('jack', 'anna'), { anna: 'available' });
    t.strictSame(await site.members(anna.ticket, 'lobby'), { anna: 'available' });
    t.strictSame((await site.online('carl', { buddies: 'jack' })).presences, {});
    t.strictSame([metrics.endpointsOnline, metrics.clientsAway, metrics.rooms], [2, 1, 1]);

    await site.push('anna', 'jack', 'one');
    await site.say(anna.ticket, 'lobby', 'two');
    await site.status(anna.ticket, 'jack', 'typing');
    await site.show(anna.ticket, 'busy');
    const bob = await site.arrive('bob');
    await site.push('anna', 'jack', 'three');
    await client.connect();
    await client.has(3);
    t.strictSame(client.bodies, ['one', 'two', 'three']);
    t.strictSame([client.missed, client.lost], [0, 0]);
    const presences = client.frames.flatMap((frame) => frame.presences ?? []);
    t.match(presences.slice(-2), [
      { from: 'anna', show: 'busy' },
      { from: 'bob', type: 'online' },
    ]);
    t.match(
      client.frames.flatMap((frame) => frame.statuses ?? []),
      [{ show: 'typing' }],
    );
    t.hasStrict(await anna.next(), { type: 'online', from: 'jack', show: 'dnd' });
    t.hasStrict(await anna.next(), { type: 'grponline', from: 'jack', to: 'lobby', show: 'dnd' });
    t.hasStrict(await bob.next(), { type: 'online', from: 'jack', show: 'dnd' });
    t.strictSame(await anna.before(), []);
    t.strictSame(await site.members(anna.ticket, 'lobby'), { anna: 'busy', jack: 'dnd' });
    t.strictSame([metrics.endpointsOnline, metrics.clientsAway, metrics.awayEnded.returned], [4, 0, 1]);
    await site.push('anna', 'jack', 'four');
    await client.has(4);
  });
}

t.test('after keepMs the ticket is unknown, and messages go to the endpoint’s next client', async (t) => {
  const one = await awayWorld(t);
  const { clock, server, site, metrics } = one;
  const { ticket } = await site.online('jack', { rooms: 'lobby' });
  const client = new CountingSocket(server.port, ticket);
  await goAway(one, client);
  await site.push('anna', 'jack', 'one');
  clock.advance(keepMs - times.clientIdleMs - times.graceMs - 100);
  await server.settled();
  t.equal(await statusOfTicket(server, ticket), 200, 'the ticket is good still');
  clock.advance(100);
  await server.settled();
  t.equal(await statusOfTicket(server, ticket), 404);
  await client.connect();
  t.match(client.texts.at(-1), /ticket not found/);
  t.strictSame([metrics.clientsAway, metrics.awayEnded.expired, metrics.clients], [0, 1, 0]);
  const next = await site.arrive('jack');
  t.hasStrict(await next.next(), { body: 'one' });
});

t.test('after keepMs and a grace without anybody messages are dropped, and the room is no more', async (t) => {
  const one = await awayWorld(t);
  const { clock, server, site, metrics } = one;
  const { ticket } = await site.online('jack', { rooms: 'lobby' });
  await goAway(one, new CountingSocket(server.port, ticket));
  await site.push('anna', 'jack', 'one');
  t.equal(metrics.rooms, 0);
  clock.advance(keepMs);
  await server.settled();
  clock.advance(times.graceMs);
  await server.settled();
  t.strictSame([metrics.dropped.offline, metrics.queuedPackets, metrics.memoryBytes], [1, 0, 0]);
  await site.push('anna', 'jack', 'two');
  t.equal(metrics.dropped.offline, 2);
  const next = await site.arrive('jack');
  t.strictSame(await next.before(), []);
});

t.test('after keepMs what nobody has confirmed is in the offline store', async (t) => {
  const domains = [{ ...siteA, offline: true }];
  const one = await awayWorld(t, { domains, data: t.testdir() });
  const { clock, server, site, metrics } = one;
  const { ticket } = await site.online('jack');
  await goAway(one, new CountingSocket(server.port, ticket));
  await site.push('anna', 'jack', 'one');
  t.equal(metrics.offlineMessages, 0);
  clock.advance(keepMs);
  await server.settled();
  clock.advance(times.graceMs);
  await server.settled();
  t.equal(metrics.offlineMessages, 1);
  t.hasStrict(await (await site.arrive('jack')).next(), { body: 'one' });
});

t.test('a ticket that was connected for less than 5 s in all, or kept no position, ends as ever', async (t) => {
  const one = await awayWorld(t, { presence: { clientIdleMs: 6000, graceMs: 500 } });
  const { clock, server, site, metrics } = one;
  const glance = await site.online('1');
  const client = server.own(new CountingSocket(server.port, glance.ticket));
  for (const ms of [2000, 2999]) {
    await client.connect();
    await server.settled();
    clock.advance(ms);
    await cut(one, client);
  }
  const old = await site.arrive('2');
  const polls = await site.online('3');
  const mixed = new CountingSocket(server.port, (await site.online('4')).ticket);
  await stay(one, mixed);
  const socket = await WebSocketClient.open(server);
  socket.send(`subscribe ${siteA.domain} ${mixed.ticket}`);
  await server.settled();
  old.client.close();
  socket.close();
  await server.settledWhile(() => metrics.connections.websocket > 0);
  await server.site().push('x', '3', 'hi');
  await pollPackets(server, polls.ticket);
  await server.settled();
  clock.advance(6000);
  await server.settled();
  clock.advance(times.graceMs);
  await server.settled();
  t.strictSame([metrics.clients, metrics.clientsAway, metrics.endpointsOnline], [0, 0, 0]);
  for (const { ticket } of [glance, old, polls, mixed]) t.equal(await statusOfTicket(server, ticket), 404);
});

t.test('a client that polls with a position has been connected between its polls as well', async (t) => {
  const one = await awayWorld(t);
  const { clock, server, site, metrics } = one;
  const { ticket } = await site.online('jack');
  const client = server.own(new CountingPoll(server.port, ticket));
  for (let n = 1; n <= 21; n++) {
    await site.push('anna', 'jack', String(n));
    await client.connect();
    await client.has(n);
    client.disconnect();
    await server.settledWhile(() => metrics.connections.jsonp > 0);
    clock.advance(260);
  }
  await idleAndGrace(one);
  t.equal(metrics.clientsAway, 1);
});

for (const { what, overrides } of [
  { what: 'keepMs of 0', overrides: { resume: { keepMs: 0 } } },
  { what: 'keepMs within the idle time', overrides: { resume: { keepMs: times.clientIdleMs } } },
]) {
  t.test(`${what} keeps no ticket`, async (t) => {
    const one = await awayWorld(t, overrides);
    const { ticket } = await one.site.online('jack');
    await goAway(one, new CountingSocket(one.server.port, ticket));
    t.strictSame([one.metrics.clients, one.metrics.endpointsOnline], [0, 0]);
    t.equal(await statusOfTicket(one.server, ticket), 404);
  });
}

t.test('a ticket is kept whatever other clients its endpoint has, and has what these have had', async (t) => {
  const one = await awayWorld(t);
  const { server, site, metrics } = one;
  const anna = await site.arrive('anna', { buddies: 'jack' });
  const phone = new CountingSocket(server.port, (await site.online('jack', { client: 'phone' })).ticket);
  const desk = await site.arrive('jack', { client: 'desk' });
  t.hasStrict(await anna.next(), { type: 'online' });
  await goAway(one, phone);
  t.strictSame([metrics.clientsAway, metrics.endpointsOnline], [1, 2]);
  await site.push('anna', 'jack', 'one');
  t.hasStrict(await desk.next(), { body: 'one' });
  await phone.connect();
  await phone.has(1);
  t.strictSame(await anna.before(), [], 'nobody has seen anything');
  await cut(one, phone);
  await idleAndGrace(one);
  desk.client.close();
  await server.settledWhile(() => metrics.connections.websocket > 1);
  await idleAndGrace(one);
  t.hasStrict(await anna.next(), { type: 'offline' });
  t.strictSame([metrics.clients, metrics.clientsAway], [2, 1]);
});

t.test('calls by the ticket of somebody away work, and nobody sees them', async (t) => {
  const one = await awayWorld(t);
  const { server, site } = one;
  const anna = await site.arrive('anna', { rooms: 'lobby', buddies: 'jack' });
  const { ticket } = await site.online('jack', { rooms: 'attic' });
  await goAway(one, new CountingSocket(server.port, ticket));
  await anna.before();
  await site.show(ticket, 'busy', { status: 'at sea' });
  await site.join(ticket, 'lobby');
  await site.leave(ticket, 'attic');
  await site.message(ticket, 'anna', 'from afar');
  t.strictSame(bodies(await anna.before()), ['from afar']);
  t.strictSame(await site.members(ticket, 'lobby'), { anna: 'available' });
  const client = server.own(new CountingSocket(server.port, ticket));
  await site.say(anna.ticket, 'lobby', 'who is here');
  await client.connect();
  await client.has(1);
  t.hasStrict(await anna.next(), { type: 'online', show: 'busy', status: 'at sea' });
  t.hasStrict(await anna.next(), { type: 'grponline', to: 'lobby' });
});

t.test('who was invisible comes back invisible', async (t) => {
  const one = await awayWorld(t);
  const { server, site } = one;
  const anna = await site.arrive('anna', { buddies: 'jack' });
  const { ticket } = await site.online('jack', { show: 'invisible' });
  const client = new CountingSocket(server.port, ticket);
  await goAway(one, client);
  await client.connect();
  await server.settled();
  t.strictSame(await anna.before(), []);
  await site.show(ticket, 'available');
  t.hasStrict(await anna.next(), { type: 'online' });
});

t.test('a further client brings somebody away online, once and with what it brings', async (t) => {
  const one = await awayWorld(t);
  const { server, site, metrics } = one;
  const anna = await site.arrive('anna', { rooms: 'lobby', buddies: 'jack' });
  const { ticket } = await site.online('jack', { rooms: 'lobby', show: 'dnd' });
  const client = new CountingSocket(server.port, ticket);
  await goAway(one, client);
  await site.push('anna', 'jack', 'one');
  await anna.before();
  const { ticket: second } = await site.online('jack', { show: 'chat', rooms: 'attic' });
  t.hasStrict(await anna.next(), { type: 'online', show: 'chat' });
  t.hasStrict(await anna.next(), { type: 'grponline', to: 'lobby', show: 'chat' });
  t.strictSame(await anna.before(), []);
  t.strictSame(bodies(await pollPackets(server, second)), ['one']);
  await client.connect();
  await client.has(1);
  t.strictSame(client.bodies, ['one'], 'both have what nobody had confirmed');
  t.equal(metrics.endpointsOnline, 2);
});
