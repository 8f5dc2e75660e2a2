/** A server that is killed and started again has its tickets and presence, in a new era of positions: PROTOCOL.md section 20. */
import t from 'tap';
import { client as mqttClient } from './mqtt/support/clients.js';
import { type CountingClient, CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import { restartingServer } from './support/restarting.js';
import { siteA } from './support/server.js';

/** By the names of the users who have them. */
const kinds = { WebSocket: CountingSocket, poll: CountingPoll, stream: CountingStream };

t.test('after a kill', async (t) => {
  const server = await restartingServer(t, { offline: true });
  const jack = await server.online('jack', { buddies: 'anna', rooms: 'lobby', show: 'away' });
  const anna = await server.online('anna', { rooms: 'lobby' });
  const gone = await server.online('gone', { client: 'one' });
  await server.written('endpoints', 3);
  await server.call('/v5/presences/show', { ticket: anna.ticket, show: 'dnd' });
  await server.online('last');
  await server.written('endpoints', 4);
  const clients = new Map<string, CountingClient>();
  for (const [user, Client] of Object.entries(kinds)) {
    const { ticket } = await server.online(user);
    const client = new Client(server.port, ticket);
    t.teardown(() => client.close());
    await client.connect();
    await server.push('rose', user, 'one');
    await client.has(1);
    clients.set(user, client);
  }
  await server.written('endpoints', 4 + clients.size);
  for (const client of clients.values()) client.disconnect();
  t.equal(await server.stop('SIGKILL'), 'SIGKILL');
  await server.start();

  await t.test('tickets, shows, buddies and rooms are there, and nobody is told', async (t) => {
    t.strictSame(await server.get('/v5/presences', { ids: 'jack,anna,last' }), {
      jack: 'away',
      anna: 'dnd',
      last: 'available',
    });
    t.strictSame(await server.get('/v5/rooms/lobby/members', { ticket: anna.ticket }), { jack: 'away', anna: 'dnd' });
    await server.call('/v5/messages', { ticket: anna.ticket, to: 'jack', body: 'hello' });
    t.match(await server.poll(jack.ticket), { messages: [{ body: 'hello' }], presences: [] });
    await server.call('/v5/presences/offline', { ticket: gone.ticket });
    const login = { username: siteA.domain, password: jack.ticket, clientId: 'phone' };
    const again = await mqttClient(t, server.mqtt, login);
    await server.push('anna', 'jack', 'by MQTT');
    t.match(JSON.parse(await again.payload()), { messages: [{ body: 'by MQTT' }] });
  });

  for (const [user, client] of clients) {
    await t.test(
      `a client that goes on from a position over a ${user} is told that something may be missed`,
      async (t) => {
        const [era] = client.position.split('.');
        client.port = server.port;
        await client.connect();
        await server.push('rose', user, 'two');
        await client.has(2);
        t.strictSame(client.bodies, ['one', 'two']);
        t.equal(client.frames.filter(({ missed }) => missed === true).length, 1);
        t.match(client.position, /^\w+\.1$/);
        t.not(client.position.split('.')[0], era);
      },
    );
  }
});

t.test('no message that was answered ok is lost by kill -9 where a domain is durable always', async (t) => {
  const server = await restartingServer(t, { durability: 'always' }, { 'limits.queuePackets': 0 });
  const members = [];
  for (const name of ['a', 'b', 'c']) members.push(await server.online(name, { rooms: 'room' }));
  await server.written('endpoints', 3);
  const [a, b, c] = members.map(({ ticket }) => new CountingSocket(server.port, ticket)) as [
    CountingSocket,
    CountingSocket,
    CountingSocket,
  ];
  for (const client of [a, b, c]) t.teardown(() => client.close());
  await a.connect();
  await b.connect();
  const answered: string[] = [];
  let next = 0;
  const one = async (): Promise<void> => {
    for (;;) {
      const body = String(next++);
      await server.push('site', body.endsWith('7') ? 'a' : 'room', body, body.endsWith('7') ? {} : { type: 'grpchat' });
      answered.push(body);
      if (answered.length % 10 === 0) a.say('ping');
      if (answered.length === 300) server.process.kill('SIGKILL');
    }
  };
  await Promise.all(Array.from({ length: 20 }, () => one().catch(() => undefined)));
  await server.process.ended;
  await server.start();
  const toAll = answered.filter((body) => !body.endsWith('7'));
  for (const [client, expected] of [
    [a, answered],
    [b, toAll],
    [c, toAll],
  ] as const) {
    client.port = server.port;
    client.disconnect();
    await client.connect();
    await client.until(() => expected.every((body) => client.bodies.includes(body)), 'all that was answered');
    t.ok(true, `${client.bodies.length} came, of ${expected.length} that were answered`);
  }
  t.ok(a.frames.some(({ missed }) => missed === true));
  const twice = a.ids.length - new Set(a.ids).size;
  t.equal(new Set(a.bodies).size, a.bodies.length - twice, 'what came twice has the same id');
  for (const client of [a, b, c]) client.say('ping');
  await server.written('unconfirmedMessages', 0);
  await server.written('unconfirmed', 0);
  t.equal(await server.stop('SIGTERM'), 0);
});

t.test(
  'where a domain is durable always, its messages outlive a kill by MQTT and for users whose presence was not on disk',
  async (t) => {
    const server = await restartingServer(t, { durability: 'always', offline: true });
    const jack = await server.online('jack');
    await server.written('endpoints', 1);
    const connect = () =>
      mqttClient(t, server.mqtt, {
        username: siteA.domain,
        password: jack.ticket,
        clientId: 'phone',
        clean: false,
        properties: { sessionExpiryInterval: 60 },
      });
    const first = await connect();
    first.client.on('error', () => undefined);
    await server.push('anna', 'jack', 'one');
    t.match(JSON.parse(await first.payload()), { messages: [{ body: 'one' }] });
    await server.written('unconfirmed', 0);
    await first.client.endAsync(true);
    await server.push('anna', 'jack', 'two');
    await server.push('anna', 'nobody', 'kept');
    await server.restart('SIGKILL');
    const again = await connect();
    t.match(JSON.parse(await again.payload()), { messages: [{ body: 'two' }] });
    const nobody = await server.online('nobody');
    t.match(await server.poll(nobody.ticket), { messages: [{ body: 'kept' }] });
  },
);
