/** Message expiry of what is published to addresses: wherever a message waits, it waits no longer than that. */
import type { MqttClient } from 'mqtt';
import t from 'tap';
import { type Clock, systemClock } from '../../src/clock.js';
import { clusterSettings, natsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type Settings, siteA, type TestServer, testServer } from '../support/server.js';
import { turnsUntil } from '../support/until.js';
import { client, type Subscriber } from './support/clients.js';
import { ManualClock } from './support/clock.js';

const address = (id: string): string => `/domain/${siteA.domain}/uid/${id}`;
/** Whoever comes back within minutes is still online. */
const settings: Settings = {
  mqtt: { port: -1 },
  presence: { clientIdleMs: 600_000, graceMs: 600_000 },
  domains: [siteA],
};
const offline = { domains: [{ ...siteA, offline: true }] };

function connect(t: Cleaner, { mqttPort }: TestServer, options: object = {}): Promise<Subscriber> {
  const credentials = { username: siteA.domain, password: siteA.apikey };
  return client(t, `mqtt://127.0.0.1:${mqttPort}`, { ...credentials, keepalive: 0, ...options });
}

/** Three messages: one that holds for ten seconds, one for a hundred, and one for ever. */
async function publishThree(publisher: MqttClient, to: string, from = 'tom'): Promise<void> {
  for (const [body, messageExpiryInterval] of [
    ['ten', 10],
    ['hundred', 100],
    ['ever', undefined],
  ] as const) {
    const properties = messageExpiryInterval === undefined ? {} : { messageExpiryInterval };
    await publisher.publishAsync(address(to), JSON.stringify({ from, body }), { qos: 1, properties });
  }
}

/** Body and remaining expiry of each message of the next two publications. */
async function twoOf(subscriber: Subscriber): Promise<[string, number | undefined][]> {
  const found: [string, number | undefined][] = [];
  for (let n = 0; n < 2; n++) {
    const { payload, properties } = await subscriber.next();
    const { messages } = JSON.parse(payload.toString()) as { messages: { body: string }[] };
    for (const { body } of messages) found.push([body, properties?.messageExpiryInterval]);
  }
  return found;
}

/** The time of the system, some way off: nodes of a cluster answer each other by timers that go on by themselves. */
class OffClock implements Clock {
  readonly after = systemClock.after.bind(systemClock);

  constructor(public offMs: number) {}

  now(): number {
    return systemClock.now() + this.offMs;
  }
}

const LEFT = [
  ['hundred', 80],
  ['ever', undefined],
];

t.test('a message that has waited for a connection longer than its expiry is not delivered', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, settings, clock);
  const { ticket: bob } = await server.site().online('bob');
  const { ticket: ann } = await server.site().online('ann');
  const backend = await connect(t, server);
  await publishThree(backend.client, 'bob');
  await publishThree(backend.client, 'ann');
  clock.advance(20_000);
  const phone = await connect(t, server, { password: bob });
  t.strictSame(await twoOf(phone), LEFT, 'by 5.0 with what is left');
  const old = await connect(t, server, { password: ann, protocolVersion: 4 });
  t.strictSame(JSON.parse(await old.payload()).messages[0].body, 'hundred');
  t.equal(server.metrics.domain(siteA.domain).dropped.expired, 2);
});

t.test('a message that has waited for whichever client comes next expires as well', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, settings, clock);
  const { ticket } = await server.site().online('bob', { client: 'tab' });
  const backend = await connect(t, server);
  await publishThree(backend.client, 'bob');
  await server.site().offline(ticket);
  clock.advance(20_000);
  const { ticket: next } = await server.site().online('bob');
  t.strictSame(await twoOf(await connect(t, server, { password: next })), LEFT);
});

t.test('a message in the offline store expires, also after a restart', async (t) => {
  const clock = new ManualClock();
  const data = t.testdir();
  const first = await testServer(t, { ...settings, ...offline, data }, clock);
  await publishThree((await connect(t, first)).client, 'bob');
  await publishThree((await connect(t, first)).client, 'ann');
  clock.advance(20_000);
  const { ticket } = await first.site().online('bob');
  t.strictSame(await twoOf(await connect(t, first, { password: ticket })), LEFT);
  await first.close();
  const second = await testServer(t, { ...settings, ...offline, data }, clock);
  const { ticket: ann } = await second.site().online('ann');
  t.strictSame(await twoOf(await connect(t, second, { password: ann })), LEFT);
  t.equal(second.metrics.domain(siteA.domain).dropped.expired, 1);
});

t.test('nobody asks for a message in the offline store: it goes when it has expired', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { ...settings, ...offline, data: t.testdir() }, clock);
  await publishThree((await connect(t, server)).client, 'bob');
  clock.advance(120_000);
  const { dropped, offlineMessages } = server.metrics.domain(siteA.domain);
  t.equal(dropped.expired, 2);
  t.equal(offlineMessages, 1);
});

t.test('what a ticket’s client and its will say expires, and who watches the address sees no more of it', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, settings, clock);
  const { ticket: bob } = await server.site().online('bob');
  const kept = { clientId: 'watcher', clean: false, properties: { sessionExpiryInterval: 600 } };
  const watcher = await connect(t, server, kept);
  await watcher.client.subscribeAsync(address('bob'), { qos: 1 });
  await watcher.client.endAsync();
  const { ticket: tom } = await server.site().online('tom');
  const will = { topic: address('bob'), payload: Buffer.from('will'), properties: { messageExpiryInterval: 10 } };
  const phone = await connect(t, server, { password: tom, will });
  await publishThree(phone.client, 'bob');
  phone.client.stream.destroy();
  const { accepted } = server.metrics.domain(siteA.domain);
  await turnsUntil('four messages accepted', () => accepted.message >= 4);
  clock.advance(20_000);
  t.strictSame(await twoOf(await connect(t, server, { password: bob })), LEFT);
  t.strictSame(await twoOf(await connect(t, server, kept)), LEFT);
});

t.test('what was in flight goes out again under its identifier, unless it has expired', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, settings, clock);
  const { ticket } = await server.site().online('bob');
  const phone = { password: ticket, clientId: 'phone', clean: false, properties: { sessionExpiryInterval: 60 } };
  const deaf = await connect(t, server, {
    ...phone,
    customHandleAcks: (_topic: string, _payload: Buffer, _packet: unknown, done: (error: Error) => void) =>
      done(new Error('never')),
  });
  deaf.client.on('error', () => undefined);
  const came = new Promise<void>((resolve) => {
    deaf.client.on('packetreceive', (packet) => packet.cmd === 'publish' && packet.messageId === 3 && resolve());
  });
  await publishThree((await connect(t, server)).client, 'bob');
  await came;
  deaf.client.end(true);
  clock.advance(20_000);
  const again = await connect(t, server, phone);
  const [first, second] = [await again.next(), await again.next()];
  t.match(first, { dup: true, messageId: 2, properties: { messageExpiryInterval: 80 } });
  t.match(second, { dup: true, messageId: 3 });
});

t.test(
  'a message that goes to another node, or is sent on from where its sender lives, expires there',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const nats = await natsServer(t);
    // The clocks of two nodes need not agree.
    const clocks = [new OffClock(0), new OffClock(3_600_000)] as const;
    const shared = clusterSettings(nats, settings);
    const start = (node: string, clock: Clock) => testServer(t, merge(shared, { cluster: { node } }), clock);
    const [n1, n2] = [await start('n1', clocks[0]), await start('n2', clocks[1])];
    const { ticket: bob } = await n2.site().online('bob');
    const { ticket: ann } = await n2.site().online('ann');
    await n2.site().arrive('tom');
    const backend = await connect(t, n1);
    await publishThree(backend.client, 'bob', 'tom');
    await publishThree(backend.client, 'ann', 'nobody');
    const { accepted, delivered } = n2.metrics.domain(siteA.domain);
    await turnsUntil('six messages delivered', () => delivered.message >= 6);
    t.equal(accepted.message, 3, 'those of tom are sent from where he is');
    for (const clock of clocks) clock.offMs += 20_000;
    for (const password of [bob, ann]) {
      const found = await twoOf(await connect(t, n2, { password }));
      t.match(found, [['hundred', Number], ['ever']]);
      t.ok((found[0]?.[1] ?? 0) <= 80, 'with what is left');
    }
  },
);
