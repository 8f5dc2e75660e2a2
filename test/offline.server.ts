import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { addressOf } from '../src/actors/address.js';
import { Mailboxes } from '../src/actors/mailboxes.js';
import { Packet } from '../src/actors/packet.js';
import type { Clock } from '../src/clock.js';
import type { Limits } from '../src/config.js';
import { Metrics } from '../src/metrics.js';
import { openLmdb } from '../src/store/lmdb.js';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import {
  type Cleaner,
  expire,
  type Settings,
  siteA,
  siteB,
  type TestServer,
  testServer,
  times,
} from './support/server.js';

const offline = { domains: [{ ...siteA, offline: true }, siteB] };

function start(t: Cleaner, data: string, more: Settings = {}, clock?: Clock): Promise<TestServer> {
  return testServer(t, { data, ...offline, ...more }, clock);
}

t.test('messages to somebody offline come in order, once, with the next client', async (t) => {
  const server = await start(t, t.testdir());
  const site = server.site();
  for (const body of ['one', 'two', 'three']) await site.push('a', 'b', body);
  const { ticket } = await site.online('a');
  await site.message(ticket, 'b', 'four', { style: 'color:red', timestamp: '12', to_name: 'Bee' });
  const b = await site.arrive('b');
  for (const body of ['one', 'two', 'three']) t.hasStrict(await b.next(), { from: 'a', to: 'b', body });
  t.strictSame(await b.next(), {
    kind: 'message',
    from: 'a',
    to: 'b',
    nick: 'A',
    timestamp: '12',
    type: 'chat',
    body: 'four',
    style: 'color:red',
    to_name: 'Bee',
  });
  const second = await site.arrive('b');
  t.strictSame(await second.before(), [], 'a further client has none of them');
});

t.test('offline messages survive a restart, and are deleted once they have been received', async (t) => {
  const data = t.testdir();
  const first = await start(t, data);
  for (const body of ['one', 'two']) await first.site().push('a', '张三', body);
  await first.site().push('a', 'vid:7', 'to a visitor');
  await first.close();
  const second = await start(t, data);
  const zhang = await second.site().arrive('张三');
  for (const body of ['one', 'two']) t.hasStrict(await zhang.next(), { body });
  await second.close();
  const third = await start(t, data);
  const again = await third.site().arrive('张三');
  t.strictSame(await again.before(), []);
  const visitor = await third.site().arrive('vid:7');
  t.hasStrict(await visitor.next(), { body: 'to a visitor' });
});

t.test('only messages to one endpoint are kept, and only where the domain has it', async (t) => {
  const server = await start(t, t.testdir());
  const site = server.site();
  const { ticket } = await site.online('a');
  await site.status(ticket, 'b', 'typing');
  await site.push('a', 'r1', 'to a room', { type: 'grpchat' });
  await site.push('a', '*', 'to all', { type: 'broadcast' });
  await site.push('a', '/domain/a.example/uid/b/client/phone', 'to one terminal');
  await server.site(siteB).push('a', 'b', 'in a domain without');
  const b = await site.arrive('b', { rooms: 'r1' });
  t.strictSame(await b.before(), []);
  const { answer } = await server.site(siteB).arrive('b');
  t.ok(answer.success);
});

t.test('an endpoint that comes online and never connects loses none of its offline messages', async (t) => {
  const clock = new ManualClock();
  const server = await start(t, t.testdir(), { presence: times }, clock);
  const site = server.site();
  const watcher = await site.arrive('w', { buddies: 'b' });
  await site.push('a', 'b', 'one');
  await site.online('b');
  t.hasStrict(await watcher.next(), { type: 'online' });
  await site.push('a', 'b', 'two');
  await expire(server, clock);
  t.hasStrict(await watcher.next(), { type: 'offline' });
  await site.push('a', 'b', 'three');
  const b = await site.arrive('b');
  for (const body of ['one', 'two', 'three']) t.hasStrict(await b.next(), { body });
});

t.test('messages that came between the last client and the end of the grace are kept', async (t) => {
  const data = t.testdir();
  const clock = new ManualClock();
  const server = await start(t, data, { presence: times }, clock);
  const site = server.site();
  const watcher = await site.arrive('w', { buddies: 'b' });
  const b = await site.arrive('b');
  t.hasStrict(await watcher.next(), { type: 'online' });
  await b.offline();
  await site.push('a', 'b', 'late');
  clock.advance(times.graceMs);
  t.hasStrict(await watcher.next(), { type: 'offline' });
  await server.close();
  const again = await (await start(t, data, {}, clock)).site().arrive('b');
  t.hasStrict(await again.next(), { body: 'late' });
});

t.test('a server that drains keeps what clients have not been sent', async (t) => {
  const data = t.testdir();
  const server = await start(t, data);
  await server.site().online('b');
  await server.site().push('a', 'b', 'waiting in the queue');
  await server.drain();
  await server.close();
  const b = await (await start(t, data)).site().arrive('b');
  t.hasStrict(await b.next(), { body: 'waiting in the queue' });
  t.strictSame(await b.before(), []);
});

const address = addressOf('a.example', 'uid', 'b');

function packet(body: string): Packet {
  const fields = { from: 'a', to: 'b', nick: 'A', timestamp: '1', type: 'chat' as const, body, style: '' };
  return new Packet('message', fields, address, null);
}

/** A message that a client of `sender` has sent itself. */
function packetOf(sender: string): Packet {
  const fields = { from: sender, to: 'b', nick: '', timestamp: '1', type: 'chat' as const, body: 'x', style: '' };
  const sent = new Packet('message', fields, address, addressOf('a.example', 'vid', sender));
  sent.fromClient = true;
  return sent;
}

async function mailboxes(t: Cleaner & { testdir(): string }, limits: Partial<Limits>) {
  const store = openLmdb(join(t.testdir(), String(Math.random())));
  const clock = new ManualClock();
  const metrics = new Metrics().domain('a.example');
  const all = { queuePackets: 0, queueBytes: 0, offlineBytes: 0, offlineAgeS: 0, ...limits } as Limits;
  const boxes = new Mailboxes({ name: 'a.example', limits: all, metrics }, clock, store);
  t.teardown(async () => {
    boxes.close();
    await store.close();
  });
  return { boxes, clock, metrics };
}

const bodies = (packets: readonly Packet[]) => packets.map(({ fields }) => ('body' in fields ? fields.body : ''));

t.test('a mailbox is bounded by packets and bytes: the oldest goes, and is counted', async (t) => {
  const { boxes, metrics } = await mailboxes(t, { queuePackets: 3 });
  for (const body of ['1', '2', '3', '4', '5']) boxes.keep(address, packet(body));
  t.strictSame(bodies(boxes.read(address)), ['3', '4', '5']);
  t.equal(metrics.dropped.queueOverflow, 2);
  t.equal(metrics.offlineMessages, 3);
  const small = await mailboxes(t, { queueBytes: packet('x').bytes * 2 });
  for (const body of ['1', '2', '3']) small.boxes.keep(address, packet(body));
  t.strictSame(bodies(small.boxes.read(address)), ['2', '3']);
});

t.test('a domain’s mailboxes are bounded together: what is beyond is not kept', async (t) => {
  const { boxes, metrics } = await mailboxes(t, { offlineBytes: packet('x').bytes * 2 });
  for (const body of ['1', '2', '3']) boxes.keep(address, packet(body));
  t.strictSame(bodies(boxes.read(address)), ['1', '2']);
  t.equal(metrics.dropped.quotaExceeded, 1);
  const [first] = boxes.read(address);
  if (first) boxes.forget(address, first);
  boxes.keep(address, packet('4'));
  t.strictSame(bodies(boxes.read(address)), ['2', '4'], 'there is room again');
});

t.test('messages that are too old are dropped, also where nobody comes for them', async (t) => {
  const { boxes, clock, metrics } = await mailboxes(t, { offlineAgeS: 100 });
  boxes.keep(address, packet('old'));
  clock.advance(60_000);
  boxes.keep(address, packet('young'));
  const read = boxes.read(address);
  t.strictSame(bodies(read), ['old', 'young']);
  boxes.replace(address, read);
  clock.advance(60_000);
  t.equal(metrics.offlineMessages, 1, 'kept again, it is as old as it was');
  t.strictSame(bodies(boxes.read(address)), ['young']);
  clock.advance(120_000);
  await nextTurn();
  t.equal(metrics.offlineMessages, 0, 'gone without having been read');
  t.equal(metrics.dropped.expired, 2);
});

t.test(
  'a client fills a hundredth of the offline store, all clients half of it, and the site has the rest',
  async (t) => {
    const { bytes } = packetOf('100');
    const store = openLmdb(join(t.testdir(), 'data'));
    const metrics = new Metrics().domain('a.example');
    const limits = { queuePackets: 0, queueBytes: 0, offlineBytes: bytes * 200, offlineAgeS: 0 } as Limits;
    const open = () => new Mailboxes({ name: 'a.example', limits, metrics }, new ManualClock(), store);
    const boxes = open();
    for (let i = 0; i < 5; i++) boxes.keep(address, packetOf('100'));
    t.equal(metrics.offlineMessages, 2, 'one sender has a hundredth');
    t.equal(metrics.dropped.quotaExceeded, 3);
    for (let i = 101; i < 200; i++) for (let j = 0; j < 2; j++) boxes.keep(address, packetOf(String(i)));
    t.equal(metrics.offlineMessages, 100, 'clients have half');
    for (let i = 0; i < 90; i++) boxes.keep(address, packet('from the site'));
    t.equal(metrics.offlineMessages, 190, 'what the site pushes has room');
    await store.flush();
    metrics.offlineMessages = 0;
    boxes.close();
    const again = open();
    again.keep(address, packetOf('200'));
    t.equal(metrics.offlineMessages, 190, 'a restart gives clients no second share');
    again.replace(address, again.read(address).slice(100));
    again.keep(address, packetOf('200'));
    t.equal(metrics.offlineMessages, 91, 'what was had makes room');
    again.close();
    await store.close();
  },
);

t.test('messages that a client sends to ids nobody has take no room in the offline store', async (t) => {
  const data = t.testdir();
  const domains = [{ ...siteA, offline: true, durability: 'none' }];
  const first = await start(t, data, { domains });
  await first.site().online('anna');
  await first.close();
  const server = await start(t, data, { domains, mqtt: { port: -1 } });
  const site = server.site();
  const { ticket } = await site.online('vid:7');
  const { client: visitor } = await client(t, `mqtt://127.0.0.1:${server.mqttPort}`, { password: ticket });
  const send = (to: string) => visitor.publishAsync(`/domain/a.example/${to}`, 'hello', { qos: 1 });
  const metrics = server.metrics.domain('a.example');
  await send('uid/nobody');
  t.equal(metrics.offlineMessages, 0);
  t.equal(metrics.dropped.offline, 1);
  await site.push('a', 'nobody', 'the site knows whom it has');
  t.equal(metrics.offlineMessages, 1);
  await send('uid/anna');
  t.equal(metrics.offlineMessages, 2, 'a user who was online before a restart is known after it');
  await site.message(ticket, 'nobody', 'the site sends for its visitor');
  t.equal(metrics.offlineMessages, 3);
});
