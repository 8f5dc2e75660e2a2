/** What a domain's sessions and what waits for them take: counted, and bounded by `bytesPerDomain`. */
import t from 'tap';
import type { Domain } from '../../src/actors/domain.js';
import type { MqttHost } from '../../src/protocols/mqtt/host.js';
import { testMachine } from './support/broker.js';
import { payloads, TestDevice, turn } from './support/device.js';

const properties = { sessionExpiryInterval: 100 };

/** Sessions that stay without a client and have subscribed to `work`. */
async function away(host: MqttHost, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const device = new TestDevice(host);
    await device.connect(`s${i}`, { properties });
    await device.subscribe('work', 1);
    device.connection.lost();
  }
  await turn();
}

/** Takes up a session and acknowledges all; answers what came. */
async function resume(host: MqttHost, i: number): Promise<string[]> {
  const device = new TestDevice(host);
  const seen: string[] = [];
  let packets = await device.connect(`s${i}`, { clean: false, properties });
  while (packets.length > 0) {
    seen.push(...payloads(packets));
    for (const packet of packets) {
      if (packet.cmd === 'publish') device.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
    }
    packets = await device.received();
  }
  device.connection.lost();
  await turn();
  return seen;
}

/** The reason code with which a publication of QoS 1 is answered. */
async function reason(publisher: TestDevice, payload: string, retain = false): Promise<number | undefined> {
  const packets = await publisher.publish('work', payload, 1, { retain }).received();
  return packets.flatMap((packet) => (packet.cmd === 'puback' ? [packet.reasonCode ?? 0] : []))[0];
}

function bytesOf(domain: Domain, before: number): number {
  return domain.memory.bytes - before;
}

t.test('a publication that waits for 100 sessions counts once, and no more when the last one has it', async (t) => {
  const { host, domain } = testMachine(t);
  await away(host, 100);
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  const before = domain.memory.bytes;
  t.equal(await reason(publisher, 'x'.repeat(100_000)), 0);
  t.ok(bytesOf(domain, before) >= 100_000 && bytesOf(domain, before) < 130_000, `${bytesOf(domain, before)} bytes`);
  for (let i = 0; i < 99; i++) t.equal((await resume(host, i)).length, 1);
  t.ok(bytesOf(domain, before) >= 100_000);
  await resume(host, 99);
  t.equal(bytesOf(domain, before), 0);
});

t.test('a publication for which its domain has no memory is refused, until there is room', async (t) => {
  const bytesPerDomain = 500_000;
  const { host, domain } = testMachine(t, { limits: { bytesPerDomain } });
  await away(host, 2);
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  const codes: (number | undefined)[] = [];
  for (let i = 0; i < 10; i++) codes.push(await reason(publisher, String(i).repeat(100_000)));
  t.strictSame(codes, [0, 0, 0, 0, ...Array(6).fill(0x97)]);
  t.ok(domain.memory.bytes <= bytesPerDomain);
  t.equal(domain.metrics.dropped.quotaExceeded, 6);
  t.equal((await resume(host, 0)).length, 4, 'what was accepted is kept');
  t.equal((await resume(host, 1)).length, 4);
  t.equal(await reason(publisher, 'x'.repeat(100_000)), 0);
});

t.test('a retained publication can be deleted when the memory of its domain is full', async (t) => {
  const { host, domain } = testMachine(t, { limits: { bytesPerDomain: 150_000 } });
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  await reason(publisher, 'x'.repeat(140_000), true);
  t.equal(await reason(publisher, 'x'.repeat(20_000), true), 0x97);
  t.equal(await reason(publisher, '', true), 0x10, 'nobody subscribed, and it is accepted');
  t.equal(host.broker(domain).retained.count, 0);
  t.not(await reason(publisher, 'x'.repeat(20_000)), 0x97);
});

t.test(
  'sessions and subscriptions beyond the memory of their domain are refused, and give back what they took',
  async (t) => {
    const { host, domain } = testMachine(t, { limits: { bytesPerDomain: 50_000 } });
    const devices: TestDevice[] = [];
    const codes: number[] = [];
    for (let i = 0; i < 30; i++) {
      const device = new TestDevice(host);
      devices.push(device);
      for (const packet of await device.connect(`s${i}`))
        if (packet.cmd === 'connack') codes.push(packet.reasonCode ?? 0);
    }
    const taken = codes.filter((code) => code === 0).length;
    t.ok(taken > 5 && taken < 30, `${taken} sessions`);
    t.ok(codes.slice(taken).every((code) => code === 0x97));
    devices[0]?.connection.lost();
    const one = devices[1] as TestDevice;
    const filters = Array.from(
      { length: 50 },
      (_, i) => ({ topic: `t/${i}`, qos: 0, nl: false, rap: false, rh: 0 }) as const,
    );
    const [suback] = await one.send({ cmd: 'subscribe', messageId: 1, subscriptions: filters }).received();
    const granted = suback?.cmd === 'suback' ? suback.granted.map(Number) : [];
    t.ok(granted.includes(0) && granted.includes(0x97), `${granted.filter((code) => code === 0).length} subscriptions`);
    t.ok(domain.memory.bytes <= 50_000);
    for (const device of devices) device.connection.lost();
    await turn();
    t.equal(domain.memory.bytes, 0);
  },
);
