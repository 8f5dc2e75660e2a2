/** A sender who is offline, or online on several nodes, and for whom the site speaks through one node after the other. */
import t from 'tap';
import { ManualClock } from '../mqtt/support/clock.js';
import { clusterSettings, NatsProxy, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { merge, siteA, testServer } from '../support/server.js';
import { until } from '../support/until.js';
import { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
const bodies = (packets: readonly unknown[]) => packets.map((packet) => (packet as { body: string }).body);

t.test('a push that has not come to the node of its receiver is not answered yet', { skip }, async (t) => {
  const nats = await natsServer(t);
  const proxy = await NatsProxy.start(t, nats);
  const clock = new ManualClock();
  const settings = clusterSettings(nats);
  const far = await testServer(t, merge(settings, { cluster: { node: 'far', nats: [proxy.url] } }), clock);
  const home = await testServer(t, merge(settings, { cluster: { node: 'home' } }), clock);
  const jack = await home.site().arrive('jack');
  await far.settled();
  proxy.hold('said');
  let isAnswered = false;
  const first = far
    .site()
    .push('shop', 'jack', 'one')
    .then(() => {
      isAnswered = true;
    });
  await far.settledWhile(() => far.metrics.domain(far.site().domain).accepted.message === 0);
  await far.site().presences('jack');
  t.notOk(isAnswered, 'what follows through another node would come first');
  proxy.restore();
  await first;
  await home.site().push('shop', 'jack', 'two');
  t.strictSame(bodies([await jack.next(), await jack.next()]), ['one', 'two']);
});

t.test('a push is answered when the node of its receiver has it, whatever another node does', { skip }, async (t) => {
  const nats = await natsServer(t);
  const proxy = await NatsProxy.start(t, nats);
  const clock = new ManualClock();
  const settings = clusterSettings(nats);
  const stuck = await testServer(t, merge(settings, { cluster: { node: 'stuck', nats: [proxy.url] } }), clock);
  const near = await testServer(t, merge(settings, { cluster: { node: 'near' } }), clock);
  const home = await testServer(t, merge(settings, { cluster: { node: 'home' } }), clock);
  const jack = await home.site().arrive('jack', { rooms: 'lobby' });
  proxy.hold('told');
  const online = near.site().online('dora');
  await near.site().push('shop', 'jack', 'to him');
  await near.site().push('shop', 'lobby', 'to his room', { type: 'grpchat' });
  t.strictSame(bodies([await jack.next(), await jack.next()]), ['to him', 'to his room']);
  proxy.restore();
  await online;
  await stuck.settled();
});

t.test('pushes through one node after the other come in their order', { skip }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 3);
  const [one, two, three] = nodes;
  const jack = await one.site().arrive('jack', { rooms: 'lobby' });
  const phone = await two.site().arrive('jack', { rooms: 'lobby' });
  await one.site().online('shop');
  await two.site().online('shop');
  const said: string[] = [];
  for (const from of ['news', 'shop']) {
    for (let n = 0; n < 12; n++) {
      const body = `${from} ${n}`;
      const node = nodes[n % 3] as typeof one;
      if (n % 4 === 3) await node.site().push(from, 'lobby', body, { type: 'grpchat' });
      else await node.site().push(from, 'jack', body, n % 2 === 0 ? { id: `${from}${n}` } : {});
      said.push(body);
    }
  }
  for (const client of [jack, phone]) {
    const heard: unknown[] = [];
    while (heard.length < said.length) heard.push(await client.next());
    t.strictSame(bodies(heard), said);
  }
  t.equal(three.metrics.domain(three.site().domain).dropped.offline, 0);
});

t.test('a message with an id and what its sender sends behind it come in their order', { skip }, async (t) => {
  const [one, two] = await testCluster(t, await natsServer(t), 2, {
    domains: [{ ...siteA, clientCalls: true, clientSend: ['websocket'] }],
  });
  const jack = await two.site().arrive('jack');
  for (const name of ['anna', 'rose', 'paul', 'mary']) {
    const socket = await WebSocketClient.connect(one, (await one.site().online(name)).ticket);
    const said: string[] = [];
    for (let n = 0; n < 6; n++) {
      const id = n % 2 === 0 ? { id: `m${n}` } : {};
      socket.send(JSON.stringify({ call: 'message', to: 'jack', body: `${name} ${n}`, ...id }));
      said.push(`${name} ${n}`);
    }
    const heard: unknown[] = [];
    while (heard.length < said.length) heard.push(await jack.next());
    t.strictSame(bodies(heard), said);
  }
});

t.test(
  'where the node that remembers a sender’s ids is lost, its neighbour does so from then on',
  { skip },
  async (t) => {
    const nodes = await testCluster(t, await natsServer(t), 3);
    const jack = await nodes[0].site().arrive('jack');
    const remembers = (node: (typeof nodes)[0]) => node.metrics.domain(siteA.domain).messageIds;
    const say = (node: (typeof nodes)[0], from: string) => node.site().push(from, 'jack', from, { id: 'a' });
    const senders = Array.from({ length: 20 }, (_, n) => `s${n}`);
    for (const from of senders) await say(nodes[0], from);
    for (const from of senders) t.hasStrict(await jack.next(), { body: from });
    t.equal(
      nodes.reduce((sum, node) => sum + remembers(node), 0),
      senders.length,
      'each id is on one node',
    );
    const lost = remembers(nodes[2]);
    t.ok(lost > 0);
    await nodes[2].close();
    await until('two nodes left', () => nodes.slice(0, 2).every(({ metrics }) => metrics.cluster.nodes <= 2));
    for (const node of [nodes[1], nodes[0]]) for (const from of senders) await say(node, from);
    let again = 0;
    for (const _packet of await jack.before()) again += 1;
    t.equal(again, lost, 'what that node alone knew comes a second time, and no third');
  },
);
