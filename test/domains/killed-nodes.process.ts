/** Domains at run time on three nodes that are processes: one is killed and started again, one stops for longer than its lease and goes on. */
import t from 'tap';
import { clusterMetric } from '../support/admin.js';
import { dice } from '../support/dice.js';
import { HANG_MS } from '../support/hang.js';
import { KeptNode } from '../support/kept-node.js';
import { natsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { Cleaner } from '../support/server.js';
import { until } from '../support/until.js';
import { WebSocketClient } from '../support/websocket.js';
import { Admin, type Made } from './support.js';
import { agreed, change, type Shown, statusOf } from './wander.js';

const skip = skipWithout('nats-server');
const settings = {
  cluster: { store: 'none', leaseMs: 2000 },
  // Many wrong keys are tried here: nobody is locked out.
  lockout: { failures: 0 },
};

async function threeNodes(t: Cleaner) {
  const nats = await natsServer(t);
  const start = (name: string) => KeptNode.start(t, nats, name, settings);
  const nodes = [await start('n1'), await start('n2'), await start('n3')];
  const seen = (node: KeptNode): Promise<number> => clusterMetric(node, 'nodes');
  await until('three nodes', async () => (await Promise.all(nodes.map(seen))).every((count) => count === 3));
  return { nodes, start };
}

for (const seed of [1, 2]) {
  t.test(
    `nodes that change domains at random agree after one was killed and one had stopped, and serve no removed key, ${seed}`,
    { skip, timeout: HANG_MS },
    async (t) => {
      const { nodes, start } = await threeNodes(t);
      const roll = dice(seed);
      const keys: Shown[] = [];
      const removed: Shown[] = [];
      const wander = async (steps: number, among: readonly number[]): Promise<void> => {
        for (let step = 0; step < steps; step++) {
          const node = nodes[among[roll(among.length)] as number] as KeptNode;
          await change(node, roll, keys, removed);
        }
      };
      const check = async (when: string): Promise<void> => {
        await agreed(nodes);
        const served: string[] = [];
        for (const { domain, apikey, fingerprint } of removed) {
          for (const [n, node] of nodes.entries()) {
            if ((await statusOf(node, domain, apikey)) !== 401)
              served.push(`${domain} ${fingerprint} by node ${n + 1}`);
          }
        }
        t.strictSame(served, [], `${when}: removed keys are served by nobody`);
      };
      await wander(30, [0, 1, 2]);
      await check('together');
      const stopped = roll(3);
      const killed = (stopped + 1 + roll(2)) % 3;
      const left = [0, 1, 2].filter((n) => n !== stopped);
      nodes[stopped]?.process.kill('SIGSTOP');
      const staying = nodes[left[0] as number] as KeptNode;
      await until('a node fewer', async () => (await clusterMetric(staying, 'nodes')) < 3);
      await wander(15, left);
      await nodes[killed]?.kill();
      await wander(
        15,
        left.filter((n) => n !== killed),
      );
      nodes[stopped]?.process.kill('SIGCONT');
      nodes[killed] = await start(`n${killed + 1}`);
      await wander(10, [0, 1, 2]);
      await check(`node ${stopped + 1} stopped and ${killed + 1} killed`);
      t.ok(removed.length > 5, `${removed.length} keys were removed`);
    },
  );
}

t.test(
  'connectionsPerDomain counts three nodes: those of one that is killed or has stopped make room, and count again when it goes on',
  { skip, timeout: HANG_MS },
  async (t) => {
    const { nodes } = await threeNodes(t);
    const [one, two, three] = nodes as [KeptNode, KeptNode, KeptNode];
    const made = (await new Admin(one).make('a.store', { limits: { connectionsPerDomain: 6 } })) as Made;
    const usedBy = async (node: KeptNode): Promise<number> => {
      const { body } = await new Admin(node).ask('GET', '/api/domains/a.store/state');
      return (body as { limits: { connectionsPerDomain: { used: number } } }).limits.connectionsPerDomain.used;
    };
    const all = (used: number, ...among: KeptNode[]) =>
      until(`${used} connections in use`, async () =>
        (await Promise.all(among.map(usedBy))).every((found) => found === used),
      );
    let users = 0;
    const connect = async (node: KeptNode) => {
      const { ticket } = await node.site(made).online(`user${users++}`);
      return WebSocketClient.connect(node, ticket, { domain: 'a.store' });
    };
    const refused = async (node: KeptNode): Promise<number> => {
      const { ticket } = await node.site(made).online(`user${users++}`);
      const socket = await WebSocketClient.open(node);
      socket.send(`subscribe a.store ${ticket}`);
      return (await socket.closed).code;
    };
    for (const node of nodes) for (let n = 0; n < 2; n++) await connect(node);
    await all(6, one, two, three);
    for (const node of nodes) t.equal(await refused(node), 1013);
    await three.kill();
    await all(4, one, two);
    await connect(one);
    await connect(two);
    await all(6, one, two);
    for (const node of [one, two]) t.equal(await refused(node), 1013);
    two.process.kill('SIGSTOP');
    await all(3, one);
    for (let n = 0; n < 3; n++) await connect(one);
    t.equal(await refused(one), 1013);
    two.process.kill('SIGCONT');
    await all(9, one, two);
    for (const node of [one, two]) t.equal(await refused(node), 1013, 'nobody is put out, and nobody more comes in');
  },
);
