/** What becomes of state that does not fit the server which reads it: another version's, a removed domain's, beyond limits, expired. */
import t from 'tap';
import { KEPT_VERSION } from '../src/actors/kept.js';
import { damagedRecords } from '../src/damaged.js';
import { part } from '../src/store/keys.js';
import { openLmdb } from '../src/store/lmdb.js';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingPoll } from './support/counting.js';
import { poll } from './support/polling.js';
import { type Cleaner, type Settings, siteA, siteB, type TestServer, testServer } from './support/server.js';

const times = { presence: { clientIdleMs: 10_000, graceMs: 8000 } };

function start(t: Cleaner, data: string, more: Settings = {}, clock?: ManualClock): Promise<TestServer> {
  return testServer(t, { data, ...times, ...more }, clock);
}

async function isKnown(server: TestServer, ticket: string, domain = siteA.domain): Promise<boolean> {
  const request = { path: '/v5/presences/show', method: 'POST', form: { domain, ticket, show: 'away' } };
  const auth = domain === siteA.domain ? siteA : siteB;
  return (await server.request({ ...request, auth })).status === 200;
}

t.test('tickets do not expire while the server is down, and then have a minute, once', async (t) => {
  const data = t.testdir();
  const clock = new ManualClock();
  const first = await start(t, data, {}, clock);
  const { ticket } = await first.site().online('jack');
  await first.close();
  clock.advance(7 * 24 * 3600_000);
  const second = await start(t, data, {}, clock);
  clock.advance(59_000);
  await second.settled();
  t.ok(await isKnown(second, ticket));
  const asked = poll(second, ticket);
  await asked.sent;
  await second.settled();
  await second.site().push('anna', 'jack', 'one');
  await asked.answer;
  await second.settled();
  clock.advance(10_000);
  await second.settled();
  t.notOk(await isKnown(second, ticket), 'from then on its idle time is the usual one');
});

t.test('who does not come back in a minute goes offline, and a grace that had begun begins again', async (t) => {
  const data = t.testdir();
  const clock = new ManualClock();
  const first = await start(t, data, {}, clock);
  await first.site().online('jack');
  const anna = await first.site().online('anna');
  await first.site().offline(anna.ticket);
  await first.close();
  const second = await start(t, data, {}, clock);
  const presences = async () =>
    (await second.request({ path: '/v5/presences', query: { ids: 'jack,anna' }, auth: siteA })).body;
  t.strictSame(await presences(), { jack: 'available', anna: 'available' });
  clock.advance(8000);
  await second.settled();
  t.strictSame(await presences(), { jack: 'available' });
  clock.advance(52_000);
  await second.settled();
  clock.advance(8000);
  await second.settled();
  t.strictSame(await presences(), {});
});

t.test('durability none keeps nothing, and forgets what was kept before', async (t) => {
  const data = t.testdir();
  const none = { domains: [{ ...siteA, durability: 'none' }, siteB] };
  const first = await start(t, data);
  const { ticket } = await first.site().online('jack');
  const b = await first.site(siteB).online('jack');
  await first.close();
  const second = await start(t, data, none);
  t.notOk(await isKnown(second, ticket));
  t.ok(await isKnown(second, b.ticket, siteB.domain), 'another domain is not touched');
  const other = await second.site().online('jack');
  await second.close();
  const third = await start(t, data);
  t.notOk(await isKnown(third, ticket), 'forgotten for good');
  t.notOk(await isKnown(third, other.ticket));
});

t.test('a reload changes durability for clients that are there', async (t) => {
  const data = t.testdir();
  const none = { data, ...times, domains: [{ ...siteA, durability: 'none' }, siteB] };
  const clock = new ManualClock();
  const first = await start(t, data, none, clock);
  const { ticket } = await first.site().online('jack');
  first.reload({ data, ...times });
  clock.advance(100);
  await first.settled();
  await first.close();
  const second = await start(t, data);
  t.ok(await isKnown(second, ticket));
  second.reload(none);
  await second.close();
  t.notOk(await isKnown(await start(t, data), ticket));
});

t.test('a domain that is not configured any more is forgotten, also where it comes back', async (t) => {
  const data = t.testdir();
  const first = await start(t, data);
  const { ticket } = await first.site(siteB).online('jack');
  await first.close();
  const second = await start(t, data, { domains: [siteA] });
  await second.close();
  const third = await start(t, data);
  t.notOk(await isKnown(third, ticket, siteB.domain));
});

t.test('what another version has kept is not read, and the server starts without it', async (t) => {
  const data = t.testdir();
  const first = await start(t, data);
  const { ticket } = await first.site().online('jack');
  await first.close();
  const store = await openLmdb(data);
  store.table('runs').put(['server'], { version: KEPT_VERSION + 1, era: 'x', ended: true, domains: [siteA.domain] });
  await store.close();
  const second = await start(t, data);
  t.notOk(await isKnown(second, ticket));
  await second.close();
});

t.test('a damaged record is one client less, and nobody else’s trouble', async (t) => {
  const data = t.testdir();
  const first = await start(t, data);
  const { ticket } = await first.site().online('jack');
  const anna = await first.site().online('anna');
  await first.close();
  const store = await openLmdb(data);
  for (const [key] of store.table('endpoints').entries(part(siteA.domain))) {
    if (key.includes('anna')) store.table('endpoints').put(key, 7);
  }
  await store.close();
  const second = await start(t, data);
  t.ok(await isKnown(second, ticket));
  t.notOk(await isKnown(second, anna.ticket));
});

t.test('a damaged packet or queue costs itself, and the others are there', async (t) => {
  const data = t.testdir();
  const first = await start(t, data);
  const site = first.site();
  const tickets = new Map<string, string>();
  for (const name of ['jack', 'anna', 'eve']) {
    tickets.set(name, (await site.online(name)).ticket);
    for (const body of ['1', '2', '3']) await site.push('bob', name, body);
  }
  await first.close();
  const store = openLmdb(data);
  const [queues, packets] = [store.table<unknown[]>('queues'), store.table<unknown[]>('packets')];
  for (const [key, chunk] of [...queues.entries(part(siteA.domain))]) {
    queues.put(
      key,
      chunk.map((one) => ((one as { id: string }).id === 'anna' ? { id: 'anna' } : one)),
    );
  }
  const isSecond = (packet: unknown): boolean => {
    const { to, body } = (packet as { fields: { to: string; body: string } }).fields;
    return to === 'jack' && body === '2';
  };
  for (const [key, chunk] of [...packets.entries(part(siteA.domain))]) {
    packets.put(
      key,
      chunk.map((one) => (isSecond(one) ? { kind: 'message' } : one)),
    );
  }
  await store.close();
  const before = damagedRecords();
  const second = await start(t, data);
  const bodiesOf = async (name: string, count: number): Promise<readonly string[]> => {
    const client = second.own(new CountingPoll(second.port, tickets.get(name) ?? ''));
    await client.connect();
    await client.has(count);
    return client.bodies;
  };
  t.strictSame(await bodiesOf('jack', 2), ['1', '3']);
  t.strictSame(await bodiesOf('eve', 3), ['1', '2', '3']);
  t.ok(await isKnown(second, tickets.get('anna') ?? ''), 'whose queue is gone has the ticket still');
  t.equal(damagedRecords() - before, 2);
});

t.test('a queue that is beyond a limit which was lowered drops the oldest, and says so', async (t) => {
  const data = t.testdir();
  const first = await start(t, data);
  const { ticket } = await first.site().online('jack');
  for (const body of ['1', '2', '3', '4']) await first.site().push('anna', 'jack', body);
  await first.close();
  const second = await start(t, data, { limits: { queuePackets: 2 } });
  t.equal(second.metrics.domain(siteA.domain).dropped.queueOverflow, 4, 'in the queue, and among what nobody has seen');
  const client = second.own(new CountingPoll(second.port, ticket));
  await client.connect();
  await client.has(2);
  t.strictSame([client.bodies, client.missed, client.lost], [['3', '4'], 2, 2]);
});
