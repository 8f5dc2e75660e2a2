/** A sender who is offline, or online on several nodes, and for whom the site speaks through one node after the other. */
import t from 'tap';
import { ManualClock } from '../mqtt/support/clock.js';
import { clusterSettings, NatsProxy, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { merge, testServer } from '../support/server.js';

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
  while (far.metrics.domain(far.site().domain).accepted.message === 0) await far.site().presences('jack');
  await far.site().presences('jack');
  t.notOk(isAnswered, 'what follows through another node would come first');
  proxy.restore();
  await first;
  await home.site().push('shop', 'jack', 'two');
  t.strictSame(bodies([await jack.next(), await jack.next()]), ['one', 'two']);
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
