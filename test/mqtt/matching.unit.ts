/** What one publication or packet costs, whatever filters there are: levels of the topic tree, counted. */
import type { Packet } from 'mqtt-packet';
import t from 'tap';
import type { Deliver } from '../../src/actors/router.js';
import { FilterShapes } from '../../src/protocols/mqtt/filter-shapes.js';
import { address, testMachine } from './support/broker.js';
import { payloads, TestDevice, turn } from './support/device.js';

const MOST_LEVELS = 4096;

/** SUBSCRIBE to all of the filters; the codes that SUBACK has. */
async function granted(device: TestDevice, filters: readonly string[]): Promise<number[]> {
  const subscriptions = filters.map((topic) => ({ topic, qos: 1, nl: false, rap: false, rh: 0 }) as const);
  const packets = await device.send({ cmd: 'subscribe', messageId: 1, subscriptions }).received();
  return packets.flatMap((packet: Packet) => (packet.cmd === 'suback' ? packet.granted.map(Number) : []));
}

/** All filters of `a` and `+` in so many levels, but `a/a/…`. */
function combinations(levels: number): string[] {
  return Array.from({ length: 2 ** levels - 1 }, (_, i) =>
    Array.from({ length: levels }, (_, at) => (i & (1 << at) ? 'a' : '+')).join('/'),
  );
}

t.test(
  '8,191 filters of a and + in 13 levels make one publication cost no more than a bound of its domain',
  async (t) => {
    const { host, domain, metrics } = testMachine(t);
    const hostile = new TestDevice(host);
    await hostile.connect('hostile');
    const codes = await granted(hostile, combinations(13));
    const taken = codes.filter((code) => code === 1).length;
    t.equal(codes.length, 8191);
    t.equal(taken, Math.floor(MOST_LEVELS / 13));
    t.equal(codes.filter((code) => code === 0x97).length, 8191 - taken);
    t.equal(metrics.refused.quotaExceeded, 8191 - taken);
    const publisher = new TestDevice(host);
    await publisher.connect('publisher');
    const before = domain.table.looked;
    publisher.publish(Array(13).fill('a').join('/'), 'x', 1);
    t.strictSame(payloads(await hostile.received()), ['x']);
    const looked = domain.table.looked - before;
    t.ok(looked > 100 && looked <= MOST_LEVELS, `${looked} levels were looked at`);

    const other = new TestDevice(host);
    await other.connect('other');
    t.strictSame(
      await granted(other, ['exact', '+/+/+/b', `b/${'+/'.repeat(11)}+`]),
      [1, 0x97, 1],
      'what is exact or alike has room',
    );
    await hostile.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: combinations(13) }).received();
    t.strictSame(await granted(other, ['+/+/+/b']), [1], 'what has gone makes room');
  },
);

t.test('filters of one shape count once, until the last of them is unsubscribed', async (t) => {
  const shapes = new FilterShapes();
  shapes.add('sensors/+/a');
  shapes.add('doors/+/b');
  shapes.add('//+');
  t.equal(shapes.levels, 6);
  shapes.add('plain/x');
  t.equal(shapes.levels, 6);
  shapes.remove('sensors/+/a');
  t.equal(shapes.levels, 6);
  shapes.remove('doors/+/b');
  t.equal(shapes.levels, 3);
  shapes.remove('//+');
  t.equal(shapes.levels, 0);
});

t.test('a session that ends gives back the levels that its filters took', async (t) => {
  const { host, domain } = testMachine(t);
  const device = new TestDevice(host);
  await device.connect('goes');
  await granted(device, ['a/+', '$share/g/+/b']);
  t.equal(host.broker(domain).shapes.levels, 4);
  device.connection.lost();
  await turn();
  t.equal(host.broker(domain).shapes.levels, 0);
});

t.test(
  'a packet for a watched address comes to a session with the subscriptions that match it, of 3,000',
  async (t) => {
    const { host, domain } = testMachine(t);
    const filters = Array.from({ length: 1000 }, (_, i) => address(`u${i}`));
    const devices: TestDevice[] = [];
    for (let i = 0; i < 3; i++) {
      const device = new TestDevice(host);
      await device.connect(`watcher${i}`);
      await granted(device, [...filters, address('u7').replace('/uid/', '/+/')]);
      devices.push(device);
    }
    const told: number[] = [];
    const actors = Object.getPrototypeOf(domain.router) as { tell(message: Partial<Deliver>): void };
    const { tell } = actors;
    actors.tell = function (message) {
      const { kind, matched } = message;
      if (kind === 'deliver' && matched) told.push(matched.length);
      tell.call(this, message);
    };
    t.teardown(() => {
      actors.tell = tell;
    });
    const before = domain.table.looked;
    const publisher = new TestDevice(host);
    await publisher.connect('publisher');
    publisher.publish(address('u7'), '{"from":"tom","body":"hello"}', 1);
    await turn();
    for (const device of devices) t.equal(payloads(await device.received()).length, 1, 'one copy each');
    t.strictSame(told, [2, 2, 2]);
    t.ok(domain.table.looked - before < 50, `${domain.table.looked - before} levels were looked at`);
  },
);
