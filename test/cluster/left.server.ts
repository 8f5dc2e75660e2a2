/** A node that ends has no time to hand its users over: it leaves them in JetStream, and the other nodes go on with them. */
import t from 'tap';
import { CountingSocket } from '../support/counting.js';
import { clusterSettings, jetStreamServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, siteA, type TestServer, testServer } from '../support/server.js';
import { SteadyClock } from '../support/steady-clock.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');

/** Three nodes, of which the first, as it ends, finds the time for its handover over before that has begun. */
async function setUp(t: Cleaner) {
  const steady = SteadyClock.start(t);
  let skippedMs = 0;
  const skipping = {
    now: () => steady.now() + skippedMs,
    after: (ms: number, task: () => void) => steady.after(ms, task),
  };
  const own = { cluster: { store: 'jetstream', leaveMs: 300 }, presence: { clientIdleMs: 600_000, graceMs: 60_000 } };
  const settings = clusterSettings(await jetStreamServer(t), own);
  const start = (node: string, clock = steady as typeof skipping) =>
    testServer(t, merge(settings, { cluster: { node } }), clock);
  const nodes = [await start('n1', skipping), await start('n2'), await start('n3')] as const;
  const end = (): Promise<void> => {
    const ended = nodes[0].drain();
    skippedMs += 2000;
    return ended;
  };
  return { nodes, end };
}

function written(node: TestServer, count: number): Promise<unknown> {
  return until(`${count} records`, () => node.metrics.jetstream.written >= count);
}

t.test(
  'whom a node that ends has no time to hand over goes on at the other nodes, misses nothing and is told of nothing missed',
  { skip },
  async (t) => {
    const { nodes, end } = await setUp(t);
    const [n1, n2, n3] = nodes;
    const site = n1.site();
    const users = Array.from({ length: 30 }, (_, n) => `user${n}`);
    const tickets = new Map<string, string>();
    for (const name of ['alice', 'carol', ...users]) tickets.set(name, (await site.online(name)).ticket);
    const come = async (name: string, node: TestServer): Promise<CountingSocket> => {
      const client = new CountingSocket(node.port, tickets.get(name) as string);
      t.teardown(() => client.close());
      await client.connect();
      return client;
    };
    await written(n1, tickets.size);
    const alice = await come('alice', n1);
    await n2.site().push('bob', 'alice', 'one');
    await alice.has(1);
    alice.say('received');
    await n2.site().push('bob', 'carol', 'waits');
    await n1.settled();
    const [era] = alice.position.split('.');
    const ended = end();
    await n2.site().push('bob', 'alice', 'two');
    await n3.site().push('bob', 'alice', 'three');
    await ended;
    t.strictSame([n1.metrics.cluster.handedOver, n1.metrics.cluster.left], [0, tickets.size]);
    alice.port = n3.port;
    await alice.connect();
    await n2.site().push('bob', 'alice', 'four');
    await alice.has(4);
    t.strictSame([alice.bodies, alice.missed, alice.lost], [['one', 'two', 'three', 'four'], 0, 0]);
    t.ok(alice.frames.every(({ missed }) => missed === undefined || missed === 0));
    t.equal(alice.position, `${era}.4`, 'in the same era');
    const carol = await come('carol', n2);
    await carol.has(1);
    t.strictSame(carol.bodies, ['waits']);
    // Nobody has asked for the others.
    await until('all users', () => n2.metrics.cluster.adopted + n3.metrics.cluster.adopted >= tickets.size);
    t.ok(n2.metrics.cluster.adopted > 0 && n3.metrics.cluster.adopted > 0, 'each node has its share');
    t.equal(Object.keys(await n3.site().presences(...users)).length, users.length, 'they are online');
    await n3.site().push('bob', 'user7', 'hello');
    const user = await come('user7', n2);
    await user.has(1);
    t.strictSame([user.bodies, n2.metrics.domain(siteA.domain).dropped.offline], [['hello'], 0]);
  },
);
