/** Users of nodes that end in order and leave them in JetStream, while other nodes end, too, or have a part of the same user. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { Comeback } from '../../src/cluster/comeback.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { Leaving, type LeavingNode } from '../../src/cluster/leaving.js';
import type { FoundPart, TakePart } from '../../src/cluster/ticket-records.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { online } from '../../src/protocols/commands.js';
import { push } from '../../src/protocols/messages.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { DOMAIN, type ModelNode, Network } from '../support/model-cluster.js';
import { parameters, settle } from '../support/model-steps.js';
import type { Cleaner } from '../support/server.js';

function networkOf(t: Cleaner): Network {
  const network = new Network(3, 'restart');
  t.teardown(() => {
    for (const node of network.nodes) node.close();
  });
  return network;
}

/** Ada comes online on a node; a moment later JetStream has that. */
async function comeOnline(network: Network, node: ModelNode): Promise<void> {
  online(node.domain, parameters({ name: 'ada', nick: 'Ada' }), () => undefined);
  await settle(network);
  network.clock.advance(200);
  await settle(network);
}

t.test('what a node that ends says to a user whom another node that ends has just left is not lost', async (t) => {
  const network = networkOf(t);
  const [ending, other] = network.nodes as [ModelNode, ModelNode, ModelNode];
  await comeOnline(network, ending);
  other.isEnding = true;
  other.leaving.isActive = true;
  const isMark = ({ data }: { readonly data: string }): boolean => data.endsWith(',[]]');
  network.left.onWrite = () => {
    if (![...network.left.records.values()].some(isMark)) return;
    network.left.onWrite = () => undefined;
    push(other.domain, parameters({ from: 'bob', to: 'ada', body: 'late' }), () => undefined);
  };
  void ending.leave(true);
  for (await settle(network); !ending.isDead; await settle(network));
  await settle(network);
  const queued = network.living.flatMap(({ domain }) => [...domain.tickets.values()].map(({ queued }) => queued));
  t.strictSame(
    queued.map((packets) => packets.map(({ fields }) => (fields as { readonly body: string }).body)),
    [['late']],
  );
});

t.test('a part that a node which ends has left of a user is taken over by the node of the oldest part', async (t) => {
  const network = networkOf(t);
  const [oldest, ending] = network.nodes as [ModelNode, ModelNode, ModelNode];
  await comeOnline(network, oldest);
  await comeOnline(network, ending);
  t.equal(oldest.domain.tickets.size, 1);
  void ending.leave(true);
  for (await settle(network); !ending.isDead; await settle(network));
  await settle(network);
  t.equal(oldest.domain.tickets.size, 2);
});

t.test('where no other node can take users, the handover of a node that ends is over', async (t) => {
  const node = { mesh: { peers: new Map() }, domains: new Map() } as unknown as LeavingNode;
  const sessions = { handOver: async () => 0, whenMoved: () => undefined };
  const leaving = new Leaving(node, new ManualClock(), {} as ClusterMetrics, sessions);
  t.equal(await leaving.handOver(1000), 0);
  t.ok(leaving.isOver);
});

t.test(
  'a node that starts does not hold the records of very many users in memory while it takes them over',
  async (t) => {
    const incarnation = 2;
    const kept = { clients: [], left: null };
    const restored: unknown[] = [];
    const looked: Address[] = [];
    const records = {
      readNode: async (_domain: string, _node: string, take: TakePart) => {
        for (let n = 0; n < 6000; n += 1) {
          take(`/domain/${DOMAIN}/uid/${n}` as Address, { incarnation: 1, kept } as unknown as FoundPart, 4096);
        }
      },
    };
    const queues = {
      marks: async () => [[DOMAIN, 'n1']],
      completed: async (_domain: string, _address: Address, part: FoundPart) => part,
      unmark: () => undefined,
    };
    const orphans = {
      restore: (_cluster: unknown, _address: Address, part: FoundPart, done: (found: 'here') => void) => {
        restored.push(part);
        done('here');
      },
      find: (_cluster: unknown, address: Address, _token: null, done: (found: 'here') => void) => {
        looked.push(address);
        done('here');
      },
    };
    const cluster = { domain: { name: DOMAIN, settings: { durability: 'restart' } } } as unknown as ClusteredDomain;
    const comeback = new Comeback({
      ...{ name: 'n1', leaseMs: 1, mesh: { peers: new Map(), incarnation, connected: true }, domains: new Map() },
      ...{ domainOf: () => cluster, records, queues, orphans },
    } as never);
    await comeback.restore();
    t.equal(restored.length + looked.length, 6000);
    t.ok(restored.length <= 4096 && looked.length > 0, `${restored.length} records were held`);
  },
);
