/** A server that is ended in order and started again goes on where it was, and nobody is told: PROTOCOL.md section 20. */
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { client as mqttClient } from './mqtt/support/clients.js';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import { type RestartingServer, restartingServer } from './support/restarting.js';

/** What is done before the restart, by users of its own; answers what is to be so after it. */
type Scene = (t: Test, server: RestartingServer) => Promise<(t: Test) => Promise<void>>;

const scenes = new Map<string, Scene>();

const kinds = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

for (const [name, Client] of Object.entries(kinds)) {
  scenes.set(`a client that keeps a position goes on over ${name}`, async (t, server) => {
    const user = name.replaceAll(' ', '-');
    const { ticket } = await server.online(user);
    const client = new Client(server.port, ticket);
    t.teardown(() => client.close());
    await client.connect();
    await server.push('anna', user, 'one');
    await client.has(1);
    client.disconnect();
    await server.push('anna', user, 'two');
    const era = client.position.split('.')[0];
    return async (t) => {
      client.port = server.port;
      await client.connect();
      await server.push('anna', user, 'three');
      await client.has(3);
      t.strictSame(client.bodies, ['one', 'two', 'three']);
      t.strictSame([client.missed, client.lost], [0, 0]);
      t.ok(client.frames.every(({ missed }) => missed === undefined || missed === 0));
      t.equal(client.position, `${era}.3`, 'in the era before the restart');
    };
  });
}

scenes.set('a client of NexTalk 5 polls with its ticket', async (t, server) => {
  const { ticket } = await server.online('tom');
  await server.push('anna', 'tom', 'one');
  t.match(await server.poll(ticket), { messages: [{ body: 'one' }] });
  await server.push('anna', 'tom', 'two');
  return async (t) => {
    t.match(await server.poll(ticket), { messages: [{ body: 'two' }], presences: [] });
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/v5/wsocket`);
    t.teardown(() => socket.terminate());
    const texts: string[] = [];
    socket.on('open', () => socket.send(`subscribe a.example ${ticket}`));
    await new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        texts.push(data.toString());
        if (texts.length === 1) void server.push('anna', 'tom', 'three');
        else resolve();
      });
    });
    t.equal(texts[0], '{"status":"ok"}');
    t.match(JSON.parse(texts[1] ?? ''), { messages: [{ body: 'three' }] });
  };
});

scenes.set('shows, buddies, rooms and the names of clients are there, and nobody is told', async (_t, server) => {
  const jack = await server.online('jack', {
    buddies: 'anna',
    rooms: 'lobby',
    show: 'away',
    status: 'out',
    client: 'phone',
  });
  const anna = await server.online('anna', { rooms: 'lobby' });
  await server.online('ghost', { show: 'invisible', rooms: 'lobby' });
  const vid = await server.online('vid:v1', { rooms: 'r2' });
  await server.call('/v5/rooms/late/join', { ticket: anna.ticket });
  await server.call('/v5/presences/show', { ticket: anna.ticket, show: 'dnd' });
  await server.poll(jack.ticket);
  return async (t) => {
    t.strictSame(await server.get('/v5/presences', { ids: 'jack,anna,ghost,vid:v1' }), {
      jack: 'away',
      anna: 'dnd',
      'vid:v1': 'available',
    });
    t.strictSame(await server.get('/v5/rooms/lobby/members', { ticket: jack.ticket }), { jack: 'away', anna: 'dnd' });
    t.strictSame(await server.get('/v5/rooms/late/members', { ticket: vid.ticket }), { anna: 'dnd' });
    await server.call('/v5/presences/show', { ticket: anna.ticket, show: 'chat' });
    t.match(await server.poll(jack.ticket), {
      messages: [],
      presences: [{ from: 'anna', type: 'show', show: 'chat', nick: 'ANNA' }],
    });
    await server.call('/v5/messages', { ticket: anna.ticket, to: 'lobby', type: 'grpchat', body: 'all' });
    t.match(await server.poll(jack.ticket), { messages: [{ body: 'all', nick: 'ANNA' }], presences: [] });
    const again = await server.online('jack', { client: 'phone' });
    t.match(
      await server.poll(jack.ticket),
      { status: 'error', message: 'ticket not found' },
      'the name is taken again',
    );
    t.not(again.ticket, jack.ticket);
  };
});

scenes.set('the MQTT session of a ticket goes on, and its will is not published', async (t, server) => {
  const { ticket } = await server.online('mike');
  const rose = await server.online('rose');
  const connect = (t: Test) =>
    mqttClient(t, server.mqtt, {
      username: 'a.example',
      password: ticket,
      clientId: 'phone',
      clean: false,
      properties: { sessionExpiryInterval: 60 },
      will: { topic: '/domain/a.example/uid/rose', payload: Buffer.from('mike is gone'), qos: 1, retain: false },
    });
  const first = await connect(t);
  first.client.on('error', () => undefined);
  await server.push('rose', 'mike', 'one');
  t.match(JSON.parse(await first.payload()), { messages: [{ body: 'one' }] });
  return async (t) => {
    const again = await connect(t);
    t.equal(again.connack?.sessionPresent, true);
    await server.push('rose', 'mike', 'two');
    const bodies: string[] = [];
    while (!bodies.includes('two')) {
      const { messages } = JSON.parse(await again.payload()) as { messages: { body: string }[] };
      bodies.push(...messages.map(({ body }) => body));
    }
    t.ok(['two', 'one,two'].includes(bodies.join()), 'what was not acknowledged comes again, first');
    await server.push('mike', 'rose', 'here');
    t.match(await server.poll(rose.ticket), { messages: [{ body: 'here' }] }, 'no will');
  };
});

t.test('after an orderly restart', async (t) => {
  const server = await restartingServer(t);
  const after = new Map<string, (t: Test) => Promise<void>>();
  for (const [title, scene] of scenes) after.set(title, await scene(t, server));
  t.equal(await server.stop('SIGTERM'), 0);
  await server.start();
  for (const [title, check] of after) await t.test(title, check);
});
