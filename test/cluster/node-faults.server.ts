import t from 'tap';
import { natsServer, ProcessNode } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { converges, settle, Talk } from '../support/watching-user.js';

const skip = skipWithout('nats-server');
const leaseMs = 3000;

t.test('users see each other’s presences as they are when nodes are stopped and killed', { skip }, async (t) => {
  const nats = await natsServer(t);
  const sets = { 'cluster.leaseMs': leaseMs, 'presence.graceMs': 50, 'presence.clientIdleMs': 600_000 };
  const start = (node: string) => ProcessNode.start(t, nats.url, node, sets);
  const nodes = await Promise.all(['n1', 'n2', 'n3'].map(start));
  const [n1, n2, n3] = nodes as [ProcessNode, ProcessNode, ProcessNode];
  const expected = await settle(nodes);

  await t.test('users of a node that is stopped are offline to the others until it goes on', async (t) => {
    n3.process.kill('SIGSTOP');
    const held = expected.lose(n3);
    await converges(() => expected.missing([[n1, n2]]));
    n3.process.kill('SIGCONT');
    expected.regain(held);
    await converges(() => expected.missing([nodes]));
    t.strictSame(expected.wrong, []);
  });

  await t.test(
    'only the users of a node that is killed go offline, and they come back through another one',
    async (t) => {
      const talk = new Talk([...expected.present.values()].filter(({ node }) => node !== n3));
      n3.process.kill('SIGKILL');
      await n3.process.ended;
      expected.lose(n3);
      await converges(() => expected.missing([[n1, n2]]));
      await talk.end();
      await expected.arrive(n1, 'u7');
      const again = await start('n3');
      await expected.arrive(again, 'u8', 'u9');
      await converges(() => expected.missing([[n1, n2, again]]));
      t.strictSame(expected.wrong, []);
    },
  );
});
