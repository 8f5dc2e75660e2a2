/** The nodes of a cluster as this one sees them. */
import type { ClusterNode } from '../cluster/node.js';
import type { Peer } from '../cluster/peer.js';
import type { ClusterMetrics } from '../metrics.js';

export interface NodeState {
  readonly name: string;
  /** Grows from one start of the node to the next. */
  readonly incarnation: number;
  /** `lost`: not heard of for longer than a lease, and still remembered. */
  readonly state: 'up' | 'leaving' | 'lost';
  /** How long ago it was heard of, in milliseconds. */
  readonly heardMs: number;
  /** Characters for it that it has not acknowledged. */
  readonly backlog: number;
  /** Endpoints online there, as this node knows; those of one that is lost do not count. */
  readonly endpoints: number;
}

export interface ClusterView {
  readonly name: string;
  readonly incarnation: number;
  /** Whether there is a connection to NATS. */
  readonly connected: boolean;
  /** Endpoints online here. */
  readonly endpoints: number;
  /** The other nodes, by name. */
  readonly nodes: readonly NodeState[];
  /** Since the start; what is there now of `replicaEndpoints` and `visitors`. */
  readonly totals: Omit<ClusterMetrics, 'nodes' | 'nodesLost' | 'connected'>;
}

/** Of all domains; null: this node's own. */
function endpointsOf({ domains }: ClusterNode, peer: Peer | null): number {
  let count = 0;
  for (const { domain } of domains.values()) count += domain.tracker.online.get(peer) ?? 0;
  return count;
}

function nodeState(node: ClusterNode, peer: Peer, now: number): NodeState {
  const { name, incarnation, up, leaving, heardAt, stream } = peer;
  return {
    name,
    incarnation,
    state: up ? (leaving ? 'leaving' : 'up') : 'lost',
    heardMs: Math.max(0, Math.round(now - heardAt)),
    backlog: stream.backlog,
    endpoints: endpointsOf(node, peer),
  };
}

export function clusterView(node: ClusterNode, metrics: ClusterMetrics, now: number): ClusterView {
  const { name, mesh } = node;
  const nodes = Array.from(mesh.peers.values(), (peer) => nodeState(node, peer, now));
  nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
  const { nodes: _, nodesLost: __, connected: ___, ...totals } = metrics;
  const { incarnation, connected } = mesh;
  return { name, incarnation, connected, endpoints: endpointsOf(node, null), nodes, totals };
}
