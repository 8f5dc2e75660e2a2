/** What a metric is: its name, meaning and labels, and where its numbers are read from. */
import type { DomainMetrics, Histogram, Metrics } from '../metrics.js';
import type { ClusterView } from './cluster.js';
import type { History } from './history.js';

export interface Source {
  readonly metrics: Metrics;
  readonly history: History;
  /** null where there is only one node. */
  readonly cluster: () => ClusterView | null;
}

/** The value of the label `domain` under which all domains without series of their own are added up. */
export const OTHER = 'other';

/** What families are read from, the same for all families of one answer. Unused domains are left out: a server may have thousands. */
export interface Snapshot extends Source {
  /** The used domains that have series of their own. */
  readonly used: readonly DomainMetrics[];
  /** The used domains that are added up as OTHER. */
  readonly others: readonly DomainMetrics[];
}

/** `named`: the names of the domains that have series of their own; null: all domains have. */
export function snapshotOf(source: Source, named: ReadonlySet<string> | null = null): Snapshot {
  const [used, others]: [DomainMetrics[], DomainMetrics[]] = [[], []];
  for (const domain of source.metrics.domains.values()) {
    if (domain.isUsed) (named === null || named.has(domain.name) ? used : others).push(domain);
  }
  return { ...source, used, others };
}

export type Labels = Readonly<Record<string, string>>;

/** A number, or a histogram, whose values are divided by `unit` to be in the unit that the metric's name ends with. */
export type Reading =
  | { readonly labels: Labels; readonly value: number }
  | { readonly labels: Labels; readonly histogram: Histogram; readonly unit: number };

interface Bucket {
  /** Largest value of the bucket; null: no bound. */
  readonly le: number | null;
  /** Values in this bucket alone. */
  readonly count: number;
}

/** A reading as `/api/stats` answers it. */
export type Value =
  | { readonly labels: Labels; readonly value: number }
  | { readonly labels: Labels; readonly count: number; readonly sum: number; readonly buckets: readonly Bucket[] };

export function toValue(reading: Reading): Value {
  if ('value' in reading) return reading;
  const { labels, histogram, unit } = reading;
  const buckets = Array.from(histogram.counts, (count, i) => {
    const bound = histogram.bound(i) / unit;
    return { le: Number.isFinite(bound) ? bound : null, count };
  });
  return { labels, count: buckets.reduce((sum, { count }) => sum + count, 0), sum: histogram.sum / unit, buckets };
}

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (source: Snapshot) => readonly Reading[];
  /** How two workers' numbers become that of one server. Without it they are added. */
  readonly merge?: (a: number, b: number) => number;
  /** The family that counts what other workers have counted in this one too: the sum is without it. */
  readonly duplicates?: string;
}

/** A family whose largest number of all workers stands for the server. */
export function largest(family: Family): Family {
  return { ...family, merge: Math.max };
}

/** A family whose smallest number of all workers stands for the server. */
export function smallest(family: Family): Family {
  return { ...family, merge: Math.min };
}

/** One number without labels. */
export function single(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  read: (source: Snapshot) => number,
): Family {
  return { name, type, help, labels: [], read: (source) => [{ labels: {}, value: read(source) }] };
}

/** One number for each of a closed list of keys. */
export function keyed<K extends string>(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  label: string,
  keys: readonly K[],
  read: (metrics: Metrics, key: K) => number,
): Family {
  return {
    name,
    type,
    help,
    labels: [label],
    read: ({ metrics }) => keys.map((key) => ({ labels: { [label]: key }, value: read(metrics, key) })),
  };
}

/** One number of each domain that has been used since the start. */
export function ofDomain(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  read: (domain: DomainMetrics) => number,
): Family {
  return {
    name,
    type,
    help,
    labels: ['domain'],
    read: ({ used, others }) => {
      const readings = used.map((domain) => ({ labels: { domain: domain.name }, value: read(domain) }));
      if (others.length === 0) return readings;
      return [...readings, { labels: { domain: OTHER }, value: others.reduce((sum, domain) => sum + read(domain), 0) }];
    },
  };
}

/** A domain's numbers by key, those that are 0 left out: a server may have many domains, and most reasons never occur. */
export function ofDomainKeyed<K extends string>(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  label: string,
  keys: readonly K[],
  read: (domain: DomainMetrics) => Readonly<Record<K, number>>,
): Family {
  return {
    name,
    type,
    help: `${help} Left out while 0.`,
    labels: ['domain', label],
    read: ({ used, others }) =>
      [...used.map((domain) => [domain.name, read(domain)] as const), ...together(others, keys, read)].flatMap(
        ([name, numbers]) =>
          keys
            .filter((key) => numbers[key] !== 0)
            .map((key) => ({ labels: { domain: name, [label]: key }, value: numbers[key] })),
      ),
  };
}

/** The numbers of several domains added up by key, under the name OTHER; an empty list where `domains` is empty. */
function together<K extends string>(
  domains: readonly DomainMetrics[],
  keys: readonly K[],
  read: (domain: DomainMetrics) => Readonly<Record<K, number>>,
): (readonly [string, Readonly<Record<K, number>>])[] {
  if (domains.length === 0) return [];
  const all = domains.map(read);
  const sums = keys.map((key) => [key, all.reduce((sum, numbers) => sum + numbers[key], 0)] as const);
  return [[OTHER, Object.fromEntries(sums) as Record<K, number>]];
}
