/** `/api/stats`: the numbers of `/metrics` as JSON. */
import type { Condition } from '../conditions.js';
import { packageVersion } from '../version.js';
import type { ClusterView } from './cluster.js';
import { FAMILIES } from './families.js';
import { type Source, toValue } from './family.js';

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

/** This node and its numbers, under the names they have in `/metrics`. */
export function statistics(source: Source): object {
  return {
    node: nodeView(source),
    metrics: Object.fromEntries(FAMILIES.map((family) => [family.name, family.read(source).map(toValue)])),
  };
}
