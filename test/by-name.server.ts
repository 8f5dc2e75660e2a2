/** Calls by name, and who is online in pages: PROTOCOL.md section 16. */
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import type { Params } from './support/http.js';
import { openPoll, poll } from './support/polling.js';
import {
  type Cleaner,
  expire,
  goOffline,
  type Settings,
  siteA,
  type TestServer,
  testServer,
  times,
} from './support/server.js';
import type { Site } from './support/site.js';
import { SECRET, seconds, token } from './support/tokens.js';
import { transports, webSocket } from './support/transports.js';

const ok = { status: 'ok' };
const notOnline = { status: 'error', message: 'not online' };
const domains = [{ ...siteA, tokenSecret: SECRET }];

async function call(site: Site, path: string, form: Params): Promise<unknown> {
  return (await site.post(path, form)).body;
}

function signIn(server: TestServer, iat: number): Promise<number> {
  const form = { token: token('jack', { iat, exp: iat + 3600 }) };
  return server.request({ method: 'POST', path: '/v5/presences/online', form }).then(({ status }) => status);
}

t.test('SHOW, JOIN, LEAVE and STATUSES take a name, whoever holds the tickets', async (t) => {
  const site = (await testServer(t)).site();
  const rose = await site.arrive('rose', { rooms: 'lobby', buddies: 'jack' });
  await site.arrive('jack');
  t.match(await rose.next(), { type: 'online', from: 'jack' });
  t.strictSame(await call(site, '/v5/presences/show', { name: 'jack', show: 'dnd', status: 'busy' }), ok);
  t.match(await rose.next(), { type: 'show', from: 'jack', show: 'dnd', status: 'busy' });
  t.strictSame(await call(site, '/v5/rooms/lobby/join', { name: 'uid:jack', nick: 'J' }), ok);
  t.match(await rose.next(), { type: 'join', from: 'jack', nick: 'J', to: 'lobby' });
  t.strictSame(await call(site, '/v5/statuses', { name: 'jack', to: 'rose', show: 'typing' }), ok);
  t.match(await rose.next(), { kind: 'status', from: 'jack', nick: 'JACK', show: 'typing' });
  t.strictSame(await call(site, '/v5/rooms/lobby/leave', { name: 'jack' }), ok);
  t.match(await rose.next(), { type: 'leave', from: 'jack', to: 'lobby' });
});

t.test('a ticket that is given counts before the name', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.arrive('jack');
  await site.arrive('rose');
  t.strictSame(await call(site, '/v5/presences/show', { name: 'rose', ticket: jack.ticket, show: 'away' }), ok);
  t.strictSame(await site.presences('jack', 'rose'), { jack: 'away', rose: 'available' });
  const unknown = await site.post('/v5/presences/offline', { name: 'rose', ticket: 'uid:rose:0' });
  t.strictSame([unknown.status, unknown.body], [404, { status: 'error', message: 'ticket not found' }]);
  t.strictSame(await site.presences('rose'), { rose: 'available' });
});

t.test('by the name of somebody offline JOIN and SHOW are 404, LEAVE and OFFLINE change nothing', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, { presence: times }, clock)).site();
  const rose = await site.arrive('rose');
  await goOffline(await site.arrive('jack'), clock);
  for (const path of ['/v5/rooms/lobby/join', '/v5/presences/show']) {
    const answer = await site.post(path, { name: 'jack', show: 'away' });
    t.strictSame([answer.status, answer.body], [404, notOnline], path);
  }
  for (const path of ['/v5/rooms/lobby/leave', '/v5/presences/offline']) {
    t.strictSame(await call(site, path, { name: 'jack' }), ok);
  }
  t.strictSame(await call(site, '/v5/statuses', { name: 'jack', to: 'rose', show: 'typing' }), ok);
  t.match(await rose.next(), { from: 'jack', nick: 'jack', show: 'typing' });
  t.strictSame(await site.members(rose.ticket, 'lobby'), {});
});

t.test('a name that is no endpoint, or names one terminal to sign out, is refused', async (t) => {
  const site = (await testServer(t)).site();
  const detail = 'name is not the id of a user, visitor or service';
  for (const name of ['gid:lobby', 'a/b', '/domain/b.example/uid/jack']) {
    for (const path of ['/v5/presences/offline', '/v5/presences/show', '/v5/statuses', '/v5/rooms/x/join']) {
      const answer = await site.post(path, { name, show: 'away', to: 'rose' });
      t.match([answer.status, answer.body], [400, { detail }], `${path} ${name}`);
    }
  }
  const phone = '/domain/a.example/uid/jack/client/phone';
  t.equal((await site.post('/v5/presences/offline', { name: phone })).status, 400);
  t.match((await site.post('/v5/presences/offline', {})).body, { detail: 'ticket is required' });
  t.match((await site.post('/v5/presences/show', { name: 'jack' })).body, { detail: 'show is required' });
  t.match((await site.post('/v5/presences/show', {})).body, { detail: 'ticket is required' });
});

for (const transport of transports) {
  t.test(`OFFLINE by name ends a client on ${transport.name}, which is told stopped`, async (t) => {
    const server = await testServer(t, { mqtt: { port: -1 } });
    const site = server.site();
    const jack = await site.arrive('jack', {}, transport);
    const other = await site.arrive('jack');
    const rose = await site.arrive('rose');
    t.strictSame(await call(site, '/v5/presences/offline', { name: 'jack' }), ok);
    t.equal(await jack.client.ended, 'stopped');
    t.equal(await other.client.ended, 'stopped');
    const again = await site.post('/v5/presences/show', { ticket: jack.ticket, show: 'away' });
    t.equal(again.status, 404);
    await site.push('anna', 'rose', 'still here');
    t.match(await rose.next(), { body: 'still here' });
  });
}

t.test('OFFLINE by name refuses tokens of the name that are not later', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { domains }, clock);
  const now = seconds(clock.now());
  t.equal(await signIn(server, now - 10), 200);
  await call(server.site(), '/v5/presences/offline', { name: 'jack' });
  t.strictSame([await signIn(server, now - 10), await signIn(server, now)], [401, 401]);
  clock.advance(2000);
  t.equal(await signIn(server, now + 2), 200);
  t.equal(await signIn(server, now), 401);
});

t.test('that a name was signed out outlives a restart', async (t) => {
  const clock = new ManualClock();
  const data = t.testdir();
  const first = await testServer(t, { domains, data }, clock);
  const now = seconds(clock.now());
  await call(first.site(), '/v5/presences/offline', { name: 'jack' });
  await first.close();
  const second = await testServer(t, { domains, data }, clock);
  t.equal(await signIn(second, now), 401);
  clock.advance(2000);
  t.equal(await signIn(second, now + 2), 200);
});

t.test('a ticket that OFFLINE by name ended answers stopped after a restart as well', async (t) => {
  const data = t.testdir();
  const first = await testServer(t, { domains, data });
  const { ticket } = await first.site().online('jack');
  await call(first.site(), '/v5/presences/offline', { name: 'jack' });
  await first.close();
  const second = await testServer(t, { domains, data });
  const kept = await poll(second, ticket, { query: { position: '0' } }).answer;
  t.strictSame([kept.status, kept.text], [200, '{"status":"stopped"}']);
});

const counting = [CountingSocket, CountingPoll, CountingStream];
for (const Client of counting) {
  t.test(`a ticket that OFFLINE by name ended answers stopped to a ${Client.name} that comes again`, async (t) => {
    const clock = new ManualClock();
    const server = await testServer(t, {}, clock);
    const site = server.site();
    const { ticket } = await site.online('jack');
    const client = server.own(new Client(server.port, ticket));
    await client.connect();
    await site.push('anna', 'jack', 'one');
    await client.has(1);
    client.disconnect();
    await call(site, '/v5/presences/offline', { name: 'jack' });
    const isStopped = () => client.frames.at(-1)?.status === 'stopped';
    await client.connect();
    await client.until(isStopped, 'stopped');
    client.disconnect();
    clock.advance(120_000);
    t.equal((await poll(server, ticket, { query: { position: client.position } }).answer).status, 404);
  });
}

t.test('a ticket that OFFLINE by name ended is unknown to a client that keeps no position', async (t) => {
  const server = await testServer(t);
  const jack = await server.site().online('jack');
  await call(server.site(), '/v5/presences/offline', { name: 'jack' });
  t.equal((await poll(server, jack.ticket).answer).status, 404);
  await t.rejects(webSocket.connect(server, jack.ticket));
  const kept = await poll(server, jack.ticket, { query: { position: '0' } }).answer;
  t.strictSame([kept.status, kept.text], [200, '{"status":"stopped"}']);
});

t.test('a ticket that ended by OFFLINE of its own is unknown also to a client that keeps a position', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('jack');
  const open = await openPoll(server, ticket, { query: { position: '0' } });
  await server.site().offline(ticket);
  t.equal((await open.answer).text, '{"status":"stopped"}');
  t.equal((await poll(server, ticket, { query: { position: '0' } }).answer).status, 404);
});

t.test('calls by name find an endpoint that is away, and OFFLINE ends what is kept of it', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { presence: times }, clock);
  const site = server.site();
  const rose = await site.arrive('rose', { rooms: 'lobby', buddies: 'jack' });
  const { ticket } = await site.online('jack');
  const client = server.own(new CountingSocket(server.port, ticket));
  await client.connect();
  await server.settled();
  clock.advance(5000);
  client.disconnect();
  await server.settledWhile(() => server.metrics.connections.websocket > 1);
  await expire(server, clock);
  t.match([await rose.next(), await rose.next()], [{ type: 'online' }, { type: 'offline', from: 'jack' }]);
  t.strictSame(await call(site, '/v5/presences/show', { name: 'jack', show: 'dnd' }), ok);
  t.strictSame(await call(site, '/v5/rooms/lobby/join', { name: 'jack' }), ok);
  await client.connect();
  t.match(
    [await rose.next(), await rose.next()],
    [
      { type: 'online', show: 'dnd' },
      { type: 'grponline', to: 'lobby' },
    ],
  );
  client.disconnect();
  await server.settledWhile(() => server.metrics.connections.websocket > 1);
  await expire(server, clock);
  t.strictSame(await call(site, '/v5/presences/offline', { name: 'jack' }), ok);
  await client.connect();
  await client.until(() => client.frames.at(-1)?.status === 'stopped', 'stopped');
});

t.test('MEMBERS needs no ticket, and with full PRESENCES and MEMBERS answer objects', async (t) => {
  const site = (await testServer(t)).site();
  await site.arrive('jack', { nick: 'Jack', rooms: 'lobby', show: 'away', status: 'at "lunch"' });
  await site.arrive('rose', { rooms: 'lobby', show: 'invisible' });
  t.strictSame((await site.get('/v5/rooms/lobby/members')).body, { jack: 'away' });
  const jack = { show: 'away', nick: 'Jack', status: 'at "lunch"' };
  for (const full of ['1', 'true']) {
    t.strictSame((await site.get('/v5/rooms/lobby/members', { full })).body, { jack });
    t.strictSame((await site.get('/v5/presences', { ids: 'jack,rose', full })).body, { jack });
  }
  t.strictSame((await site.get('/v5/presences', { ids: 'jack', full: '0' })).body, { jack: 'away' });
  t.equal((await site.get('/v5/rooms/lobby/members', { ticket: 'uid:jack:0' })).status, 404);
});

interface Page {
  readonly status: string;
  readonly presences: Record<string, unknown>;
  readonly next?: string;
}

function page(site: Site, query: Params): Promise<Page> {
  return site.get('/v5/presences/all', query).then(({ body }) => body as Page);
}

async function many(t: Cleaner, count: number, settings: Settings = {}) {
  const clock = new ManualClock();
  const site = (await testServer(t, { presence: times, ...settings }, clock)).site();
  const tickets = new Map<string, string>();
  for (let n = 0; n < count; n++) tickets.set(`u ${n}`, (await site.online(`u ${n}`)).ticket);
  return { site, clock, tickets };
}

t.test('who is online is listed in pages: whoever stays is listed once, whatever comes and goes', async (t) => {
  const { site, tickets } = await many(t, 60);
  const seen = new Map<string, number>();
  let next: string | undefined;
  for (let turn = 0; turn === 0 || next !== undefined; turn++) {
    const found = await page(site, { limit: '7', ...(next === undefined ? {} : { after: next }) });
    t.equal(found.status, 'ok');
    t.ok(Object.keys(found.presences).length <= 7);
    for (const id of Object.keys(found.presences)) seen.set(id, (seen.get(id) ?? 0) + 1);
    next = found.next;
    // One of the first hides, and somebody comes: also the very one where the next page begins.
    const gone = [`u ${turn}`, ...(next && turn % 2 ? [next] : [])];
    for (const id of gone) if (tickets.has(id)) await site.show(tickets.get(id) as string, 'invisible');
    for (const id of gone) tickets.delete(id);
    await site.online(`new ${turn}`);
  }
  for (const id of tickets.keys()) t.equal(seen.get(id), 1, id);
  for (const [id, count] of seen) t.equal(count, 1, id);
});

t.test('a page has a limit, a default and all that is seen; who is gone is not in it', async (t) => {
  const { site, clock, tickets } = await many(t, 3);
  t.strictSame(await page(site, {}), {
    status: 'ok',
    presences: { 'u 0': 'available', 'u 1': 'available', 'u 2': 'available' },
  });
  await site.offline(tickets.get('u 1') as string);
  clock.advance(times.graceMs);
  t.strictSame(Object.keys((await page(site, {})).presences).sort(), ['u 0', 'u 2']);
  const full = await page(site, { full: '1', limit: '10000' });
  t.strictSame(full.presences['u 0'], { show: 'available', nick: 'U 0', status: '' });
  for (const limit of ['0', '-1', '1.5', 'x', '10001']) {
    t.match((await site.get('/v5/presences/all', { limit })).body, { detail: 'limit must be 1 to 10000' }, limit);
  }
  t.match((await site.get('/v5/presences/all', { after: 'a/b' })).body, { detail: 'after is not an id' });
  t.equal((await site.send({ path: '/v5/presences/all', auth: { domain: siteA.domain, apikey: 'x' } })).status, 401);
});
