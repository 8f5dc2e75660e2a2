/** What was on its way to a node that does not take it: whole domains of several nodes. docs/cluster.md, "What does not". */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { tellDropped } from '../../src/cluster/dropped.js';
import type { Peer } from '../../src/cluster/peer.js';
import { online } from '../../src/protocols/commands.js';
import { push } from '../../src/protocols/messages.js';
import { atOnce } from '../../src/slices.js';
import { turn } from '../mqtt/support/device.js';
import { type Durability, type ModelNode, Network } from '../support/model-cluster.js';
import { parameters, settle } from '../support/model-steps.js';

/** Ada is on the second and the third node, eve and bob on the second one, bob in a room; what the first node sends to the second is dropped. */
async function dropping(durability: Durability, messages: readonly Readonly<Record<string, string>>[]) {
  const network = new Network(3, durability);
  const [sender, slow, other] = network.nodes as [ModelNode, ModelNode, ModelNode];
  const come = async ({ domain }: ModelNode, name: string, rooms: string): Promise<void> => {
    online(domain, parameters({ name, nick: name, rooms }), () => undefined);
    await settle(network);
  };
  await come(slow, 'ada', '');
  await come(other, 'ada', '');
  await come(slow, 'bob', 'red');
  await come(other, 'carl', 'red');
  await come(slow, 'eve', '');
  const dropped: string[] = [];
  const { send } = sender.mesh;
  Object.assign(sender.mesh, {
    send: (peer: Peer, item: string) => (peer.name === slow.name ? void dropped.push(item) : send(peer, item)),
  });
  const answers: unknown[] = [];
  for (const message of messages) {
    push(sender.domain, parameters({ from: 'x', body: 'hello', ...message }), (answer) => answers.push(answer));
  }
  await turn();
  Object.assign(sender.mesh, { send });
  atOnce(tellDropped(sender, sender.peers.get(slow.name) as Peer, [dropped.join(), '']));
  await settle(network);
  const told = [slow, other].map(({ domain }) => {
    return [...domain.tickets.values()]
      .filter(({ mayMiss }) => mayMiss)
      .map(({ address }) => address.split('/').at(-1));
  });
  for (const node of network.nodes) node.close();
  return { told, answers, dropped };
}

t.test(
  'who would have had a message that is dropped on its way to a node is told that something may be missing',
  async (t) => {
    const { told } = await dropping('restart', [{ to: 'ada' }, { to: 'ada' }]);
    t.strictSame(told, [['ada'], ['ada']], 'on each node to which the message would have gone on');
  },
);

t.test('members of a room are told so on the node that has not had the message', async (t) => {
  const { told } = await dropping('restart', [{ to: 'red', type: 'grpchat' }]);
  t.strictSame(told, [['bob'], []]);
});

t.test('a call whose message is dropped is answered at once', async (t) => {
  const { answers } = await dropping('restart', [{ to: 'eve', receipt: '1' }]);
  t.match(answers, [{ outcomes: [['eve', 'unknown']] }]);
});

t.test(
  'in a domain that is durable always such a call is refused, and nobody misses what was not promised',
  async (t) => {
    const { told, answers } = await dropping('always', [{ to: 'eve' }]);
    t.match(answers, [{ status: 503 }]);
    t.strictSame(told, [[], []]);
  },
);

for (const [what, kind] of [
  ['what waits', 'U'],
  ['the word that something may be missing', 'M'],
] as const) {
  t.test(
    `a client on another node is told that something may be missing where ${what} is dropped on its way there`,
    async (t) => {
      const network = new Network(2);
      t.teardown(() => {
        for (const node of network.nodes) node.close();
      });
      const [sender, slow] = network.nodes as [ModelNode, ModelNode];
      const ada = parameters({ name: 'ada', nick: 'Ada' });
      online(sender.domain, ada, () => undefined);
      push(sender.domain, parameters({ from: 'x', to: 'ada', body: 'hello' }), () => undefined);
      await settle(network);
      const dropped: string[] = [];
      const { send } = sender.mesh;
      const isDropped = (item: string): boolean => item.startsWith(`["${kind}",`);
      Object.assign(sender.mesh, {
        send: (peer: Peer, item: string) => (isDropped(item) ? void dropped.push(item) : send(peer, item)),
      });
      online(slow.domain, ada, () => undefined);
      if (kind === 'M') {
        await settle(network);
        const [record] = [...sender.domain.tracker.here()];
        sender.mesh.send(sender.peers.get(slow.name) as Peer, sender.cluster.items.missed(record?.address as Address));
      }
      await settle(network);
      Object.assign(sender.mesh, { send });
      const mayMiss = () => [...slow.domain.tickets.values()].map((client) => client.mayMiss);
      t.strictSame([dropped.length, mayMiss()], [1, [false]]);
      atOnce(tellDropped(sender, sender.peers.get(slow.name) as Peer, [[...dropped, ...dropped].join()]));
      await settle(network);
      t.strictSame(mayMiss(), [true]);
    },
  );
}
