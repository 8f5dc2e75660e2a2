/** Conversations that the site has forgotten, and all that a user said, while it waits: PROTOCOL.md section 18. */
import { join } from 'node:path';
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { awayWorld, cut, goAway, idleAndGrace, stay } from './support/away.js';
import { CountingSocket } from './support/counting.js';
import { forget } from './support/history.js';
import { clusterSettings, jetStreamServer } from './support/nats.js';
import type { Packet } from './support/packets.js';
import { skipWithout } from './support/programs.js';
import { expire, merge, siteA, siteB, type TestServer, testServer, times } from './support/server.js';
import type { Site } from './support/site.js';
import { until } from './support/until.js';

const keeping = { ...siteA, offline: true, history: {} };

function bodiesOf(packets: readonly Packet[]): (string | undefined)[] {
  return packets.map(({ body, show }) => body ?? show);
}

async function comes(site: Site, name: string): Promise<(string | undefined)[]> {
  return bodiesOf(await (await site.arrive(name)).before());
}

const numbers = (server: TestServer) => server.metrics.domain(siteA.domain);

t.test('nothing of a forgotten conversation is delivered from the offline store, and all else is', async (t) => {
  const server = await testServer(t, { data: t.testdir(), domains: [keeping, siteB] });
  const site = server.site();
  for (const [from, to] of [
    ['jack', 'anna'],
    ['anna', 'jack'],
    ['bob', 'anna'],
    ['jack', 'bob'],
  ] as const) {
    for (const n of [1, 2]) await site.push(from, to, `${from} ${n}`);
  }
  await server.site(siteB).push('jack', 'anna', 'of another domain');
  t.match(await forget(site, { name: 'anna', with: 'jack' }), { status: 200 });
  t.strictSame(await comes(site, 'anna'), ['bob 1', 'bob 2']);
  t.strictSame(await comes(site, 'jack'), []);
  t.strictSame(await comes(site, 'bob'), ['jack 1', 'jack 2']);
  t.equal(numbers(server).dropped.deleted, 4);
});

t.test('nothing that a forgotten user said or was told is delivered, in rooms neither', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { data: t.testdir(), domains: [keeping, siteB], presence: times }, clock);
  const site = server.site();
  await site.online('carl', { rooms: 'lobby' });
  for (const from of ['jack', 'bob']) await site.push(from, 'lobby', `${from} in the room`, { type: 'grpchat' });
  await server.settled();
  await expire(server, clock);
  await server.settled();
  for (const to of ['anna', 'carl']) await site.push('jack', to, `jack to ${to}`);
  for (const to of ['jack', 'carl']) await site.push('bob', to, `bob to ${to}`);
  t.match(await forget(site, { name: 'jack' }), { status: 200 });
  t.strictSame(await comes(site, 'anna'), []);
  t.strictSame(await comes(site, 'jack'), []);
  t.strictSame(await comes(site, 'carl'), ['bob in the room', 'bob to carl']);
});

t.test('many conversations are forgotten at once, each call when its own is', async (t) => {
  const server = await testServer(t, { data: t.testdir(), domains: [keeping, siteB] });
  const site = server.site();
  const names = Array.from({ length: 30 }, (_, n) => `user${n}`);
  for (const name of names) for (const n of [1, 2]) await site.push(name, 'anna', `${name} ${n}`);
  await site.push('anna', 'bob', 'stays');
  const answers = await Promise.all(names.map((name) => forget(site, { name })));
  t.ok(answers.every(({ status }) => status === 200));
  t.strictSame(await comes(site, 'anna'), []);
  t.strictSame(await comes(site, 'bob'), ['stays']);
});

t.test('a room that is forgotten is delivered to no member that is away, and what is said to them is', async (t) => {
  const one = await awayWorld(t, { data: t.testdir(), domains: [keeping, siteB] });
  const { server, site } = one;
  const { ticket } = await site.online('anna', { rooms: 'lobby' });
  const socket = new CountingSocket(server.port, ticket);
  await goAway(one, socket);
  await site.push('jack', 'lobby', 'in the room', { type: 'grpchat' });
  await site.push('jack', 'anna', 'to anna');
  await site.push('jack', 'lobby', 'to a user of that name');
  t.match(await forget(site, { name: 'jack', with: 'gid:lobby' }), { status: 200 });
  await socket.connect();
  await socket.has(1);
  await site.push('jack', 'anna', 'more');
  await socket.has(2);
  t.strictSame([socket.bodies, socket.lost], [['to anna', 'more'], 0]);
  t.strictSame(await comes(site, 'lobby'), ['to a user of that name']);
});

t.test('what was sent and not confirmed does not come again when its conversation is forgotten', async (t) => {
  const one = await awayWorld(t, { data: t.testdir(), domains: [{ ...siteA, history: {} }, siteB] });
  const { server, site } = one;
  const { ticket } = await site.online('jack');
  const socket = new CountingSocket(server.port, ticket);
  await stay(one, socket);
  await site.push('anna', 'jack', 'oops');
  await socket.has(1);
  const { position } = socket;
  await cut(one, socket);
  await idleAndGrace(one);
  t.match(await forget(site, { name: 'jack', with: 'anna' }), { status: 200 });
  await site.push('anna', 'jack', 'well');
  const again = server.own(new CountingSocket(server.port, ticket));
  again.position = `${position.slice(0, position.lastIndexOf('.'))}.0`;
  await again.connect();
  await again.has(1);
  t.strictSame([again.bodies, again.missed, again.lost], [['well'], 1, 0]);
});

t.test('what was forgotten is in no queue behind a restart, whatever the durability', async (t) => {
  const folder = t.testdir();
  for (const durability of ['none', 'restart', 'always']) {
    const data = join(folder, durability);
    const domains = [{ ...keeping, durability }, siteB];
    const first = await testServer(t, { data, domains });
    const { ticket } = await first.site().online('anna');
    await first.site().push('jack', 'anna', 'oops');
    await first.site().push('bob', 'anna', 'well');
    t.match(await forget(first.site(), { name: 'jack', with: 'anna' }), { status: 200 });
    await first.close();
    const second = await testServer(t, { data, domains });
    if (durability === 'none') t.strictSame(await comes(second.site(), 'anna'), ['well'], durability);
    else {
      const socket = second.own(new CountingSocket(second.port, ticket));
      await socket.connect();
      await socket.has(1);
      t.strictSame([socket.bodies, socket.lost], [['well'], 0], durability);
    }
    await second.close();
  }
});

t.test('MQTT sessions of a ticket and of a backend have nothing of a forgotten conversation', async (t) => {
  const domains = [{ ...keeping, events: { kinds: ['message'] } }, siteB];
  const server = await testServer(t, { mqtt: { port: -1 }, data: t.testdir(), domains });
  const site = server.site();
  const { ticket } = await site.online('anna');
  const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const connect = (password: string, clientId: string) =>
    client(t, `mqtt://127.0.0.1:${server.mqttPort}`, { ...session, username: siteA.domain, password, clientId });
  const phone = () => connect(ticket, 'phone');
  const backend = () => connect(siteA.apikey, 'watcher');
  const watcher = await backend();
  await watcher.client.subscribeAsync(`/domain/${siteA.domain}/uid/+`, { qos: 1 });
  await watcher.client.subscribeAsync(`/domain/${siteA.domain}/events/+`, { qos: 1 });
  await watcher.client.subscribeAsync('free', { qos: 1 });
  for (const one of [await phone(), watcher]) await one.client.endAsync();
  const other = await connect(siteA.apikey, 'other');
  const alike = { messages: [{ from: 'jack', to: 'anna', type: 'chat', body: 'on a free topic' }] };
  await other.client.publishAsync('free', JSON.stringify(alike), { qos: 1 });
  await site.push('jack', 'anna', 'oops');
  await site.push('anna', 'jack', 'oops');
  await site.push('bob', 'anna', 'well');
  t.match(await forget(site, { name: 'jack', with: 'anna' }), { status: 200 });
  const back = { phone: await phone(), backend: await backend() };
  await site.push('bob', 'anna', 'mark');
  for (const [name, one] of Object.entries(back)) {
    const had: string[] = [];
    while (had.filter((body) => body === 'mark').length < (name === 'phone' ? 1 : 2)) {
      const { messages, packet } = JSON.parse(await one.payload());
      had.push(...(messages ?? [packet]).map(({ body }: { body: string }) => body));
    }
    const wanted = name === 'phone' ? ['mark', 'well'] : ['mark', 'mark', 'on a free topic', 'well', 'well'];
    t.strictSame(had.sort(), wanted, name);
  }
});

const skip = skipWithout('nats-server');

t.test('a conversation is forgotten on whichever node its messages wait', { skip }, async (t) => {
  const domains = [
    { ...keeping, services: { bot: { webhook: 'http://127.0.0.1:1/dead' } }, webhookPrivate: true },
    siteB,
  ];
  const nats = await jetStreamServer(t);
  const folder = t.testdir();
  const nodes: TestServer[] = [];
  const settings = clusterSettings(nats, { domains, cluster: { store: 'jetstream' } });
  for (const node of ['n1', 'n2']) {
    nodes.push(await testServer(t, merge(settings, { data: join(folder, node), cluster: { node } })));
  }
  const [one, two] = nodes as [TestServer, TestServer];
  const settled = async () => {
    for (let turn = 0; turn < 3; turn++) for (const node of nodes) await node.settled();
  };
  const tickets = [(await one.site().online('anna')).ticket, (await two.site().online('anna')).ticket];
  await settled();
  for (const site of [one.site(), two.site()]) {
    await site.push('jack', 'anna', 'oops');
    await site.push('anna', 'jack', 'oops');
    await site.push('jack', 'sid:bot', 'oops');
  }
  await one.site().push('bob', 'anna', 'well');
  await one.site().push('bob', 'jack', 'well');
  await settled();
  const waiting = () => nodes.map((node) => numbers(node).queuedPackets);
  t.strictSame(waiting(), [7, 7], 'three for anna, twice, and one for the webhook');
  t.match(await forget(two.site(), { name: 'jack' }), { status: 200 });
  await until('bob’s message to anna, twice', () => waiting().every((count) => count === 2));
  for (const [at, ticket] of tickets.entries()) {
    const socket = one.own(new CountingSocket((at === 0 ? two : one).port, ticket));
    await socket.connect();
    await socket.has(1);
    t.strictSame([socket.bodies, socket.lost], [['well'], 0]);
  }
  t.strictSame(await comes(one.site(), 'jack'), [], 'what bob said to jack is jack’s conversation, too');
});
