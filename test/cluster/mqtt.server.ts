import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import t from 'tap';
import { clusterSettings, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, siteA, type TestServer, testServer } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');

/** A backend of the site that is connected to one node, and the publications it has received. */
class Backend {
  readonly received: IPublishPacket[] = [];
  readonly reasons: number[] = [];
  #waiting: ((packet: IPublishPacket) => void)[] = [];

  private constructor(
    readonly client: MqttClient,
    readonly sessionPresent: boolean,
  ) {}

  static async connect(t: Cleaner, node: TestServer, options: IClientOptions = {}): Promise<Backend> {
    const client = mqtt.connect(`mqtt://127.0.0.1:${node.mqttPort}`, {
      protocolVersion: 5,
      username: siteA.domain,
      password: siteA.apikey,
      reconnectPeriod: 0,
      ...options,
    });
    client.on('error', () => undefined);
    t.teardown(() => client.end(true));
    const early: IPublishPacket[] = [];
    client.on('message', (_topic, _payload, packet) => early.push(packet));
    const connack = await new Promise<{ sessionPresent: boolean }>((resolve, reject) => {
      client.once('connect', resolve);
      client.once('error', reject);
    });
    const backend = new Backend(client, connack.sessionPresent);
    client.removeAllListeners('message');
    client.on('message', (_topic, _payload, packet) => backend.#take(packet));
    for (const packet of early) backend.#take(packet);
    client.on('disconnect', ({ reasonCode }) => backend.reasons.push(reasonCode ?? 0));
    return backend;
  }

  #take(packet: IPublishPacket): void {
    this.received.push(packet);
    this.#waiting.shift()?.(packet);
  }

  /** The next text that the backend is sent, from the first on. */
  async next(at: number): Promise<string> {
    while (this.received.length <= at) await new Promise<unknown>((resolve) => this.#waiting.push(resolve));
    return String(this.received[at]?.payload);
  }

  /** The texts that came before a marker that goes the same way. */
  async before(publisher: Backend, topic: string): Promise<string[]> {
    await publisher.client.publishAsync(topic, 'marker', { qos: 1 });
    for (let at = 0; ; at++) {
      if ((await this.next(at)) === 'marker') return this.received.slice(0, at).map(({ payload }) => String(payload));
    }
  }
}

async function threeNodes(t: Cleaner): Promise<[TestServer, TestServer, TestServer]> {
  const nats = await natsServer(t);
  return testCluster(t, nats, 3, { mqtt: { port: -1 } });
}

t.test('a publication comes once to every node with a subscription, and to no other', { skip }, async (t) => {
  const [n1, n2, n3] = await threeNodes(t);
  const [one, two, three] = [await Backend.connect(t, n1), await Backend.connect(t, n2), await Backend.connect(t, n3)];
  await one.client.subscribeAsync(['sensors/+/temp', 'sensors/#'], { qos: 1 });
  await three.client.subscribeAsync('sensors/attic/temp', { qos: 2 });
  for (let n = 0; n < 20; n++) await two.client.publishAsync('sensors/attic/temp', String(n), { qos: 1 });
  await two.client.publishAsync('elsewhere', 'x', { qos: 1 });
  const wanted = Array.from({ length: 20 }, (_, n) => String(n));
  t.strictSame(await one.before(two, 'sensors/attic/temp'), wanted);
  t.strictSame(await three.before(two, 'sensors/attic/temp'), wanted);
  await three.client.unsubscribeAsync('sensors/attic/temp');
  await two.client.publishAsync('sensors/attic/temp', 'last', { qos: 1 });
  t.equal(three.received.length, 22);
});

t.test('a watcher of addresses sees each packet once, whichever nodes the packet goes between', { skip }, async (t) => {
  const [n1, n2, n3] = await threeNodes(t);
  const watcher = await Backend.connect(t, n3);
  await watcher.client.subscribeAsync([`/domain/${siteA.domain}/uid/+`, `/domain/${siteA.domain}/gid/+`], { qos: 1 });
  const alice = await n1.site().arrive('alice', { buddies: 'bob', rooms: 'tea' });
  const bob = await n2.site().arrive('bob', { buddies: 'alice', rooms: 'tea' });
  await n3.site().arrive('bob', { rooms: 'tea' });
  await alice.site.message(alice.ticket, 'bob', 'hi');
  await bob.site.say(bob.ticket, 'tea', 'tea');
  const seen: string[] = [];
  for (let at = 0; seen.at(-1) !== 'end'; at++) {
    if (seen.length === 5) await alice.site.message(alice.ticket, 'bob', 'end');
    const frame = JSON.parse(await watcher.next(at)) as Record<string, { type: string; body?: string; to: string }[]>;
    for (const packet of [...(frame.presences ?? []), ...(frame.messages ?? [])]) seen.push(packet.body ?? packet.type);
  }
  t.strictSame(seen.toSorted(), ['end', 'grponline', 'grponline', 'hi', 'online', 'tea']);
});

t.test('retained publications are the same on every node, also on one that comes later', { skip }, async (t) => {
  const nats = await natsServer(t);
  const settings = clusterSettings(nats, { mqtt: { port: -1 } });
  const start = (node: string) => testServer(t, merge(settings, { cluster: { node } }));
  const [n1, n2] = [await start('n1'), await start('n2')];
  const [one, two] = [await Backend.connect(t, n1), await Backend.connect(t, n2)];
  await one.client.publishAsync('state/a', 'first', { qos: 1, retain: true });
  await one.client.publishAsync('state/b', 'gone soon', { qos: 1, retain: true });
  await two.client.subscribeAsync('state/a', { qos: 1 });
  t.equal(await two.next(0), 'first');
  await two.client.publishAsync('state/a', 'second', { qos: 1, retain: true });
  await two.client.publishAsync('state/b', '', { qos: 1, retain: true });
  const late = await Backend.connect(t, await start('n3'));
  await late.client.subscribeAsync('state/#', { qos: 1 });
  t.strictSame(await late.before(one, 'state/end'), ['second']);
});

t.test('each publication goes to one member of a shared subscription, on any node', { skip }, async (t) => {
  const [n1, n2, n3] = await threeNodes(t);
  const [one, two, three] = [await Backend.connect(t, n1), await Backend.connect(t, n2), await Backend.connect(t, n3)];
  await one.client.subscribeAsync('$share/team/jobs/#', { qos: 1 });
  await two.client.subscribeAsync('$share/team/jobs/#', { qos: 1 });
  // A node hears of members elsewhere soon after they have subscribed.
  for (const { client } of [three, one]) {
    const { length } = two.received;
    while (two.received.length === length) await client.publishAsync('jobs/known', 'known', { qos: 1 });
  }
  const numbers = ({ received }: Backend): number[] =>
    received
      .map(({ payload }) => String(payload))
      .filter((payload) => payload !== 'known')
      .map(Number);
  for (let n = 0; n < 20; n++) await three.client.publishAsync('jobs/x', String(n), { qos: 1 });
  for (let n = 20; n < 40; n++) await one.client.publishAsync('jobs/x', String(n), { qos: 1 });
  await until('40 numbers', () => numbers(one).length + numbers(two).length >= 40);
  t.strictSame(
    [...numbers(one), ...numbers(two)].toSorted((a, b) => a - b),
    Array.from({ length: 40 }, (_, n) => n),
  );
  t.equal(numbers(one).length, 20, 'both members have as many');
});

t.test('a session is taken over between nodes', { skip }, async (t) => {
  const [n1, n2, n3] = await threeNodes(t);
  const options = { clientId: 'one', clean: false, properties: { sessionExpiryInterval: 600 } };
  const first = await Backend.connect(t, n1, options);
  await first.client.subscribeAsync('news', { qos: 1 });
  const second = await Backend.connect(t, n2, options);
  t.ok(second.sessionPresent);
  await until('the end of the first connection', () => first.reasons.length > 0);
  t.strictSame(first.reasons, [0x8e]);
  const publisher = await Backend.connect(t, n3);
  await publisher.client.publishAsync('news', 'now', { qos: 1 });
  t.equal(await second.next(0), 'now');
  await second.client.endAsync();
  await publisher.client.publishAsync('news', 'meanwhile', { qos: 1 });
  const third = await Backend.connect(t, n3, options);
  t.ok(third.sessionPresent);
  // What the second connection acknowledged last may still be on its way to the session.
  t.equal((await third.next(0)) === 'now' ? await third.next(1) : await third.next(0), 'meanwhile');
  await third.client.endAsync(false, { properties: { sessionExpiryInterval: 0 } } as never);
  // Its DISCONNECT may still be on its way as well.
  let fourth = await Backend.connect(t, n2, options);
  while (fourth.sessionPresent) {
    await fourth.client.endAsync(false, { properties: { sessionExpiryInterval: 0 } } as never);
    fourth = await Backend.connect(t, n2, options);
  }
  t.notOk(fourth.sessionPresent, 'the session has ended');
});

t.test(
  'a WebSocket publisher that is carried to a slow node waits for that node and is not disconnected',
  { skip },
  async (t) => {
    const [home, visited] = await testCluster(t, await natsServer(t), 2, { mqtt: { port: -1 } });
    const options = { clientId: 'site', clean: false, properties: { sessionExpiryInterval: 60 } };
    const first = await Backend.connect(t, home, options);
    await first.client.endAsync();
    // It is told again every ten seconds.
    const curious = await Backend.connect(t, home);
    await curious.client.subscribeAsync('$SYS/broker/scope');
    t.equal(await curious.next(0), 'node n1', '$SYS says which node its numbers are of');
    const reader = await Backend.connect(t, home);
    await reader.client.subscribeAsync('bulk', { qos: 0 });
    const client = mqtt.connect(`ws://${visited.host}/mqtt`, {
      ...options,
      protocolVersion: 5,
      username: siteA.domain,
      password: siteA.apikey,
      reconnectPeriod: 0,
    });
    t.teardown(() => client.end(true));
    client.on('error', () => undefined);
    client.once('close', () => t.fail('it was ended'));
    await new Promise((resolve) => client.once('connect', resolve));
    const body = Buffer.alloc(100_000, 'x');
    for (let n = 0; n < 50; n++) client.publish('bulk', body);
    await client.publishAsync('bulk', 'marker', { qos: 1 });
    client.removeAllListeners('close');
    t.equal(await reader.next(50), 'marker');
  },
);
