import { connect } from '@nats-io/transport-node';
import t from 'tap';
import { PROTOCOL } from '../../src/cluster/mesh.js';
import { clusterMetric } from '../support/admin.js';
import { clusterSettings, natsServer, testCluster } from '../support/nats.js';
import { nextalk } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import { merge, siteA, siteB, testServer } from '../support/server.js';
import { SteadyClock } from '../support/steady-clock.js';
import { until } from '../support/until.js';
import { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');

t.test('nodes of another protocol, and texts that no node writes, change nothing', { skip }, async (t) => {
  const nats = await natsServer(t);
  const settings = clusterSettings(nats, { cluster: { name: 'mixed', leaseMs: 500 }, admin: { port: -1 } });
  const node = await testServer(t, merge(settings, { cluster: { node: 'n1' } }), SteadyClock.start(t));
  const stranger = await connect({ servers: nats.url });
  t.teardown(() => stranger.close());
  const beat = (name: string, protocol: number) => `["b","${name}",1,${protocol},"up",0]`;
  stranger.publish('mixed.beat', 'no JSON');
  stranger.publish(`mixed.node.${Buffer.from('n1').toString('hex')}`, '{}');
  stranger.publish('mixed.beat', beat('newer', PROTOCOL + 1));
  stranger.publish('mixed.beat', beat('equal', PROTOCOL));
  for (const count of [2, 1])
    await until(`nodes: ${count}`, async () => (await clusterMetric(node, 'nodes')) === count);
  t.match(await node.site().online('alice'), { success: true }, 'the node goes on');
});

t.test('clusters of different names on one NATS know nothing of each other', { skip }, async (t) => {
  const nats = await natsServer(t);
  const [one] = await testCluster(t, nats, 1);
  const [other] = await testCluster(t, nats, 1);
  await one.site().online('alice');
  t.strictSame(await other.site().presences('alice'), {});
});

t.test('a domain that is configured later on one node has the endpoints of the others', { skip }, async (t) => {
  const nats = await natsServer(t);
  const settings = clusterSettings(nats);
  const [n1, n2] = [
    await testServer(t, merge(settings, { cluster: { node: 'n1' } })),
    await testServer(t, merge(settings, { cluster: { node: 'n2' }, domains: [siteA] })),
  ];
  await n1.site(siteB).online('bob');
  n2.reload(merge(settings, { cluster: { node: 'n2' }, domains: [siteA, siteB] }));
  await n2.settledWhile(async () => Object.keys(await n2.site(siteB).presences('bob')).length === 0);
  t.strictSame(await n2.site(siteB).presences('bob'), { bob: 'available' });
  t.strictSame(await n2.site(siteA).presences('bob'), {}, 'nothing crosses between domains');
});

t.test(
  'a connection ends when its node serves the domain no more, and its client goes on at home',
  { skip },
  async (t) => {
    const nats = await natsServer(t);
    const settings = clusterSettings(nats);
    const home = await testServer(t, merge(settings, { cluster: { node: 'n1' } }));
    const other = await testServer(t, merge(settings, { cluster: { node: 'n2' } }));
    const site = home.site(siteB);
    const { ticket } = await site.online('bob');
    const socket = await WebSocketClient.connect(other, ticket, { domain: siteB.domain });
    other.reload(merge(settings, { cluster: { node: 'n2' }, domains: [siteA] }));
    t.equal((await socket.closed).code, 4404);
    t.equal(other.metrics.cluster.visitors, 0);
    const again = await WebSocketClient.connect(home, ticket, { domain: siteB.domain });
    await site.push('anna', 'bob', 'hi');
    t.hasStrict(await again.next(), { body: 'hi' });
  },
);

t.test('a node that cannot reach NATS serves its own clients, and joins when NATS is there', { skip }, async (t) => {
  const nats = await natsServer(t);
  const settings = clusterSettings(nats, { cluster: { leaseMs: 1000 } });
  await nats.stop();
  const clock = SteadyClock.start(t);
  const alone = await testServer(t, merge(settings, { cluster: { node: 'n1' } }), clock);
  await alone.site().online('alice');
  t.strictSame(await alone.site().presences('alice'), { alice: 'available' });
  await nats.start();
  const other = await testServer(t, merge(settings, { cluster: { node: 'n2' } }), clock);
  await other.settledWhile(async () => Object.keys(await other.site().presences('alice')).length === 0);
  t.strictSame(await other.site().presences('alice'), { alice: 'available' });
});

t.test('a node says that it has joined when it has, and until then which NATS it tries', { skip }, async (t) => {
  const nats = await natsServer(t);
  await nats.stop();
  const at = `127.0.0.1:${nats.port}`;
  const flags = ['--nats', `nats://me:secret@${at}`, '--set', 'cluster.node=n1', '--set', 'cluster.leaseMs=500'];
  const ports = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0', '--data', 'none', '--domain', 'a.com:key'];
  const alone = nextalk(t, [...flags, ...ports]);
  t.match(await alone.event('nats lost'), { servers: [at], level: 'warn' });
  await alone.event('started');
  t.notMatch(alone.out, /cluster joined/);
  await nats.start();
  t.match(await alone.event('cluster joined'), { node: 'n1', nodes: 1 });
  t.notMatch(alone.out, /secret/);
});
