/** A node of a cluster is killed, or cut off: its clients go on with their tickets at other nodes, where JetStream has these. */
import { connect } from '@nats-io/transport-node';
import t, { type Test } from 'tap';
import { CountingSocket } from '../support/counting.js';
import { written } from '../support/kept-writes.js';
import { jetStreamServer, type NatsServer, noneReads, ProcessNode } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, siteA, siteB } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');
const LEASE_MS = 2000;
const durable = { ...siteB, durability: 'always', history: {} };
const domains = JSON.stringify([siteA, durable]);

type More = Readonly<Record<string, unknown>>;

function start(t: Cleaner, nats: NatsServer, name: string, more: More = {}): Promise<ProcessNode> {
  return ProcessNode.start(t, nats.url, name, { 'cluster.store': 'jetstream', 'cluster.leaseMs': LEASE_MS, ...more });
}

/** Three processes that are one cluster, which is kept in JetStream. Another starts in the place of each that is killed. */
class Cluster {
  readonly #nodes: Promise<ProcessNode>[] = [];
  /** How many of them have been started. */
  #count = 0;

  constructor(
    private readonly t: Cleaner,
    readonly nats: NatsServer,
  ) {}

  async nodes(): Promise<[ProcessNode, ProcessNode, ProcessNode]> {
    while (this.#nodes.length < 3) {
      this.#count += 1;
      this.#nodes.push(start(this.t, this.nats, `n${this.#count}`, { domains }));
    }
    return (await Promise.all(this.#nodes)) as [ProcessNode, ProcessNode, ProcessNode];
  }

  /** Kills the node that was started first; answers its name. */
  async killFirst(): Promise<string> {
    const name = `n${this.#count - this.#nodes.length + 1}`;
    const node = await this.#nodes.shift();
    node?.process.kill('SIGKILL');
    await node?.process.ended;
    return name;
  }
}

/** Resolves when a node says that it has lost another one. */
async function lost(node: ProcessNode, other: string): Promise<void> {
  while ((await node.process.event('node lost')).node !== other);
}

/** Connects where the client is told to come later until it is let in. */
async function comeBack(client: CountingSocket, port: number): Promise<void> {
  client.port = port;
  await until(`a client let in at port ${port}`, async () => {
    try {
      await client.connect();
      return client.frames.at(-1)?.status === 'ok';
    } catch {
      return false;
    }
  });
}

/** Waits until JetStream has ids of messages of all these senders. */
async function hasIds(nats: NatsServer, senders: readonly string[]): Promise<void> {
  const connection = await connect({ servers: nats.url });
  const ask = (call: string, body: object) =>
    connection.request(`$JS.API.STREAM.${call}.nextalk_ids`, JSON.stringify(body));
  try {
    await until(`ids of ${senders} in JetStream`, async () => {
      const { state } = (await ask('INFO', {})).json<{ readonly state: { readonly last_seq: number } }>();
      let found = '';
      for (let seq = 1; seq <= state.last_seq; seq++) {
        const { message } = (await ask('MSG.GET', { seq })).json<{ readonly message?: { readonly data: string } }>();
        found += Buffer.from(message?.data ?? '', 'base64').toString();
      }
      return senders.every((sender) => found.includes(`/uid/${sender}\\n`));
    });
  } finally {
    await connection.close();
  }
}

type Scene = (t: Test, cluster: Cluster) => Promise<void>;

/** One after another on one cluster, each with users of its own. */
const scenes: Readonly<Record<string, Scene>> = {
  'a node is killed: its client goes on at another one, is told that it may have missed something, and its buddies see nothing':
    async (t, cluster) => {
      const [n1, n2, n3] = await cluster.nodes();
      const bob = await n2.site().arrive('bob', { buddies: 'alice' });
      const { ticket } = await n1.site().online('alice', { buddies: 'bob', rooms: 'r1' });
      t.hasStrict(await bob.next(), { from: 'alice', type: 'online' });
      const alice = n2.own(new CountingSocket(n1.port, ticket));
      await alice.connect();
      await n2.site().push('carl', 'alice', 'before');
      await alice.has(1);
      await written(cluster.nats, [n1]);
      await cluster.killFirst();
      alice.disconnect();
      await comeBack(alice, n3.port);
      await alice.until(() => alice.frames.some(({ missed }) => missed === true), 'missed');
      await n2.site().push('carl', 'alice', 'after');
      await alice.has(2);
      t.strictSame(alice.bodies, ['before', 'after']);
      t.strictSame(await n2.site().presences('alice'), { alice: 'available' });
      await n2.site().push('carl', 'r1', 'in the room', { type: 'grpchat' });
      await alice.has(3);
      await n2.site().message(ticket, 'bob', 'here still');
      t.hasStrict(await bob.next(), { body: 'here still' }, 'Bob has seen no presence');
      const other = { ticket: `${ticket.slice(0, -1)}z`, to: 'bob', body: 'x' };
      t.equal((await n2.site().post('/v5/messages', other)).status, 404);
      const wrong = `${ticket.slice(0, -1)}${ticket.endsWith('0') ? '1' : '0'}`;
      t.equal((await n2.site().post('/v5/messages', { ticket: wrong, to: 'bob', body: 'x' })).status, 404);
    },

  'a node is killed: what is sent to its users comes to them once and in order, also what was sent before the others knew of its end':
    async (t, cluster) => {
      const [n1, n2, n3] = await cluster.nodes();
      const arrive = async (node: ProcessNode, name: string): Promise<CountingSocket> => {
        const { ticket } = await node.site().online(name);
        const client = n2.own(new CountingSocket(node.port, ticket));
        await client.connect();
        return client;
      };
      const [hugo, iris] = [await arrive(n1, 'hugo'), await arrive(n1, 'iris')];
      const irisElsewhere = await arrive(n2, 'iris');
      await written(cluster.nats, [n1, n2]);
      const killed = await cluster.killFirst();
      await noneReads(cluster.nats, killed);
      const sent: string[] = [];
      const send = async (): Promise<void> => {
        const body = `message ${sent.length}`;
        sent.push(body);
        for (const to of ['hugo', 'iris']) await n3.site().push('carl', to, body);
        await new Promise((resolve) => setTimeout(resolve, 20));
      };
      let isLost = false;
      void lost(n3, killed).then(() => {
        isLost = true;
      });
      while (!isLost) await send();
      const duringLease = sent.length;
      for (let n = 0; n < 5; n += 1) await send();
      hugo.disconnect();
      await comeBack(hugo, n2.port);
      for (let n = 0; n < 5; n += 1) await send();
      for (const client of [hugo, irisElsewhere]) {
        await client.until(() => client.bodies.includes(sent.at(-1) as string), 'the last');
        t.strictSame(
          client.bodies,
          sent,
          `of ${sent.length} messages ${duringLease} were sent before the end of the lease`,
        );
      }
      iris.disconnect();
    },

  'a node is killed: its client that is connected through another one is told to come again, with 1012, and goes on':
    async (t, cluster) => {
      const [n1, n2] = await cluster.nodes();
      const { ticket } = await n1.site().online('dora');
      const dora = n2.own(new CountingSocket(n2.port, ticket));
      await dora.connect();
      const closed = new Promise((resolve) => dora.socket?.once('close', resolve));
      await written(cluster.nats, [n1]);
      await cluster.killFirst();
      t.equal(await closed, 1012);
      await comeBack(dora, n2.port);
      await n2.site().push('carl', 'dora', 'here');
      await dora.has(1);
    },

  'a node that was stopped and goes on gives up what another one has taken over, with 1012': async (t, cluster) => {
    const [n1, n2, n3] = await cluster.nodes();
    const paul = await n2.site().arrive('paul', { buddies: 'emma' });
    const { ticket } = await n1.site().online('emma', { buddies: 'paul' });
    t.hasStrict(await paul.next(), { from: 'emma', type: 'online' });
    const stuck = n2.own(new CountingSocket(n1.port, ticket));
    await stuck.connect();
    const closed = new Promise((resolve) => stuck.socket?.once('close', resolve));
    await written(cluster.nats, [n1]);
    n1.process.kill('SIGSTOP');
    const emma = n2.own(new CountingSocket(n3.port, ticket));
    await comeBack(emma, n3.port);
    // Until this node knows as well that the first one is gone, it sends messages there.
    let n = 0;
    const told = await until('a message delivered at the other node', async () => {
      const fields = { from: 'carl', to: 'emma', body: `while it stood ${n++}`, receipt: '1' };
      const { body } = await n2.site().post('/v5/messages', fields);
      return (body as { readonly outcome: string }).outcome === 'delivered' && fields.body;
    });
    await emma.until(() => emma.bodies.includes(told), told);
    n1.process.kill('SIGCONT');
    t.equal(await closed, 1012);
    await n2.site().push('carl', 'emma', 'after');
    await emma.until(() => emma.bodies.includes('after'), 'after');
    t.equal(emma.bodies.filter((body) => body === told).length, 1);
    t.ok(emma.bodies.indexOf(told) < emma.bodies.indexOf('after'));
    await n2.site().message(ticket, 'paul', 'here still');
    t.hasStrict(await paul.next(), { body: 'here still' }, 'Paul has seen no presence');
    await comeBack(stuck, n1.port);
    await n3.site().push('carl', 'emma', 'through the first node');
    await stuck.until(() => stuck.bodies.includes('through the first node'), 'message');
  },

  'two clients of an endpoint whose node was killed come to two nodes at once: one node has the endpoint, and both go on':
    async (t, cluster) => {
      const [n1, n2, n3] = await cluster.nodes();
      const clients = [];
      for (const name of ['tab1', 'tab2']) {
        const { ticket } = await n1.site().online('fred', { client: name });
        const client = n2.own(new CountingSocket(n1.port, ticket));
        await client.connect();
        clients.push(client);
      }
      const [one, two] = clients as [CountingSocket, CountingSocket];
      await written(cluster.nats, [n1]);
      await cluster.killFirst();
      for (const client of clients) client.disconnect();
      await Promise.all([comeBack(one, n2.port), comeBack(two, n3.port)]);
      await n3.site().push('carl', 'fred', 'to both');
      await Promise.all([one.has(1), two.has(1)]);
      await n2.site().push('carl', 'fred', 'again');
      await Promise.all([one.has(2), two.has(2)]);
      t.strictSame(
        [one.bodies, two.bodies],
        [
          ['to both', 'again'],
          ['to both', 'again'],
        ],
      );
    },

  'durable always: what waited on a node that was killed is deleted before anybody has taken it over': async (
    t,
    cluster,
  ) => {
    const [n1, n2, n3] = await cluster.nodes();
    const { ticket } = await n1.site(durable).online('alice');
    for (const id of ['one', 'two']) await n1.site(durable).push('carl', 'alice', id, { id });
    await n1.site(durable).push('dora', 'alice', 'of a conversation');
    await written(cluster.nats, [n1], durable);
    const name = await cluster.killFirst();
    await Promise.all([n2, n3].map((node) => lost(node, name)));
    const status = { name: 'carl', to: 'alice', show: 'deleted one' };
    t.match(await n2.site(durable).post('/v5/statuses', status), { status: 200 });
    const query = { domain: durable.domain, name: 'dora', with: 'alice' };
    t.match(await n2.site(durable).send({ method: 'DELETE', path: '/v5/history', query }), { status: 200 });
    const alice = n2.own(new CountingSocket(n2.port, ticket, durable.domain));
    await comeBack(alice, n3.port);
    await n2.site(durable).push('carl', 'alice', 'last');
    await alice.until(() => alice.bodies.includes('last'), 'the last');
    t.strictSame(alice.bodies, ['two', 'last']);
  },

  'durable always: of a user’s two nodes one is killed: rooms are left meanwhile, and nothing is lost that only the other client had':
    async (t, cluster) => {
      const [n1, n2, n3] = await cluster.nodes();
      const arrive = async (node: ProcessNode, name: string, more = {}): Promise<CountingSocket> => {
        const { ticket } = await node.site(durable).online(name, more);
        const client = n2.own(new CountingSocket(node.port, ticket, durable.domain));
        await client.connect();
        return client;
      };
      const pair = async (name: string) => {
        const dies = await arrive(n1, name, { rooms: 'two' });
        const lives = await arrive(n2, name);
        await n3.site(durable).push('carl', name, 'before');
        await dies.has(1);
        return { name, dies, lives };
      };
      const [ivy, jan] = [await pair('ivy'), await pair('jan')];
      const senders = ['s1', 's2', 's3', 's4', 's5', 's6', 's7', 's8'];
      const send = (from: string) => n2.site(durable).push(from, 'rob', `from ${from}`, { id: 'one' });
      const rob = await arrive(n2, 'rob');
      for (const from of senders) await send(from);
      await rob.has(senders.length);
      await written(cluster.nats, [n1, n2], durable);
      await hasIds(cluster.nats, senders);
      const killed = await cluster.killFirst();
      await Promise.all([n2, n3].map((node) => lost(node, killed)));
      for (const { name, dies, lives } of [ivy, jan]) {
        dies.disconnect();
        const fields = { ticket: lives.ticket };
        t.match(await n3.site(durable).post('/v5/rooms/two/leave', fields), { status: 200 });
        await n3.site(durable).push('carl', name, 'meanwhile');
        await lives.has(2);
      }
      for (const node of [n2, n3]) {
        const query = { domain: durable.domain };
        const { body } = await node.site(durable).send({ path: '/v5/rooms/two/members', query });
        t.strictSame(body, {}, 'nobody is in the room any more');
      }
      await n2.site(durable).offline(ivy.lives.ticket);
      await comeBack(ivy.dies, n3.port);
      await comeBack(jan.dies, n3.port);
      await n3.site(durable).push('carl', 'jan', 'after');
      await jan.dies.until(() => jan.dies.bodies.includes('after'), 'after');
      await n2.site(durable).offline(jan.lives.ticket);
      for (const { dies } of [ivy, jan])
        await dies.until(() => dies.bodies.includes('meanwhile'), 'what came meanwhile');
      for (const from of senders) await send(from);
      await n2.site(durable).push('carl', 'rob', 'last');
      await rob.until(() => rob.bodies.includes('last'), 'the last');
      t.equal(rob.bodies.length, senders.length + 1, 'ids that the dead node remembered are known');
    },

  'durable always: of nodes that are killed one after the other nothing is lost that was answered, and all is in order':
    async (t, cluster) => {
      const [n1, n2, n3] = await cluster.nodes();
      const { ticket } = await n1.site(durable).online('gina');
      const gina = n3.own(new CountingSocket(n1.port, ticket, durable.domain));
      await gina.connect();
      await written(cluster.nats, [n1], durable);
      const sent: string[] = [];
      let isDone = false;
      const write = async (): Promise<void> => {
        while (!isDone) {
          const body = String(sent.length);
          const fields = { from: 'carl', to: 'gina', body, id: `m${body}` };
          const answer = await n3.site(durable).post('/v5/messages', fields);
          if (answer.status === 200) sent.push(body);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      const writing = write();
      const hasSent = (count: number) => until(`${count} messages sent`, () => sent.length >= count);
      await hasSent(20);
      for (const next of [n2, n3]) {
        const before = sent.length;
        await cluster.killFirst();
        gina.disconnect();
        await hasSent(before + 10);
        await comeBack(gina, next.port);
        await hasSent(before + 30);
      }
      isDone = true;
      await writing;
      await gina.until(() => new Set(gina.bodies).size === sent.length, `${sent.length} messages`);
      const first = gina.bodies.filter((body, at) => gina.bodies.indexOf(body) === at);
      t.strictSame(first, sent, `${gina.bodies.length} came, of ${sent.length}`);
    },
};

t.test('nodes of one cluster are killed or stopped', { skip }, async (t) => {
  const cluster = new Cluster(t, await jetStreamServer(t));
  for (const [title, scene] of Object.entries(scenes)) await t.test(title, (t) => scene(t, cluster));
});

t.test(
  'durable always: a node that is killed and started again under its name has what waited there, and keeps what comes then',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const n1 = await start(t, nats, 'n1', { domains });
    const { ticket } = await n1.site(durable).online('alice');
    const alice = n1.own(new CountingSocket(n1.port, ticket, durable.domain));
    await alice.connect();
    alice.disconnect();
    for (const body of ['one', 'two']) await n1.site(durable).push('carl', 'alice', body);
    await written(nats, [n1], durable);
    let last = n1;
    for (const body of ['three', 'four']) {
      last.process.kill('SIGKILL');
      await last.process.ended;
      last = await start(t, nats, 'n1', { domains });
      await comeBack(alice, last.port);
      alice.disconnect();
      await last.site(durable).push('carl', 'alice', body);
      await written(nats, [last], durable);
    }
    await comeBack(alice, last.port);
    await alice.until(() => alice.bodies.includes('four'), 'four');
    t.strictSame([...new Set(alice.bodies)], ['one', 'two', 'three', 'four']);
  },
);
