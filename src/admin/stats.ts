/** `/api/stats`: the numbers of `/metrics` as JSON. */
import type { Condition } from '../conditions.js';
import type { Viewer } from '../directory/operations.js';
import { packageVersion } from '../version.js';
import type { ClusterView } from './cluster.js';
import { FAMILIES } from './families.js';
import { type Source, snapshotOf, toValue, type Value } from './family.js';
import type { Described } from './prometheus.js';

/** This process, and which other nodes it knows. */
export interface NodeView {
  readonly version: string;
  readonly runtime: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly ready: boolean;
  /** What is the matter with it. */
  readonly conditions: readonly Condition[];
  /** null where there is only one node. */
  readonly cluster: ClusterView | null;
}

export function nodeView(source: Source): NodeView {
  return {
    version: packageVersion(),
    runtime: `Node ${process.versions.node}`,
    pid: process.pid,
    startedAt: Math.round(performance.timeOrigin),
    ready: source.metrics.conditions.ready,
    conditions: source.metrics.conditions.list(),
    cluster: source.cluster(),
  };
}

/** What an owner is told of the server. */
function ownersView(node: NodeView): NodeView {
  return { ...node, pid: 0, conditions: [], cluster: null };
}

/** Of values those that the viewer may see: an owner sees those of some domains alone. */
export function valuesFor(viewer: Viewer | null, values: readonly Value[]): readonly Value[] {
  const domains = viewer?.domains ?? null;
  return domains === null
    ? values
    : values.filter(({ labels: { domain } }) => domain !== undefined && domains.has(domain));
}

/** Every family with the numbers that the viewer may see. `named`: the domains with series of their own; null: all domains. */
export function valuesOf(source: Source, viewer: Viewer | null, named: ReadonlySet<string> | null = null): Described[] {
  const snapshot = snapshotOf(source, named);
  return FAMILIES.map((family) => [family, valuesFor(viewer, family.read(snapshot).map(toValue))]);
}

/** This node and its numbers, under the names they have in `/metrics`. */
export function statistics(source: Source, viewer: Viewer | null): object {
  const node = nodeView(source);
  const metrics = valuesOf(source, viewer)
    .map(([{ name }, values]) => [name, values] as const)
    .filter(([, values]) => !viewer?.domains || values.length > 0);
  return { node: viewer?.domains ? ownersView(node) : node, metrics: Object.fromEntries(metrics) };
}
