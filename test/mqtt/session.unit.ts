import t from 'tap';
import type { Cleaner, Settings } from '../support/server.js';
import { own, testMachine } from './support/broker.js';
import { ManualClock } from './support/clock.js';
import { payloads, TestDevice, turn } from './support/device.js';

t.test('A will goes out when the connection is lost, and not after DISCONNECT', async (t) => {
  const { host } = testMachine(t);
  const watcher = new TestDevice(host);
  await watcher.connect('watcher');
  await watcher.subscribe('wills/#');
  for (const [clientId, isNormal] of [
    ['a', false],
    ['b', true],
  ] as const) {
    const device = new TestDevice(host);
    await device.connect(clientId, { will: { topic: `wills/${clientId}`, payload: 'gone' } });
    if (isNormal) device.send({ cmd: 'disconnect', reasonCode: 0 });
    else device.connection.lost();
    const seen = await watcher.received();
    t.same(payloads(seen), isNormal ? [] : ['gone'], clientId);
  }
});

t.test('A will waits for its delay, unless the session ends before or goes on', async (t) => {
  const clock = new ManualClock();
  const { host } = testMachine(t, {}, clock);
  const watcher = new TestDevice(host);
  await watcher.connect('watcher');
  await watcher.subscribe('wills/#');
  const die = async (clientId: string, sessionExpiryInterval: number) => {
    const device = new TestDevice(host);
    const will = { topic: `wills/${clientId}`, payload: clientId, properties: { willDelayInterval: 10 } };
    await device.connect(clientId, { will, properties: { sessionExpiryInterval } });
    device.connection.lost();
    await turn();
  };
  await die('at once', 0);
  t.same(payloads(await watcher.received()), ['at once'], 'a session that has ended does not wait');
  await die('late', 60);
  await die('early', 5);
  await die('resumed', 60);
  await new TestDevice(host).connect('resumed', { clean: false });
  clock.advance(5000);
  t.same(payloads(await watcher.received()), ['early'], 'the session ended first');
  clock.advance(5000);
  t.same(payloads(await watcher.received()), ['late']);
  clock.advance(60_000);
  t.same(payloads(await watcher.received()), []);
});

t.test('A session outlives its connection for its expiry', async (t) => {
  const clock = new ManualClock();
  const { host, domain } = testMachine(t, {}, clock);
  const first = new TestDevice(host);
  await first.connect('kept', { properties: { sessionExpiryInterval: 30 } });
  await first.subscribe('news', 1);
  first.connection.lost();
  await turn();
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  publisher.publish('news', 'while away', 1);
  await turn();
  clock.advance(29_000);
  const second = new TestDevice(host);
  const [connack, publish] = await second.connect('kept', { clean: false, properties: { sessionExpiryInterval: 30 } });
  t.match(connack, { cmd: 'connack', sessionPresent: true });
  t.match(publish, { cmd: 'publish', qos: 1, messageId: 1, dup: false });
  second.connection.lost();
  await turn();
  clock.advance(30_000);
  await turn();
  t.notOk(host.broker(domain).sessions.has('kept'), 'it has ended');
  t.match(await new TestDevice(host).connect('kept', { clean: false }), [{ sessionPresent: false }]);
});

t.test('An expiry longer than a timer can be is kept', async (t) => {
  const clock = new ManualClock();
  const { host, domain } = testMachine(t, {}, clock);
  const device = new TestDevice(host);
  await device.connect('long', { properties: { sessionExpiryInterval: 4_000_000_000 } });
  device.connection.lost();
  await turn();
  clock.advance(3_999_999_000_000);
  await turn();
  t.ok(host.broker(domain).sessions.has('long'));
  clock.advance(1_000_000);
  await turn();
  t.notOk(host.broker(domain).sessions.has('long'));
});

t.test('What was in flight is sent again with DUP, or as PUBREL where PUBREC had come', async (t) => {
  const { host } = testMachine(t);
  const first = new TestDevice(host, 4);
  await first.connect('again', { clean: false });
  await first.subscribe('q', 2);
  const publisher = new TestDevice(host, 4);
  await publisher.connect('publisher');
  for (const payload of ['one', 'two', 'three']) publisher.publish('q', payload, 2, { messageId: payload.length + 40 });
  publisher.publish('q', 'four', 1);
  t.same(payloads(await first.received()), ['one', 'three', 'four'], 'a repeated identifier is the same publication');
  first.send({ cmd: 'pubrec', messageId: 1 });
  t.match(await first.received(), [{ cmd: 'pubrel', messageId: 1 }]);
  first.connection.lost();
  await turn();
  const again = await new TestDevice(host, 4).connect('again', { clean: false });
  t.match(again, [
    { cmd: 'connack', sessionPresent: true },
    { cmd: 'pubrel', messageId: 1 },
    { cmd: 'publish', messageId: 2, dup: true, qos: 2, payload: Buffer.from('three') },
    { cmd: 'publish', messageId: 3, dup: true, qos: 1, payload: Buffer.from('four') },
  ]);
});

t.test('A second connection with the same client id takes the session over', async (t) => {
  const { host, metrics } = testMachine(t);
  const old = new TestDevice(host);
  await old.connect('same', { properties: { sessionExpiryInterval: 60 } });
  await old.subscribe('x');
  const young = new TestDevice(host);
  t.match(await young.connect('same', { clean: false }), [{ cmd: 'connack', sessionPresent: true }]);
  t.match(await old.received(), [{ cmd: 'disconnect', reasonCode: 0x8e }]);
  t.ok(old.wire.ended);
  t.equal(metrics.crashes, 0);
});

t.test('Silence of one and a half times the keep alive ends a connection, and publishes its will', async (t) => {
  const clock = new ManualClock();
  const { host } = testMachine(t, {}, clock);
  const watcher = new TestDevice(host);
  await watcher.connect('watcher');
  await watcher.subscribe('wills');
  const device = new TestDevice(host);
  await device.connect('silent', { keepalive: 10, will: { topic: 'wills', payload: 'silent' } });
  clock.advance(14_000);
  device.send({ cmd: 'pingreq' });
  t.match(await device.received(), [{ cmd: 'pingresp' }]);
  clock.advance(14_999);
  t.same(await device.received(), []);
  clock.advance(1);
  t.match(await device.received(), [{ cmd: 'disconnect', reasonCode: 0x8d }]);
  t.same(payloads(await watcher.received()), ['silent']);
});

t.test('A connection without CONNECT ends after ten seconds', async (t) => {
  const clock = new ManualClock();
  const { host } = testMachine(t, {}, clock);
  const device = new TestDevice(host);
  clock.advance(9999);
  t.notOk(device.wire.ended);
  clock.advance(1);
  t.ok(device.wire.ended);
  t.equal(await device.receivedHex(), '');
});

/** A publisher to a topic whose subscriber is away. */
async function withAway(t: Cleaner, limits: Settings) {
  const { host, domain } = testMachine(t, { limits });
  const away = new TestDevice(host);
  await away.connect('away', { properties: { sessionExpiryInterval: 60 } });
  await away.subscribe('q', 1);
  away.connection.lost();
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  return { host, domain, publisher };
}

t.test('The queue of a client that is away is bounded, and what is dropped is counted', async (t) => {
  const { host, domain, publisher } = await withAway(t, { queuePackets: 3 });
  for (let i = 1; i <= 5; i++) publisher.publish('q', `${i}`, 1, { messageId: i });
  publisher.publish('q', 'at most once');
  await turn();
  t.equal(domain.metrics.dropped.queueOverflow, 2);
  t.equal(domain.metrics.dropped.offline, 1, 'QoS 0 is not kept');
  t.equal(domain.metrics.queuedPackets, 3);
  t.same(payloads(await new TestDevice(host).connect('away', { clean: false })), ['3', '4', '5']);
  t.equal(domain.metrics.queuedPackets, 0);
});

t.test('The queue of a client that is away is bounded in bytes', async (t) => {
  const { host, domain, publisher } = await withAway(t, { queueBytes: 5000 });
  for (let i = 1; i <= 9; i++) publisher.publish('q', `${i}`.repeat(1000), 1, { messageId: i });
  await turn();
  const { queuedPackets, queuedBytes, dropped } = domain.metrics;
  t.ok(queuedPackets >= 2 && queuedBytes <= 5000, `${queuedPackets} of ${queuedBytes} bytes are kept`);
  t.equal(dropped.queueOverflow, 9 - queuedPackets);
  const kept = payloads(await new TestDevice(host).connect('away', { clean: false })).map(([first]) => first);
  t.strictSame(kept, ['6', '7', '8', '9'].slice(-queuedPackets), 'the newest');
});

t.test('A message that has expired is not delivered, and any other says how long it is still valid', async (t) => {
  const clock = new ManualClock();
  const { host, domain } = testMachine(t, {}, clock);
  const away = new TestDevice(host);
  await away.connect('away', { properties: { sessionExpiryInterval: 600 } });
  await away.subscribe('q', 1);
  away.connection.lost();
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  publisher.publish('q', 'short', 1, { properties: { messageExpiryInterval: 5 } });
  publisher.publish('q', 'long', 1, { properties: { messageExpiryInterval: 60 } });
  await turn();
  clock.advance(20_000);
  const [, publish, ...rest] = await new TestDevice(host).connect('away', { clean: false });
  t.match(publish, { cmd: 'publish', payload: Buffer.from('long'), properties: { messageExpiryInterval: 40 } });
  t.same(rest, []);
  t.equal(domain.metrics.dropped.expired, 1);
});

t.test(
  'A client that acknowledges nothing is sent no more than its receive maximum, and the rest in order when it does',
  async (t) => {
    const { host } = testMachine(t);
    const device = new TestDevice(host);
    await device.connect('slow', { properties: { receiveMaximum: 2 } });
    await device.subscribe('q', 1);
    const publisher = new TestDevice(host);
    await publisher.connect('publisher');
    for (let i = 1; i <= 5; i++) publisher.publish('q', `${i}`, 1, { messageId: i });
    publisher.publish('q', 'zero');
    t.same(payloads(await device.received()), ['1', '2', 'zero'], 'QoS 0 does not wait');
    device.send({ cmd: 'puback', messageId: 1 }, { cmd: 'puback', messageId: 2 });
    t.same(payloads(await device.received()), ['3', '4']);
    device.send({ cmd: 'puback', messageId: 3 });
    t.same(payloads(await device.received()), ['5']);
  },
);

t.test(
  'A client that stops reading is bounded, others are not slowed, and it goes on when it reads again',
  async (t) => {
    const { host, domain } = testMachine(t, { limits: { queuePackets: 10 } });
    const stalled = new TestDevice(host);
    const other = new TestDevice(host);
    await stalled.connect('stalled');
    await other.connect('other');
    await stalled.subscribe('q');
    await other.subscribe('q');
    stalled.wire.stalled = true;
    const publisher = new TestDevice(host);
    await publisher.connect('publisher');
    const payload = 'x'.repeat(100_000);
    for (let i = 0; i < 40; i++) publisher.publish('q', payload);
    t.equal(payloads(await other.received()).length, 40);
    const sent = payloads(await stalled.received()).length;
    t.ok(sent >= 10 && sent <= 12, `${sent} went out`);
    t.equal(domain.metrics.dropped.queueOverflow, 40 - sent - 10);
    stalled.wire.buffered = 0;
    stalled.connection.drained();
    t.equal(payloads(await stalled.received()).length, 10);
  },
);

t.test('The server stops reading from a client that does not take its answers', async (t) => {
  const { host } = testMachine(t);
  const device = new TestDevice(host);
  await device.connect('choked');
  device.wire.stalled = true;
  device.wire.buffered = 3 * 1024 * 1024;
  device.send({ cmd: 'pingreq' });
  await turn();
  t.ok(device.wire.paused);
  device.connection.drained();
  t.notOk(device.wire.paused);
});

t.test('More in flight than the receive maximum of the server ends the connection with 0x93', async (t) => {
  const { host } = testMachine(t, { mqtt: { receiveMaximum: 3 } });
  const device = new TestDevice(host);
  await device.connect('eager');
  for (let i = 1; i <= 4; i++) device.publish('q', 'x', 2, { messageId: i });
  t.match(await device.received(), [
    { cmd: 'pubrec' },
    { cmd: 'pubrec' },
    { cmd: 'pubrec' },
    { cmd: 'disconnect', reasonCode: 0x93 },
  ]);
  t.ok(device.wire.ended);
});

t.test('What an earlier connection left unreleased does not count against the receive maximum', async (t) => {
  const { host } = testMachine(t, { mqtt: { receiveMaximum: 2 } });
  const kept = { clean: false, properties: { sessionExpiryInterval: 60 } };
  const first = new TestDevice(host);
  await first.connect('kept', kept);
  for (const messageId of [1, 2]) first.publish('q', 'x', 2, { messageId });
  await first.received();
  first.connection.lost();
  const second = new TestDevice(host);
  await second.connect('kept', kept);
  for (const messageId of [3, 4]) second.publish('q', 'x', 2, { messageId });
  second.send({ cmd: 'pubrel', messageId: 1 }).publish('q', 'x', 2, { messageId: 5 });
  t.match(await second.received(), [{ cmd: 'pubrec' }, { cmd: 'pubrec' }, { cmd: 'pubcomp' }, { cmd: 'pubrec' }]);
  second.publish('q', 'x', 2, { messageId: 6 });
  t.match(await second.received(), [{ cmd: 'disconnect', reasonCode: 0x93 }]);
});

t.test('No timers, sessions or actors are left when the last client has gone', async (t) => {
  const clock = new ManualClock();
  const { host, domain, metrics } = testMachine(t, {}, clock);
  const before = metrics.actors;
  const device = new TestDevice(host);
  await device.connect('passing', { keepalive: 60 });
  await device.subscribe('$share/g/x', 1);
  await device.subscribe('x/#', 1);
  device.send({ cmd: 'disconnect', reasonCode: 0 });
  await turn();
  await turn();
  t.equal(host.broker(domain).sessions.size, 0);
  t.equal(host.broker(domain).groups.size, 0);
  t.equal(domain.table.size, 0);
  t.equal(host.connections.size, 0);
  t.equal(metrics.actors, before);
  t.equal(metrics.deadLetters, 0);
});

t.test('CONNACK of 5.0 tells the server’s limits', async (t) => {
  const { host } = testMachine(t, {
    mqtt: { receiveMaximum: 20, topicAliasMaximum: 10, maxPacketBytes: 2_000_000, maxKeepAlive: 30 },
  });
  const device = new TestDevice(host);
  device.hex('10 0e 0004 4d515454 05 02 000a 00 0001 70');
  t.equal(await device.receivedHex(), '200e00000b22000a27001e8480210014');
  const other = new TestDevice(host);
  const login = { username: own.domain, password: Buffer.from(own.apikey) };
  const properties = { requestResponseInformation: true };
  const [connack] = await other.connect('', { keepalive: 60, properties, ...login });
  t.match(connack, { properties: { serverKeepAlive: 30, assignedClientIdentifier: /^auto-/ } });
  t.match(connack, { properties: { responseInformation: /^response\/auto-/ } });
  const [anonymous] = await new TestDevice(host).connect('nobody', { properties });
  t.notOk(
    (anonymous as { properties?: object }).properties &&
      'responseInformation' in (anonymous as { properties: object }).properties,
  );
});

t.test('A client that does not accept its CONNACK for its size is ended without a byte', async (t) => {
  const { host, domain, metrics } = testMachine(t);
  const before = metrics.actors;
  const device = new TestDevice(host);
  t.strictSame(await device.connect('tiny', { properties: { maximumPacketSize: 2, sessionExpiryInterval: 0 } }), []);
  t.ok(device.wire.ended);
  t.equal(host.broker(domain).sessions.size, 0);
  t.equal(metrics.actors, before);
});

t.test('A client that does not accept a SUBACK for its size is told so and ended', async (t) => {
  const { host } = testMachine(t);
  const device = new TestDevice(host);
  await device.connect('small', { properties: { maximumPacketSize: 20 } });
  const subscriptions = Array.from({ length: 20 }, (_, i) => ({ topic: `t/${i}`, qos: 0 as const, rh: 0 }));
  device.send({ cmd: 'subscribe', messageId: 1, subscriptions });
  t.match(await device.received(), [{ cmd: 'disconnect', reasonCode: 0x95 }]);
  t.ok(device.wire.ended);
});

t.test('A reason string goes only where the client has room for it', async (t) => {
  const { host } = testMachine(t);
  for (const [maximumPacketSize, answer] of [
    [16, '4003000199'],
    [100, /^40..000199..1f00../],
  ] as const) {
    const device = new TestDevice(host);
    await device.connect('small', { properties: { maximumPacketSize } });
    device.publish(`/domain/${own.domain}/uid/jack`, '{"body":"x"}', 1);
    t.match(await device.receivedHex(), answer);
  }
});

t.test('When its domain goes, a client is told and its will is not published', async (t) => {
  const { host, domain, metrics } = testMachine(t);
  const before = metrics.actors;
  const watcher = new TestDevice(host);
  await watcher.connect('watcher');
  await watcher.subscribe('wills');
  const device = new TestDevice(host);
  await device.connect('device', {
    will: { topic: 'wills', payload: 'gone' },
    properties: { sessionExpiryInterval: 60 },
  });
  domain.end();
  t.match(await device.received(), [{ cmd: 'disconnect', reasonCode: 0x98 }]);
  t.strictSame(payloads(await watcher.received()), []);
  t.equal(host.connections.size, 0);
  t.equal(metrics.actors, before);
});
