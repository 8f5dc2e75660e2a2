/** A node says everything again: until it has, what it said before holds. */
import { connectAsync, type MqttClient } from 'mqtt';
import t from 'tap';
import { clusterSettings, natsServer } from '../support/nats.js';
import { PeerNode } from '../support/peer-node.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, siteA, type TestServer, testServer } from '../support/server.js';
import { turnsUntil } from '../support/until.js';

const skip = skipWithout('nats-server');
const { domain } = siteA;
const share = ['h', domain, '$share/team/jobs', 'jobs', 1, 1];
const session = ['S', domain, 'one', 1];

async function scene(t: Cleaner, name: string): Promise<{ node: TestServer; peer: PeerNode }> {
  const nats = await natsServer(t);
  const settings = { cluster: { name, leaseMs: 60_000, node: 'n1' }, mqtt: { port: -1 } };
  const node = await testServer(t, merge(clusterSettings(nats), settings));
  return { node, peer: await PeerNode.join(t, nats, name, 'n1') };
}

function say(peer: PeerNode, ...items: readonly unknown[]): void {
  peer.say(...items.map((item) => JSON.stringify(item)));
}

/** Has been taken by the node, with all that the peer said before. */
async function taken(node: TestServer, peer: PeerNode): Promise<void> {
  const { itemsReceived } = node.metrics.cluster;
  say(peer, ['i', domain, 'nothing/else', true]);
  await turnsUntil('an item taken by the node', () => node.metrics.cluster.itemsReceived > itemsReceived);
}

async function backend(t: Cleaner, node: TestServer, clientId?: string): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${node.mqttPort}`, {
    protocolVersion: 5,
    username: domain,
    password: siteA.apikey,
    reconnectPeriod: 0,
    ...(clientId === undefined ? {} : { clientId }),
  });
  t.teardown(() => client.end(true));
  return client;
}

t.test('a member of a shared subscription has its turn while its node says everything again', { skip }, async (t) => {
  const { node, peer } = await scene(t, 'share');
  say(peer, ['<', 0], share, ['>']);
  const publisher = await backend(t, node);
  say(peer, ['<', 0]);
  await taken(node, peer);
  await publisher.publishAsync('jobs', 'job', { qos: 1 });
  const { items } = await peer.next(({ items }) => items?.some(([kind]) => kind === 'H') ?? false);
  t.ok(items.some(([kind, , name]) => kind === 'H' && name === '$share/team/jobs'));
  say(peer, ['>']);
  await taken(node, peer);
  const before = node.metrics.domain(domain).dropped.noSubscriber;
  await publisher.publishAsync('jobs', 'nobody has this one', { qos: 1 });
  t.equal(node.metrics.domain(domain).dropped.noSubscriber, before + 1, 'it did not name its members again');
});

t.test('a session is found on its node while that says everything again', { skip }, async (t) => {
  const { node, peer } = await scene(t, 'session');
  say(peer, ['<', 0], session, ['>']);
  say(peer, ['<', 0]);
  await taken(node, peer);
  void backend(t, node, 'one').catch(() => undefined);
  const { items } = await peer.next(({ items }) => items?.some(([kind]) => kind === '=') ?? false);
  t.ok(
    items.some((item) => item[0] === '=' && item[3] === 'o'),
    'its connection is carried there',
  );
  say(peer, ['>']);
  await taken(node, peer);
  const client = await backend(t, node, 'one');
  t.ok(client.connected, 'its node did not name it again');
});
