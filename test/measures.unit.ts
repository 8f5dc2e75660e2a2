import t from 'tap';
import { CONNECTION_FIELDS, Meter } from '../src/admin/measures.js';
// @ts-expect-error: the dashboard's files have no types.
import { PLOTS } from '../src/admin/page/plots.js';
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
  const [{ series }] = PLOTS as [{ series: [label: string, field: string, colour: string][] }];
  t.strictSame(
    series.map(([, field]) => field),
    CONNECTION_FIELDS,
  );
});
