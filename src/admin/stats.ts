/** `/api/stats`: the numbers of `/metrics` as JSON. */
import type { Condition } from '../conditions.js';
import { packageVersion } from '../version.js';
import type { ClusterView } from './cluster.js';
import { FAMILIES } from './families.js';
import type { Reading, Source } from './family.js';

interface Bucket {
  /** Largest value of the bucket; null: no bound. */
  readonly le: number | null;
  readonly count: number;
}

type Value =
  | { readonly labels: Readonly<Record<string, string>>; readonly value: number }
  | {
      readonly labels: Readonly<Record<string, string>>;
      readonly count: number;
      readonly sum: number;
      /** Not cumulative. */
      readonly buckets: readonly Bucket[];
    };

function toJson(reading: Reading): Value {
  if ('value' in reading) return reading;
  const { labels, histogram, unit } = reading;
  const buckets = Array.from(histogram.counts, (count, i) => {
    const bound = histogram.bound(i) / unit;
    return { le: Number.isFinite(bound) ? bound : null, count };
  });
  return { labels, count: buckets.reduce((sum, { count }) => sum + count, 0), sum: histogram.sum / unit, buckets };
}

/** Who this is, and which nodes it knows. */
export interface NodeView {
  readonly version: string;
  readonly runtime: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly ready: boolean;
  /** What is the matter with it. */
  readonly conditions: readonly Condition[];
  /** null: there is one node. */
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
    metrics: Object.fromEntries(FAMILIES.map((family) => [family.name, family.read(source).map(toJson)])),
  };
}
