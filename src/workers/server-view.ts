/** A server with workers as one: who the workers are, and which nodes of the cluster they know. */
import type { ClusterView, NodeState } from '../admin/cluster.js';
import { CONNECTION_FIELDS, sampleOf } from '../admin/measures.js';
import type { NodeView } from '../admin/stats.js';
import type { Condition } from '../conditions.js';
import { packageVersion } from '../version.js';
import type { Heartbeat, Heartbeats } from './heartbeats.js';
import type { WorkerPort } from './requests.js';

export interface WorkerView {
  readonly name: string;
  /** `starting`: no process serves yet; `silent`: the process has sent no heartbeat for some seconds, and its numbers do not count. */
  readonly state: 'ready' | 'draining' | 'starting' | 'silent';
  /** How often its process has been replaced. */
  readonly restarts: number;
  /** The process that serves; null: there is none. */
  readonly process: {
    readonly pid: number;
    readonly startedAt: number;
    readonly connections: number;
    readonly rssBytes: number;
    readonly lagP99: number;
    /** Share of a core, 1 being all of it. */
    readonly cpu: number;
  } | null;
}

/** A node as the workers see it together. */
export interface SharedNode extends NodeState {
  /** Whether the node is one of this server's workers. */
  readonly worker: boolean;
  /** Whether the node has a connection to NATS; null where the node is none of these workers, or has not said so. */
  readonly connected: boolean | null;
}

export interface SharedCluster extends Pick<ClusterView, 'connected' | 'endpoints' | 'totals'> {
  readonly name: null;
  readonly nodes: readonly SharedNode[];
}

export interface ServerView extends Omit<NodeView, 'cluster'> {
  readonly cluster: SharedCluster | null;
  readonly workers: readonly WorkerView[];
}

const STATES = ['lost', 'leaving', 'up'] as const;

function better(a: NodeState['state'], b: NodeState['state']): NodeState['state'] {
  return STATES.indexOf(a) > STATES.indexOf(b) ? a : b;
}

/** Two workers' views of one node: the worker that heard of it last knows its state; what waits for it at both adds up. */
function merge(a: NodeState, b: NodeState): NodeState {
  const newer = a.incarnation >= b.incarnation ? a : b;
  if (a.incarnation !== b.incarnation) return newer;
  return {
    ...newer,
    state: better(a.state, b.state),
    heardMs: Math.min(a.heardMs, b.heardMs),
    backlog: a.backlog + b.backlog,
    endpoints: Math.max(a.endpoints, b.endpoints),
  };
}

function totalsOf(views: readonly ClusterView[]): ClusterView['totals'] {
  const totals = views.map(({ totals }) => totals);
  const sum = (name: keyof ClusterView['totals']): number => totals.reduce((sum, one) => sum + one[name], 0);
  return {
    // Every worker knows the endpoints of the whole cluster.
    replicaEndpoints: Math.max(0, ...totals.map(({ replicaEndpoints }) => replicaEndpoints)),
    itemsSent: sum('itemsSent'),
    itemsReceived: sum('itemsReceived'),
    itemsRefused: sum('itemsRefused'),
    itemsTooLarge: sum('itemsTooLarge'),
    framesSent: sum('framesSent'),
    framesRepeated: sum('framesRepeated'),
    framesDropped: sum('framesDropped'),
    goneOn: sum('goneOn'),
    inDoubt: sum('inDoubt'),
    charactersSent: sum('charactersSent'),
    callsForwarded: sum('callsForwarded'),
    answersGivenUp: sum('answersGivenUp'),
    visitors: sum('visitors'),
    handedOver: sum('handedOver'),
    handoversRefused: sum('handoversRefused'),
    sessionsHandedOver: sum('sessionsHandedOver'),
    sessionsAdopted: sum('sessionsAdopted'),
    left: sum('left'),
    adopted: sum('adopted'),
    adoptionsRefused: sum('adoptionsRefused'),
    adoptionsDelayed: sum('adoptionsDelayed'),
    givenUp: sum('givenUp'),
    doubted: sum('doubted'),
    deletionsGivenUp: sum('deletionsGivenUp'),
  };
}

/** `workers`: the names of all workers; `endpoints`: how many are online on any of them. */
export function mergeCluster(
  views: readonly ClusterView[],
  workers: ReadonlySet<string>,
  endpoints: number,
): SharedCluster {
  const seen = new Map<string, NodeState>();
  for (const node of views.flatMap(({ nodes }) => nodes)) {
    const known = seen.get(node.name);
    seen.set(node.name, known ? merge(known, node) : node);
  }
  const nodes = new Map<string, SharedNode>();
  for (const [name, node] of seen) nodes.set(name, { ...node, worker: workers.has(name), connected: null });
  // What a worker says of itself replaces what others have heard of it.
  for (const { name, incarnation, connected, endpoints } of views) {
    const { heardMs = 0, backlog = 0 } = seen.get(name) ?? {};
    nodes.set(name, { name, incarnation, state: 'up', heardMs, backlog, endpoints, worker: true, connected });
  }
  return {
    name: null,
    connected: views.every(({ connected }) => connected),
    endpoints,
    nodes: [...nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    totals: totalsOf(views),
  };
}

function workerView({ name, url, restarts }: WorkerPort, heartbeat: Heartbeat | null): WorkerView {
  if (!heartbeat) return { name, state: url === null ? 'starting' : 'silent', restarts, process: null };
  const { node } = heartbeat;
  const sample = sampleOf([heartbeat]);
  const { rssBytes, lagP99, cpu } = sample;
  const connections = CONNECTION_FIELDS.reduce((sum, field) => sum + sample[field], 0);
  const process = { pid: node.pid, startedAt: node.startedAt, connections, rssBytes, lagP99, cpu };
  return { name, state: stateOf(node), restarts, process };
}

function stateOf({ ready, conditions }: NodeView): WorkerView['state'] {
  if (ready) return 'ready';
  return conditions.some(({ name }) => name === 'starting') ? 'starting' : 'draining';
}

/** Conditions of all workers, each once: since when any worker has it, and not ready where it makes any worker so. */
function mergeConditions(all: readonly (readonly Condition[])[]): readonly Condition[] {
  const shared = new Map<string, Condition>();
  for (const condition of all.flat()) {
    const known = shared.get(condition.name);
    const since = Math.min(known?.since ?? condition.since, condition.since);
    shared.set(condition.name, { ...(known?.ready === false ? known : condition), since });
  }
  return [...shared.values()];
}

export function serverView(ports: readonly WorkerPort[], heartbeats: Heartbeats): ServerView {
  const counted = heartbeats.all(ports.map(({ name }) => name));
  const clusters = counted.map(({ node }) => node.cluster).filter((cluster) => cluster !== null);
  const { online } = sampleOf(counted);
  const names = new Set(ports.map(({ name }) => name));
  return {
    version: packageVersion(),
    runtime: `Node ${process.versions.node}`,
    pid: process.pid,
    startedAt: Math.round(performance.timeOrigin),
    ready: counted.length === ports.length && counted.every(({ node }) => node.ready),
    conditions: mergeConditions(counted.map(({ node }) => node.conditions)),
    cluster: clusters.length > 0 ? mergeCluster(clusters, names, online) : null,
    workers: ports.map((port) => workerView(port, heartbeats.of(port.name))),
  };
}
