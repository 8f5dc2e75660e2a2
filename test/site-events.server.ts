/** Event webhooks: PROTOCOL.md section 17. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Clock } from '../src/clock.js';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingSocket } from './support/counting.js';
import {
  type Cleaner,
  expire,
  goOffline,
  type Settings,
  siteA,
  siteB,
  type TestServer,
  testServer,
  times,
} from './support/server.js';
import { type Reply, signature, WebhookServer } from './support/webhook.js';

const KINDS = ['online', 'offline', 'join', 'leave', 'roomEmpty', 'message', 'undelivered'];

interface Event {
  readonly id: string;
  readonly time: number;
  readonly kind: string;
  readonly [name: string]: unknown;
}

/** A site that is told events, one by one. */
class Told {
  readonly #waiting: Event[] = [];

  constructor(readonly hook: WebhookServer) {}

  async next(): Promise<Event> {
    while (this.#waiting.length === 0) {
      const { body, headers } = await this.hook.next();
      const { domain, events } = body as { domain: string; events: Event[] };
      if (domain !== siteA.domain || headers['x-nextalk-domain'] !== siteA.domain) throw new Error(domain);
      this.#waiting.push(...events);
    }
    return this.#waiting.shift() as Event;
  }

  async take(count: number): Promise<Event[]> {
    const events: Event[] = [];
    while (events.length < count) events.push(await this.next());
    return events;
  }
}

/** The server knows that the site has so many events. */
async function acknowledged(server: TestServer, count: number): Promise<void> {
  await server.settledWhile(() => server.metrics.domain(siteA.domain).events.acknowledged < count);
}

async function serve(t: Cleaner, domain: Settings = {}, clock?: Clock, reply?: (nth: number) => Reply) {
  const hook = await WebhookServer.start(t, reply);
  const events = { url: hook.url, kinds: KINDS };
  const domains = [{ ...siteA, webhookPrivate: true, events, ...domain }, siteB];
  const server = await testServer(t, { presence: times, domains }, clock);
  return { server, site: server.site(), told: new Told(hook), hook };
}

t.test('coming, going, rooms and messages are told in order, signed', async (t) => {
  const { site, told, hook } = await serve(t);
  const jack = await site.arrive('jack', { nick: 'Jäck', show: 'away' });
  await site.join(jack.ticket, 'tea');
  await site.push('anna', 'jack', 'hello 你好');
  await site.show(jack.ticket, 'invisible');
  await site.leave(jack.ticket, 'tea');
  await jack.offline();
  const events = await told.take(6);
  const who = { name: 'jack', nick: 'Jäck' };
  t.match(events, [
    { kind: 'online', ...who, show: 'away' },
    { kind: 'join', ...who, show: 'away', room: 'tea' },
    { kind: 'message', packet: { from: 'anna', to: 'jack', body: 'hello 你好', type: 'chat', id: /./ } },
    { kind: 'leave', ...who, show: 'invisible', room: 'tea' },
    { kind: 'roomEmpty', room: 'tea' },
    { kind: 'offline', ...who, show: 'invisible' },
  ]);
  t.equal(new Set(events.map(({ id }) => id)).size, 6);
  for (const { time } of events) t.type(time, 'number');
  const { since, time } = events[5] as Event;
  t.ok((since as number) <= time);
  for (const { text, headers } of hook.calls) {
    t.equal(headers['x-nextalk-signature'], signature(siteA.apikey, text));
    t.match(headers['content-type'], /^application\/json/);
  }
});

t.test('a page reload is no event, and offline says when the endpoint was seen last', async (t) => {
  const clock = new ManualClock();
  const { server, site, told } = await serve(t, {}, clock);
  const first = await site.arrive('jack');
  await first.offline();
  const again = await site.arrive('jack');
  clock.advance(1000);
  const seen = clock.now();
  await goOffline(again, clock);
  await server.settled();
  clock.advance(200);
  const events = await told.take(2);
  t.strictSame(
    events.map(({ kind }) => kind),
    ['online', 'offline'],
  );
  t.equal(events[1]?.since, seen);
  t.equal(events[1]?.time, seen + times.graceMs);
});

for (const isKept of [false, true]) {
  const outcome = isKept ? 'stored' : 'dropped';
  t.test(`a message that finds nobody is undelivered, ${outcome}, once for each`, async (t) => {
    const hook = await WebhookServer.start(t);
    const told = new Told(hook);
    const events = { url: hook.url, kinds: ['undelivered'] };
    const domains = [{ ...siteA, webhookPrivate: true, offline: isKept, events }];
    const clock = new ManualClock();
    const data = isKept ? t.testdir() : 'none';
    const server = await testServer(t, { presence: times, domains, data }, clock);
    const site = server.site();
    const gather = async () => {
      await server.settled();
      clock.advance(200);
    };
    await site.push('anna', 'jack', 'nobody there');
    await gather();
    const packet = { from: 'anna', to: 'jack', body: 'nobody there' };
    t.match(await told.next(), { kind: 'undelivered', name: 'jack', outcome, packet });
    const jack = await site.arrive('jack');
    if (isKept) await jack.next();
    await site.push('anna', 'jack', 'somebody there');
    await jack.next();
    await server.settled();
    await jack.offline();
    await site.push('anna', 'jack', 'in the grace');
    await server.settled();
    clock.advance(times.graceMs);
    await gather();
    t.match(await told.next(), { kind: 'undelivered', name: 'jack', outcome, packet: { body: 'in the grace' } });
    const back = await site.online('jack');
    await site.offline(back.ticket);
    clock.advance(times.graceMs);
    await site.push('anna', 'rose', 'the last');
    await gather();
    t.match(await told.next(), { name: 'rose', packet: { body: 'the last' } }, 'and not again');
  });
}

t.test('a message to somebody who is away is undelivered and queued, once', async (t) => {
  const clock = new ManualClock();
  const hook = await WebhookServer.start(t);
  const told = new Told(hook);
  const domains = [{ ...siteA, webhookPrivate: true, events: { url: hook.url, kinds: ['offline', 'undelivered'] } }];
  const server = await testServer(t, { presence: times, domains }, clock);
  const { ticket } = await server.site().online('jack');
  const socket = server.own(new CountingSocket(server.port, ticket));
  await socket.connect();
  await server.settled();
  clock.advance(5000);
  const lost = clock.now();
  socket.disconnect();
  await server.settledWhile(() => server.metrics.connections.websocket > 0);
  await expire(server, clock);
  await server.site().push('anna', 'jack', 'are you there?');
  await server.settled();
  clock.advance(200);
  t.match(await told.next(), { kind: 'offline', name: 'jack', since: lost });
  t.match(await told.next(), { kind: 'undelivered', outcome: 'queued', packet: { body: 'are you there?' } });
  await acknowledged(server, 2);
  clock.advance(120_000);
  await server.settled();
  clock.advance(times.graceMs);
  await server.site().push('anna', 'rose', 'the last');
  await server.settled();
  clock.advance(200);
  t.match(await told.next(), { name: 'rose', outcome: 'dropped' }, 'the end of what is kept tells nothing again');
});

t.test('only the kinds that are named are told, and a domain without events tells none', async (t) => {
  const { server, site, told } = await serve(t);
  const reload = (events: unknown) => server.reload({ domains: [{ ...siteA, webhookPrivate: true, events }] });
  await site.online('one');
  t.match(await told.next(), { kind: 'online', name: 'one' });
  await acknowledged(server, 1);
  reload({ url: told.hook.url, kinds: ['message'] });
  await site.online('two');
  await site.push('a', 'two', 'x');
  t.match(await told.next(), { kind: 'message' });
  await acknowledged(server, 2);
  reload(null);
  await site.push('a', 'two', 'y');
  reload({ url: told.hook.url });
  await site.online('three');
  t.match(await told.next(), { kind: 'online', name: 'three' }, 'online is among those that are told by default');
});

t.test('several secrets give a signature each, and the API key none', async (t) => {
  const { site, hook } = await serve(t, { webhookSecret: ['new secret', 'old secret'] });
  await site.online('jack');
  const { text, headers } = await hook.next();
  const wanted = ['new secret', 'old secret'].map((secret) => signature(secret, text)).join(',');
  t.equal(headers['x-nextalk-signature'], wanted);
});

t.test('a site that hangs costs nobody anything, and is told when it is well again', async (t) => {
  const clock = new ManualClock();
  const { server, site, told, hook } = await serve(t, {}, clock, (nth) => (nth === 0 ? 'hang' : 200));
  const jack = await site.arrive('jack');
  await server.settled();
  clock.advance(200);
  await hook.next();
  for (let n = 0; n < 250; n++) await site.push('anna', 'jack', String(n));
  for (let n = 0; n < 250; n++) t.match(await jack.next(), { body: String(n) });
  clock.advance(10_000);
  const pausing = setInterval(() => clock.advance(250), 5);
  t.teardown(() => clearInterval(pausing));
  const events = await told.take(251);
  t.equal(events[0]?.kind, 'online', 'again');
  t.strictSame(
    events.slice(1).map(({ packet }) => (packet as { body: string }).body),
    Array.from({ length: 250 }, (_, n) => String(n)),
  );
  for (const { body } of hook.calls) t.ok((body as { events: unknown[] }).events.length <= 100);
});

t.test('a backend has the events over MQTT, a ticket does not', async (t) => {
  const hook = await WebhookServer.start(t);
  const domains = [{ ...siteA, webhookPrivate: true, events: { kinds: KINDS } }, siteB];
  const server = await testServer(t, { domains, mqtt: { port: -1 } });
  const url = `mqtt://127.0.0.1:${server.mqttPort}`;
  const login = { username: siteA.domain, password: siteA.apikey };
  const backend = await client(t, url, { clientId: 'backend', ...login });
  await backend.client.subscribeAsync(`/domain/${siteA.domain}/events/+`, { qos: 1 });
  const { ticket } = await server.site().online('jack');
  const published = await backend.next();
  t.equal(published.topic, `/domain/${siteA.domain}/events/online`);
  t.match(JSON.parse(String(published.payload)), { kind: 'online', name: 'jack' });
  const own = await client(t, url, { clientId: 'own', ...login, password: ticket });
  await t.rejects(own.client.subscribeAsync(`/domain/${siteA.domain}/events/online`));
  const other = await client(t, url, { clientId: 'other', username: siteB.domain, password: siteB.apikey });
  await t.rejects(other.client.subscribeAsync(`/domain/${siteA.domain}/events/#`));
  t.equal(hook.calls.length, 0);
});

t.test('what waits for the site outlives a restart, and the restart itself is no event', async (t) => {
  const data = t.testdir();
  const hook = await WebhookServer.start(t);
  const told = new Told(hook);
  const domains = (url: string) => [{ ...siteA, webhookPrivate: true, events: { url, kinds: KINDS } }];
  const first = await testServer(t, { data, domains: domains('http://127.0.0.1:1/dead') });
  const jack = await first.site().arrive('jack', { rooms: 'tea' });
  await first.site().push('anna', 'jack', 'hello');
  await jack.next();
  await first.drain();
  await first.close();
  const second = await testServer(t, { data, domains: domains(hook.url) });
  t.match(await told.take(2), [
    { kind: 'online', name: 'jack' },
    { kind: 'message', packet: { body: 'hello' } },
  ]);
  await second.site().online('rose');
  t.match(await told.next(), { kind: 'online', name: 'rose' });
  t.strictSame(await second.site().presences('jack', 'rose'), { jack: 'available', rose: 'available' });
});

for (const { durability, isKilled } of [
  { durability: 'restart', isKilled: false },
  { durability: 'always', isKilled: false },
  { durability: 'always', isKilled: true },
]) {
  const how = `${isKilled ? 'a kill' : 'a restart'} where it is durable ${durability}`;
  t.test(`a message to somebody who is away is not told again after ${how}`, async (t) => {
    const clock = new ManualClock();
    const hook = await WebhookServer.start(t);
    const told = new Told(hook);
    const events = { url: hook.url, kinds: ['undelivered'] };
    const domains = [{ ...siteA, webhookPrivate: true, durability, events }];
    const folder = t.testdir();
    const start = (name: string) =>
      testServer(t, { data: join(folder, name), presence: times, resume: { keepMs: 120_000 }, domains }, clock);
    const gather = async (server: TestServer) => {
      await server.settled();
      clock.advance(200);
      await server.settled();
    };
    const first = await start('first');
    const socket = first.own(new CountingSocket(first.port, (await first.site().online('jack')).ticket));
    await socket.connect();
    await first.settled();
    clock.advance(5000);
    socket.disconnect();
    await first.settledWhile(() => first.metrics.connections.websocket > 0);
    await expire(first, clock);
    await first.site().push('anna', 'jack', 'are you there?');
    await gather(first);
    t.match(await told.next(), { name: 'jack', outcome: 'queued', packet: { body: 'are you there?' } });
    await acknowledged(first, 1);
    if (isKilled) {
      // Answered when it is on disk: what is there now is what a kill leaves.
      await first.site().push('anna', 'rose', 'on disk');
      await gather(first);
      await told.next();
      await acknowledged(first, 2);
      await first.site().push('anna', 'carl', 'on disk as well');
      cpSync(join(folder, 'first'), join(folder, 'second'), { recursive: true });
      rmSync(join(folder, 'second', 'nextalk.pid'), { force: true });
    }
    await first.close();
    const second = await start(isKilled ? 'second' : 'first');
    t.ok(second.metrics.domain(siteA.domain).queuedPackets > 0, 'the message waits still');
    clock.advance(120_000);
    await second.settled();
    await expire(second, clock);
    await second.settled();
    t.equal(second.metrics.domain(siteA.domain).queuedPackets, 0, 'and no more');
    await second.site().push('anna', 'rose', 'the last');
    await gather(second);
    const after = await told.next();
    t.match(isKilled && after.name === 'carl' ? await told.next() : after, { name: 'rose', outcome: 'dropped' });
  });
}

for (const [how, isConnected] of [
  ['that waits for a client', false],
  ['that a client has not confirmed', true],
] as const) {
  t.test(`a message ${how} and is stored as a server ends that keeps no queues is told once`, async (t) => {
    const clock = new ManualClock();
    const hook = await WebhookServer.start(t);
    const told = new Told(hook);
    const events = { url: hook.url, kinds: ['offline', 'undelivered'] };
    const domains = [{ ...siteA, webhookPrivate: true, durability: 'none', offline: true, events }];
    const data = t.testdir();
    const first = await testServer(t, { data, presence: times, domains }, clock);
    const { ticket } = await first.site().online('jack');
    const socket = first.own(new CountingSocket(first.port, ticket));
    if (isConnected) await socket.connect();
    for (const body of ['one', 'two']) await first.site().push('anna', 'jack', body);
    if (isConnected) await socket.has(2);
    await first.drain();
    await first.close();
    t.equal(hook.calls.length, 0);
    const second = await testServer(t, { data, presence: times, domains }, clock);
    clock.advance(200);
    for (const body of ['one', 'two']) {
      t.match(await told.next(), { kind: 'undelivered', name: 'jack', outcome: 'stored', packet: { body } });
    }
    const back = await second.site().online('jack');
    await second.site().offline(back.ticket);
    clock.advance(times.graceMs);
    await second.settled();
    clock.advance(200);
    t.match(await told.next(), { kind: 'offline', name: 'jack' });
    await second.site().push('anna', 'rose', 'the last');
    await second.settled();
    clock.advance(200);
    t.match(await told.next(), { name: 'rose', packet: { body: 'the last' } }, 'and not again');
  });
}

t.test('what waits in queues that a restart keeps is neither stored nor told as a server ends', async (t) => {
  const hook = await WebhookServer.start(t);
  const told = new Told(hook);
  const events = { url: hook.url, kinds: ['undelivered'] };
  const domains = [{ ...siteA, webhookPrivate: true, offline: true, events }];
  const data = t.testdir();
  const first = await testServer(t, { data, domains });
  const { ticket } = await first.site().online('jack');
  await first.site().push('anna', 'jack', 'one');
  await first.drain();
  await first.close();
  const second = await testServer(t, { data, domains });
  t.equal(second.metrics.domain(siteA.domain).offlineMessages, 0);
  const socket = second.own(new CountingSocket(second.port, ticket));
  await socket.connect();
  await socket.has(1);
  t.strictSame(socket.bodies, ['one']);
  await second.site().push('anna', 'rose', 'the last');
  t.match(await told.next(), { name: 'rose', packet: { body: 'the last' } });
});
