/** Backends with mqtt.js, over TCP, in 3.1.1 and 5.0. */
import type { IClientOptions } from 'mqtt';
import t from 'tap';
import { address, foreign, own, testBroker, testMachine } from './support/broker.js';
import { client } from './support/clients.js';
import { payloads, TestDevice } from './support/device.js';

for (const protocolVersion of [3, 4, 5] as const) {
  const options: IClientOptions = { protocolVersion, ...(protocolVersion === 3 ? { protocolId: 'MQIsdp' } : {}) };

  t.test(`A publication arrives at the QoS that was granted, version ${protocolVersion}`, async (t) => {
    const broker = await testBroker(t);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const from = await client(t, url, { ...options, clientId: 'from' });
    for (const granted of [0, 1, 2] as const) {
      const to = await client(t, url, { ...options, clientId: `to${granted}` });
      await to.client.subscribeAsync('sensors/+/temp', { qos: granted });
      for (const qos of [0, 1, 2] as const) {
        await from.client.publishAsync('sensors/7/temp', `${qos}`, { qos });
        const packet = await to.next();
        t.match(packet, { topic: 'sensors/7/temp', qos: Math.min(qos, granted), retain: false });
        t.equal(packet.payload.toString(), `${qos}`);
      }
      await to.client.endAsync();
    }
  });

  t.test(`A new subscriber is sent what is retained, until it is deleted, version ${protocolVersion}`, async (t) => {
    const broker = await testBroker(t);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const from = await client(t, url, { ...options, clientId: 'from' });
    await from.client.publishAsync('state/a', 'old', { qos: 1, retain: true });
    await from.client.publishAsync('state/a', 'new', { qos: 1, retain: true });
    const to = await client(t, url, { ...options, clientId: 'to' });
    await to.client.subscribeAsync('state/#', { qos: 1 });
    t.match(await to.next(), { retain: true, payload: Buffer.from('new') });
    await from.client.publishAsync('state/a', '', { qos: 1, retain: true });
    t.match(await to.next(), { retain: false, payload: Buffer.alloc(0) });
    const late = await client(t, url, { ...options, clientId: 'late' });
    await late.client.subscribeAsync('state/#', { qos: 1 });
    await from.client.publishAsync('state/b', 'marker', { qos: 1 });
    t.equal(await late.payload(), 'marker');
  });
}

t.test('Properties of 5.0 are passed on, and clients of 3.1.1 get the publication without them', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const from = await client(t, url);
  const to = await client(t, url);
  const old = await client(t, url, { protocolVersion: 4 });
  const properties = {
    payloadFormatIndicator: true,
    contentType: 'text/plain',
    responseTopic: 'answers',
    correlationData: Buffer.from('7'),
    userProperties: { a: ['1', '3'], b: '2' },
  };
  await to.client.subscribeAsync('t', { qos: 1, properties: { subscriptionIdentifier: 9 } });
  await old.client.subscribeAsync('t', { qos: 1 });
  await from.client.publishAsync('t', 'x', { qos: 1, properties });
  t.match(await to.next(), { properties: { ...properties, subscriptionIdentifier: 9 } });
  t.match(await old.next(), { payload: Buffer.from('x'), properties: undefined });
});

t.test('Overlapping subscriptions give one copy with every identifier, at the highest QoS', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const to = await client(t, url);
  await to.client.subscribeAsync('a/+', { qos: 0, properties: { subscriptionIdentifier: 1 } });
  await to.client.subscribeAsync('a/#', { qos: 2, properties: { subscriptionIdentifier: 2 } });
  await to.client.subscribeAsync('a/b', { qos: 1, properties: { subscriptionIdentifier: 3 } });
  await to.client.publishAsync('a/b', 'x', { qos: 2 });
  const packet = await to.next();
  t.equal(packet.qos, 2);
  t.strictSame([packet.properties?.subscriptionIdentifier].flat().sort(), [1, 2, 3]);
  await to.client.publishAsync('a/c', 'marker');
  t.equal(await to.payload(), 'marker');
});

t.test('Free topics and sessions are private to their domain', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const theirs = { username: foreign.domain, password: foreign.apikey, clientId: 'same' };
  const a = await client(t, url, { clientId: 'same' });
  const b = await client(t, url, theirs);
  await a.client.subscribeAsync('#', { qos: 1 });
  await b.client.subscribeAsync('#', { qos: 1 });
  await a.client.publishAsync('t', 'of a', { qos: 1, retain: true });
  await b.client.publishAsync('t', 'of b', { qos: 1, retain: true });
  t.equal(await a.payload(), 'of a');
  t.equal(await b.payload(), 'of b');
  t.strictSame([a.rest, b.rest], [[], []]);
  for (const share of ['', '$share/g/']) {
    await t.rejects(a.client.subscribeAsync(`${share}/domain/${foreign.domain}/uid/+`), `${share} another domain`);
  }
  await t.rejects(a.client.publishAsync(`/domain/${foreign.domain}/uid/1`, '{"from":"2","body":"x"}', { qos: 1 }));
});

t.test('Publishing to an address is a push, and watchers see one frame for each packet', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const ticket = await broker.online('jack', { rooms: 'r1' });
  const jack = await client(t, url, { password: ticket });
  const site = await client(t, url);
  await site.client.subscribeAsync(`/domain/${own.domain}/gid/+`, { qos: 2 });
  await site.client.subscribeAsync(`/domain/${own.domain}/#`, { qos: 1 });
  await site.client.publishAsync(address('gid:r1'), '{"from":"tom","body":"hi all"}', { qos: 1 });
  const seen = await site.next();
  t.match(seen, { topic: address('gid:r1'), qos: 1, retain: false });
  const [message] = JSON.parse(seen.payload.toString()).messages;
  t.match(message, { from: 'tom', to: 'r1', type: 'grpchat', body: 'hi all', nick: 'tom' });
  t.strictSame(JSON.parse(await jack.payload()).messages, [message]);
  await t.rejects(site.client.publishAsync(address('jack'), '{"body":"from whom?"}', { qos: 1 }), { code: 0x99 });
  await t.rejects(site.client.publishAsync(address('jack'), 'no fields', { qos: 2 }), { code: 0x99 });
  await site.client.publishAsync(address('jack'), '{"from":"tom","body":"marker"}', { qos: 1 });
  t.match(JSON.parse(await site.payload()).messages, [{ body: 'marker' }]);
});

t.test('A ticket never resumes the session of a backend, whatever client id it gives', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const kept = { clientId: 'site', clean: false, properties: { sessionExpiryInterval: 60 } };
  const site = await client(t, url, kept);
  await site.client.subscribeAsync('orders', { qos: 1 });
  await site.client.endAsync();
  const jack = await client(t, url, { ...kept, password: await broker.online('jack') });
  t.equal(jack.connack?.sessionPresent, false);
  await (await client(t, url)).client.publishAsync('orders', 'for the site', { qos: 1 });
  broker.push('tom', 'jack', 'for jack');
  t.match(JSON.parse(await jack.payload()).messages, [{ body: 'for jack' }]);
  const again = await client(t, url, kept);
  t.equal(again.connack?.sessionPresent, true);
  t.equal(await again.payload(), 'for the site');
});

t.test('Bad credentials are refused with the codes of the version', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const table: readonly (readonly [options: IClientOptions, four: number, five: number])[] = [
    [{ password: 'wrong' }, 4, 0x86],
    [{ username: 'nowhere.example' }, 4, 0x86],
    [{ username: undefined, password: undefined }, 5, 0x87],
    [{ password: 'uid:jack:0123456789abcdef0123456789abcdef' }, 4, 0x86],
  ];
  for (const [options, four, five] of table) {
    await t.rejects(client(t, url, { ...options, protocolVersion: 4 }), { code: four });
    await t.rejects(client(t, url, { ...options, protocolVersion: 5 }), { code: five });
  }
});

t.test('$SYS tells a domain its own numbers, and is not matched by a leading wildcard', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  await client(t, url, { username: foreign.domain, password: foreign.apikey });
  const site = await client(t, url);
  await site.client.subscribeAsync('#');
  await site.client.subscribeAsync('$SYS/broker/clients/connected');
  t.match(await site.next(), { topic: '$SYS/broker/clients/connected', payload: Buffer.from('1'), retain: true });
  await site.client.subscribeAsync('$SYS/broker/scope');
  t.equal(await site.payload(), 'server', 'of one node they are all there is');
  t.strictSame(site.rest, []);
});

t.test('Clients may publish neither to $SYS nor to $share', async (t) => {
  const { host, domain } = testMachine(t);
  const watcher = new TestDevice(host);
  await watcher.connect('watcher');
  for (const filter of ['$SYS/#', '#']) await watcher.subscribe(filter);
  await watcher.received();
  const forger = new TestDevice(host);
  await forger.connect('forger');
  for (const topic of ['$SYS/broker/version', '$share/g/t']) {
    forger.publish(topic, 'forged', 1, { retain: true });
    t.match(await forger.received(), [{ cmd: 'puback', reasonCode: 0x87 }], topic);
  }
  t.strictSame(payloads(await watcher.received()), []);
  t.equal(domain.metrics.dropped.notAuthorized, 2);
});

t.test('A request is answered on the response topic that it names', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const server = await client(t, url);
  await server.client.subscribeAsync('ask', { qos: 1 });
  server.client.on('message', (_topic, payload, { properties }) => {
    const { responseTopic, correlationData } = properties ?? {};
    server.client.publish(responseTopic ?? '', `re: ${payload}`, { properties: { correlationData } });
  });
  const asking = await client(t, url, { clientId: 'asking', properties: { requestResponseInformation: true } });
  await asking.client.subscribeAsync('response/asking/#', { qos: 1 });
  const properties = { responseTopic: 'response/asking/1', correlationData: Buffer.from([1]) };
  await asking.client.publishAsync('ask', 'what?', { qos: 1, properties });
  t.match(await asking.next(), {
    payload: Buffer.from('re: what?'),
    properties: { correlationData: Buffer.from([1]) },
  });
});

t.test('A PUBACK is taken without a turn where nothing waits, and what it lets go out is written in one', async (t) => {
  const { host, domain } = testMachine(t);
  const device = new TestDevice(host);
  await device.connect('receiver', { properties: { receiveMaximum: 1 } });
  await device.subscribe('news', 1);
  device.publish('news', 'first', 1).publish('news', 'second', 1, { messageId: 2 });
  const [publication] = (await device.received()).filter(({ cmd }) => cmd === 'publish');
  t.match(publication, { payload: Buffer.from('first') });
  t.equal(domain.metrics.queuedPackets, 1);
  device.send({ cmd: 'puback', messageId: 1, reasonCode: 0 });
  t.equal(domain.metrics.queuedPackets, 0);
  t.strictSame(device.wire.written, []);
  t.strictSame(payloads(await device.received()), ['second']);
});
