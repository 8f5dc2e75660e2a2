/** The metrics of all workers as those of one server. */
import { FAMILIES } from '../admin/families.js';
import type { Family, Value } from '../admin/family.js';
import type { Described } from '../admin/prometheus.js';

/** What `/api/stats` of a worker answers. */
export interface Statistics {
  readonly node: Readonly<Record<string, unknown>>;
  readonly metrics: MetricValues;
}

/** The values of each family, by its name. */
export type MetricValues = Readonly<Record<string, readonly Value[]>>;

type Mergeable = Pick<Family, 'name' | 'merge' | 'duplicates'>;

const add = (a: number, b: number): number => a + b;

function merged(a: Value, b: Value, merge: (a: number, b: number) => number): Value {
  const { labels } = a;
  if ('value' in a) return { labels, value: 'value' in b ? merge(a.value, b.value) : a.value };
  if ('value' in b) return a;
  const buckets = a.buckets.map(({ le, count }, i) => ({ le, count: count + (b.buckets[i]?.count ?? 0) }));
  return { labels, count: a.count + b.count, sum: a.sum + b.sum, buckets };
}

/** One value for each set of labels. */
function mergeFamily({ name, merge = add }: Mergeable, all: readonly MetricValues[]): Map<string, Value> {
  const byLabels = new Map<string, Value>();
  for (const value of all.flatMap((metrics) => metrics[name] ?? [])) {
    const key = JSON.stringify(value.labels);
    const known = byLabels.get(key);
    byLabels.set(key, known ? merged(known, value, merge) : value);
  }
  return byLabels;
}

/** Merges the metrics of several workers, each family in its own way, by labels. */
export function mergeMetrics(
  all: readonly MetricValues[],
  families: readonly Mergeable[] = FAMILIES,
): Record<string, readonly Value[]> {
  const merged = new Map(families.map((family) => [family.name, mergeFamily(family, all)]));
  for (const { name, duplicates } of families) {
    if (duplicates !== undefined) subtract(merged.get(name), merged.get(duplicates));
  }
  return Object.fromEntries([...merged].map(([name, byLabels]) => [name, [...byLabels.values()]]));
}

/** Takes off what several workers have counted, so that each is counted once. */
function subtract(counted: Map<string, Value> | undefined, duplicates: ReadonlyMap<string, Value> | undefined): void {
  for (const [key, duplicate] of duplicates ?? []) {
    const value = counted?.get(key);
    if (value && 'value' in value && 'value' in duplicate) {
      counted?.set(key, { ...value, value: value.value - duplicate.value });
    }
  }
}

/** The values of each worker under a label `worker`, each family described once; `own` are the parent's, without that label. */
export function byWorker(
  workers: ReadonlyMap<string, MetricValues>,
  own: MetricValues,
  families: readonly Family[] = FAMILIES,
): Described[] {
  return families.map((family) => {
    const values = [...workers].flatMap(([worker, metrics]) =>
      (metrics[family.name] ?? []).map((value) => ({ ...value, labels: { worker, ...value.labels } })),
    );
    return [family, [...values, ...(own[family.name] ?? [])]];
  });
}
