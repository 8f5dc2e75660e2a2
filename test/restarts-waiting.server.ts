/** What goes through an orderly restart beside connected clients: clients that are away, and whose turn it is at a service. */
import t from 'tap';
import { awayWorld, goAway, keepMs, statusOfTicket } from './support/away.js';
import { CountingSocket } from './support/counting.js';
import { siteA, siteB, testServer, times } from './support/server.js';

t.test('a client that is away is away after an orderly restart, and its time begins again', async (t) => {
  const data = t.testdir();
  const first = await awayWorld(t, { data });
  const { ticket } = await first.site.online('jack');
  const client = new CountingSocket(first.server.port, ticket);
  await goAway(first, client);
  await first.site.push('anna', 'jack', 'one');
  await first.server.settled();
  t.equal(first.metrics.clientsAway, 1);
  await first.server.close();
  const { server, clock, site, metrics } = await awayWorld(t, { data });
  t.equal(metrics.clientsAway, 1);
  const presences = async () =>
    (await server.request({ path: '/v5/presences', query: { ids: 'jack' }, auth: siteA })).body;
  t.strictSame(await presences(), {}, 'offline to all others');
  clock.advance(keepMs - times.clientIdleMs - 1000);
  await server.settled();
  await site.push('anna', 'jack', 'two');
  client.port = server.port;
  server.own(client);
  await client.connect();
  await client.has(2);
  t.strictSame([client.bodies, client.missed], [['one', 'two'], 0]);
  t.strictSame(await presences(), { jack: 'available' });
  t.equal(metrics.clientsAway, 0);
});

t.test('a client that is away does not come back in its time after a restart, and its ticket ends', async (t) => {
  const data = t.testdir();
  const first = await awayWorld(t, { data });
  const { ticket } = await first.site.online('jack');
  await goAway(first, new CountingSocket(first.server.port, ticket));
  await first.server.close();
  const { server, clock, metrics } = await awayWorld(t, { data });
  clock.advance(keepMs);
  await server.settled();
  t.equal(metrics.clientsAway, 0);
  t.equal(await statusOfTicket(server, ticket), 404);
});

t.test('a sender stays with its client of a service in turns through an orderly restart', async (t) => {
  const settings = { data: t.testdir(), domains: [{ ...siteA, services: { help: { delivery: 'turns' } } }, siteB] };
  const first = await testServer(t, settings);
  const desk: CountingSocket[] = [];
  for (const client of ['one', 'two', 'three']) {
    const { ticket } = await first.site().online('sid:help', { client });
    const socket = first.own(new CountingSocket(first.port, ticket));
    await socket.connect();
    desk.push(socket);
  }
  for (const sender of ['a', 'b', 'c']) await first.site().push(sender, 'sid:help', sender);
  for (const socket of desk) await socket.has(1);
  const before = desk.map(({ bodies }) => bodies.join());
  t.strictSame([...before].sort(), ['a', 'b', 'c']);
  await first.close();
  const second = await testServer(t, settings);
  for (const socket of desk) {
    socket.disconnect();
    socket.port = second.port;
    second.own(socket);
    await socket.connect();
  }
  await second.settled();
  for (const sender of ['c', 'b', 'a']) await second.site().push(sender, 'sid:help', sender);
  for (const socket of desk) await socket.has(2);
  t.strictSame(
    desk.map(({ bodies }) => bodies),
    before.map((sender) => [sender, sender]),
  );
});
