/** A node that ends in order hands its clients over to the others: they go on with their tickets, and nobody else notices. */
import mqtt from 'mqtt';
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { siteA, type TestServer } from '../support/server.js';
import type { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
const clients = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };
const settings = { cluster: { leaveMs: 300 }, presence: { graceMs: 200 } };

function eraOf(position: string): string {
  return position.slice(0, position.lastIndexOf('.'));
}

function clientsOf(node: TestServer): number {
  return node.metrics.domain(siteA.domain).clients;
}

for (const [name, Client] of Object.entries(clients)) {
  t.test(
    `over ${name} a client goes on elsewhere where it was when its node has ended in order, and its buddies see nothing`,
    { skip },
    async (t) => {
      const [n1, n2, n3] = await testCluster(t, await natsServer(t), 3, settings);
      const bob = await n2.site().arrive('bob', { buddies: 'alice' });
      const { ticket } = await n1.site().online('alice', { buddies: 'bob', rooms: 'r1' });
      t.hasStrict(await bob.next(), { from: 'alice', type: 'online' });
      const alice = n1.own(new Client(n1.port, ticket));
      await alice.connect();
      await n2.site().push('carl', 'alice', '1');
      await alice.has(1);
      const before = eraOf(alice.position);
      const draining = n1.drain();
      alice.disconnect();
      await n2.site().push('carl', 'alice', '2');
      await draining;
      t.equal(clientsOf(n2) + clientsOf(n3), 2, 'another node has the client');
      await n3.site().push('carl', 'alice', '3');
      alice.port = n2.port;
      await alice.connect();
      await alice.has(3);
      await n3.site().push('carl', 'alice', '4');
      await alice.has(4);
      t.strictSame(alice.bodies, ['1', '2', '3', '4']);
      t.strictSame([alice.missed, alice.lost], [0, 0]);
      t.equal(eraOf(alice.position), before, 'its position goes on');
      await n3.site().message(ticket, 'bob', 'here still');
      t.hasStrict(await bob.next(), { body: 'here still' }, 'Bob has seen no presence');
      t.strictSame(await n2.site().presences('alice'), { alice: 'available' });
      alice.disconnect();
      alice.port = n3.port;
      await alice.connect();
      await n2.site().push('carl', 'alice', '5');
      await alice.has(5);
      t.equal(alice.bodies.at(-1), '5', 'through any node');
      await n2.site().offline(ticket);
      t.hasStrict(await bob.next(), { from: 'alice', type: 'offline' });
    },
  );
}

t.test(
  'a client that is connected through another node, and one without a position, go on as well',
  { skip },
  async (t) => {
    const [n1, n2, n3] = await testCluster(t, await natsServer(t), 3, settings);
    const alice = await n1.site().arrive('alice', { rooms: 'r1' });
    const { ticket } = await n1.site().online('dora', { rooms: 'r1' });
    const dora = n2.own(new CountingSocket(n2.port, ticket));
    await dora.connect();
    const ended = new Promise((resolve) => dora.socket?.on('close', resolve));
    await n1.drain();
    t.equal((await (alice.client as WebSocketClient).closed).code, 1001);
    t.equal(await ended, 1001);
    await n3.site().push('carl', 'gid:r1', 'to all', { type: 'grpchat' });
    dora.port = n3.port;
    await dora.connect();
    await dora.has(1);
    t.strictSame(dora.bodies, ['to all']);
  },
);

t.test(
  'a session of a backend that outlives its connection goes on elsewhere, with what was published meanwhile, once and in order',
  { skip },
  async (t) => {
    const [n1, n2, n3] = await testCluster(t, await natsServer(t), 3, settings);
    const options = {
      protocolVersion: 5,
      ...{ username: siteA.domain, password: siteA.apikey, clientId: 'backend', clean: false, reconnectPeriod: 0 },
      properties: { sessionExpiryInterval: 600 },
    } as const;
    const bodies: string[] = [];
    const connect = async (node: TestServer): Promise<{ client: mqtt.MqttClient; isPresent: boolean }> => {
      const client = mqtt.connect(`ws://127.0.0.1:${node.port}/mqtt`, options);
      client.on('message', (_topic, payload) => bodies.push(payload.toString()));
      const isPresent = await new Promise<boolean>((resolve, reject) => {
        client.once('connect', ({ sessionPresent }) => resolve(sessionPresent));
        client.once('error', reject);
      });
      n2.own({ close: () => client.end(true) });
      return { client, isPresent };
    };
    const first = await connect(n1);
    await first.client.subscribeAsync('news/#', { qos: 1 });
    const publisher = await mqtt.connectAsync(`ws://127.0.0.1:${n2.port}/mqtt`, { ...options, clientId: 'publisher' });
    n2.own({ close: () => publisher.end(true) });
    let sent = 0;
    const publish = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        await publisher.publishAsync('news/1', String(sent), { qos: 1 });
        sent += 1;
      }
    };
    const has = async (count: number): Promise<void> => {
      await n3.settledWhile(() => bodies.length < count);
    };
    await publish(5);
    await has(5);
    const draining = n1.drain();
    const publishing = publish(50);
    await Promise.all([draining, publishing]);
    await publish(5);
    const { isPresent } = await connect(n3);
    t.ok(isPresent, 'the session is there');
    await publish(5);
    await has(sent);
    t.strictSame(
      bodies,
      Array.from({ length: sent }, (_, n) => String(n)),
    );
  },
);
