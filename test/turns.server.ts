/** Services in turns whose clients lose their connections: who has a turn, and what becomes of what they had not confirmed. */
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { awayWorld, cut, goAway, stay } from './support/away.js';
import { CountingSocket } from './support/counting.js';
import { packetsOf } from './support/packets.js';
import { openPoll, pollPackets } from './support/polling.js';
import { siteA, siteB, testServer, times } from './support/server.js';

const turns = { domains: [{ ...siteA, services: { help: { delivery: 'turns' } } }, siteB] };

t.test('by turns a sender whose client has lost its connection goes to one that is connected', async (t) => {
  const server = await testServer(t, turns);
  const site = server.site();
  const desk = [await site.arrive('sid:help'), await site.arrive('sid:help')] as const;
  await site.push('a', 'sid:help', 'one');
  t.hasStrict(await desk[0].next(), { body: 'one' });
  desk[0].client.close();
  await server.settledWhile(() => server.metrics.connections.websocket > 1);
  for (const body of ['two', 'three']) {
    await site.push('a', 'sid:help', body);
    t.hasStrict(await desk[1].next(), { body });
  }
});

t.test('by turns a sender stays with a client that polls, also between two polls', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, turns, clock);
  const site = server.site();
  const { ticket } = await site.online('sid:help', { client: 'polls' });
  const poll = await openPoll(server, ticket);
  await site.push('a', 'sid:help', 'one');
  t.hasStrict(packetsOf((await poll.answer).body), [{ body: 'one' }]);
  const other = await site.arrive('sid:help');
  clock.advance(300);
  await site.push('a', 'sid:help', 'two');
  t.hasStrict(await pollPackets(server, ticket), [{ body: 'two' }], 'a browser polls again within 300 ms');
  await server.settled();
  clock.advance(2000);
  await site.push('a', 'sid:help', 'three');
  t.hasStrict(await other.next(), { body: 'three' }, 'a client that polls no more has no turn');
});

t.test('by turns what comes while nobody is connected goes to whoever connects first, in order', async (t) => {
  const server = await testServer(t, turns);
  const site = server.site();
  const first = await site.online('sid:help');
  const second = await site.online('sid:help');
  for (const body of ['one', 'two']) await site.push('a', 'sid:help', body);
  t.match(await pollPackets(server, second.ticket), [{ body: 'one' }, { body: 'two' }]);
  await site.push('b', 'sid:help', 'three');
  t.match(
    await pollPackets(server, second.ticket),
    [{ body: 'three' }],
    'a client that was never connected has no turn',
  );
  const poll = await openPoll(server, first.ticket);
  poll.abort();
  t.equal(server.metrics.domain(siteA.domain).queuedPackets, 0);
});

t.test(
  'by turns what a client has not confirmed goes to the others after its idle time, and is missed to it',
  async (t) => {
    const one = await awayWorld(t, turns);
    const { clock, server, site } = one;
    const { ticket } = await site.online('sid:help');
    const lost = new CountingSocket(server.port, ticket);
    await stay(one, lost);
    await site.push('a', 'sid:help', 'one');
    await lost.has(1);
    lost.say('ping');
    await lost.until(() => lost.texts.includes('pong'), 'pong');
    await site.push('a', 'sid:help', 'two');
    await lost.has(2);
    const position = lost.position.replace('.2', '.1');
    const other = server.own(new CountingSocket(server.port, (await site.online('sid:help')).ticket));
    await other.connect();
    await cut(one, lost);
    await site.push('a', 'sid:help', 'three');
    await other.has(1);
    clock.advance(times.clientIdleMs - 1);
    await server.settled();
    t.strictSame(other.bodies, ['three'], 'the client may come back to it');
    clock.advance(1);
    await other.has(2);
    t.strictSame(other.bodies, ['three', 'two']);
    lost.position = position;
    await lost.connect();
    await lost.until(() => lost.missed > 0, 'word of what it missed');
    t.strictSame([lost.bodies, lost.missed, lost.lost], [['one', 'two'], 1, 1]);
    t.match(lost.position, /\.2$/);
  },
);

t.test('by turns what only clients that are away have not confirmed goes to the next that connects', async (t) => {
  const one = await awayWorld(t, turns);
  const { server, site, metrics } = one;
  const { ticket } = await site.online('sid:help');
  const lost = new CountingSocket(server.port, ticket);
  await stay(one, lost);
  await site.push('a', 'sid:help', 'one');
  await lost.has(1);
  const { position } = lost;
  await cut(one, lost);
  await site.push('a', 'sid:help', 'two');
  await goAway(one, server.own(new CountingSocket(server.port, (await site.online('sid:help')).ticket)));
  t.equal(metrics.clientsAway, 2);
  const next = await site.arrive('sid:help');
  t.hasStrict(await next.next(), { body: 'one' });
  t.hasStrict(await next.next(), { body: 'two' });
  lost.position = position.replace('.1', '.0');
  await lost.connect();
  await lost.until(() => lost.missed > 0, 'word of what it missed');
  t.strictSame(lost.missed, 1);
});

t.test('by turns the client that comes back first has what waits, once and in order', async (t) => {
  const one = await awayWorld(t, turns);
  const { server, site } = one;
  const { ticket } = await site.online('sid:help');
  const client = new CountingSocket(server.port, ticket);
  await goAway(one, client);
  for (const body of ['one', 'two', 'three']) await site.push('a', 'sid:help', body);
  await client.connect();
  await client.has(3);
  await site.push('a', 'sid:help', 'four');
  await client.has(4);
  t.strictSame([client.bodies, client.missed], [['one', 'two', 'three', 'four'], 0]);
});
