import t from 'tap';
import { converges, settle, Talk } from '../support/believer.js';
import { dice } from '../support/dice.js';
import { clusterSettings, NatsProxy, natsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { merge, type TestServer, testServer } from '../support/server.js';

const skip = skipWithout('nats-server');
const leaseMs = 1500;

t.test('what users believe is so, whatever happens to NATS and to the way to it', { skip }, async (t) => {
  const nats = await natsServer(t);
  const proxies: NatsProxy[] = [];
  const nodes: TestServer[] = [];
  const settings = clusterSettings(nats, { cluster: { leaseMs }, presence: { graceMs: 50 } });
  for (let n = 1; n <= 3; n++) {
    const proxy = await NatsProxy.start(t, nats);
    proxies.push(proxy);
    nodes.push(await testServer(t, merge(settings, { cluster: { nats: [proxy.url], node: `n${n}` } })));
  }
  const [n1, n2, n3] = nodes as [TestServer, TestServer, TestServer];
  const truth = await settle(nodes);
  const roll = dice(11);

  await t.test('a node that is cut off is offline to the others, and they to it, until it is back', async (t) => {
    proxies[2]?.cut();
    await truth.stir(nodes, roll, 30);
    await converges(() => truth.missing([[n1, n2], [n3]]));
    await truth.stir(nodes, roll, 30);
    proxies[2]?.restore();
    await truth.stir(nodes, roll, 30);
    await converges(() => truth.missing([nodes]));
    t.strictSame(truth.wrong, []);
  });

  await t.test('users come, go and change while nothing is wrong', async (t) => {
    for (let round = 0; round < 5; round++) {
      await truth.stir(nodes, roll, 40);
      await converges(() => truth.missing([nodes]));
    }
    t.strictSame(truth.wrong, []);
    for (const name of truth.everybody) if (!truth.present.has(name)) await truth.arrive(n1, name);
    for (const name of truth.everybody) await truth.show(name, 'available');
    await converges(() => truth.missing([nodes]));
  });

  await t.test('a restart of NATS within the lease changes nothing', async (t) => {
    const before = [...truth.present.values()].map(({ beliefs }) => new Map(beliefs));
    await nats.stop();
    await truth.show('u2', 'busy');
    await truth.show('u2', 'available');
    await nats.start();
    await truth.show('u5', 'away');
    await converges(() => truth.missing([nodes]));
    for (const beliefs of before) if (beliefs.has('u5')) beliefs.set('u5', 'away');
    t.strictSame(
      [...truth.present.values()].map(({ beliefs }) => beliefs),
      before,
    );
    t.strictSame(truth.wrong, []);
  });

  await t.test('messages sent while NATS restarts all come, once and in order', async (t) => {
    // One user of each node.
    const talk = new Talk(await Promise.all(nodes.map((node, i) => truth.move(`u${i + 1}`, node))));
    await talk.reaches(20);
    await nats.stop();
    await talk.reaches(talk.sent + 20);
    await nats.start();
    await talk.reaches(talk.sent + 40);
    await talk.end();
    t.strictSame(truth.wrong, []);
  });

  await t.test('without NATS each node serves its own, and all find together again', async (t) => {
    await nats.stop();
    await converges(() => truth.missing([[n1], [n2], [n3]]));
    await truth.stir(nodes, roll, 30);
    await nats.start();
    await truth.stir(nodes, roll, 30);
    await converges(() => truth.missing([nodes]));
    t.strictSame(truth.wrong, []);
  });
});
