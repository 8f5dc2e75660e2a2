/** What members of a shared subscription were given and had not acknowledged when their sessions end, section 4.8.2. */
import t from 'tap';
import { testMachine } from './support/broker.js';
import { ManualClock } from './support/clock.js';
import { payloads, TestDevice, turn } from './support/device.js';

const kept = { properties: { sessionExpiryInterval: 60, receiveMaximum: 3 } };

async function members(qos: 1 | 2, options: object, clock = new ManualClock()) {
  const { host, domain, metrics } = testMachine(t, {}, clock);
  const [first, publisher] = [new TestDevice(host), new TestDevice(host)];
  await first.connect('first', options);
  await first.subscribe('$share/g/t', qos);
  await publisher.connect('publisher');
  for (let n = 1; n <= 5; n++) publisher.publish('t', `${n}`, qos, { messageId: n });
  const given = payloads(await first.received());
  const second = new TestDevice(host);
  await second.connect('second');
  await second.subscribe('$share/g/t', qos);
  return { host, domain, metrics, first, second, given, clock };
}

t.test(
  'QoS 1 that a member did not acknowledge goes to another in order when its session ends with its connection',
  async (t) => {
    const { first, second, given, metrics } = await members(1, { properties: { receiveMaximum: 3 } });
    t.strictSame(given, ['1', '2', '3']);
    first.send({ cmd: 'puback', messageId: 1 });
    await first.received();
    first.connection.lost();
    t.strictSame(payloads(await second.received()), ['2', '3', '4', '5']);
    await turn();
    t.equal(metrics.deadLetters, 0);
  },
);

t.test('QoS 1 in flight waits for a session that is kept, and goes to another member when that expires', async (t) => {
  const { first, second, given, clock, metrics } = await members(1, kept);
  t.strictSame(given, ['1', '2', '3']);
  first.connection.lost();
  t.strictSame(payloads(await second.received()), ['4', '5'], 'what had not been sent');
  clock.advance(60_000);
  t.strictSame(payloads(await second.received()), ['1', '2', '3']);
  t.equal(metrics.deadLetters, 0);
});

t.test('QoS 2 that a member began to receive goes to nobody else, what waited does', async (t) => {
  const { first, second, given, metrics } = await members(2, { properties: { receiveMaximum: 3 } });
  t.strictSame(given, ['1', '2', '3']);
  first.connection.lost();
  t.strictSame(payloads(await second.received()), ['4', '5']);
  t.equal(metrics.deadLetters, 0);
});

t.test('What the last member leaves unacknowledged is dropped and counted', async (t) => {
  const { host, domain, metrics } = testMachine(t);
  const [only, publisher] = [new TestDevice(host), new TestDevice(host)];
  await only.connect('only');
  await only.subscribe('$share/g/t', 1);
  await publisher.connect('publisher');
  publisher.publish('t', 'x', 1);
  await only.received();
  const before = domain.metrics.dropped.noSubscriber;
  only.connection.lost();
  await turn();
  t.equal(domain.metrics.dropped.noSubscriber, before + 1);
  t.equal(metrics.deadLetters, 0);
});

t.test('Publications that ended sessions gave back leave nothing in the memory of their domain', async (t) => {
  const { host, domain } = testMachine(t);
  const publisher = new TestDevice(host);
  await publisher.connect('publisher');
  const run = async () => {
    const device = new TestDevice(host);
    await device.connect('only', { properties: { receiveMaximum: 2 } });
    await device.subscribe('$share/g/t', 1);
    for (let n = 1; n <= 4; n++) publisher.publish('t', 'x'.repeat(1000), 1, { messageId: n });
    t.equal(payloads(await device.received()).length, 2);
    device.connection.lost();
    await turn();
    return domain.memory.bytes;
  };
  const first = await run();
  t.equal(await run(), first);
});
