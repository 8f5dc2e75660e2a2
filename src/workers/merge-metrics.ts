/** The numbers of all workers as those of one server. */

/** What `/api/stats` of a worker answers. */
export interface Statistics {
  readonly node: Readonly<Record<string, unknown>>;
  readonly metrics: Readonly<Record<string, readonly Value[]>>;
}

interface Bucket {
  readonly le: number | null;
  readonly count: number;
}

export interface Value {
  readonly labels: Readonly<Record<string, string>>;
  readonly value?: number;
  readonly count?: number;
  readonly sum?: number;
  readonly buckets?: readonly Bucket[];
}

/** What does not add up: the worst of all workers stands for them. */
const largest = /_lag_|_condition$|_info$|_rooms$|_mqtt_retained$|_cluster_(nodes|nodes_lost|replica_endpoints)$/;
const smallest = /_ready$|_reload_success|_start_time_|_cluster_connected$/;

function merge(name: string, a: number, b: number): number {
  if (largest.test(name)) return Math.max(a, b);
  return smallest.test(name) ? Math.min(a, b) : a + b;
}

function merged(name: string, a: Value, b: Value): Value {
  const { labels } = a;
  if (a.value !== undefined) return { labels, value: merge(name, a.value, b.value ?? 0) };
  const buckets = (a.buckets ?? []).map(({ le, count }, i) => ({ le, count: count + (b.buckets?.[i]?.count ?? 0) }));
  return { labels, count: (a.count ?? 0) + (b.count ?? 0), sum: (a.sum ?? 0) + (b.sum ?? 0), buckets };
}

/** Adds the metrics of several workers up, each by its labels. */
export function mergeMetrics(all: readonly Statistics['metrics'][]): Record<string, Value[]> {
  const sums = new Map<string, Map<string, Value>>();
  for (const metrics of all) {
    for (const [name, values] of Object.entries(metrics)) {
      const byLabels = sums.get(name) ?? new Map<string, Value>();
      sums.set(name, byLabels);
      for (const value of values) {
        const key = JSON.stringify(value.labels);
        const known = byLabels.get(key);
        byLabels.set(key, known ? merged(name, known, value) : value);
      }
    }
  }
  for (const domain of ['', '_domain']) {
    countOnce(sums.get(`nextalk${domain}_endpoints_online`), sums.get(`nextalk${domain}_endpoints_shared`));
  }
  return Object.fromEntries([...sums].map(([name, byLabels]) => [name, [...byLabels.values()]]));
}

/** Endpoints that are on several workers are one each. */
function countOnce(online: Map<string, Value> | undefined, shared: ReadonlyMap<string, Value> | undefined): void {
  for (const [key, { value = 0 }] of shared ?? []) {
    const all = online?.get(key);
    if (all?.value !== undefined) online?.set(key, { ...all, value: all.value - value });
  }
}

/**
 * Puts Prometheus texts together: each sample of a worker gets a label `worker`, `own` are samples of no worker. Each family
 * is described once.
 */
export function mergeTexts(texts: ReadonlyMap<string, string>, own = ''): string {
  const families = new Map<string, { readonly head: string[]; readonly samples: string[] }>();
  for (const [worker, text] of [...texts, ['', own] as const]) {
    let samples: string[] = [];
    for (const line of text.split('\n')) {
      const [, kind, name = ''] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (kind !== undefined) {
        const family = families.get(name) ?? { head: [], samples: [] };
        families.set(name, family);
        if (!family.head.some((known) => known.startsWith(`# ${kind} `))) family.head.push(line);
        samples = family.samples;
      } else if (line !== '' && !line.startsWith('#')) {
        samples.push(worker === '' ? line : withLabel(line, worker));
      }
    }
  }
  return [...families.values()].map(({ head, samples }) => `${[...head, ...samples].join('\n')}\n`).join('\n');
}

function withLabel(sample: string, worker: string): string {
  const label = `worker="${worker}"`;
  const [, name = '', labels, rest = ''] = /^([^\s{]+)(\{.*\})?(\s.*)$/.exec(sample) ?? [];
  return labels === undefined || labels === '{}'
    ? `${name}{${label}}${rest}`
    : `${name}{${label},${labels.slice(1)}${rest}`;
}
