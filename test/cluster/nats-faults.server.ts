import t from 'tap';
import { dice } from '../support/dice.js';
import { clusterSettings, NatsProxy, natsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { merge, type TestServer, testServer } from '../support/server.js';
import { SteadyClock } from '../support/steady-clock.js';
import { converges, settle, Talk } from '../support/watching-user.js';

const skip = skipWithout('nats-server');
const leaseMs = 1500;

t.test(
  'users see each other’s presences as they are, whatever happens to NATS and the connections to it',
  { skip },
  async (t) => {
    const nats = await natsServer(t);
    const proxies: NatsProxy[] = [];
    const nodes: TestServer[] = [];
    const settings = clusterSettings(nats, { cluster: { leaseMs }, presence: { graceMs: 50 } });
    const clock = SteadyClock.start(t);
    for (let n = 1; n <= 3; n++) {
      const proxy = await NatsProxy.start(t, nats);
      proxies.push(proxy);
      nodes.push(await testServer(t, merge(settings, { cluster: { nats: [proxy.url], node: `n${n}` } }), clock));
    }
    const [n1, n2, n3] = nodes as [TestServer, TestServer, TestServer];
    const expected = await settle(nodes);
    const roll = dice(11);

    await t.test(
      'users of a node that is cut off are offline to the others, and the others to them, until it is back',
      async (t) => {
        proxies[2]?.cut();
        await expected.stir(nodes, roll, 30);
        await converges(() => expected.missing([[n1, n2], [n3]]));
        await expected.stir(nodes, roll, 30);
        proxies[2]?.restore();
        await expected.stir(nodes, roll, 30);
        await converges(() => expected.missing([nodes]));
        t.strictSame(expected.wrong, []);
      },
    );

    await t.test('users come, go and change while nothing is wrong', async (t) => {
      for (let round = 0; round < 5; round++) {
        await expected.stir(nodes, roll, 40);
        await converges(() => expected.missing([nodes]));
      }
      t.strictSame(expected.wrong, []);
      for (const name of expected.everybody) if (!expected.present.has(name)) await expected.arrive(n1, name);
      for (const name of expected.everybody) await expected.show(name, 'available');
      await converges(() => expected.missing([nodes]));
    });

    await t.test('a restart of NATS within the lease changes nothing', async (t) => {
      const before = [...expected.present.values()].map(({ seen }) => new Map(seen));
      await nats.stop();
      await expected.show('u2', 'busy');
      await expected.show('u2', 'available');
      await nats.start();
      await expected.show('u5', 'away');
      await converges(() => expected.missing([nodes]));
      for (const seen of before) if (seen.has('u5')) seen.set('u5', 'away');
      t.strictSame(
        [...expected.present.values()].map(({ seen }) => seen),
        before,
      );
      t.strictSame(expected.wrong, []);
    });

    await t.test('messages sent while NATS restarts all come, once and in order', async (t) => {
      // One user of each node takes part.
      const talk = new Talk(await Promise.all(nodes.map((node, i) => expected.move(`u${i + 1}`, node))));
      await talk.reaches(20);
      await nats.stop();
      await talk.reaches(talk.sent + 20);
      await nats.start();
      await talk.reaches(talk.sent + 40);
      await talk.end();
      t.strictSame(expected.wrong, []);
    });

    await t.test('without NATS each node serves its own users, and all nodes find together again', async (t) => {
      await nats.stop();
      await converges(() => expected.missing([[n1], [n2], [n3]]));
      await expected.stir(nodes, roll, 30);
      await nats.start();
      await expected.stir(nodes, roll, 30);
      await converges(() => expected.missing([nodes]));
      t.strictSame(expected.wrong, []);
    });
  },
);
