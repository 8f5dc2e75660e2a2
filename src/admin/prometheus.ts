/** The families in Prometheus text, by prom-client: read at the scrape, kept nowhere. */
import { type Metric, Registry } from 'prom-client';
import { FAMILIES } from './families.js';
import type { Family, Reading, Source } from './family.js';

interface Line {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

function lines(name: string, reading: Reading): Line[] {
  const { labels } = reading;
  if ('value' in reading) return [{ metricName: name, labels, value: reading.value }];
  const { histogram, unit } = reading;
  let count = 0;
  const buckets = Array.from(histogram.counts, (counted, i) => {
    count += counted;
    const bound = histogram.bound(i) / unit;
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: Number.isFinite(bound) ? bound : '+Inf' },
      value: count,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: histogram.sum / unit },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

/** A metric as prom-client's registry asks for it. */
function metricOf({ name, help, type, read }: Family, source: Source): Metric {
  const metric = {
    name,
    get: async () => ({
      name,
      help,
      type,
      values: read(source).flatMap((reading) => lines(name, reading)),
      aggregator: 'sum',
    }),
  };
  return metric as unknown as Metric;
}

export function createRegistry(source: Source): Registry {
  const registry = new Registry();
  for (const family of FAMILIES) registry.registerMetric(metricOf(family, source));
  return registry;
}
