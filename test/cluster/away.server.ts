/** Somebody who is away on one node, as the others see it; and clients that keep a position and are connected to another node than their own. */
import t from 'tap';
import { ManualClock } from '../mqtt/support/clock.js';
import { type CountingClient, CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { clusterSettings, natsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type Settings, siteA, type TestServer, testServer } from '../support/server.js';
import { settledWhile } from '../support/until.js';

const skip = skipWithout('nats-server');
const clients = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

const times = { clientIdleMs: 60_000, graceMs: 30_000 };
const keepMs = 240_000;
/** Nodes hold acknowledgements back for a while, which passes by the clock as well. */
const PULSE_MS = 20;

/** Nodes whose time is the test's. Their leases are long: their beats pass by the same clock. */
class Nodes {
  readonly clock = new ManualClock();
  readonly all: TestServer[] = [];

  private constructor(
    private readonly t: Cleaner,
    private readonly settings: Settings,
  ) {}

  static async start(t: Cleaner, overrides: Settings = {}): Promise<Nodes> {
    const shared = { cluster: { leaseMs: 600_000 }, presence: times, resume: { keepMs } };
    const nodes = new Nodes(t, merge(clusterSettings(await natsServer(t), shared), overrides));
    const pulse = setInterval(() => nodes.clock.advance(PULSE_MS), PULSE_MS);
    t.teardown(() => clearInterval(pulse));
    return nodes;
  }

  async add(): Promise<TestServer> {
    const settings = merge(this.settings, { cluster: { node: `n${this.all.length + 1}` } });
    const node = await testServer(this.t, settings, this.clock);
    this.all.push(node);
    return node;
  }

  async settled(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) for (const node of this.all) await node.settled();
  }

  settledWhile(isStill: () => boolean): Promise<void> {
    return settledWhile(this, isStill);
  }

  async pass(ms: number): Promise<void> {
    await this.settled();
    this.clock.advance(ms);
    await this.settled();
  }

  connections(): number {
    return this.all.reduce((sum, { metrics }) => sum + metrics.total(({ connections }) => sumOf(connections)), 0);
  }

  async cut(client: CountingClient): Promise<void> {
    const before = this.connections();
    client.disconnect();
    await this.settledWhile(() => this.connections() === before);
  }

  /** Connects, stays long enough for the ticket to be kept, and is lost until its endpoint is away. */
  async goAway(client: CountingClient): Promise<void> {
    this.all[0]?.own(client);
    const before = this.connections();
    await client.connect();
    await this.settledWhile(() => this.connections() === before);
    await this.pass(5000);
    await this.cut(client);
    await this.pass(times.clientIdleMs);
    await this.pass(times.graceMs);
  }
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

for (const [name, Client] of Object.entries(clients)) {
  t.test(`over ${name} somebody away comes back on another node, and all nodes see the same`, { skip }, async (t) => {
    const nodes = await Nodes.start(t);
    const [home, other] = [await nodes.add(), await nodes.add()];
    const [n1, n2] = [home.site(), other.site()];
    const anna = await n2.arrive('anna', { buddies: 'jack', rooms: 'lobby' });
    const { ticket } = await n1.online('jack', { rooms: 'lobby', show: 'dnd' });
    t.hasStrict(await anna.next(), { type: 'online', show: 'dnd' });
    t.hasStrict(await anna.next(), { type: 'grponline' });
    const client = new Client(other.port, ticket);
    await nodes.goAway(client);
    t.hasStrict(await anna.next(), { type: 'offline', show: 'unavailable' });
    t.hasStrict(await anna.next(), { type: 'grpoffline', show: 'unavailable' });
    for (const site of [n1, n2]) t.strictSame(await site.presences('jack', 'anna'), { anna: 'available' });
    t.strictSame(await n2.members(anna.ticket, 'lobby'), { anna: 'available' });
    const later = await nodes.add();
    const n3 = later.site();
    t.strictSame(await n3.presences('jack', 'anna'), { anna: 'available' }, 'a node that joins sees the same');
    t.strictSame(await n3.members(anna.ticket, 'lobby'), { anna: 'available' });
    for (const { metrics } of nodes.all) t.equal(metrics.domain(siteA.domain).rooms, 1);

    await n2.message(anna.ticket, 'jack', 'one');
    await n2.say(anna.ticket, 'lobby', 'two');
    await n3.push('bob', 'jack', 'three');
    await n2.show(ticket, 'busy');
    await nodes.settled();
    t.strictSame(await anna.before(), []);
    client.port = later.port;
    await client.connect();
    await client.has(3);
    const ofAnna = client.bodies.filter((body) => body !== 'three');
    t.strictSame([ofAnna, client.bodies.length], [['one', 'two'], 3], 'what one sender sends is in order');
    t.strictSame([client.missed, client.lost], [0, 0]);
    t.hasStrict(await anna.next(), { type: 'online', from: 'jack', show: 'busy' });
    t.hasStrict(await anna.next(), { type: 'grponline', from: 'jack', show: 'busy' });
    for (const site of [n1, n2, n3]) t.strictSame(await site.presences('jack'), { jack: 'busy' });
    t.equal(home.metrics.domain(siteA.domain).awayEnded.returned, 1);
  });
}

t.test('somebody is offline when all parts are gone or away, and online when one is back', { skip }, async (t) => {
  const nodes = await Nodes.start(t);
  const [first, second] = [await nodes.add(), await nodes.add()];
  const [n1, n2] = [first.site(), second.site()];
  const anna = await n2.arrive('anna', { buddies: 'jack' });
  const phone = new CountingSocket(first.port, (await n1.online('jack')).ticket);
  t.hasStrict(await anna.next(), { type: 'online' });
  const desk = await n2.arrive('jack');
  await nodes.goAway(phone);
  t.strictSame(await n1.presences('jack'), { jack: 'available' });
  await n2.push('anna', 'jack', 'one');
  t.hasStrict(await desk.next(), { body: 'one' });
  t.strictSame(await anna.before(), []);
  await desk.offline();
  await nodes.pass(times.graceMs);
  t.hasStrict(await anna.next(), { type: 'offline' });
  t.strictSame(await n2.presences('jack'), {});
  await n2.push('anna', 'jack', 'two');
  await nodes.settled();
  const again = await n2.arrive('jack');
  t.hasStrict(await anna.next(), { type: 'online' });
  t.hasStrict(
    await again.next(),
    { body: 'two' },
    'what nobody has confirmed goes to the next client, on whichever node',
  );
  await phone.connect();
  await phone.has(2);
  t.strictSame(phone.bodies, ['one', 'two']);
  t.strictSame(await anna.before(), []);
  await nodes.cut(phone);
  await nodes.pass(times.clientIdleMs);
  await nodes.pass(times.graceMs);
  await again.offline();
  await nodes.pass(times.graceMs);
  t.hasStrict(await anna.next(), { type: 'offline' });
  await nodes.pass(keepMs);
  await nodes.pass(times.graceMs);
  await nodes.settledWhile(() => nodes.all.some(({ metrics }) => metrics.domain(siteA.domain).clientsAway > 0));
  // Only Anna is known.
  await nodes.settledWhile(() => first.metrics.cluster.replicaEndpoints !== 1);
});

t.test(
  'by turns what a client has not confirmed goes to those of other nodes after its idle time',
  { skip },
  async (t) => {
    const services = { help: { delivery: 'turns' } };
    const nodes = await Nodes.start(t, { domains: [{ ...siteA, services }] });
    const [first, second] = [await nodes.add(), await nodes.add()];
    const [n1, n2] = [first.site(), second.site()];
    const { ticket } = await n1.online('sid:help');
    const lost = first.own(new CountingSocket(first.port, ticket));
    await lost.connect();
    await nodes.pass(5000);
    await n1.push('a', 'sid:help', 'one');
    await lost.has(1);
    const { position } = lost;
    const other = await n2.arrive('sid:help');
    await nodes.cut(lost);
    await nodes.pass(times.clientIdleMs);
    t.hasStrict(await other.next(), { body: 'one' });
    lost.position = position.replace('.1', '.0');
    await lost.connect();
    await lost.until(() => lost.missed === 1, 'word of what it missed');

    await nodes.cut(lost);
    other.client.close();
    await nodes.settledWhile(() => nodes.connections() > 0);
    for (const body of ['two', 'three']) await n2.push('b', 'sid:help', body);
    await nodes.settled();
    const back = await n2.arrive('sid:help');
    for (const body of ['two', 'three'])
      t.hasStrict(await back.next(), { body }, 'what waits goes to whoever connects');
    t.strictSame(await back.before(), []);
  },
);

t.test(
  'a message waits for the user’s client on another node when the one that was connected signs out',
  { skip },
  async (t) => {
    const nodes = await Nodes.start(t);
    const [first, second] = [await nodes.add(), await nodes.add()];
    const [n1, n2] = [first.site(), second.site()];
    const desk = await n1.arrive('jack');
    await n2.online('jack');
    await nodes.settled();
    await desk.offline();
    await nodes.settled();
    await n2.push('anna', 'jack', 'one');
    await nodes.pass(times.graceMs);
    await nodes.pass(times.clientIdleMs - times.graceMs);
    t.equal(second.metrics.domain(siteA.domain).clients, 0);
    t.hasStrict(await (await n2.arrive('jack')).next(), { body: 'one' });
  },
);

t.test('clients that are away on other nodes count for the limit of a domain', { skip }, async (t) => {
  const nodes = await Nodes.start(t, { limits: { awayPerDomain: 3 }, resume: { keepMs: 3_600_000 } });
  const [first, second] = [await nodes.add(), await nodes.add()];
  const leave = async (node: TestServer, name: string) => {
    await nodes.goAway(new CountingSocket(node.port, (await node.site().online(name)).ticket));
  };
  for (const name of ['a', 'b']) await leave(first, name);
  for (const name of ['c', 'd']) await leave(second, name);
  const away = () => [first, second].map(({ metrics }) => metrics.domain(siteA.domain).clientsAway);
  t.strictSame(away(), [2, 1]);
  const third = await nodes.add();
  await leave(third, 'e');
  t.strictSame(third.metrics.domain(siteA.domain).awayEnded.limit, 1, 'a node that joins is told');
  await leave(first, 'f');
  t.strictSame(away(), [2, 1], 'each node ends its own');
});
