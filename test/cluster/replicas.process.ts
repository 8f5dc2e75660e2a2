/** JetStream on three NATS servers (`cluster.replicas` 3): one of them dies, then the majority, and they come back. PROTOCOL.md section 20. */
import t from 'tap';
import { askAdmin, clusterMetric } from '../support/admin.js';
import { CountingSocket } from '../support/counting.js';
import { KeptNode } from '../support/kept-node.js';
import { jetStreamServers } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { siteA, siteB, type TestServer } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');

/** Sends a message until it is answered, with one id; answers the statuses of the attempts. */
async function send(node: TestServer, to: string, body: string): Promise<number[]> {
  const statuses: number[] = [];
  await until(`an answer to ${body}`, async () => {
    const fields = { from: 'carl', to, body, id: body.replaceAll(' ', '-') };
    const { status } = await node.site().post('/v5/messages', fields);
    statuses.push(status);
    if (status !== 200 && status !== 503) throw new Error(`${body} was answered ${status}`);
    return status === 200;
  });
  return statuses;
}

/** What `/readyz` answers, and whether its body says that JetStream cannot be used. */
async function store(node: TestServer): Promise<string> {
  const { status, text } = await askAdmin(node, '/readyz');
  return `${status}${text.includes('JetStream cannot be used') ? ' lost' : ''}`;
}

t.test(
  'the store goes on without one of three NATS servers; without two the nodes serve on, and say what they cannot keep; nothing is lost',
  { skip },
  async (t) => {
    const servers = await jetStreamServers(t);
    const [first, second] = servers;
    const domains = [
      { ...siteA, durability: 'always', offline: true },
      { ...siteB, offline: true },
    ];
    const cluster = { nats: servers.map(({ url }) => url), replicas: 3 };
    const start = (node: string) => KeptNode.start(t, first, node, { domains, cluster });
    const [n1, n2] = await Promise.all([start('n1'), start('n2')]);
    const { ticket } = await n1.site().online('alice');
    const alice = n1.own(new CountingSocket(n1.port, ticket));
    await alice.connect();
    const sent: string[] = [];
    const say = async (body: string): Promise<number[]> => {
      sent.push(body);
      return send(n2, 'alice', body);
    };
    for (let n = 0; n < 5; n++) await say(`all ${n}`);
    await first.stop();
    for (let n = 0; n < 10; n++) await say(`two ${n}`);
    await send(n2, 'zoe', 'kept by two');
    await until('a store that is there', async () => (await store(n1)) === '200' && (await store(n2)) === '200');
    await second.stop();
    // Only one server is left: it has no majority, and carries what the nodes tell each other.
    const refused: number[] = [];
    const lonely = say('without a majority').then((statuses) => refused.push(...statuses));
    await until(
      'a store that is not there',
      async () => (await store(n1)) === '200 lost' && (await store(n2)) === '200 lost',
    );
    await until('an answer of 503', async () => {
      const fields = { from: 'carl', to: 'alice', body: 'refused', id: 'refused' };
      return (await n2.site().post('/v5/messages', fields)).status === 503;
    });
    await until('a metric that says so', async () => (await clusterMetric(n1, 'store_available')) === 0);
    const { ticket: rose } = await n1.site(siteB).online('rose');
    const other = n2.own(new CountingSocket(n2.port, rose, siteB.domain));
    await other.connect();
    await n2.site(siteB).push('anna', 'rose', 'served on');
    await other.has(1);
    t.strictSame(await n2.site(siteB).presences('rose'), { rose: 'available' });
    const waits = n1.site(siteB).post('/v5/messages', { from: 'anna', to: 'tom', body: 'waits' });
    await until('a write that waits', async () => (await clusterMetric(n1, 'store_waiting_bytes')) > 0);
    t.equal((await waits).status, 503, 'nobody is told that it is kept');
    await Promise.all([first.start(), second.start()]);
    await lonely;
    t.ok(refused.includes(503), `what needs the majority was refused: ${refused}`);
    await until('a store that is back', async () => (await store(n1)) === '200' && (await store(n2)) === '200');
    for (let n = 0; n < 5; n++) await say(`again ${n}`);
    const wanted = (): boolean => sent.every((body) => alice.bodies.includes(body));
    await alice.until(wanted, 'all messages');
    const heard = alice.bodies.filter((body, at) => body !== 'refused' && alice.bodies.indexOf(body) === at);
    t.strictSame(heard, sent, 'each in order');
    await until('nothing that waits', async () => (await clusterMetric(n1, 'store_waiting_bytes')) === 0);
    await Promise.all([n1.kill(), n2.kill()]);
    const last = await start('n3');
    const [zoe, tom] = [await last.site().arrive('zoe'), await last.site(siteB).arrive('tom')];
    t.hasStrict(await zoe.next(), { body: 'kept by two' });
    t.hasStrict(await tom.next(), { body: 'waits' });
  },
);
