/** What a client, a backend or a stranger may cost: every map and queue of the broker has a bound. */
import { connect } from 'node:net';
import type { Packet } from 'mqtt-packet';
import t from 'tap';
import { tlsFiles } from '../support/tls.js';
import { testBroker, testMachine } from './support/broker.js';
import { TestDevice, turn } from './support/device.js';

function subscribe(topic: string): Packet {
  return { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1, rh: 0 }] };
}

t.test('Subscriptions beyond the limit of a session are refused, until it unsubscribes', async (t) => {
  const { host, domain, metrics } = testMachine(t, { limits: { subscriptionsPerSession: 2 } });
  const device = new TestDevice(host);
  await device.connect('many');
  device.send(subscribe('a'), subscribe('$share/g/a'), subscribe('b'), subscribe('a'));
  const granted = (packets: readonly object[]) => packets.map((packet) => (packet as { granted: number[] }).granted[0]);
  t.strictSame(granted(await device.received()), [1, 1, 0x97, 1], 'one that is there already is no further one');
  device.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] }, subscribe('b'));
  t.strictSame(granted(await device.received()), [0, 1]);
  t.equal(metrics.refused.quotaExceeded, 1);
  const older = new TestDevice(host, 4);
  await older.connect('older');
  older.send(subscribe('a'), subscribe('b'), subscribe('c'));
  t.strictSame(granted(await older.received()), [1, 1, 0x80]);
  for (const one of [device, older]) one.connection.lost();
  await turn();
  t.equal(host.broker(domain).subscriptions, 0);
});

t.test('Subscriptions of all sessions have a limit for the domain', async (t) => {
  const { host, metrics } = testMachine(t, { limits: { subscriptionsPerDomain: 3 } });
  const first = new TestDevice(host);
  await first.connect('first');
  first.send(subscribe('a'), subscribe('b'));
  const second = new TestDevice(host);
  await second.connect('second');
  second.send(subscribe('a'), subscribe('b'));
  await first.received();
  t.match(await second.received(), [{ granted: [1] }, { granted: [0x97] }]);
  t.equal(metrics.refused.quotaExceeded, 1);
  first.connection.lost();
  await turn();
  t.match(await second.subscribe('b', 1), [{ granted: [1] }]);
});

t.test('Levels of filters have a limit for the domain', async (t) => {
  const { host, domain, metrics } = testMachine(t);
  const device = new TestDevice(host);
  await device.connect('deep');
  // The real limit would take 250 MB.
  Object.defineProperty(domain.table, 'levels', { value: 999_999, configurable: true });
  t.match(await device.subscribe('a/+', 1), [{ granted: [1] }]);
  Object.defineProperty(domain.table, 'levels', { value: 1_000_000 });
  t.match(await device.subscribe('b/+', 1), [{ granted: [0x97] }]);
  t.equal(metrics.refused.quotaExceeded, 1);
});

t.test('Sessions beyond the limit of the domain are refused, and existing ones go on', async (t) => {
  const { host, metrics } = testMachine(t, { limits: { sessionsPerDomain: 1 } });
  const kept = { properties: { sessionExpiryInterval: 60 } };
  const first = new TestDevice(host);
  await first.connect('first', kept);
  t.match(await new TestDevice(host).connect('second'), [{ cmd: 'connack', reasonCode: 0x97 }]);
  t.match(await new TestDevice(host, 4).connect('third'), [{ cmd: 'connack', returnCode: 3 }]);
  t.match(await new TestDevice(host).connect('first', { ...kept, clean: false }), [{ sessionPresent: true }]);
  t.equal(metrics.refused.quotaExceeded, 2);
});

t.test(
  'Retained publications have limits for the domain; beyond them a publication is delivered and not kept',
  async (t) => {
    const { host, domain } = testMachine(t, { limits: { retainedPerDomain: 2 } });
    const device = new TestDevice(host);
    await device.connect('device');
    await device.subscribe('#');
    for (const topic of ['a', 'b', 'c', 'a']) device.publish(topic, 'x', 0, { retain: true });
    t.equal((await device.received()).length, 4);
    t.equal(host.broker(domain).retained.count, 2);
    t.equal(domain.metrics.dropped.quotaExceeded, 1);
  },
);

t.test('Twenty thousand SUBSCRIBEs in one read are answered in their order', async (t) => {
  const { host } = testMachine(t);
  const device = new TestDevice(host);
  await device.connect('eager');
  const count = 20_000;
  device.raw(
    Buffer.concat(
      Array.from({ length: count }, (_, i) => Buffer.from([0x82, 7, i >> 8, i & 0xff || 1, 0, 0, 1, 112, 0])),
    ),
  );
  device.hex('c000');
  let answer = '';
  // The event loop may look at the network in between.
  while (answer.length < 2 * (count * 6 + 2)) answer += await device.receivedHex();
  t.equal(answer.length, 2 * (count * 6 + 2));
  t.ok(answer.startsWith('900400010000') && answer.endsWith('d000'));
});

t.test('Unfinished CONNECTs have a bound together, and small ones are not ended for it', async (t) => {
  const { host, metrics } = testMachine(t);
  const begin = Buffer.from('1090a10f 00044d51545404020000'.replace(' ', ''), 'hex');
  const strangers = () => Array.from({ length: 800 }, () => new TestDevice(host).raw(begin).raw(Buffer.alloc(200_000)));
  const first = strangers();
  const kept = first.filter(({ wire }) => !wire.ended).length;
  t.ok(kept > 640 && kept < 680, `${kept} of 200,000 bytes each are waited for`);
  t.equal(metrics.refused.unavailable, 800 - kept);
  const slow = new TestDevice(host, 4);
  slow.hex('100d 00044d51').hex('545404020000 0001');
  slow.hex('70');
  t.equal(await slow.receivedHex(), '20020000');
  for (const { connection } of first) connection.lost();
  t.equal(strangers().filter(({ wire }) => !wire.ended).length, kept, 'those who have gone take nothing any more');
});

t.test('A TLS handshake that never comes does not keep the server from closing', async (t) => {
  const broker = await testBroker(t, { tls: tlsFiles(t), mqtt: { port: 0, tlsPort: -1 } });
  const socket = connect(broker.mqtt.tlsPort ?? 0, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await broker.mqtt.close();
  await closed;
});
