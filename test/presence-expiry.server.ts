import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { openPoll, poll, pollPackets } from './support/polling.js';
import { type Cleaner, type TestServer, testServer, times } from './support/server.js';
import type { Person, Site } from './support/site.js';
import { longPolling, transports } from './support/transports.js';
import { until } from './support/until.js';

const offline = { type: 'offline', show: 'unavailable' };

/** A server whose idle time and grace pass when the test says so. */
async function timed(t: Cleaner): Promise<{ server: TestServer; site: Site; clock: ManualClock }> {
  const clock = new ManualClock();
  const server = await testServer(t, { presence: times, mqtt: { port: -1 } }, clock);
  return { server, site: server.site(), clock };
}

async function isForgotten(site: Site, ticket: string): Promise<boolean> {
  const answer = await site.get('/v5/rooms/none/members', { ticket });
  return answer.status === 404;
}

/** Resolves when the endpoint has lost the client with this ticket. */
async function forgotten(site: Site, ticket: string): Promise<void> {
  await until('a client forgotten', () => isForgotten(site, ticket));
}

/** Resolves when the server counts that many open connections of all transports. */
async function connections(server: TestServer, count: number): Promise<void> {
  const open = () => Object.values(server.metrics.connections).reduce((sum, some) => sum + some, 0);
  await server.settledWhile(() => open() !== count);
}

async function watching(site: Site, ...others: string[]): Promise<Person> {
  return site.arrive('watcher', { buddies: others.join(',') });
}

t.test('a client that never connects is removed, and its endpoint goes offline after the grace', async (t) => {
  const { site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const { ticket } = await site.online('a', { rooms: 'r1' });
  t.hasStrict(await watcher.next(), { from: 'a', type: 'online' });
  clock.advance(times.clientIdleMs - 1);
  t.notOk(await isForgotten(site, ticket), 'not before its time');
  clock.advance(1);
  await forgotten(site, ticket);
  clock.advance(times.graceMs - 1);
  t.strictSame(await site.presences('a'), { a: 'available' }, 'it stays for the grace');
  t.strictSame(await watcher.before(), []);
  clock.advance(1);
  t.hasStrict(await watcher.next(), { from: 'a', ...offline });
  t.strictSame(await site.presences('a'), {});
  t.strictSame(await site.members(watcher.ticket, 'r1'), {});
});

t.test('REST calls do not keep a client from expiring', async (t) => {
  const { site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const { ticket } = await site.online('a');
  await watcher.next();
  for (let call = 0; call < 10; call++) {
    t.notOk(await isForgotten(site, ticket));
    clock.advance(times.clientIdleMs / 10);
  }
  await forgotten(site, ticket);
  clock.advance(times.graceMs);
  t.hasStrict(await watcher.next(), offline, 'although it was asked for without a pause');
});

for (const transport of transports) {
  t.test(`a client that is connected over ${transport.name} stays, one that has left goes`, async (t) => {
    const { server, site, clock } = await timed(t);
    const watcher = await watching(site, 'stays', 'leaves');
    const stays = await site.arrive('stays', {}, transport);
    t.hasStrict(await watcher.next(), { from: 'stays', type: 'online' });
    const leaves = await site.arrive('leaves', {}, transport);
    t.hasStrict(await watcher.next(), { from: 'leaves', type: 'online' });
    leaves.client.close();
    await connections(server, 2);
    clock.advance(times.clientIdleMs);
    await forgotten(site, leaves.ticket);
    clock.advance(times.graceMs);
    t.hasStrict(await watcher.next(), { from: 'leaves', ...offline });
    t.strictSame(await site.presences('stays', 'leaves'), { stays: 'available' });
    t.strictSame(await watcher.before(stays), []);
  });
}

t.test('a client between two polls is not idle yet', async (t) => {
  const { server, site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const { ticket } = await site.online('a');
  await watcher.next();
  for (let round = 0; round < 5; round++) {
    const one = await openPoll(server, ticket);
    await site.push('x', 'a', `${round}`);
    t.hasStrict((await one.answer).body, { messages: [{ body: `${round}` }] });
    clock.advance(times.clientIdleMs - 1);
  }
  t.strictSame(await watcher.before(), []);
});

t.test('a page reload within the grace does not flicker and loses nothing', async (t) => {
  const { site, clock } = await timed(t);
  const watcher = await site.arrive('watcher', { buddies: 'a', rooms: 'r1' });
  const before = await site.arrive('a', { rooms: 'r1', show: 'away' });
  t.hasStrict([await watcher.next(), await watcher.next()].map(({ type }) => type).sort(), ['grponline', 'online']);
  await before.offline();
  t.strictSame(await site.presences('a'), { a: 'away' }, 'it is online all the while');
  t.strictSame(await site.members(watcher.ticket, 'r1'), { a: 'away', watcher: 'available' });
  await site.message(watcher.ticket, 'a', 'between');
  await site.say(watcher.ticket, 'r1', 'in the room between');
  clock.advance(times.graceMs - 1);
  const after = await site.arrive('a', { rooms: 'r1' });
  const bodies = [(await after.next()).body, (await after.next()).body];
  t.strictSame(bodies, ['between', 'in the room between']);
  clock.advance(times.graceMs);
  t.strictSame(await after.before(watcher), [], 'once');
  t.strictSame(await watcher.before(after), [], 'no offline, no online');
  t.strictSame(await site.presences('a'), { a: 'away' }, 'without a show of its own the new client changes none');
});

t.test('messages kept during the grace go to the next client alone', async (t) => {
  const { site } = await timed(t);
  const sender = await site.online('sender');
  const gone = await site.arrive('a');
  await gone.offline();
  await site.status(sender.ticket, 'a', 'typing: not kept');
  await site.message(sender.ticket, 'a', 'kept');
  const next = await site.arrive('a');
  const further = await site.arrive('a');
  t.hasStrict(await next.next(), { body: 'kept' });
  t.strictSame(await further.before(), []);
});

t.test('messages sent after the grace are dropped', async (t) => {
  const { site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const gone = await site.arrive('a');
  await watcher.next();
  await gone.offline();
  clock.advance(times.graceMs);
  t.hasStrict(await watcher.next(), offline);
  await site.message(watcher.ticket, 'a', 'too late');
  const next = await site.arrive('a');
  t.strictSame(await next.before(watcher), []);
  t.hasStrict(await watcher.next(), { type: 'online' });
});

t.test('an endpoint stays online when one of its two clients is gone', async (t) => {
  const { site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const [one, two] = [await site.arrive('a'), await site.arrive('a')];
  await watcher.next();
  await one.offline();
  clock.advance(times.graceMs);
  await site.message(watcher.ticket, 'a', 'still there');
  t.hasStrict(await two.next(), { body: 'still there' });
  t.strictSame(await watcher.before(two), []);
  await two.offline();
  clock.advance(times.graceMs);
  t.hasStrict(await watcher.next(), offline);
});

t.test('OFFLINE of an unconnected client with others there is heard by nobody', async (t) => {
  const { site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const { ticket } = await site.online('a');
  const two = await site.arrive('a');
  await watcher.next();
  await site.offline(ticket);
  clock.advance(times.graceMs);
  t.strictSame(await watcher.before(two), []);
});

t.test('a closed socket has the idle time to come back and its packets wait', async (t) => {
  const { server, site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const a = await site.arrive('a');
  await watcher.next();
  a.client.close();
  await a.client.ended;
  await connections(server, 1);
  clock.advance(times.clientIdleMs - 1);
  await site.message(watcher.ticket, 'a', 'while away');
  t.hasStrict(await pollPackets(server, a.ticket), [{ body: 'while away' }]);
  const back = await longPolling.connect(server, a.ticket);
  await site.message(watcher.ticket, 'a', 'and back');
  t.hasStrict(await back.next(), { body: 'and back' });
  t.strictSame(await watcher.before(), []);
});

t.test('an aborted poll starts the idle time', async (t) => {
  const { server, site, clock } = await timed(t);
  const watcher = await watching(site, 'a');
  const { ticket } = await site.online('a');
  await watcher.next();
  const one = await openPoll(server, ticket);
  clock.advance(10 * times.clientIdleMs);
  one.abort();
  await connections(server, 1);
  clock.advance(times.clientIdleMs);
  await forgotten(site, ticket);
  clock.advance(times.graceMs);
  t.hasStrict(await watcher.next(), offline);
  t.equal((await poll(server, ticket).answer).status, 404);
});
