/** What CONNACK, SUBACK and UNSUBACK say of a session that is kept is on disk before they go out. */
import { generate, type ISubscribePacket, type IUnsubscribePacket, type Packet } from 'mqtt-packet';
import t from 'tap';
import { systemClock } from '../../src/clock.js';
import type { MqttHost } from '../../src/protocols/mqtt/host.js';
import { testMachine } from './support/broker.js';
import { payloads, TestDevice, turn } from './support/device.js';
import { SlowDisk } from './support/disk.js';

const subscribe = (messageId: number, topic: string): ISubscribePacket => ({
  cmd: 'subscribe',
  messageId,
  subscriptions: [{ topic, qos: 1 }],
});

const unsubscribe = (messageId: number, topic: string): IUnsubscribePacket => ({
  cmd: 'unsubscribe',
  messageId,
  unsubscriptions: [topic],
});

const kept = { clean: false, properties: { sessionExpiryInterval: 60 } };

async function names(device: TestDevice): Promise<string[]> {
  return (await device.received()).map(({ cmd }) => cmd);
}

/** A client of the session `kept`, whose CONNACK has come. */
async function connected(host: MqttHost, disk: SlowDisk): Promise<TestDevice> {
  const device = new TestDevice(host);
  await device.connect('kept', kept);
  disk.commit();
  await device.received();
  return device;
}

t.test('SUBACK of a session that is kept waits for the disk, and so does what its client sent behind', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const device = await connected(host, disk);
  device.send(subscribe(1, 'news'));
  device.send({ cmd: 'pingreq' });
  await turn();
  t.strictSame(await device.received(), []);
  disk.commit();
  t.strictSame(await names(device), ['suback', 'pingresp']);
});

t.test('SUBACK of a session that ends with its connection, or that grants nothing, waits for no disk', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const brief = new TestDevice(host);
  await brief.connect('brief');
  brief.send(subscribe(1, 'news'));
  t.match(await brief.received(), [{ cmd: 'suback' }]);
  const device = await connected(host, disk);
  disk.isFull = true;
  device.send(subscribe(1, 'news'));
  t.match(await device.received(), [{ cmd: 'suback', granted: [0x97] }]);
});

t.test('UNSUBACK of a session that is kept waits for the disk: the subscription comes back no more', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const device = await connected(host, disk);
  device.send(subscribe(1, 'news'));
  await turn();
  disk.commit();
  t.strictSame(await names(device), ['suback']);
  device.send(unsubscribe(2, 'news'));
  t.strictSame(await names(device), []);
  t.strictSame(disk.values('subscriptions'), []);
  disk.commit();
  t.strictSame(await names(device), ['unsuback']);
  device.send(unsubscribe(3, 'news'));
  t.strictSame(await names(device), ['unsuback'], 'one that removes nothing waits for nothing');
});

t.test('SUBACK and UNSUBACK of a subscription that is there already do not wait for a full disk', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const device = await connected(host, disk);
  device.send(subscribe(1, 'news'));
  await turn();
  disk.commit();
  await device.received();
  disk.isFull = true;
  device.send(subscribe(2, 'news'));
  t.strictSame(await names(device), ['suback']);
  device.send(unsubscribe(3, 'news'));
  t.strictSame(await names(device), ['unsuback']);
});

t.test('CONNACK of a session that is kept waits for the disk, and everything behind it', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const device = new TestDevice(host);
  t.strictSame(await device.connect('kept', kept), []);
  device.send({ cmd: 'pingreq' });
  t.strictSame(await names(device), []);
  disk.commit();
  t.strictSame(await names(device), ['connack', 'pingresp']);
  const brief = new TestDevice(host);
  t.match(await brief.connect('brief'), [{ cmd: 'connack' }], 'a session that ends with its connection waits for none');
});

t.test('Publications wait in their session while CONNACK waits for the disk, and come behind it', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, { limits: { queuePackets: 0, queueBytes: 0 } }, systemClock, disk);
  const first = await connected(host, disk);
  first.send(subscribe(1, 'news'));
  await turn();
  disk.commit();
  await turn();
  first.connection.lost();
  await turn();
  const device = new TestDevice(host);
  t.strictSame(await device.connect('kept', kept), []);
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  const body = 'x'.repeat(100_000);
  for (let i = 0; i < 30; i++) publisher.publish('news', body);
  await turn();
  t.ok(device.connection.congested);
  disk.commit();
  const packets = await device.received();
  t.equal(packets[0]?.cmd, 'connack');
  t.equal(payloads(packets).length, 30);
});

t.test('A connection that ends while CONNACK waits for the disk is sent what it was to be sent', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const device = new TestDevice(host);
  t.strictSame(await device.connect('kept', kept), []);
  const second = new TestDevice(host);
  t.strictSame(await second.connect('kept', kept), []);
  t.strictSame(await names(device), ['connack', 'disconnect']);
  disk.commit();
  t.match(await second.received(), [{ cmd: 'connack', sessionPresent: true }]);
});

t.test('CONNACK of a session that is resumed does not wait for a full disk', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  (await connected(host, disk)).connection.lost();
  await turn();
  disk.isFull = true;
  const device = new TestDevice(host);
  t.match(await device.connect('kept', kept), [{ cmd: 'connack', sessionPresent: true }]);
});

for (const what of ['publications', 'releases'] as const) {
  t.test(`of ${what} that a client repeats without end while the disk is slow only so many wait`, async (t) => {
    const disk = new SlowDisk();
    const { host } = testMachine(t, {}, systemClock, disk);
    const device = await connected(host, disk);
    const publication = { cmd: 'publish', topic: 'news', payload: 'hello', qos: 2, retain: false } as const;
    const packet: Packet =
      what === 'publications' ? { ...publication, dup: true, messageId: 1 } : { cmd: 'pubrel', messageId: 1 };
    const thousand = Buffer.concat(Array(1000).fill(generate(packet, { protocolVersion: 5 })));
    let thousands = 0;
    for (; thousands < 70 && !device.wire.ended; thousands += 1) {
      device.raw(thousand);
      await turn();
    }
    t.ok(thousands > 60 && thousands < 70, `${thousands} thousand, about as many as there are identifiers`);
    t.match((await device.received()).at(-1), { cmd: 'disconnect', reasonCode: 0x93 });
  });
}
