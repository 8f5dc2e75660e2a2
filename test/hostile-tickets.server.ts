/** What one user can do to others by taking tickets, and to its own by using one on several connections at once. */
import t from 'tap';
import { awayWorld, goAway, keepMs, statusOfTicket } from './support/away.js';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import { dice } from './support/dice.js';

t.test('a user who takes one ticket after another takes no place of others among those that are away', async (t) => {
  const one = await awayWorld(t, {
    resume: { keepMs: keepMs * 100 },
    limits: { clientsPerEndpoint: 2, awayPerDomain: 3 },
  });
  const { server, site, metrics } = one;
  const { ticket } = await site.online('rose');
  await goAway(one, new CountingSocket(server.port, ticket));
  for (let n = 0; n < 8; n++) await goAway(one, new CountingSocket(server.port, (await site.online('jack')).ticket));
  t.strictSame([metrics.clientsAway, metrics.awayEnded.gaveWay, metrics.awayEnded.limit], [3, 6, 0]);
  t.equal(await statusOfTicket(server, ticket), 200);
});

t.test(
  'of connections by all transports that use one ticket at once each knows exactly what it has not had',
  async (t) => {
    const { server, site } = await awayWorld(t);
    const { ticket } = await site.online('jack');
    const kinds = [CountingSocket, CountingPoll, CountingStream] as const;
    const clients = kinds.map((Kind) => server.own(new Kind(server.port, ticket)));
    const numberOf = ({ position }: { position: string }): number =>
      Number(position.slice(position.lastIndexOf('.') + 1));
    const before = new Map<object, number>();
    for (const client of clients) {
      await client.connect();
      await site.push('anna', 'jack', 'hello');
      await client.until(() => client.position !== '0', 'position');
      // A poll that was asked anew and is on its way would take the place of the next connection when it arrives.
      await server.settledWhile(() => Object.values(server.metrics.connections).every((count) => count === 0));
      before.set(client, numberOf(client) - client.bodies.length - client.lost);
    }
    const roll = dice(5);
    for (let n = 1; n <= 60; n++) {
      if (roll(2) === 0) await clients[roll(3)]?.connect();
      await site.push('anna', 'jack', String(n));
      if (roll(4) === 0) await server.settled();
    }
    const had = new Set<string>();
    for (const client of clients) {
      for (const other of clients) if (other !== client) other.disconnect();
      // A poll of another client that is still on its way takes the place of this connection when it arrives.
      while (numberOf(client) < 63) {
        await client.connect();
        for (let n = 0; n < 20 && numberOf(client) < 63; n++) await server.settled();
      }
      t.equal(client.bodies.length + client.lost, 63 - (before.get(client) ?? 0), client.constructor.name);
      t.equal(new Set(client.ids).size, client.ids.length, 'and none twice');
      for (const id of client.ids) had.add(id);
    }
    t.equal(had.size, 63, 'and together they have had all');
  },
);
