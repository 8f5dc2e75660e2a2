/** How the tickets of clients that are away end, and what becomes of what they had not confirmed. */
import t from 'tap';
import { askAdmin } from './support/admin.js';
import { awayWorld, cut, goAway, keepMs, statusOfTicket, stay } from './support/away.js';
import { CountingSocket } from './support/counting.js';
import type { Packet } from './support/packets.js';
import { pollPackets } from './support/polling.js';
import { siteA, times } from './support/server.js';
import type { Site } from './support/site.js';

function bodies(packets: readonly Packet[]): (string | undefined)[] {
  return packets.map(({ body }) => body);
}

t.test(
  'a new client takes the place of the one that has been away longest where an endpoint has all it may have',
  async (t) => {
    const one = await awayWorld(t, { limits: { clientsPerEndpoint: 3 } });
    const { server, site, metrics } = one;
    const away = [];
    for (let n = 0; n < 2; n++) {
      const { ticket } = await site.online('jack');
      away.push(ticket);
      await goAway(one, new CountingSocket(server.port, ticket));
    }
    await site.push('anna', 'jack', 'one');
    const { ticket: first } = await site.online('jack');
    t.equal(metrics.clientsAway, 2);
    const { ticket: second } = await site.online('jack');
    t.strictSame([metrics.clientsAway, metrics.awayEnded.gaveWay, metrics.clients], [1, 1, 3]);
    t.strictSame(await Promise.all(away.map((ticket) => statusOfTicket(server, ticket))), [404, 200]);
    await site.online('jack');
    t.strictSame([metrics.clientsAway, metrics.awayEnded.gaveWay, metrics.clients], [0, 2, 3]);
    const refused = await site.post('/v5/presences/online', { name: 'jack', nick: 'Jack' });
    t.equal(refused.status, 503, 'those that are there do not give way');
    t.equal(metrics.exceeded.get('clientsPerEndpoint'), 1, 'who has a place is not counted among the refused');
    for (const ticket of [first, second]) t.strictSame(bodies(await pollPackets(server, ticket)), ['one']);
  },
);

t.test(
  'the client that has been away longest ends where a domain has all it may have, and what it had waits',
  async (t) => {
    const one = await awayWorld(t, { limits: { awayPerDomain: 2 } });
    const { clock, server, site, metrics } = one;
    const tickets = [];
    for (const name of ['1', '2', '3', '4']) {
      const { ticket } = await site.online(name);
      tickets.push(ticket);
      const client = new CountingSocket(server.port, ticket);
      await stay(one, client);
      await site.push('anna', name, `for ${name}`);
      await client.has(1);
      await cut(one, client);
      clock.advance(times.clientIdleMs);
      await server.settled();
    }
    t.strictSame([metrics.clientsAway, metrics.awayEnded.limit, metrics.clients], [2, 2, 2]);
    t.strictSame(await Promise.all(tickets.map((ticket) => statusOfTicket(server, ticket))), [404, 404, 200, 200]);
    t.strictSame(bodies(await (await site.arrive('2')).before()), ['for 2'], 'within the grace of its end');
  },
);

for (const { what, end, ended } of [
  { what: 'OFFLINE', end: (site: Site, ticket: string) => site.offline(ticket), ended: 'stopped' },
  { what: 'a client of its name', end: (site: Site) => site.online('jack', { client: 'phone' }), ended: 'stopped' },
]) {
  t.test(
    `${what} ends the ticket of somebody away, and what nobody has confirmed goes to the next client`,
    async (t) => {
      const one = await awayWorld(t);
      const { clock, server, site, metrics } = one;
      const { ticket } = await site.online('jack', { client: 'phone' });
      await goAway(one, new CountingSocket(server.port, ticket));
      await site.push('anna', 'jack', 'one');
      await end(site, ticket);
      t.equal(await statusOfTicket(server, ticket), 404, ended);
      t.strictSame([metrics.clientsAway, metrics.awayEnded.ended], [0, 1]);
      await site.push('anna', 'jack', 'two');
      clock.advance(times.graceMs - 100);
      await server.settled();
      t.strictSame(bodies(await (await site.arrive('jack')).before()), ['one', 'two']);
    },
  );
}

t.test('the call offline with all ends those that are away too', async (t) => {
  const one = await awayWorld(t, { domains: [{ ...siteA, clientCalls: true }] });
  const { server, site, metrics } = one;
  const { ticket } = await site.online('jack');
  await goAway(one, new CountingSocket(server.port, ticket));
  const { ticket: second } = await site.online('jack');
  const json = { call: 'offline', all: '1' };
  const query = { domain: siteA.domain, ticket: second };
  t.equal((await server.request({ method: 'POST', path: '/v5/packets', query, json })).status, 200);
  t.equal(await statusOfTicket(server, ticket), 404);
  t.strictSame([metrics.clients, metrics.clientsAway], [0, 0]);
});

t.test('operators see since when a client is away, how far it has confirmed and what it has not', async (t) => {
  const one = await awayWorld(t, { admin: { port: -1 } });
  const { clock, server, site } = one;
  const { ticket } = await site.online('jack', { client: 'phone' });
  const client = new CountingSocket(server.port, ticket);
  const view = async () => (await askAdmin(server, `/api/endpoint?domain=${siteA.domain}&id=jack`)).body;
  await stay(one, client);
  for (const [n, body] of ['one', 'two'].entries()) {
    await site.push('anna', 'jack', body);
    await client.has(n + 1);
    if (n === 0) client.say('ping');
    await client.until(() => client.texts.includes('pong'), 'pong');
  }
  await server.settled();
  const connected = { transport: 'websocket', position: /\.1$/, unconfirmed: 1, queuedPackets: 1, awaySince: null };
  t.match(await view(), { endpoint: { online: true, clients: [connected] } });
  await cut(one, client);
  const lostAt = clock.now();
  clock.advance(times.clientIdleMs);
  await server.settled();
  await site.push('anna', 'jack', 'three');
  const sent = { unconfirmed: 1, queuedPackets: 2, awaySince: lostAt, seenAt: lostAt };
  const away = { transport: null, position: /\.1$/, ...sent };
  t.match(await view(), { endpoint: { online: true, visible: true, clients: [away] } });
  clock.advance(times.graceMs);
  await server.settled();
  t.match(await view(), { endpoint: { online: false, visible: false, unseen: 2, clients: [away] } });
  t.match((await askAdmin(server, '/metrics')).text, /nextalk_clients_away 1\n/);
  clock.advance(keepMs - times.clientIdleMs - times.graceMs);
  await server.settled();
  t.match(await view(), { endpoint: { clients: [], ended: [{ reason: 'away for longer than its ticket is kept' }] } });
  t.match((await askAdmin(server, '/metrics')).text, /nextalk_clients_away_ended_total\{how="expired"\} 1\n/);
});
