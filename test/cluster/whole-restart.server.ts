/** All nodes of a cluster with JetStream are ended in order and started again: clients go on as after the restart of a server on its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { client } from '../mqtt/support/clients.js';
import { CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { clusterSettings, jetStreamServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type Settings, siteA, type TestServer, testServer } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');
const kinds = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

interface Cluster {
  start(name: string, more?: Settings): Promise<TestServer>;
}

async function cluster(t: Cleaner, domain: Settings = {}): Promise<Cluster> {
  const own = { cluster: { store: 'jetstream', leaveMs: 0 }, domains: [{ ...siteA, ...domain }] };
  const settings = clusterSettings(await jetStreamServer(t), own);
  return { start: (name, last = {}) => testServer(t, merge(merge(settings, { cluster: { node: name } }), last)) };
}

/** Ends nodes as SIGTERM does, one after the other or all at once. */
async function endAll(nodes: readonly TestServer[], how: 'one after the other' | 'at once'): Promise<void> {
  const end = async (node: TestServer): Promise<void> => {
    await node.drain();
    await node.close();
  };
  if (how === 'at once') await Promise.all(nodes.map(end));
  else for (const node of nodes) await end(node);
}

for (const [name, Client] of Object.entries(kinds)) {
  t.test(
    `over ${name} a client has what waited for it when all nodes are ended and started again, and is told of nothing missed`,
    { skip },
    async (t) => {
      const { start } = await cluster(t);
      const nodes = [await start('n1'), await start('n2')] as const;
      const { ticket } = await nodes[0].site().online('jack', { buddies: 'anna' });
      const client = new Client(nodes[0].port, ticket);
      t.teardown(() => client.close());
      await client.connect();
      await nodes[1].site().push('anna', 'jack', 'one');
      await client.has(1);
      client.disconnect();
      await nodes[1].site().push('anna', 'jack', 'two');
      const [era] = client.position.split('.');
      await endAll(nodes, 'one after the other');
      const again = [await start('n1'), await start('n2')] as const;
      await again[0].site().push('anna', 'jack', 'three');
      client.port = again[1].port;
      await client.connect();
      await client.has(3);
      t.strictSame(client.bodies, ['one', 'two', 'three']);
      t.strictSame([client.missed, client.lost], [0, 0]);
      t.ok(client.frames.every(({ missed }) => missed === undefined || missed === 0));
      t.equal(client.position, `${era}.3`, 'in the era before the restart, and with no presence');
    },
  );
}

t.test(
  'shows, rooms, names of clients and what waits are there when all nodes are ended at once and started again, and nobody is told',
  { skip },
  async (t) => {
    const { start } = await cluster(t);
    const nodes = [await start('n1'), await start('n2')] as const;
    const one = nodes[0].site();
    const anna = await nodes[1].site().online('anna', { rooms: 'lobby' });
    await one.online('ghost', { show: 'invisible', rooms: 'lobby' });
    const jack = await one.online('jack', { buddies: 'anna', rooms: 'lobby', show: 'away', client: 'phone' });
    // So much that it is in several pieces, some of which end within a character.
    const long = Array.from({ length: 40 }, (_, n) => `${n} ${'😀ü'.repeat(1300)}`);
    for (const body of long) await one.push('anna', 'jack', body);
    await endAll(nodes, 'at once');
    const again = [await start('n1'), await start('n2')] as const;
    for (const node of again) {
      t.strictSame(await node.site().presences('jack', 'anna', 'ghost'), { jack: 'away', anna: 'available' });
      t.strictSame(await node.site().members(jack.ticket, 'lobby'), { jack: 'away', anna: 'available' });
    }
    await again[1].site().say(anna.ticket, 'lobby', 'to all');
    const socket = new CountingSocket(again[1].port, jack.ticket);
    t.teardown(() => socket.close());
    await socket.connect();
    await socket.has(long.length + 1);
    t.strictSame(socket.bodies, [...long, 'to all']);
    const told = socket.frames.flatMap(({ presences = [] }) => presences);
    t.strictSame(told, [], 'no presence');
  },
);

t.test(
  'whose record is up to date and for whom nothing waits is not written again when all nodes are ended, and goes on from the position of the client',
  { skip },
  async (t) => {
    const { start } = await cluster(t);
    const node = await start('n1');
    const { ticket } = await node.site().online('jack');
    const client = new CountingSocket(node.port, ticket);
    t.teardown(() => client.close());
    await client.connect();
    await node.site().push('anna', 'jack', 'one');
    await client.has(1);
    client.say('received');
    const users = Array.from({ length: 50 }, (_, n) => `user${n}`);
    for (const user of users) await node.site().online(user);
    const { jetstream } = node.metrics;
    await until('all users are written', () => jetstream.written > users.length);
    await node.settled();
    client.disconnect();
    const [era] = client.position.split('.');
    const before = jetstream.written;
    await node.drain();
    t.ok(jetstream.written - before < 20, `${jetstream.written - before} records for 51 users`);
    await node.close();
    const again = await start('n1');
    await again.site().push('anna', 'jack', 'two');
    client.port = again.port;
    await client.connect();
    await client.has(2);
    t.strictSame([client.bodies, client.missed, client.lost], [['one', 'two'], 0, 0]);
    t.equal(client.position, `${era}.2`, 'in the same era');
    const shows = await again.site().presences('jack', ...users);
    t.equal(Object.keys(shows).length, users.length + 1, 'all users are online');
  },
);

t.test(
  'who comes online anew after all nodes were restarted has the messages that nobody had confirmed, and an offline user those that were kept, once',
  { skip },
  async (t) => {
    const { start } = await cluster(t, { offline: true });
    const nodes = [await start('n1'), await start('n2')] as const;
    await nodes[0].site().online('jack');
    for (const name of ['jack', 'rose']) await nodes[1].site().push('anna', name, `to ${name}`);
    await endAll(nodes, 'at once');
    const again = [await start('n1'), await start('n2')] as const;
    for (const name of ['jack', 'rose']) {
      const person = await again[1].site().arrive(name);
      t.match(await person.next(), { body: `to ${name}` });
      t.strictSame(await person.before(), [], 'once');
    }
  },
);

t.test(
  'what a node has left that does not come back goes on at another node, and is not there where durability is none',
  { skip },
  async (t) => {
    const { start } = await cluster(t);
    const first = await start('n1');
    const { ticket } = await first.site().online('jack');
    await first.site().push('anna', 'jack', 'one');
    await endAll([first], 'at once');
    const other = await start('n2');
    const jack = new CountingSocket(other.port, ticket);
    t.teardown(() => jack.close());
    await jack.connect();
    await jack.has(1);
    t.strictSame([jack.bodies, jack.missed], [['one'], 0]);
    await other.site().push('anna', 'jack', 'two');
    await jack.has(2);
    jack.say('received');
    await other.settled();
    jack.disconnect();
    await endAll([other], 'at once');
    const none = await start('n2', { domains: [{ ...siteA, durability: 'none' }] });
    jack.port = none.port;
    await jack.connect();
    t.match(jack.frames.at(-1), { status: 'error', message: 'ticket not found' });
  },
);

t.test(
  'who was on a node is there when it starts again after another node, also before a client comes',
  { skip },
  async (t) => {
    const { start } = await cluster(t);
    const lease = { cluster: { leaseMs: 300 } };
    const first = await start('n1', lease);
    await first.site().online('jack');
    await endAll([first], 'at once');
    const other = await start('n2', lease);
    t.strictSame(await other.site().presences('jack'), {});
    // Else it would be taken for one that started at the same time.
    await sleep(lease.cluster.leaseMs);
    const again = await start('n1', lease);
    t.strictSame(await again.site().presences('jack'), { jack: 'available' });
  },
);

t.test(
  'the MQTT session of a ticket, with what waits for it, goes on when all nodes are ended and started again, and its will is not published',
  { skip },
  async (t) => {
    const { start } = await cluster(t);
    const node = await start('n1');
    const { ticket } = await node.site().online('jack');
    const anna = await node.site().online('anna');
    const connect = (to: TestServer) =>
      client(t, `ws://127.0.0.1:${to.port}/mqtt`, {
        ...{ username: siteA.domain, password: ticket, clientId: 'phone', clean: false },
        properties: { sessionExpiryInterval: 60 },
        will: {
          topic: `/domain/${siteA.domain}/uid/anna`,
          payload: Buffer.from('jack is gone'),
          qos: 1,
          retain: false,
        },
      });
    const first = await connect(node);
    first.client.on('error', () => undefined);
    await node.site().push('anna', 'jack', 'one');
    t.match(JSON.parse(await first.payload()), { messages: [{ body: 'one' }] });
    await endAll([node], 'at once');
    const again = await start('n1');
    await again.site().push('anna', 'jack', 'two');
    const second = await connect(again);
    t.equal(second.connack?.sessionPresent, true);
    const bodies: string[] = [];
    while (!bodies.includes('two')) {
      const { messages } = JSON.parse(await second.payload()) as { messages: { body: string }[] };
      bodies.push(...messages.map(({ body }) => body));
    }
    t.ok(['two', 'one,two'].includes(bodies.join()), 'what was not acknowledged comes again, first');
    await again.site().push('jack', 'anna', 'here');
    const poll = new CountingPoll(again.port, anna.ticket);
    t.teardown(() => poll.close());
    await poll.connect();
    await poll.has(1);
    t.strictSame(poll.bodies, ['here'], 'no will');
  },
);
