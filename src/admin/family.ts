/** What a metric is: its name, meaning and labels, and where its numbers are read from. */
import type { DomainMetrics, Histogram, Metrics } from '../metrics.js';
import type { ClusterView } from './cluster.js';
import type { History } from './history.js';

export interface Source {
  readonly metrics: Metrics;
  readonly history: History;
  /** null: there is one node. */
  readonly cluster: () => ClusterView | null;
}

export type Labels = Readonly<Record<string, string>>;

/** A number, or how many values fell in which bucket: these are divided by `unit` to be in the unit of the name. */
export type Reading =
  | { readonly labels: Labels; readonly value: number }
  | { readonly labels: Labels; readonly histogram: Histogram; readonly unit: number };

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (source: Source) => readonly Reading[];
}

/** One number without labels. */
export function single(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  read: (source: Source) => number,
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
    read: ({ metrics }) =>
      [...metrics.domains.values()].map((domain) => ({ labels: { domain: domain.name }, value: read(domain) })),
  };
}

/** Those of a domain's numbers that are not 0: it may have many domains, and most reasons never occur. */
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
    read: ({ metrics }) =>
      [...metrics.domains.values()].flatMap((domain) => {
        const numbers = read(domain);
        return keys
          .filter((key) => numbers[key] !== 0)
          .map((key) => ({ labels: { domain: domain.name, [label]: key }, value: numbers[key] }));
      }),
  };
}
