/** A user's first node stands still, within its lease, while the user comes online through another one. */
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { clusterSettings, type NatsServer, natsServer, ProcessNode } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type TestServer, testServer } from '../support/server.js';
import { converges } from '../support/watching-user.js';
import { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
/** A lease that does not end during the test. */
const LEASE_MS = 60_000;

async function slowAndOther(t: Cleaner, nats: NatsServer, leaseMs = LEASE_MS): Promise<[ProcessNode, TestServer]> {
  const presence = { graceMs: 600_000, clientIdleMs: 600_000 };
  const settings = clusterSettings(nats, { cluster: { leaseMs }, presence });
  const other = await testServer(t, merge(settings, { cluster: { node: 'other' } }));
  const { name } = settings.cluster as { name: string };
  const sets = {
    'cluster.name': name,
    'cluster.leaseMs': leaseMs,
    'presence.graceMs': presence.graceMs,
    'presence.clientIdleMs': presence.clientIdleMs,
  };
  return [await ProcessNode.start(t, nats.url, 'slow', sets), other];
}

t.test(
  'an invisible user stays invisible when a second client comes while the first node is slow',
  { skip },
  async (t) => {
    const [slow, other] = await slowAndOther(t, await natsServer(t));
    const bob = await other.site().arrive('bob', { buddies: 'alice' });
    const first = await slow.site().arrive('alice', { show: 'invisible', status: 'hiding', rooms: 'tea' });
    slow.process.kill('SIGSTOP');
    const second = await other.site().arrive('alice');
    t.strictSame(await other.site().presences('alice'), {});
    slow.process.kill('SIGCONT');
    await bob.site.message(bob.ticket, 'alice', 'are you there?');
    t.hasStrict(await first.next(), { body: 'are you there?' });
    t.hasStrict(await second.next(), { body: 'are you there?' });
    for (const node of [slow, other]) t.strictSame(await node.site().presences('alice'), {});
    t.strictSame(await bob.before(), [], 'Bob is told nothing of Alice');
    await bob.site.join(bob.ticket, 'tea');
    for (const client of [first, second]) t.hasStrict(await client.next(), { from: 'bob', type: 'join', to: 'tea' });
    await second.show('available');
    t.hasStrict(await bob.next(), { from: 'alice', type: 'online', status: 'hiding' });
  },
);

t.test(
  'messages kept for a user come with a reload through another node while the first is slow',
  { skip },
  async (t) => {
    const [slow, other] = await slowAndOther(t, await natsServer(t));
    const first = await slow.site().arrive('alice');
    first.client.close();
    for (let n = 0; n < 3; n++) await other.site().push('bob', 'alice', `${n}`);
    slow.process.kill('SIGSTOP');
    await other.site().push('bob', 'alice', '3');
    const again = await other.site().arrive('alice');
    slow.process.kill('SIGCONT');
    await other.site().push('bob', 'alice', '4');
    for (let n = 0; n < 5; n++) t.hasStrict(await again.next(), { body: `${n}` });
    t.strictSame(await again.before(), [], 'each message has come once');
  },
);

t.test('messages kept on both sides of a gap come once each', { skip }, async (t) => {
  const [slow, other] = await slowAndOther(t, await natsServer(t), 2500);
  const desk = await slow.site().arrive('alice');
  const phone = await other.site().arrive('alice');
  await other.site().push('bob', 'alice', 'before');
  for (const client of [desk, phone]) t.hasStrict(await client.next(), { body: 'before' });
  phone.client.close();
  slow.process.kill('SIGSTOP');
  await converges(() => (other.metrics.cluster.nodesLost === 1 ? [] : ['not lost yet']));
  for (let n = 0; n < 3; n++) await other.site().push('bob', 'alice', `${n}`);
  slow.process.kill('SIGCONT');
  for (let n = 0; n < 3; n++) t.hasStrict(await desk.next(), { body: `${n}` });
  const back = await WebSocketClient.connect(other, phone.ticket);
  for (let n = 0; n < 3; n++) t.hasStrict(await back.next(), { body: `${n}` });
  await other.site().push('bob', 'alice', 'after');
  for (const client of [desk, back]) t.hasStrict(await client.next(), { body: 'after' });
});

t.test(
  'over every transport clients hear of what went through the node of another client, which is lost',
  { skip },
  async (t) => {
    const [slow, other] = await slowAndOther(t, await natsServer(t), 2500);
    await slow.site().arrive('alice');
    const clients = [CountingSocket, CountingPoll, CountingStream].map(async (Client) => {
      const client = new Client(other.port, (await other.site().online('alice')).ticket);
      t.teardown(() => client.close());
      await client.connect();
      return client;
    });
    const here = await Promise.all(clients);
    await other.site().push('bob', 'alice', 'before');
    for (const client of here) await client.has(1);
    slow.process.kill('SIGSTOP');
    await other.site().push('bob', 'alice', 'lost');
    for (const client of here)
      await client.until(() => client.frames.some(({ missed }) => missed === true), 'word of a loss');
    await other.site().push('bob', 'alice', 'after');
    for (const client of here) {
      await client.until(() => client.bodies.includes('after'), 'what follows');
      const told = client.frames.filter(({ missed }) => missed !== undefined);
      t.match(told, [{ missed: true, position: /^\w+\.\d+$/ }]);
      t.equal(told.length, 1, 'it is told once');
    }
  },
);
