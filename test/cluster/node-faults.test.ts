import t from 'tap';
import { converges, settle, Talk } from '../support/believer.js';
import { natsServer, ProcessNode } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';

const skip = skipWithout('nats-server');
const leaseMs = 1500;

t.test('what users believe is so when nodes are stopped and killed', { skip }, async (t) => {
  const nats = await natsServer(t);
  const sets = { 'cluster.leaseMs': leaseMs, 'presence.graceMs': 50, 'presence.clientIdleMs': 60_000 };
  const start = (node: string) => ProcessNode.start(t, nats.url, node, sets);
  const nodes = await Promise.all(['n1', 'n2', 'n3'].map(start));
  const [n1, n2, n3] = nodes as [ProcessNode, ProcessNode, ProcessNode];
  const truth = await settle(nodes);

  await t.test('a node that is stopped is offline to the others until it goes on', async (t) => {
    n3.process.kill('SIGSTOP');
    const held = truth.lose(n3);
    await converges(() => truth.missing([[n1, n2]]));
    n3.process.kill('SIGCONT');
    truth.regain(held);
    await converges(() => truth.missing([nodes]));
    t.strictSame(truth.wrong, []);
  });

  await t.test('a node that is killed takes its users along, who come back elsewhere, and nobody else', async (t) => {
    const talk = new Talk([...truth.present.values()].filter(({ node }) => node !== n3));
    n3.process.kill('SIGKILL');
    await n3.process.ended;
    truth.lose(n3);
    await converges(() => truth.missing([[n1, n2]]));
    await talk.end();
    await truth.arrive(n1, 'u7');
    const again = await start('n3');
    await truth.arrive(again, 'u8', 'u9');
    await converges(() => truth.missing([[n1, n2, again]]));
    t.strictSame(truth.wrong, []);
  });
});
