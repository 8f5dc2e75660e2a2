/** What a new subscription is sent of retained publications: all of them, a piece at a time. */
import type { Packet } from 'mqtt-packet';
import t from 'tap';
import { Publication } from '../../src/actors/publication.js';
import type { Broker } from '../../src/protocols/mqtt/broker.js';
import { testBroker, testMachine } from './support/broker.js';
import { client } from './support/clients.js';
import { ManualClock } from './support/clock.js';
import { payloads, TestDevice, turn } from './support/device.js';
import { SlowDisk } from './support/disk.js';

/** What all sessions of a domain may look at in one turn; a test's `turn` is two of them. */
const LEVELS_IN_TWO_TURNS = 2000;

function retain(broker: Broker, topic: string, payload = topic, qos: 0 | 1 | 2 = 1): void {
  const fields = { retain: true, properties: Buffer.alloc(0), publisher: null, expiresAt: Number.POSITIVE_INFINITY };
  broker.retained.put(new Publication({ ...fields, topic, qos, payload: Buffer.from(payload) }));
}

/** `count` topics of four levels. */
function fill(broker: Broker, count: number): void {
  for (let i = 0; i < count; i++) retain(broker, `a/${i % 10}/${i % 100}/${i}`, 'x', 0);
}

/** All combinations of `+` with names that match `a/5/5/…`, and some that match nothing. */
function combinations(count: number): { topic: string; qos: 0; nl: false; rap: false; rh: 0 }[] {
  const levels = ['a', '5', '5'];
  return Array.from({ length: count }, (_, i) => {
    const names = levels.map((name, at) => (i & (1 << at) ? name : '+'));
    // Different filters need further levels of which the rest of the number is made.
    const rest = i >> levels.length;
    return { topic: [...names, rest === 0 ? '+' : String(rest)].join('/'), qos: 0, nl: false, rap: false, rh: 0 };
  });
}

async function drain(device: TestDevice, seen: Packet[] = []): Promise<Packet[]> {
  for (let packets = await device.received(); packets.length > 0; packets = await device.received())
    seen.push(...packets);
  return seen;
}

for (const count of [32, 512]) {
  t.test(
    `a SUBSCRIBE with ${count} filters over 20,000 retained topics does a bounded piece in each turn`,
    async (t) => {
      const { host, domain, metrics } = testMachine(t);
      const broker = host.broker(domain);
      fill(broker, 20_000);
      const before = domain.memory.bytes;
      const device = new TestDevice(host);
      await device.connect('hungry');
      const other = new TestDevice(host);
      await other.connect('other');
      device.send({ cmd: 'subscribe', messageId: 1, subscriptions: combinations(count) });
      for (let i = 0; i < 5; i++) {
        other.send({ cmd: 'pingreq' });
        const [packets, [pong]] = [await device.received(), await other.received()];
        t.ok(packets.length <= LEVELS_IN_TWO_TURNS + 1, `${packets.length} came`);
        if (i === 0) t.equal(packets[0]?.cmd, 'suback');
        t.equal(pong?.cmd, 'pingresp', 'another client is answered meanwhile');
        t.equal(domain.metrics.queuedPackets, 0, 'nothing waits in a queue');
      }
      t.ok(domain.memory.bytes - before < count * 10_000, `${domain.memory.bytes - before} bytes are taken`);
      device.connection.lost();
      await turn();
      await turn();
      t.equal(metrics.deadLetters, 0);
    },
  );
}

for (const qos of [1, 2] as const) {
  t.test(`all of 2,000 retained publications arrive at QoS ${qos}, though a queue has room for 1,000`, async (t) => {
    const broker = await testBroker(t, { limits: { queuePackets: 1000 } });
    const publisher = await client(t, `mqtt://127.0.0.1:${broker.port}`);
    const publish = (i: number) => publisher.client.publishAsync(`r/${i}`, `${i}`, { qos, retain: true });
    for (let i = 0; i < 2000; i += 50) await Promise.all(Array.from({ length: 50 }, (_, more) => publish(i + more)));
    const subscriber = await client(t, `mqtt://127.0.0.1:${broker.port}`);
    await subscriber.client.subscribeAsync('r/+', { qos });
    const seen = new Set<string>();
    for (let i = 0; i < 2000; i++) seen.add(await subscriber.payload());
    t.equal(seen.size, 2000);
    await subscriber.client.publishAsync('r/mark', 'mark', { qos });
    t.equal(await subscriber.payload(), 'mark', 'none comes twice');
    t.equal(broker.domain().metrics.dropped.queueOverflow, 0);
  });
}

t.test('all of 30,000 retained publications arrive at QoS 0 while the client reads', async (t) => {
  const broker = await testBroker(t);
  const publisher = await client(t, `mqtt://127.0.0.1:${broker.port}`);
  const body = 'x'.repeat(100);
  for (let i = 0; i < 30_000; i++) publisher.client.publish(`r/${i}`, body, { retain: true });
  await publisher.client.publishAsync('mark', '', { qos: 1 });
  const subscriber = await client(t, `mqtt://127.0.0.1:${broker.port}`);
  await subscriber.client.subscribeAsync('#', { qos: 0 });
  const seen = new Set<string>();
  for (let i = 0; i < 30_000; i++) seen.add((await subscriber.next()).topic);
  t.equal(seen.size, 30_000);
  t.equal(broker.domain().metrics.dropped.queueOverflow, 0);
});

t.test(
  'a client that does not read gets no more than its connection holds, and the rest when it reads again',
  async (t) => {
    const { host, domain } = testMachine(t);
    const body = 'x'.repeat(10_000);
    for (let i = 0; i < 1000; i++) retain(host.broker(domain), `r/${i}`, body, 0);
    const device = new TestDevice(host);
    await device.connect('slow');
    device.wire.stalled = true;
    const seen = await drain(device, await device.subscribe('#'));
    const early = payloads(seen).length;
    t.ok(early < 200, `${early} of 1,000 came`);
    t.equal(domain.metrics.queuedPackets, 0);
    device.wire.stalled = false;
    device.wire.buffered = 0;
    device.connection.drained();
    await drain(device, seen);
    t.equal(payloads(seen).length, 1000);
  },
);

t.test('what is published while retained publications are still being sent comes once', async (t) => {
  const { host, domain } = testMachine(t);
  for (let i = 0; i < 50; i++) retain(host.broker(domain), `r/${i}`, 'old');
  const device = new TestDevice(host);
  await device.connect('slow', { properties: { receiveMaximum: 10 } });
  const seen = await device.subscribe('r/+', 1);
  t.equal(payloads(seen).length, 10);
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  publisher.publish('r/0', 'new', 1, { retain: true, messageId: 1 });
  publisher.publish('r/40', 'new', 1, { retain: true, messageId: 2 });
  publisher.publish('r/41', '', 1, { retain: true, messageId: 3 });
  await turn();
  for (let i = 0; i < seen.length; i++) {
    const packet = seen[i];
    if (packet?.cmd !== 'publish') continue;
    seen.push(...(await device.send({ cmd: 'puback', messageId: packet.messageId ?? 0 }).received()));
  }
  const of = (topic: string) =>
    seen.flatMap((packet) =>
      packet.cmd === 'publish' && packet.topic === topic ? [[packet.payload.toString(), packet.retain]] : [],
    );
  t.strictSame(of('r/0'), [
    ['old', true],
    ['new', false],
  ]);
  t.strictSame(of('r/40'), [['new', false]], 'the earlier one is not sent any more');
  t.strictSame(of('r/41'), [['', false]]);
  t.equal(seen.filter(({ cmd }) => cmd === 'publish').length, 51);
});

t.test('UNSUBSCRIBE ends what is still to be sent, a new subscription begins again', async (t) => {
  const { host, domain } = testMachine(t);
  for (let i = 0; i < 5; i++) retain(host.broker(domain), `r/${i}`, `${i}`);
  const device = new TestDevice(host);
  await device.connect('slow', { properties: { receiveMaximum: 2 } });
  t.strictSame(payloads(await device.subscribe('r/+', 1)), ['0', '1']);
  await device.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['r/+'] }).received();
  const after = device.send({ cmd: 'puback', messageId: 1 }, { cmd: 'puback', messageId: 2 });
  t.strictSame(payloads(await after.received()), []);
  t.strictSame(payloads(await device.subscribe('r/+', 1)), ['0', '1']);
});

t.test('a session that is resumed is sent the rest of what is retained', async (t) => {
  const { host, domain } = testMachine(t);
  for (let i = 0; i < 6; i++) retain(host.broker(domain), `r/${i}`, `${i}`);
  const properties = { receiveMaximum: 2, sessionExpiryInterval: 100 };
  const first = new TestDevice(host);
  await first.connect('kept', { properties });
  t.strictSame(payloads(await first.subscribe('r/+', 1)), ['0', '1']);
  first.connection.lost();
  await turn();
  const second = new TestDevice(host);
  const seen = await second.connect('kept', { clean: false, properties: { sessionExpiryInterval: 100 } });
  t.strictSame(payloads(seen), ['0', '1', '2', '3', '4', '5']);
});

t.test('a retained publication that a subscription finds to have expired leaves the disk', async (t) => {
  const disk = new SlowDisk();
  const clock = new ManualClock();
  const { host } = testMachine(t, {}, clock, disk);
  const device = new TestDevice(host);
  await device.connect('publisher');
  device.publish('stays', 'x', 0, { retain: true });
  device.publish('goes', 'x', 0, { retain: true, properties: { messageExpiryInterval: 5 } });
  await turn();
  t.equal(disk.values('retained').length, 2);
  clock.advance(5000);
  t.strictSame(payloads(await device.subscribe('#')), ['x']);
  t.match(disk.values('retained'), [{ topic: 'stays' }]);
});
