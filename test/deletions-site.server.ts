/** Messages that are deleted while they wait for the site: for a service's webhook, and in events. PROTOCOL.md sections 9, 17, 18. */
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingSocket } from './support/counting.js';
import { forget } from './support/history.js';
import { natsServer, testCluster } from './support/nats.js';
import { skipWithout } from './support/programs.js';
import { type Cleaner, type Settings, siteA, siteB, type TestServer, testServer } from './support/server.js';
import type { Site } from './support/site.js';
import { until } from './support/until.js';
import { type Reply, WebhookServer } from './support/webhook.js';

const KINDS = ['message', 'undelivered'];
/** Nobody listens there, so that what is for it waits. */
const DEAD = 'http://127.0.0.1:1/dead';

interface Called {
  readonly body?: string;
  readonly events?: readonly { readonly kind: string; readonly packet?: { readonly body: string } }[];
}

/** The bodies of the messages in a call, of a service's webhook or of events, these with their kinds. */
function said({ body: called }: { readonly body: unknown }): string[] {
  const { body, events } = called as Called;
  return events ? events.map(({ kind, packet }) => `${kind} ${packet?.body}`) : [body ?? ''];
}

/** Answers the bodies of what the site has been called with, up to one that contains `mark`. */
async function saidUpTo(hook: WebhookServer, mark: string): Promise<string[]> {
  const found: string[] = [];
  while (!found.at(-1)?.includes(mark)) found.push(...said(await hook.next()));
  return found;
}

async function deleted(site: Site, from: string, to: string, id: string): Promise<void> {
  const answer = await site.post('/v5/statuses', { name: from, to, show: `deleted ${id}` });
  if (answer.status !== 200) throw new Error(answer.text);
}

function domainsOf(url: string, more: Settings = {}): Settings[] {
  const events = { url, kinds: KINDS };
  const services = { bot: { webhook: url } };
  return [{ ...siteA, webhookPrivate: true, events, services, ...more }, siteB];
}

const dropped = (server: TestServer): number => server.metrics.domain(siteA.domain).dropped.deleted;

/** A service whose site answers as `reply` says, by a clock of the test's. */
async function serveBot(t: Cleaner, reply: (nth: number) => Reply, more: Settings = {}) {
  const hook = await WebhookServer.start(t, reply);
  const clock = new ManualClock();
  const server = await testServer(t, { domains: domainsOf(hook.url, { events: null, ...more }) }, clock);
  return { hook, clock, server, site: server.site() };
}

t.test('a message that waits for a service’s webhook is deleted, and others’ messages of its id stay', async (t) => {
  const { hook, clock, server, site } = await serveBot(t, (nth) => (nth === 0 ? 500 : 200));
  await site.push('jack', 'sid:bot', 'first', { id: 'zero' });
  await hook.next();
  for (const from of ['jack', 'bob']) await site.push(from, 'sid:bot', `of ${from}`, { id: 'one' });
  await site.push('jack', 'sid:bot', 'last', { id: 'two' });
  for (const id of ['zero', 'one', 'three']) await deleted(site, 'jack', 'sid:bot', id);
  await server.settled();
  clock.advance(250);
  t.strictSame(await saidUpTo(hook, 'last'), ['of bob', 'last'], 'neither the one that failed nor one behind it');
  t.equal(dropped(server), 2);
  t.equal(server.metrics.domain(siteA.domain).dropped.webhookFailed, 0);
});

t.test('what is under way to the site when it is deleted is not sent again where that failed', async (t) => {
  const { hook, clock, server, site } = await serveBot(t, (nth) => (nth === 0 ? 'hang' : 200));
  await site.push('jack', 'sid:bot', 'under way', { id: 'one' });
  await hook.next();
  await site.push('jack', 'sid:bot', 'last');
  await deleted(site, 'jack', 'sid:bot', 'one');
  await server.settled();
  t.equal(dropped(server), 0, 'its POST is not broken off: it may have arrived');
  clock.advance(10_000);
  await server.settledWhile(() => server.metrics.domain(siteA.domain).webhookFailures === 0);
  clock.advance(250);
  t.strictSame(await saidUpTo(hook, 'last'), ['last']);
  t.equal(dropped(server), 1);
});

t.test('events that carry a deleted message are not told, and others are', async (t) => {
  const hook = await WebhookServer.start(t, (nth) => (nth === 0 ? 503 : 200));
  const clock = new ManualClock();
  const server = await testServer(t, { domains: domainsOf(hook.url) }, clock);
  const site = server.site();
  await site.push('jack', 'anna', 'first');
  await server.settled();
  clock.advance(200);
  await hook.next();
  await server.settledWhile(() => server.metrics.domain(siteA.domain).webhookFailures === 0);
  await site.push('jack', 'anna,bob', 'oops', { id: 'one' });
  await deleted(site, 'jack', 'anna', 'one');
  await site.push('jack', 'anna', 'last');
  await server.settled();
  clock.advance(1000);
  const told = await saidUpTo(hook, 'undelivered last');
  t.strictSame(
    told,
    ['message first', 'undelivered first', 'message oops', 'undelivered oops', 'message last', 'undelivered last'],
    'of the message to two only that to the other one',
  );
  const numbers = server.metrics.domain(siteA.domain);
  t.equal(numbers.events.deleted, 2);
  await server.settledWhile(() => numbers.eventsWaiting > 0);
  t.equal(numbers.eventsWaitingBytes, 0);
});

t.test(
  'a client that deletes its message takes it from its receiver, and not from what the site is told of it',
  async (t) => {
    const hook = await WebhookServer.start(t);
    const clock = new ManualClock();
    const clients = { clientCalls: true, clientSend: ['websocket', 'http'] };
    const server = await testServer(t, { domains: domainsOf(hook.url, clients) }, clock);
    const site = server.site();
    const { ticket } = await site.online('jack');
    const call = async (calls: object) => {
      const query = { domain: siteA.domain, ticket };
      const answer = await server.request({ method: 'POST', path: '/v5/packets', query, body: JSON.stringify(calls) });
      if (answer.status !== 200) throw new Error(answer.text);
    };
    await call([
      { call: 'message', to: 'anna', body: 'threat', id: 'one' },
      { call: 'status', to: 'anna', show: 'deleted one' },
    ]);
    await site.push('bob', 'carl', 'last');
    await server.settled();
    clock.advance(200);
    const told = await saidUpTo(hook, 'undelivered last');
    t.strictSame(told, ['message threat', 'message last', 'undelivered last'], 'no e-mail of it, and a record');
  },
);

t.test('a room’s message that is deleted is told in no event, and a user’s of the room’s name is', async (t) => {
  const hook = await WebhookServer.start(t);
  const clock = new ManualClock();
  const server = await testServer(t, { domains: domainsOf(hook.url) }, clock);
  const site = server.site();
  await site.online('anna', { rooms: 'lobby' });
  await site.push('jack', 'lobby', 'in the room', { type: 'grpchat', id: 'one' });
  await site.push('jack', 'lobby', 'to a user', { id: 'one' });
  await deleted(site, 'jack', 'gid:lobby', 'one');
  await server.settled();
  clock.advance(200);
  t.strictSame(await saidUpTo(hook, 'undelivered'), ['message to a user', 'undelivered to a user']);
});

t.test(
  'what waits for the site and is deleted stays so after a restart, which finds what is deleted then',
  async (t) => {
    const data = t.testdir();
    const first = await testServer(t, { data, domains: domainsOf(DEAD) });
    for (const id of ['one', 'two', 'three']) {
      for (const to of ['sid:bot', 'anna']) await first.site().push('jack', to, `${id} to ${to}`, { id });
    }
    for (const to of ['sid:bot', 'anna']) await deleted(first.site(), 'jack', to, 'one');
    await first.settled();
    await first.close();
    const second = await testServer(t, { data, domains: domainsOf(DEAD) });
    for (const to of ['sid:bot', 'anna']) await deleted(second.site(), 'jack', to, 'two');
    await second.settled();
    await second.close();
    const [bot, events] = [await WebhookServer.start(t), await WebhookServer.start(t)];
    const services = { bot: { webhook: bot.url } };
    await testServer(t, { data, domains: domainsOf(events.url, { services }) });
    t.strictSame(await saidUpTo(bot, 'three'), ['three to sid:bot']);
    const told = await saidUpTo(events, 'undelivered three');
    t.strictSame(told, ['message three to sid:bot', 'message three to anna', 'undelivered three to anna']);
  },
);

const eventsOfMessages = `/domain/${siteA.domain}/events/message`;

/** A backend whose MQTT session with one subscription is kept while it is away. `saidSince`: the bodies in the events that it has when it is back. */
async function awayBackend(t: Cleaner, filter: string) {
  const domains = [{ ...siteA, events: { kinds: KINDS } }, siteB];
  const server = await testServer(t, { mqtt: { port: -1 }, domains });
  const site = server.site();
  const login = { username: siteA.domain, password: siteA.apikey, clientId: 'backend' };
  const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const connect = () => client(t, `mqtt://127.0.0.1:${server.mqttPort}`, { ...session, ...login });
  const before = await connect();
  await before.client.subscribeAsync(filter, { qos: 1 });
  await before.client.endAsync();
  const saidSince = async (): Promise<string[]> => {
    await site.push('jack', 'anna', 'mark');
    const again = await connect();
    const had: string[] = [];
    while (had.at(-1) !== 'mark') had.push(JSON.parse(await again.payload()).packet.body);
    return had;
  };
  return { server, site, saidSince };
}

t.test('a backend’s kept MQTT session has no event of a message that was deleted while it was away', async (t) => {
  const { site, saidSince } = await awayBackend(t, eventsOfMessages);
  for (const id of ['one', 'two', 'three']) await site.push('jack', 'anna', id, { id });
  await deleted(site, 'jack', 'anna', 'two');
  t.strictSame(await saidSince(), ['one', 'three', 'mark']);
});

t.test(
  'an event that waits in a kept MQTT session by way of a shared subscription goes with its deleted message',
  async (t) => {
    const { server, site, saidSince } = await awayBackend(t, `$share/workers/${eventsOfMessages}`);
    for (const id of ['one', 'two']) await site.push('jack', 'anna', id, { id });
    await deleted(site, 'jack', 'anna', 'one');
    await server.settled();
    t.strictSame(await saidSince(), ['two', 'mark']);
  },
);

t.test('a copy that waits for another client of the sender goes with the deleted message', async (t) => {
  const domains = [{ ...siteA, carbons: true }, siteB];
  const server = await testServer(t, { domains });
  const site = server.site();
  const [one, other] = [await site.online('jack'), await site.online('jack')];
  await site.message(one.ticket, 'anna', 'oops', { id: 'one' });
  await site.message(one.ticket, 'anna', 'well', { id: 'two' });
  await deleted(site, 'jack', 'anna', 'one');
  await server.settled();
  const socket = server.own(new CountingSocket(server.port, other.ticket));
  await socket.connect();
  await socket.has(1);
  t.strictSame([socket.bodies, socket.lost], [['well'], 0]);
});

const skip = skipWithout('nats-server');

t.test('what waits for the site is deleted on whichever node it waits', { skip }, async (t) => {
  const hook = await WebhookServer.start(t);
  const domains = domainsOf(hook.url, { services: { bot: { webhook: DEAD } } });
  const nodes = await testCluster(t, await natsServer(t), 2, { domains });
  const [n1, n2] = [nodes[0].site(), nodes[1].site()];
  const settled = async () => {
    for (let turn = 0; turn < 3; turn++) for (const node of nodes) await node.settled();
  };
  for (const site of [n1, n2]) {
    await site.push(`jack of ${site.server.port}`, 'sid:bot', 'oops', { id: 'one' });
    await settled();
  }
  const waiting = () => nodes.reduce((sum, { metrics }) => sum + metrics.domain(siteA.domain).queuedPackets, 0);
  t.equal(waiting(), 2);
  for (const [by, site] of [
    [n2, n1],
    [n1, n2],
  ] as const) {
    await deleted(by, `jack of ${site.server.port}`, 'sid:bot', 'one');
    await settled();
  }
  // A message that is being POSTed when it is deleted leaves when that has failed.
  await until('nothing waiting', () => waiting() === 0);
  t.equal(waiting(), 0);
  t.equal(dropped(nodes[0]) + dropped(nodes[1]), 2);
});

t.test('a conversation that is forgotten is told in no event, and its messages reach no webhook', async (t) => {
  const hook = await WebhookServer.start(t, (nth) => (nth === 0 ? 503 : 200));
  const clock = new ManualClock();
  const domains = domainsOf(hook.url, { services: { bot: { webhook: DEAD } }, history: {} });
  const server = await testServer(t, { data: t.testdir(), domains }, clock);
  const site = server.site();
  await site.push('carl', 'anna', 'first');
  await server.settled();
  clock.advance(200);
  await hook.next();
  await server.settledWhile(() => server.metrics.domain(siteA.domain).webhookFailures === 0);
  for (const [from, to] of [
    ['jack', 'anna'],
    ['anna', 'jack'],
    ['jack', 'carl'],
    ['jack', 'sid:bot'],
    ['bob', 'sid:bot'],
  ] as const) {
    await site.push(from, to, `${from} to ${to}`);
  }
  t.match(await forget(site, { name: 'anna', with: 'jack' }), { status: 200 });
  t.equal(server.metrics.domain(siteA.domain).events.deleted, 4);
  t.match(await forget(site, { name: 'jack' }), { status: 200 });
  await site.push('carl', 'anna', 'last');
  await server.settled();
  clock.advance(1000);
  const told = await saidUpTo(hook, 'undelivered last');
  const first = ['message first', 'undelivered first'];
  t.strictSame(told, [...first, 'message bob to sid:bot', 'message last', 'undelivered last']);
  t.equal(server.metrics.domain(siteA.domain).queuedPackets, 1, 'bob’s message to the service');
});
