/** Messages that are deleted while they wait for somebody, wherever that is: PROTOCOL.md section 18. */
import { join } from 'node:path';
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { type AwayWorld, awayWorld, cut, goAway, idleAndGrace, keepMs, stay } from './support/away.js';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import { forget, history, serve } from './support/history.js';
import { natsServer, testCluster } from './support/nats.js';
import type { Packet } from './support/packets.js';
import { skipWithout } from './support/programs.js';
import { expire, siteA, siteB, type TestServer, testServer, times } from './support/server.js';
import type { Site } from './support/site.js';

/** The status by which a site, or the history, deletes a message of somebody's. */
async function deleted(site: Site, from: string, to: string, id: string): Promise<void> {
  const answer = await site.post('/v5/statuses', { name: from, to, show: `deleted ${id}` });
  if (answer.status !== 200) throw new Error(answer.text);
}

function bodiesOf(packets: readonly Packet[]): (string | undefined)[] {
  return packets.map(({ body, show }) => body ?? show);
}

const dropped = (server: TestServer): number => server.metrics.domain(siteA.domain).dropped.deleted;

t.test('a message that the site deletes from the history leaves the offline store as well', async (t) => {
  const server = await serve(t, { offline: true });
  const site = server.site();
  await site.push('jack', 'anna', 'oops');
  await site.push('jack', 'anna', 'well');
  const [oops] = (await history(site, 'anna', { with: 'jack' })).messages;
  t.match(await forget(site, { name: 'jack', with: 'anna', id: oops?.id }), { status: 200 });
  const anna = await site.arrive('anna');
  t.strictSame(bodiesOf(await anna.before()), ['well'], 'neither the message nor that it is deleted');
  t.equal(dropped(server), 1);
});

t.test(
  'what is deleted in the offline store stays deleted after a restart; others’ messages of its id stay',
  async (t) => {
    const data = t.testdir();
    const domains = [{ ...siteA, offline: true }, siteB];
    const first = await testServer(t, { data, domains });
    const site = first.site();
    for (const from of ['jack', 'bob']) await site.push(from, 'anna', `of ${from}`, { id: 'one' });
    await site.push('jack', 'anna', 'another', { id: 'two' });
    await site.push('jack', 'carl', 'to carl', { id: 'one' });
    await first.close();
    const second = await testServer(t, { data, domains });
    await deleted(second.site(), 'jack', 'anna', 'one');
    await deleted(second.site(), 'jack', 'anna', 'three');
    await second.close();
    const third = await testServer(t, { data, domains });
    t.strictSame(bodiesOf(await (await third.site().arrive('anna')).before()), ['of bob', 'another']);
    t.strictSame(bodiesOf(await (await third.site().arrive('carl')).before()), ['to carl']);
    t.equal(third.metrics.domain(siteA.domain).offlineMessages, 0);
  },
);

t.test('a message that was read from the offline store and not confirmed is deleted in both places', async (t) => {
  const server = await testServer(t, { data: t.testdir(), domains: [{ ...siteA, offline: true }, siteB] });
  const site = server.site();
  await site.push('jack', 'anna', 'oops', { id: 'one' });
  const { ticket } = await site.online('anna');
  await deleted(site, 'jack', 'anna', 'one');
  const socket = server.own(new CountingSocket(server.port, ticket));
  await socket.connect();
  await site.push('jack', 'anna', 'well');
  await socket.has(1);
  t.strictSame([socket.bodies, socket.lost, statuses(socket)], [['well'], 0, []]);
  t.equal(server.metrics.domain(siteA.domain).offlineMessages, 0);
});

t.test('a room’s message that waits for a member who went offline is deleted there', async (t) => {
  const clock = new ManualClock();
  const domains = [{ ...siteA, offline: true }, siteB];
  const server = await testServer(t, { data: t.testdir(), domains, presence: times }, clock);
  const site = server.site();
  await site.online('anna', { rooms: 'lobby' });
  for (const id of ['one', 'two']) await site.push('jack', 'lobby', `said ${id}`, { type: 'grpchat', id });
  await site.push('jack', 'lobby', 'to a user of that name', { id: 'one' });
  await server.settled();
  await expire(server, clock);
  await server.settled();
  t.equal(server.metrics.domain(siteA.domain).offlineMessages, 3);
  await deleted(site, 'jack', 'gid:lobby', 'one');
  t.strictSame(bodiesOf(await (await site.arrive('anna')).before()), ['said two']);
  t.strictSame(bodiesOf(await (await site.arrive('lobby')).before()), ['to a user of that name']);
});

t.test('a message that waits for the next client of an endpoint is deleted', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const first = await site.online('anna');
  await site.push('jack', 'anna', 'oops', { id: 'one' });
  await site.push('jack', 'anna', 'well', { id: 'two' });
  await deleted(site, 'jack', 'anna', 'one');
  await site.offline(first.ticket);
  t.strictSame(bodiesOf(await (await site.arrive('anna')).before()), ['well']);
  t.strictSame([dropped(server), server.metrics.domain(siteA.domain).queuedPackets], [1, 0]);
});

t.test('who has had a message is told that it is deleted; a client that has not is told nothing', async (t) => {
  const one = await awayWorld(t);
  const { server, site } = one;
  const { ticket } = await site.online('anna');
  const away = new CountingSocket(server.port, ticket);
  await goAway(one, away);
  const here = await site.arrive('anna');
  await site.push('jack', 'anna', 'oops', { id: 'one' });
  t.strictSame(bodiesOf(await here.before()), ['oops']);
  await deleted(site, 'jack', 'anna', 'one');
  await site.push('jack', 'anna', 'well', { id: 'two' });
  t.strictSame(bodiesOf(await here.before()), ['deleted one', 'well']);
  await away.connect();
  await away.has(1);
  t.notOk(away.bodies.includes('oops'));
  t.strictSame([away.lost, statuses(away)], [0, []]);
});

const clients = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

function statuses(client: { readonly frames: readonly { readonly statuses?: readonly object[] }[] }): object[] {
  return client.frames.flatMap((frame) => frame.statuses ?? []);
}

for (const [name, Client] of Object.entries(clients)) {
  t.test(`somebody away has neither what was deleted nor a word of it, over ${name}`, async (t) => {
    const one = await awayWorld(t);
    const { server, site } = one;
    const { ticket } = await site.online('jack', { rooms: 'lobby' });
    const client = new Client(server.port, ticket);
    await goAway(one, client);
    for (const id of ['one', 'two', 'three']) await site.push('anna', 'jack', id, { id });
    await site.push('anna', 'lobby', 'in a room', { type: 'grpchat', id: 'one' });
    await deleted(site, 'anna', 'jack', 'two');
    await deleted(site, 'anna', 'gid:lobby', 'one');
    await client.connect();
    await client.has(2);
    await site.push('anna', 'jack', 'four');
    await client.has(3);
    t.strictSame(client.bodies, ['one', 'three', 'four']);
    t.strictSame([client.missed, client.lost, statuses(client)], [2, 0, []], 'numbers are missed, and no message is');
    t.equal(dropped(server), 2);
  });

  t.test(`what was sent and not confirmed does not come again when it is deleted, over ${name}`, async (t) => {
    const one = await awayWorld(t);
    const { server, site } = one;
    const { ticket } = await site.online('jack');
    const client = new Client(server.port, ticket);
    if (client instanceof CountingPoll) client.hasEnough = true;
    await stay(one, client);
    await site.push('anna', 'jack', 'oops', { id: 'one' });
    await client.has(1);
    const { position } = client;
    await cut(one, client);
    await idleAndGrace(one);
    await deleted(site, 'anna', 'jack', 'one');
    await site.push('anna', 'jack', 'well');
    const again = server.own(new Client(server.port, ticket));
    again.position = `${position.slice(0, position.lastIndexOf('.'))}.0`;
    await again.connect();
    await again.has(1);
    t.strictSame([again.bodies, again.missed, again.lost], [['well'], 1, 0]);
    t.match(statuses(again), [{ from: 'anna', show: 'deleted one' }], 'it may have been shown');
  });
}

t.test('what somebody away has had deleted does not go to the offline store at the end', async (t) => {
  const one: AwayWorld = await awayWorld(t, { domains: [{ ...siteA, offline: true }], data: t.testdir() });
  const { clock, server, site, metrics } = one;
  await goAway(one, new CountingSocket(server.port, (await site.online('jack')).ticket));
  await site.push('anna', 'jack', 'oops', { id: 'one' });
  await site.push('anna', 'jack', 'well', { id: 'two' });
  await deleted(site, 'anna', 'jack', 'one');
  clock.advance(keepMs);
  await server.settled();
  clock.advance(times.graceMs);
  await server.settled();
  t.equal(metrics.offlineMessages, 1);
  t.strictSame(bodiesOf(await (await site.arrive('jack')).before()), ['well']);
});

t.test('what was deleted before a restart is in no queue behind it, whatever the durability', async (t) => {
  const folder = t.testdir();
  for (const durability of ['restart', 'always']) {
    const data = join(folder, durability);
    const domains = [{ ...siteA, durability }, siteB];
    const first = await testServer(t, { data, domains });
    const { ticket } = await first.site().online('anna');
    await first.site().push('jack', 'anna', 'oops', { id: 'one' });
    await first.site().push('jack', 'anna', 'well', { id: 'two' });
    await deleted(first.site(), 'jack', 'anna', 'one');
    await first.close();
    const second = await testServer(t, { data, domains });
    const socket = second.own(new CountingSocket(second.port, ticket));
    await socket.connect();
    await socket.has(1);
    t.strictSame([socket.bodies, socket.lost], [['well'], 0], durability);
    await second.close();
  }
});

t.test(
  'a ticket’s MQTT session and a backend’s kept session have no message that was deleted while they were away',
  async (t) => {
    const server = await testServer(t, { mqtt: { port: -1 }, data: t.testdir() });
    const site = server.site();
    const { ticket } = await site.online('anna');
    const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const url = `mqtt://127.0.0.1:${server.mqttPort}`;
    const phone = () => client(t, url, { ...session, username: siteA.domain, password: ticket, clientId: 'phone' });
    const backend = () =>
      client(t, url, { ...session, username: siteA.domain, password: siteA.apikey, clientId: 'watcher' });
    const watcher = await backend();
    await watcher.client.subscribeAsync(`/domain/${siteA.domain}/uid/+`, { qos: 1 });
    for (const one of [await phone(), watcher]) await one.client.endAsync();
    for (const id of ['one', 'two', 'three']) await site.push('jack', 'anna', id, { id });
    await deleted(site, 'jack', 'anna', 'two');
    const back = [await phone(), await backend()];
    await site.push('jack', 'anna', 'mark');
    for (const one of back) {
      const frames: { messages: { body: string }[]; statuses: object[] }[] = [];
      while (!frames.some(({ messages }) => messages.some(({ body }) => body === 'mark'))) {
        frames.push(JSON.parse(await one.payload()));
      }
      t.strictSame(
        frames.flatMap(({ messages }) => messages.map(({ body }) => body)),
        ['one', 'three', 'mark'],
      );
      t.strictSame(
        frames.flatMap((frame) => frame.statuses),
        [],
      );
    }
  },
);

const skip = skipWithout('nats-server');

t.test('a deleted message is taken out on whichever node it waits', { skip }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 2);
  const [n1, n2] = [nodes[0].site(), nodes[1].site()];
  const settled = async () => {
    for (let turn = 0; turn < 2; turn++) for (const node of nodes) await node.settled();
  };
  const one = await n1.online('anna');
  const other = await n2.online('anna');
  await settled();
  await n2.push('jack', 'anna', 'oops', { id: 'one' });
  await deleted(n2, 'jack', 'anna', 'one');
  await n2.push('jack', 'anna', 'well', { id: 'two' });
  await settled();
  for (const [ticket, port] of [
    [one.ticket, nodes[1].port],
    [other.ticket, nodes[0].port],
  ] as const) {
    const socket = nodes[0].own(new CountingSocket(port, ticket));
    await socket.connect();
    await socket.has(1);
    t.strictSame([socket.bodies, socket.lost, statuses(socket)], [['well'], 0, []]);
  }
});
