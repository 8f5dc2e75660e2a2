import t from 'tap';
import { openPoll, poll, pollPackets } from './support/polling.js';
import { shortTimes, type TestServer, testServer } from './support/server.js';
import type { Person, Site } from './support/site.js';
import { longPolling, transports } from './support/transports.js';

const offline = { type: 'offline', show: 'unavailable' };

/** Resolves when the endpoint with this ticket has lost that client. */
async function forgotten(server: TestServer, ticket: string): Promise<number> {
  const since = Date.now();
  for (;;) {
    const answer = await server.site().get('/v5/rooms/none/members', { ticket });
    if (answer.status === 404) return Date.now() - since;
  }
}

async function watching(site: Site, ...others: string[]): Promise<Person> {
  return site.arrive('watcher', { buddies: others.join(',') });
}

t.test('a client that never connects is removed, and its endpoint goes offline after the grace', async (t) => {
  const server = await testServer(t, { presence: { clientIdleMs: 150, graceMs: 150 } });
  const watcher = await watching(server.site(), 'a');
  const { ticket } = await server.site().online('a', { rooms: 'r1' });
  t.hasStrict(await watcher.next(), { from: 'a', type: 'online' });
  const idleMs = await forgotten(server, ticket);
  t.ok(idleMs >= 100, `not before its time: ${idleMs} ms`);
  t.strictSame(await server.site().presences('a'), { a: 'available' }, 'it stays for the grace');
  t.hasStrict(await watcher.next(), { from: 'a', ...offline });
  t.strictSame(await server.site().presences('a'), {});
  t.strictSame(await server.site().members(watcher.ticket, 'r1'), {});
});

t.test('REST calls do not keep a client', async (t) => {
  const server = await testServer(t, shortTimes);
  const watcher = await watching(server.site(), 'a');
  const { ticket } = await server.site().online('a');
  await watcher.next();
  await forgotten(server, ticket);
  t.hasStrict(await watcher.next(), offline, 'although it was asked for without a pause');
});

for (const transport of transports) {
  t.test(`a client that is connected over ${transport.name} stays, one that has left goes`, async (t) => {
    // Long enough to connect in on a busy machine.
    const presence = { clientIdleMs: 1500, graceMs: 100 };
    const site = (await testServer(t, { presence, mqtt: { port: -1 }, poll: { timeoutMs: 50 } })).site();
    const watcher = await watching(site, 'stays', 'leaves');
    const stays = await site.arrive('stays', {}, transport);
    t.hasStrict(await watcher.next(), { from: 'stays', type: 'online' });
    const leaves = await site.arrive('leaves', {}, transport);
    t.hasStrict(await watcher.next(), { from: 'leaves', type: 'online' });
    leaves.client.close();
    t.hasStrict(await watcher.next(), { from: 'leaves', ...offline });
    t.strictSame(await site.presences('stays', 'leaves'), { stays: 'available' });
    t.strictSame(await watcher.before(stays), []);
  });
}

t.test('a client between two polls is not idle yet', async (t) => {
  const server = await testServer(t, { presence: { clientIdleMs: 2000, graceMs: 1 } });
  const watcher = await watching(server.site(), 'a');
  const { ticket } = await server.site().online('a');
  await watcher.next();
  for (let round = 0; round < 5; round++) {
    const one = await openPoll(server, ticket);
    await server.site().push('x', 'a', `${round}`);
    t.hasStrict((await one.answer).body, { messages: [{ body: `${round}` }] });
  }
  t.strictSame(await watcher.before(), []);
});

t.test('a page reload within the grace does not flicker and loses nothing', async (t) => {
  const server = await testServer(t, { presence: { graceMs: 5000 } });
  const site = server.site();
  const watcher = await site.arrive('watcher', { buddies: 'a', rooms: 'r1' });
  const before = await site.arrive('a', { rooms: 'r1', show: 'away' });
  t.hasStrict([await watcher.next(), await watcher.next()].map(({ type }) => type).sort(), ['grponline', 'online']);
  await before.offline();
  t.strictSame(await site.presences('a'), { a: 'away' }, 'it is online all the while');
  t.strictSame(await site.members(watcher.ticket, 'r1'), { a: 'away', watcher: 'available' });
  await site.message(watcher.ticket, 'a', 'between');
  await site.say(watcher.ticket, 'r1', 'in the room between');
  const after = await site.arrive('a', { rooms: 'r1' });
  const bodies = [(await after.next()).body, (await after.next()).body];
  t.strictSame(bodies, ['between', 'in the room between']);
  t.strictSame(await after.before(watcher), [], 'once');
  t.strictSame(await watcher.before(after), [], 'no offline, no online');
  t.strictSame(await site.presences('a'), { a: 'away' }, 'without a show of its own the new client changes none');
});

t.test('what is kept in the grace goes to the next client alone', async (t) => {
  const site = (await testServer(t, { presence: { graceMs: 5000 } })).site();
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

t.test('what is sent after the grace is dropped', async (t) => {
  const site = (await testServer(t, { presence: { graceMs: 50 } })).site();
  const watcher = await watching(site, 'a');
  const gone = await site.arrive('a');
  await watcher.next();
  await gone.offline();
  t.hasStrict(await watcher.next(), offline);
  await site.message(watcher.ticket, 'a', 'too late');
  const next = await site.arrive('a');
  t.strictSame(await next.before(watcher), []);
  t.hasStrict(await watcher.next(), { type: 'online' });
});

t.test('with one of two clients gone the endpoint stays', async (t) => {
  const site = (await testServer(t, { presence: { graceMs: 1 } })).site();
  const watcher = await watching(site, 'a');
  const [one, two] = [await site.arrive('a'), await site.arrive('a')];
  await watcher.next();
  await one.offline();
  await site.message(watcher.ticket, 'a', 'still there');
  t.hasStrict(await two.next(), { body: 'still there' });
  t.strictSame(await watcher.before(two), []);
  await two.offline();
  t.hasStrict(await watcher.next(), offline);
});

t.test('OFFLINE of an unconnected client with others there is heard by nobody', async (t) => {
  const site = (await testServer(t, { presence: { graceMs: 1 } })).site();
  const watcher = await watching(site, 'a');
  const { ticket } = await site.online('a');
  const two = await site.arrive('a');
  await watcher.next();
  await site.offline(ticket);
  t.strictSame(await watcher.before(two), []);
});

t.test('a closed socket has the idle time to come back and its packets wait', async (t) => {
  const server = await testServer(t, { presence: { clientIdleMs: 5000, graceMs: 1 } });
  const site = server.site();
  const watcher = await watching(site, 'a');
  const a = await site.arrive('a');
  await watcher.next();
  a.client.close();
  await a.client.ended;
  await server.settled();
  await site.message(watcher.ticket, 'a', 'while away');
  t.hasStrict(await pollPackets(server, a.ticket), [{ body: 'while away' }]);
  const back = await longPolling.connect(server, a.ticket);
  await site.message(watcher.ticket, 'a', 'and back');
  t.hasStrict(await back.next(), { body: 'and back' });
  t.strictSame(await watcher.before(), []);
});

t.test('an aborted poll starts the idle time', async (t) => {
  const server = await testServer(t, shortTimes);
  const watcher = await watching(server.site(), 'a');
  const { ticket } = await server.site().online('a');
  await watcher.next();
  const one = await openPoll(server, ticket);
  one.abort();
  t.hasStrict(await watcher.next(), offline);
  t.equal((await poll(server, ticket).answer).status, 404);
});
