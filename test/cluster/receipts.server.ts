/** What a sender on one node is told of a message to somebody on another: PROTOCOL.md section 11. */
import t from 'tap';
import { OUTCOME_MS } from '../../src/cluster/relays.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { clusterSettings, natsServer, testCluster } from '../support/nats.js';
import { PeerNode } from '../support/peer-node.js';
import { skipWithout } from '../support/programs.js';
import { siteA, testServer } from '../support/server.js';
import type { Site } from '../support/site.js';
import { transports } from '../support/transports.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');
const push = { from: 'shop', body: 'hi', receipt: 1 };

async function outcome(site: Site, to: string, more: Record<string, string | number> = {}): Promise<unknown> {
  const answer = await site.post('/v5/messages', { ...push, to, ...more });
  return (answer.body as Record<string, unknown>).outcome;
}

t.test('each state of a receiver is told to senders on all nodes, over every transport', { skip }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 3, { mqtt: { port: -1 } });
  const [home] = nodes;
  // A client that polls is without a connection from the answer to one poll to the next poll.
  const connected = async (count: number) => {
    const open = () =>
      Object.values(home.metrics.domain(siteA.domain).connections).reduce((sum, some) => sum + some, 0);
    await home.settledWhile(() => open() < count);
  };
  for (const [at, transport] of transports.entries()) {
    const name = transport.name.replaceAll(' ', '-');
    await home.site().online(name);
    for (const node of nodes) t.equal(await outcome(node.site(), name), 'queued', `${name} has no connection yet`);
    await home.site().arrive(name, {}, transport);
    for (const node of nodes) {
      await connected(at + 1);
      t.equal(await outcome(node.site(), name), 'delivered', name);
    }
  }
  for (const node of nodes) t.equal(await outcome(node.site(), 'nobody'), 'dropped');
});

t.test('of the parts that a receiver has on several nodes the best counts', { skip }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 3);
  const [one, two, three] = nodes;
  await one.site().online('jack');
  await two.site().online('jack');
  for (const node of nodes) t.equal(await outcome(node.site(), 'jack'), 'queued');
  const second = await two.site().arrive('jack');
  for (const node of nodes) t.equal(await outcome(node.site(), 'jack'), 'delivered', 'by the younger part');
  await second.offline();
  await one.site().arrive('jack');
  for (const node of nodes) t.equal(await outcome(node.site(), 'jack'), 'delivered', 'by the older part');
  const { ticket } = await three.site().online('anna');
  const answer = await three.site().post('/v5/messages', { ticket, to: 'jack,anna,nobody', body: 'x', receipt: 1 });
  t.match(answer.body, { outcomes: { jack: 'delivered', anna: 'queued', nobody: 'dropped' } });
});

t.test('a room whose members are on other nodes has their best outcome and all members', { skip }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 3);
  const [one, two, three] = nodes;
  await one.site().online('a', { rooms: 'lobby' });
  await two.site().online('b', { rooms: 'lobby' });
  const said = { type: 'grpchat' };
  t.equal(await outcome(three.site(), 'lobby', said), 'queued');
  await two.site().arrive('b', { rooms: 'lobby' });
  const answer = await three.site().post('/v5/messages', { ...push, ...said, to: 'lobby' });
  t.match(answer.body, { outcome: 'delivered', members: 2 });
  t.equal(await outcome(three.site(), '*', { type: 'broadcast' }), 'delivered');
});

t.test(
  'a call of a ticket or of a sender that lives on another node is answered with the outcome',
  { skip },
  async (t) => {
    const [one, two] = await testCluster(t, await natsServer(t), 2);
    const { ticket } = await one.site().online('anna');
    await two.site().arrive('jack');
    const form = { ticket, to: 'jack', body: 'x', receipt: 1, id: 'order-7' };
    t.strictSame((await two.site().post('/v5/messages', form)).body, {
      status: 'ok',
      id: 'order-7',
      outcome: 'delivered',
    });
    t.equal(await outcome(two.site(), 'jack', { from: 'anna' }), 'delivered');
  },
);

t.test(
  'what becomes of a message to a node that does not answer within two seconds is unknown',
  { skip },
  async (t) => {
    const nats = await natsServer(t);
    const clock = new ManualClock();
    const settings = { cluster: { name: 'c1', node: 'n1', leaseMs: 60_000 } };
    const server = await testServer(t, clusterSettings(nats, settings), clock);
    const peer = await PeerNode.join(t, nats, 'c1', 'n1');
    const jack = '/domain/a.example/uid/jack';
    peer.say(JSON.stringify(['u', 'a.example', jack, 1, 'Jack', 1, 'available', '', 1, []]));
    await until('Jack online', async () => (await server.site().presences('jack')).jack);
    const isMessage = (items: readonly (readonly unknown[])[]) => items.some(([kind]) => kind === 'e');
    const asked = outcome(server.site(), 'jack');
    const { items } = await peer.next((frame) => isMessage(frame.items));
    const id = items.find(([kind]) => kind === 'e')?.at(-1);
    peer.say(JSON.stringify(['!', id, 'delivered']));
    t.equal(await asked, 'delivered', 'a node that answers is believed');
    const silent = outcome(server.site(), 'jack');
    await peer.next((frame) => isMessage(frame.items));
    clock.advance(OUTCOME_MS - 1);
    let isAnswered = false;
    void silent.then(() => {
      isAnswered = true;
    });
    await server.settled();
    t.notOk(isAnswered);
    clock.advance(1);
    t.equal(await silent, 'unknown');
  },
);
