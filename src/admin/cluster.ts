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
  /** Characters sent to the node that it has not acknowledged. */
  readonly backlog: number;
  /** Endpoints online at the node, as far as this one knows; 0 for a node that is lost. */
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

/** How many endpoints of all domains are online at a node; null: at this one. */
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
