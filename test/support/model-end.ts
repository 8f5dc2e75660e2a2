/** How a node of model-cluster.ts ends in order that leaves its endpoints in JetStream, and how others take them over. */
import { Comeback } from '../../src/cluster/comeback.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { EndingNodes } from '../../src/cluster/ending-nodes.js';
import type { ClusterJournal } from '../../src/cluster/journal.js';
import type { LeftQueues } from '../../src/cluster/left-queues.js';
import type { Orphans } from '../../src/cluster/orphans.js';
import { Parting } from '../../src/cluster/parting.js';
import type { Peer } from '../../src/cluster/peer.js';
import type { TicketRecords } from '../../src/cluster/ticket-records.js';
import { turn } from '../mqtt/support/device.js';
import type { ModelNode } from './model-cluster.js';

/** Longer than any answer takes here. */
const ANSWER_MS = 36_000_000;

interface Parts {
  readonly node: ModelNode;
  readonly records: TicketRecords;
  readonly queues: LeftQueues;
  readonly orphans: Orphans;
}

export class ModelEnd {
  readonly nodes = new EndingNodes();
  journal: ClusterJournal | null = null;

  constructor(private readonly parts: Parts) {
    const { node } = parts;
    node.rpc.handle('ending', (peer, _fields, reply) => {
      this.nodes.begin(peer);
      reply(true);
    });
  }

  /** Resolves when JetStream has all that has changed up to now. */
  async written(): Promise<void> {
    const { node, records } = this.parts;
    this.journal?.flush();
    do await turn();
    while (records.waiting > 0 && !node.isDead);
  }

  /** Leaves all endpoints in JetStream. */
  async leave(): Promise<void> {
    const { node, records, queues, orphans } = this.parts;
    const { journal } = this;
    node.leaving.isActive = true;
    // What changed up to now was written before.
    await this.written();
    orphans.close();
    this.nodes.close();
    journal?.end();
    await new Promise((resolve) => node.rpc.callAll(node.peers.values(), 'ending', [], ANSWER_MS, resolve));
    const parting = new Parting({
      start: [node.name, node.mesh.incarnation],
      ...{ domains: node.domains, records, queues, metrics: node.metrics.cluster, needs: new Map() },
      changedIn: () => journal?.unwritten ?? new Map(),
    });
    await parting.write(0);
    while (records.waiting > 0 && !node.isDead) await turn();
    await parting.mark();
  }

  /** Takes over this node's share of what another node has left. */
  gone(cluster: ClusteredDomain, peer: Peer): void {
    const { node, records, queues, orphans } = this.parts;
    this.nodes.gone(peer);
    if (node.isEnding) return;
    const { name, domains } = node;
    const mesh = { ...node.mesh, connected: true };
    const comeback = new Comeback({
      ...{ name, mesh, domains, records, queues, orphans, leaseMs: 1 },
      domainOf: () => cluster,
    });
    comeback.takeFrom(cluster, peer);
  }
}
