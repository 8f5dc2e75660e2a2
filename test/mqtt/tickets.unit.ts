/** Tickets' connections with mqtt.js; test/chat.server.ts has them chat. */
import t from 'tap';
import { findTicket } from '../../src/protocols/credentials.js';
import type { Cleaner, Settings } from '../support/server.js';
import { address, own, TestBroker, testBroker, testMachine } from './support/broker.js';
import { client } from './support/clients.js';
import { type ConnectOptions, payloads, TestDevice, turn } from './support/device.js';

function bodies(payload: string): string[] {
  return JSON.parse(payload).messages.map(({ body }: { body: string }) => body);
}

t.test(
  'What a ticket’s client did not acknowledge is sent again, under the same identifier when the session goes on',
  async (t) => {
    const broker = await testBroker(t);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const password = await broker.online('jack');
    const resumed = { password, clientId: 'phone', clean: false, properties: { sessionExpiryInterval: 60 } };
    const deaf = await client(t, url, {
      ...resumed,
      customHandleAcks: (_topic, _message, _packet, done) => done(new Error('never'), 0),
    });
    deaf.client.on('error', () => undefined);
    const came = new Promise<number | undefined>((resolve) => {
      deaf.client.on('packetreceive', (packet) => packet.cmd === 'publish' && resolve(packet.messageId));
    });
    broker.push('tom', 'jack', 'one');
    t.equal(await came, 1);
    deaf.client.end(true);
    broker.push('tom', 'jack', 'two');
    const phone = await client(t, url, resumed);
    const first = await phone.next();
    t.match(first, { dup: true, messageId: 1, qos: 1, topic: address('jack') });
    t.strictSame(bodies(first.payload.toString()), ['one']);
    t.strictSame(bodies(await phone.payload()), ['two']);
  },
);

t.test('CONNACK names how long a ticket’s session lives, where its client asks for longer', async (t) => {
  const broker = await testBroker(t, { presence: { clientIdleMs: 10_000 } });
  const url = `mqtt://127.0.0.1:${broker.port}`;
  for (const [asked, named] of [
    [300, 10],
    [10, undefined],
    [0, undefined],
  ] as const) {
    const password = await broker.online('jack');
    const { connack } = await client(t, url, {
      password,
      clientId: 'phone',
      clean: false,
      properties: { sessionExpiryInterval: asked },
    });
    t.equal(connack?.properties?.sessionExpiryInterval, named);
  }
});

t.test(
  'A ticket may subscribe to its queue and its rooms, which brings no second copy, and to nothing else',
  async (t) => {
    const broker = await testBroker(t);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const jack = await client(t, url, { password: await broker.online('jack', { rooms: 'r1' }) });
    const granted = await jack.client.subscribeAsync([address('jack'), address('gid:r1')], { qos: 2 });
    t.match(granted, [{ qos: 1 }, { qos: 1 }]);
    const tablet = `${address('jack')}/client/tablet`;
    for (const filter of [
      address('tom'),
      address('gid:r2'),
      '#',
      'free',
      `/domain/${own.domain}/uid/+`,
      '$share/g/x',
      tablet,
    ]) {
      await t.rejects(jack.client.subscribeAsync(filter), filter);
    }
    broker.push('tom', 'gid:r1', 'to the room', 'grpchat');
    t.match(await jack.next(), { topic: address('gid:r1'), qos: 1 });
    broker.push('tom', 'jack', 'marker');
    t.strictSame(bodies(await jack.payload()), ['marker']);
  },
);

t.test('A ticket’s client publishes in its own name only, and only to whom it may write', async (t) => {
  const broker = await testBroker(t, { limits: { messageBytes: 20 } });
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const jack = await client(t, url, { password: await broker.online('jack', { rooms: 'r1' }) });
  const tom = await client(t, url, { password: await broker.online('tom', { rooms: 'r1' }) });
  await jack.client.publishAsync(address('tom'), '{"body":"hi","from":"eve","nick":"J","style":"s"}', { qos: 1 });
  const [message] = JSON.parse(await tom.payload()).messages;
  t.match(message, { from: 'jack', to: 'tom', nick: 'J', style: 's', type: 'chat', body: 'hi' });
  await jack.client.publishAsync(address('gid:r1'), 'plain', { qos: 2, retain: true });
  t.match(JSON.parse(await tom.payload()).messages, [{ type: 'grpchat', to: 'r1', nick: 'jack', body: 'plain' }]);
  const table: readonly (readonly [what: string, topic: string, payload: string | Buffer, code: number])[] = [
    ['an object without body', address('tom'), '{}', 0x99],
    ['bytes that are no UTF-8', address('tom'), Buffer.from([0xff]), 0x99],
    ['a half surrogate', address('tom'), '{"body":"\\ud800"}', 0x99],
    ['a body over the limit', address('tom'), 'x'.repeat(21), 0x97],
    ['a room it is not in', address('gid:r2'), 'x', 0x87],
    ['a free topic', 'free', 'x', 0x87],
    ['another domain', '/domain/b.example/uid/1', 'x', 0x87],
    ['a broadcast', address('tom'), '{"body":"x","type":"broadcast"}', 0x87],
  ];
  for (const [what, topic, payload, code] of table) {
    await t.rejects(jack.client.publishAsync(topic, payload, { qos: 1 }), { code }, what);
  }
  const old = await client(t, url, { password: await broker.online('old'), protocolVersion: 4 });
  await old.client.publishAsync('free', 'x', { qos: 2 });
  t.equal(tom.rest.length, 0, 'in 3.1.1 it is acknowledged and dropped');
});

t.test('A client is told that its domain lets no clients send', async (t) => {
  const broker = await testBroker(t, { domains: [{ ...own, clientSend: [] }] });
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const jack = await client(t, url, { password: await broker.online('jack') });
  await t.rejects(jack.client.publishAsync(address('jack'), 'x', { qos: 1 }), { code: 0x87 });
});

t.test('The will of a ticket is a message from its endpoint', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const tom = await client(t, url, { password: await broker.online('tom') });
  const will = { topic: address('tom'), payload: '{"body":"gone","from":"eve"}', qos: 1 as const, retain: true };
  const jack = await client(t, url, { password: await broker.online('jack'), will });
  jack.client.stream.destroy();
  t.match(JSON.parse(await tom.payload()).messages, [{ from: 'jack', body: 'gone' }]);
});

t.test('A second connection of a ticket takes over, and one of another client of the endpoint does not', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const password = await broker.online('jack');
  const first = await client(t, url, { password });
  const told = new Promise((resolve) => first.client.once('disconnect', ({ reasonCode }) => resolve(reasonCode)));
  const second = await client(t, url, { password });
  t.equal(await told, 0x8e);
  const tablet = await client(t, url, { password: await broker.online('jack') });
  broker.push('tom', 'jack', 'to both');
  t.strictSame(bodies(await second.payload()), ['to both']);
  t.strictSame(bodies(await tablet.payload()), ['to both']);
});

/** Jack's phone without a network. */
async function phone(t: Cleaner, overrides: Settings = {}, options: ConnectOptions = {}) {
  const { host, domain } = testMachine(t, overrides);
  const broker = new TestBroker({} as never, host.context, host.context.domains as never);
  const password = Buffer.from(await broker.online('jack'));
  const device = new TestDevice(host);
  await device.connect('phone', { username: own.domain, password, ...options });
  return { device, broker, host, password, metrics: domain.metrics };
}

t.test('More in flight than the receive maximum of the server ends a ticket’s connection with 0x93', async (t) => {
  const { device } = await phone(t, { mqtt: { receiveMaximum: 2 } });
  for (const messageId of [1, 2, 3]) device.publish(address('tom'), 'x', 2, { messageId });
  t.match(await device.received(), [{ cmd: 'pubrec' }, { cmd: 'pubrec' }, { cmd: 'disconnect', reasonCode: 0x93 }]);
  t.ok(device.wire.ended);
});

t.test('A ticket’s client that acknowledges nothing is sent no more than its receive maximum', async (t) => {
  const { device, broker } = await phone(t, {}, { properties: { receiveMaximum: 2 } });
  for (const body of ['1', '2', '3', '4']) {
    broker.push('tom', 'jack', body);
    await turn();
  }
  t.strictSame(payloads(await device.received()).map(bodies), [['1'], ['2']]);
  device.send({ cmd: 'puback', messageId: 1 });
  t.strictSame(payloads(await device.received()).map(bodies), [['3', '4']]);
});

t.test('A ticket’s client that stops reading is bounded, and goes on when it reads again', async (t) => {
  const limits = { queuePackets: 10, queueBytes: 0, messageBytes: 0 };
  const { device, broker, metrics } = await phone(t, { limits });
  device.wire.stalled = true;
  for (let n = 0; n < 40; n++) {
    broker.push('tom', 'jack', `${n} ${'x'.repeat(100_000)}`);
    await turn();
  }
  const sent = payloads(await device.received()).length;
  t.ok(sent >= 10 && sent <= 12, `${sent} went out`);
  t.equal(metrics.queuedPackets, 10, 'what is in flight counts into the same bound');
  t.equal(metrics.dropped.queueOverflow, 30);
  device.wire.buffered = 0;
  device.connection.drained();
  const rest = payloads(await device.received()).flatMap(bodies);
  t.strictSame(
    rest.map((body) => Number.parseInt(body, 10)),
    [30, 31, 32, 33, 34, 35, 36, 37, 38, 39],
  );
});

t.test('What a ticket’s client has not acknowledged is in its queue, within the queue’s bounds', async (t) => {
  const limits = { queuePackets: 4 };
  const { device, broker, metrics, host, password } = await phone(
    t,
    { limits },
    { properties: { sessionExpiryInterval: 60 } },
  );
  const push = async (...texts: string[]) => {
    for (const body of texts) {
      broker.push('tom', 'jack', body);
      await turn();
    }
  };
  await push('1', '2', '3');
  t.strictSame(payloads(await device.received()).map(bodies), [['1'], ['2'], ['3']]);
  t.equal(metrics.queuedPackets, 3);
  device.send({ cmd: 'puback', messageId: 2 });
  await turn();
  t.equal(metrics.queuedPackets, 2, 'out of order');
  device.send({ cmd: 'puback', messageId: 1 });
  await turn();
  t.equal(metrics.queuedPackets, 1);
  await push('4', '5', '6');
  t.equal(metrics.queuedPackets, 4);
  await push('7');
  t.equal(metrics.dropped.queueOverflow, 1, 'the oldest that is in flight');
  t.strictSame(payloads(await device.received()).map(bodies), [['4'], ['5'], ['6'], ['7']]);
  device.connection.lost();
  await turn();
  const again = new TestDevice(host);
  const options = { username: own.domain, password, clean: false, properties: { sessionExpiryInterval: 60 } };
  const came = await again.connect('phone', options);
  t.match(came[0], { sessionPresent: true });
  t.strictSame(payloads([...came, ...(await again.received())]).map(bodies), [['4'], ['5'], ['6'], ['7']]);
  for (const messageId of [4, 5, 6, 7]) again.send({ cmd: 'puback', messageId });
  await turn();
  t.equal(metrics.queuedPackets, 0);
});

t.test(
  'A ticket’s delayed will goes out when another client id takes its place, and not when its session goes on',
  async (t) => {
    const { device, broker, host, password } = await phone(
      t,
      {},
      {
        will: { topic: address('tom'), payload: 'gone', properties: { willDelayInterval: 30 } },
        properties: { sessionExpiryInterval: 60 },
      },
    );
    const tom = new TestDevice(host);
    await tom.connect('tom', { username: own.domain, password: Buffer.from(await broker.online('tom')) });
    device.connection.lost();
    await turn();
    const again = new TestDevice(host);
    const will = { topic: address('tom'), payload: 'gone', properties: { willDelayInterval: 30 } };
    const options = { username: own.domain, password, will, properties: { sessionExpiryInterval: 60 } };
    t.match(await again.connect('phone', { ...options, clean: false }), [{ sessionPresent: true }]);
    t.strictSame(payloads(await tom.received()), []);
    again.connection.lost();
    await turn();
    t.match(await new TestDevice(host).connect('tablet', options), [{ sessionPresent: false }]);
    t.strictSame(payloads(await tom.received()).map(bodies), [['gone']]);
  },
);

t.test(
  'A ticket’s session that ends with its connection is not there for the connection that takes over',
  async (t) => {
    const { host, password } = await phone(t, {}, { properties: { sessionExpiryInterval: 0 } });
    const second = new TestDevice(host);
    t.match(await second.connect('phone', { username: own.domain, password, clean: false }), [
      { sessionPresent: false },
    ]);
  },
);

t.test(
  'Packets that are too large together are sent one by one, and never more than the receive maximum',
  async (t) => {
    const { device, broker } = await phone(t, {}, { properties: { receiveMaximum: 2, maximumPacketSize: 900 } });
    const long = (body: string) => body.padEnd(400, '.');
    for (const body of ['1', '2', '3', '4', '5']) {
      broker.push('tom', 'jack', long(body));
      await turn();
    }
    t.strictSame(payloads(await device.received()).map(bodies), [[long('1')], [long('2')]]);
    for (const [acknowledged, body] of [
      [1, '3'],
      [2, '4'],
    ] as const) {
      device.send({ cmd: 'puback', messageId: acknowledged });
      t.strictSame(payloads(await device.received()).map(bodies), [[long(body)]]);
    }
  },
);

t.test('A client whose packet cannot wait, as too many of its domain do, is away, and is counted', async (t) => {
  const { device, broker, host, password } = await phone(t);
  const { fair } = host.context;
  Object.assign(fair, { isTurnOf: () => false, isFull: () => true });
  device.publish(address('tom'), 'x', 1);
  t.match(await device.received(), [{ cmd: 'disconnect', reasonCode: 0x97 }]);
  t.ok(device.wire.ended);
  t.equal(broker.metrics.refused.unavailable, 1);
  await turn();
  t.equal(findTicket(broker.domain(), password.toString())?.transport, null);
});
