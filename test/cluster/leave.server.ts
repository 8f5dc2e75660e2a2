import t from 'tap';
import { clusterMetric } from '../support/admin.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { TestServer } from '../support/server.js';
import { until } from '../support/until.js';
import type { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');

async function admin(node: TestServer, path: string): Promise<string> {
  return (await fetch(`http://127.0.0.1:${node.adminPort}${path}`)).text();
}

t.test('a node that leaves in order sends its clients elsewhere, and nobody sees them go', { skip }, async (t) => {
  const nats = await natsServer(t);
  const settings = { admin: { port: -1 }, presence: { graceMs: 4000 } };
  const [n1, n2] = await testCluster(t, nats, 2, settings);
  const bob = await n2.site().arrive('bob', { buddies: 'alice' });
  const alice = await n1.site().arrive('alice', { buddies: 'bob' });
  t.hasStrict(await bob.next(), { from: 'alice', type: 'online' });
  const draining = n1.drain();
  t.equal((await (alice.client as WebSocketClient).closed).code, 1001);
  await draining;
  await n2.site().message(alice.ticket, 'bob', 'by the ticket of before');
  t.hasStrict(await bob.next(), { body: 'by the ticket of before' });
  const again = await n2.site().arrive('alice', { buddies: 'bob' });
  t.strictSame(again.answer.presences, { bob: 'available' });
  await again.site.message(again.ticket, 'bob', 'here again');
  t.hasStrict(await bob.next(), { body: 'here again' }, 'Bob has seen neither offline nor online');
  await bob.site.message(bob.ticket, 'alice', 'welcome');
  t.hasStrict(await again.next(), { body: 'welcome' });
});

t.test(
  'the admin port shows the nodes, their traffic and endpoints, and whether NATS is there',
  { skip },
  async (t) => {
    const nats = await natsServer(t);
    const settings = { admin: { port: -1 }, cluster: { leaseMs: 500 }, presence: { graceMs: 0 } };
    const [n1, n2] = await testCluster(t, nats, 2, settings);
    const clusterOf = async (node: TestServer) => JSON.parse(await admin(node, '/api/stats')).node.cluster;
    // Dora has gone before anybody else comes to her node, which tells the other in that order.
    const { ticket } = await n2.site().online('dora');
    await n2.site().offline(ticket);
    await until('nobody at n2', async () => (await clusterOf(n2)).endpoints === 0);
    await n1.site().online('alice');
    await n2.site().online('bob');
    // Carl is on both nodes, with two clients on one of them: each node counts one endpoint more.
    await n1.site().online('carl');
    await n2.site().online('carl');
    await n2.site().online('carl');
    await until('two nodes', async () => (await clusterMetric(n1, 'nodes')) === 2);
    for (const node of [n1, n2]) {
      await until('two endpoints of the other node', async () => (await clusterOf(node)).nodes[0].endpoints === 2);
    }
    t.equal(await clusterMetric(n1, 'replica_endpoints'), 3);
    t.ok((await clusterMetric(n1, 'items_sent_total')) > 0);
    t.equal(await admin(n1, '/readyz'), 'ok\n');
    t.match(await clusterOf(n1), {
      name: 'n1',
      incarnation: Number,
      connected: true,
      endpoints: 2,
      nodes: [{ name: 'n2', state: 'up', heardMs: Number, backlog: Number, endpoints: 2 }],
      totals: { replicaEndpoints: 3, itemsRefused: 0 },
    });
    t.match(await clusterOf(n2), { endpoints: 2, nodes: [{ name: 'n1', endpoints: 2 }] });
    await nats.stop();
    await until('a lost node', async () => (await clusterMetric(n1, 'nodes_lost')) === 1);
    t.equal(await clusterMetric(n1, 'connected'), 0);
    t.match(await clusterOf(n1), { connected: false, nodes: [{ name: 'n2', state: 'lost', endpoints: 0 }] });
    t.match(await admin(n1, '/readyz'), /^ok\nno connection to NATS/);
    t.strictSame(await n1.site().presences('alice', 'bob'), { alice: 'available' });
    t.match(await n1.site().post('/v5/presences/online', { name: 'carol', nick: 'C' }), { status: 200 });
  },
);
