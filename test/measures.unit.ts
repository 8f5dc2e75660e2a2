import t from 'tap';
import { CONNECTION_FIELDS, Meter } from '../src/admin/measures.js';
import { Metrics, TRANSPORT_KINDS } from '../src/metrics.js';

t.test('connections of every kind are measured, and in the dashboard’s plot', async (t) => {
  const metrics = new Metrics();
  const kinds = TRANSPORT_KINDS.filter((kind) => kind !== 'webhook');
  for (const kind of kinds) metrics.connections[kind] = 1;
  const meter = new Meter(metrics);
  t.teardown(() => meter.close());
  const sample = meter.sample();
  t.strictSame(
    CONNECTION_FIELDS.map((field) => sample[field]),
    kinds.map(() => 1),
  );
  // The dashboard's files are JavaScript: what is read of them is typed here.
  const page: string = '../src/admin/page/plots.js';
  const { PLOTS } = (await import(page)) as { PLOTS: { series: [label: string, field: string, colour: string][] }[] };
  const series = PLOTS[0]?.series ?? [];
  t.strictSame(
    series.map(([, field]) => field),
    CONNECTION_FIELDS,
  );
});
