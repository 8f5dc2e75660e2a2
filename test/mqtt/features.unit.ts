/** Each feature of 5.0, and what 3.1.1 has of it, with mqtt.js over TCP. */
import type { IClientOptions } from 'mqtt';
import t from 'tap';
import { turnsUntil } from '../support/until.js';
import { address, type TestBroker, testBroker } from './support/broker.js';
import { client, type Subscriber } from './support/clients.js';
import { ManualClock } from './support/clock.js';

const urlOf = (broker: TestBroker) => `mqtt://127.0.0.1:${broker.port}`;

/** Resolves when the broker has so many connections. */
async function connections(broker: TestBroker, count: number): Promise<void> {
  await turnsUntil(`${count} connections`, () => broker.metrics.connections.mqtt === count);
}

/** Loses the connection as a network does. */
async function cut(broker: TestBroker, { client }: Subscriber): Promise<void> {
  const { mqtt } = broker.metrics.connections;
  client.stream.destroy();
  await connections(broker, mqtt - 1);
}

function kept(version: 4 | 5, sessionExpiryInterval = 60): IClientOptions {
  return {
    protocolVersion: version,
    clean: false,
    ...(version === 5 ? { properties: { sessionExpiryInterval } } : {}),
  };
}

t.test('CONNACK tells the server’s limits, and the client id and keep alive that it assigns', async (t) => {
  const broker = await testBroker(t, { mqtt: { maxKeepAlive: 60, maxPacketBytes: 5000 } });
  const properties = { requestResponseInformation: true };
  const { connack } = await client(t, urlOf(broker), { clientId: '', keepalive: 120, properties });
  t.match(connack?.properties, {
    assignedClientIdentifier: /^auto-/,
    serverKeepAlive: 60,
    responseInformation: /^response\/auto-/,
    receiveMaximum: 100,
    topicAliasMaximum: 100,
    maximumPacketSize: 5000,
  });
  const old = await client(t, urlOf(broker), { clientId: '', protocolVersion: 4 });
  t.match(old.connack, { returnCode: 0, sessionPresent: false });
});

for (const version of [4, 5] as const) {
  t.test(`A session goes on where its client left it, version ${version}`, async (t) => {
    const broker = await testBroker(t);
    const first = await client(t, urlOf(broker), { clientId: 'kept', ...kept(version) });
    t.equal(first.connack?.sessionPresent, false);
    await first.client.subscribeAsync('news/#', { qos: 2 });
    await first.client.endAsync();
    const from = await client(t, urlOf(broker));
    for (const qos of [1, 2] as const) await from.client.publishAsync('news/1', `q${qos}`, { qos });
    const again = await client(t, urlOf(broker), { clientId: 'kept', ...kept(version) });
    t.equal(again.connack?.sessionPresent, true);
    t.strictSame([await again.payload(), await again.payload()], ['q1', 'q2']);
    await again.client.endAsync();
    const clean = await client(t, urlOf(broker), { clientId: 'kept', protocolVersion: version });
    t.equal(clean.connack?.sessionPresent, false);
  });

  t.test(`QoS 2 arrives once although its connection is lost on the way, version ${version}`, async (t) => {
    const broker = await testBroker(t);
    const to = await client(t, urlOf(broker));
    await to.client.subscribeAsync('once', { qos: 2 });
    const from = await client(t, urlOf(broker), { clientId: 'from', reconnectPeriod: 1, ...kept(version) });
    for (let i = 0; i < 20; i++) {
      const sent = from.client.publishAsync('once', `${i}`, { qos: 2 });
      if (i % 4 === 0) from.client.stream.destroy();
      await sent;
    }
    const came: string[] = [];
    for (let i = 0; i < 20; i++) came.push(await to.payload());
    t.strictSame(
      came,
      Array.from({ length: 20 }, (_, i) => `${i}`),
    );
    t.strictSame(to.rest, []);
  });

  t.test(`A will goes out when the connection is lost, version ${version}`, async (t) => {
    const broker = await testBroker(t);
    const watcher = await client(t, urlOf(broker));
    await watcher.client.subscribeAsync('wills', { qos: 1, ...(version === 5 ? { rap: true } : {}) });
    const will = { topic: 'wills', payload: Buffer.from('gone'), qos: 1 as const, retain: true };
    await cut(broker, await client(t, urlOf(broker), { protocolVersion: version, will }));
    t.match(await watcher.next(), { payload: Buffer.from('gone'), qos: 1 });
    const late = await client(t, urlOf(broker));
    await late.client.subscribeAsync('wills');
    t.match(await late.next(), { payload: Buffer.from('gone'), retain: true });
  });
}

t.test('A session expires after the time that DISCONNECT says', async (t) => {
  const clock = new ManualClock();
  const broker = await testBroker(t, {}, clock);
  const session = { clientId: 'kept', ...kept(5, 30) };
  const first = await client(t, urlOf(broker), session);
  await first.client.endAsync(false, { reasonCode: 0, properties: { sessionExpiryInterval: 100 } });
  await connections(broker, 0);
  clock.advance(99_000);
  const second = await client(t, urlOf(broker), session);
  t.equal(second.connack?.sessionPresent, true);
  await cut(broker, second);
  clock.advance(30_000);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal((await client(t, urlOf(broker), session)).connack?.sessionPresent, false);
});

t.test('A will waits for its delay, with its properties', async (t) => {
  const clock = new ManualClock();
  const broker = await testBroker(t, {}, clock);
  const watcher = await client(t, urlOf(broker), { keepalive: 0 });
  await watcher.client.subscribeAsync('wills');
  const properties = { willDelayInterval: 10, contentType: 'text/x', userProperties: { k: 'v' } };
  const will = { topic: 'wills', payload: Buffer.from('gone'), properties };
  await cut(broker, await client(t, urlOf(broker), { will, properties: { sessionExpiryInterval: 60 }, keepalive: 0 }));
  clock.advance(9000);
  await watcher.client.publishAsync('wills', 'marker', { qos: 1 });
  t.equal(await watcher.payload(), 'marker');
  clock.advance(1000);
  t.match(await watcher.next(), {
    payload: Buffer.from('gone'),
    properties: { contentType: 'text/x', userProperties: { k: 'v' } },
  });
});

t.test('A ticket that has ended leaves no will, neither at once nor after its delay', async (t) => {
  const clock = new ManualClock();
  const broker = await testBroker(t, {}, clock);
  const tom = await client(t, urlOf(broker), { password: await broker.online('tom'), keepalive: 0 });
  const topic = address('tom');
  const expiry = { properties: { sessionExpiryInterval: 60 }, keepalive: 0 };
  const atOnce = await broker.online('jack');
  const jack = await client(t, urlOf(broker), {
    password: atOnce,
    will: { topic, payload: Buffer.from('1') },
    ...expiry,
  });
  const ended = new Promise<void>((resolve) => jack.client.once('close', () => resolve()));
  await broker.offline(atOnce);
  await ended;
  const later = await broker.online('jack');
  const will = { topic, payload: Buffer.from('2'), properties: { willDelayInterval: 10 } };
  await cut(broker, await client(t, urlOf(broker), { password: later, will, ...expiry }));
  await broker.offline(later);
  clock.advance(10_000);
  broker.push('site', 'tom', 'marker');
  t.match(JSON.parse(await tom.payload()).messages, [{ body: 'marker' }]);
});

t.test('A message that waited says how long it is still valid, or has expired', async (t) => {
  const clock = new ManualClock();
  const broker = await testBroker(t, {}, clock);
  const session = { clientId: 'kept', keepalive: 0, ...kept(5, 1000) };
  const to = await client(t, urlOf(broker), session);
  await to.client.subscribeAsync('t', { qos: 1 });
  await to.client.endAsync();
  const from = await client(t, urlOf(broker), { keepalive: 0 });
  for (const messageExpiryInterval of [3, 60]) {
    const properties = { messageExpiryInterval };
    await from.client.publishAsync('t', `${messageExpiryInterval}`, { qos: 1, retain: true, properties });
  }
  clock.advance(5000);
  const again = await client(t, urlOf(broker), session);
  t.match(await again.next(), { payload: Buffer.from('60'), properties: { messageExpiryInterval: 55 } });
  await again.client.subscribeAsync('t', { qos: 1 });
  t.match(await again.next(), { retain: true, properties: { messageExpiryInterval: 55 } });
});

t.test('Topic aliases stand for topics in both directions', async (t) => {
  const broker = await testBroker(t);
  const from = await client(t, urlOf(broker));
  const to = await client(t, urlOf(broker), { properties: { topicAliasMaximum: 1 } });
  const topics: string[] = [];
  to.client.on('message', (topic) => topics.push(topic));
  await to.client.subscribeAsync('t/#', { qos: 1 });
  for (const [topic, topicAlias] of [
    ['t/a', 7],
    ['', 7],
    ['t/b', 8],
    ['', 7],
  ] as const) {
    await from.client.publishAsync(topic, 'x', { qos: 1, properties: { topicAlias } });
  }
  const written: string[] = [];
  for (let i = 0; i < 4; i++) {
    const { topic, properties } = await to.next();
    t.equal(properties?.topicAlias, 1);
    written.push(topic);
  }
  t.strictSame(written, ['t/a', '', 't/b', 't/a']);
  t.strictSame(topics, ['t/a', 't/a', 't/b', 't/a']);
});

t.test('A client whose receive maximum is 1 gets everything, one after the other', async (t) => {
  const broker = await testBroker(t);
  const to = await client(t, urlOf(broker), { properties: { receiveMaximum: 1 } });
  await to.client.subscribeAsync('t', { qos: 2 });
  const from = await client(t, urlOf(broker));
  for (let i = 0; i < 10; i++) from.client.publish('t', `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
  for (let i = 0; i < 10; i++) t.equal(await to.payload(), `${i}`);
});

t.test('Neither side takes a packet of more bytes than it accepts', async (t) => {
  const broker = await testBroker(t, { mqtt: { maxPacketBytes: 1000 } });
  const to = await client(t, urlOf(broker), { properties: { maximumPacketSize: 100 } });
  await to.client.subscribeAsync('t', { qos: 2 });
  const from = await client(t, urlOf(broker));
  for (const qos of [0, 1, 2] as const) await from.client.publishAsync('t', 'x'.repeat(200), { qos });
  await from.client.publishAsync('t', 'small', { qos: 2 });
  t.equal(await to.payload(), 'small');
  t.equal(broker.domain().metrics.dropped.packetTooLarge, 3);
  const told = new Promise((resolve) => from.client.once('disconnect', ({ reasonCode }) => resolve(reasonCode)));
  from.client.publish('t', 'x'.repeat(2000));
  t.equal(await told, 0x95);
});

t.test('Subscription options: no local, retain as published, retain handling', async (t) => {
  const broker = await testBroker(t);
  const [one, two] = [await client(t, urlOf(broker)), await client(t, urlOf(broker))];
  await one.client.publishAsync('kept', 'retained', { retain: true, qos: 1 });
  for (const [rh, texts] of [
    [0, ['retained', 'retained']],
    [1, ['retained']],
    [2, []],
  ] as const) {
    const late = await client(t, urlOf(broker));
    for (let time = 0; time < 2; time++) await late.client.subscribeAsync('kept', { qos: 1, rh });
    for (const text of texts) t.equal(await late.payload(), text, `retain handling ${rh}`);
    await late.client.subscribeAsync('none');
    t.strictSame(late.rest, []);
  }
  await one.client.subscribeAsync('live', { qos: 1, nl: true, rap: true });
  await two.client.subscribeAsync('live', { qos: 1 });
  await one.client.publishAsync('live', 'own', { qos: 1, retain: true });
  await two.client.publishAsync('live', 'other', { qos: 1, retain: true });
  t.match(await one.next(), { payload: Buffer.from('other'), retain: true });
  t.match(await two.next(), { payload: Buffer.from('own'), retain: false });
});

t.test('A shared subscription gives each message to one of its members', async (t) => {
  const broker = await testBroker(t);
  const members = [await client(t, urlOf(broker)), await client(t, urlOf(broker))];
  for (const member of members) await member.client.subscribeAsync('$share/g/jobs/+', { qos: 1 });
  const from = await client(t, urlOf(broker));
  for (let i = 0; i < 6; i++) await from.client.publishAsync(`jobs/${i}`, `${i}`, { qos: 1 });
  const taken = await Promise.all(
    members.map(async (member) => [await member.payload(), await member.payload(), await member.payload()]),
  );
  t.strictSame(taken.flat().sort(), ['0', '1', '2', '3', '4', '5']);
});

t.test('A publication that is refused has its reason code, and the connection stays', async (t) => {
  const broker = await testBroker(t);
  const { client: connected } = await client(t, urlOf(broker));
  await t.rejects(connected.publishAsync('/domain/b.example/uid/x', '{"from":"a","body":"x"}', { qos: 1 }), {
    code: 0x87,
  });
  await t.rejects(connected.publishAsync('/domain/a.example/uid/x', '{"body":"x"}', { qos: 2 }), { code: 0x99 });
  await t.rejects(connected.subscribeAsync('/domain/b.example/uid/+', { qos: 1 }));
  const granted = await connected.subscribeAsync('free', { qos: 2 });
  t.match(granted, [{ qos: 2 }]);
});
