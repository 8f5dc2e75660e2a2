/** A server that is killed and started again has its tickets and presence, in a new era of positions: PROTOCOL.md section 20. */
import t from 'tap';
import { client as mqttClient } from './mqtt/support/clients.js';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import { restartingServer } from './support/restarting.js';
import { siteA } from './support/server.js';

const kinds = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

for (const [name, Client] of Object.entries(kinds)) {
  t.test(
    `a client that goes on from a position after a kill is told over ${name} that something may be missed`,
    async (t) => {
      const server = await restartingServer(t);
      const { ticket } = await server.online('jack');
      const client = new Client(server.port, ticket);
      t.teardown(() => client.close());
      await client.connect();
      await server.push('anna', 'jack', 'one');
      await client.has(1);
      await server.written('endpoints', 1);
      client.disconnect();
      const [era] = client.position.split('.');
      t.equal(await server.stop('SIGKILL'), 'SIGKILL');
      await server.start();
      client.port = server.port;
      await client.connect();
      await server.push('anna', 'jack', 'two');
      await client.has(2);
      t.strictSame(client.bodies, ['one', 'two']);
      t.equal(client.frames.filter(({ missed }) => missed === true).length, 1);
      t.match(client.position, /^\w+\.1$/);
      t.not(client.position.split('.')[0], era);
    },
  );
}

t.test('tickets, shows, buddies and rooms survive a kill, and nobody is told', async (t) => {
  const server = await restartingServer(t, { offline: true });
  const jack = await server.online('jack', { buddies: 'anna', rooms: 'lobby', show: 'away' });
  const anna = await server.online('anna', { rooms: 'lobby' });
  const gone = await server.online('gone', { client: 'one' });
  await server.written('endpoints', 3);
  await server.call('/v5/presences/show', { ticket: anna.ticket, show: 'dnd' });
  await server.online('last');
  await server.written('endpoints', 4);
  await server.restart('SIGKILL');
  t.strictSame(await server.get('/v5/presences', { ids: 'jack,anna,last' }), {
    jack: 'away',
    anna: 'dnd',
    last: 'available',
  });
  t.strictSame(await server.get('/v5/rooms/lobby/members', { ticket: anna.ticket }), { jack: 'away', anna: 'dnd' });
  await server.call('/v5/messages', { ticket: anna.ticket, to: 'jack', body: 'hello' });
  t.match(await server.poll(jack.ticket), { messages: [{ body: 'hello' }], presences: [] });
  await server.call('/v5/presences/offline', { ticket: gone.ticket });
  const again = await mqttClient(t, server.mqtt, { username: siteA.domain, password: jack.ticket, clientId: 'phone' });
  await server.push('anna', 'jack', 'by MQTT');
  t.match(JSON.parse(await again.payload()), { messages: [{ body: 'by MQTT' }] });
});
