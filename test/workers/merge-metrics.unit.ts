import t from 'tap';
import { prometheusText } from '../../src/admin/prometheus.js';
import { byWorker, type MetricValues, mergeMetrics } from '../../src/workers/merge-metrics.js';

t.test(
  'metrics of several workers become one text: each sample named by its worker, each family described once',
  async (t) => {
    const metrics = (value: number): MetricValues => ({
      nextalk_rooms: [{ labels: {}, value }],
      nextalk_time_seconds: [
        { labels: { route: 'a{b}' }, count: value, sum: value, buckets: [{ le: null, count: value }] },
      ],
    });
    const workers = new Map([
      ['a-1', metrics(1)],
      ['a-2', metrics(2)],
    ]);
    const read = () => [];
    const joined = prometheusText(
      byWorker(workers, {}, [
        { name: 'nextalk_rooms', type: 'gauge', help: 'Rooms.', labels: [], read },
        { name: 'nextalk_time_seconds', type: 'histogram', help: 'Time.', labels: ['route'], read },
      ]),
    );
    t.equal(
      joined,
      `# HELP nextalk_rooms Rooms.
# TYPE nextalk_rooms gauge
nextalk_rooms{worker="a-1"} 1
nextalk_rooms{worker="a-2"} 2

# HELP nextalk_time_seconds Time.
# TYPE nextalk_time_seconds histogram
nextalk_time_seconds_bucket{worker="a-1",route="a{b}",le="+Inf"} 1
nextalk_time_seconds_sum{worker="a-1",route="a{b}"} 1
nextalk_time_seconds_count{worker="a-1",route="a{b}"} 1
nextalk_time_seconds_bucket{worker="a-2",route="a{b}",le="+Inf"} 2
nextalk_time_seconds_sum{worker="a-2",route="a{b}"} 2
nextalk_time_seconds_count{worker="a-2",route="a{b}"} 2
`,
    );
  },
);

t.test(
  'numbers of several workers add up by their labels; or the largest or smallest counts, as their family says',
  async (t) => {
    const rooms = (domain: string, value: number) => ({ labels: { domain }, value });
    const one = (value: number) => [{ labels: {}, value }];
    const histogram = (count: number) => [
      { labels: {}, count: count * 2, sum: count * 3, buckets: [1, null].map((le) => ({ le, count })) },
    ];
    const summed = mergeMetrics(
      [
        {
          rooms: [rooms('a', 1), rooms('b', 2)],
          x_ready: one(1),
          x_lag_seconds: one(5),
          x_build_info: one(1),
          h: histogram(1),
        },
        {
          rooms: [rooms('b', 3), rooms('c', 4)],
          x_ready: one(0),
          x_lag_seconds: one(2),
          x_build_info: one(1),
          h: histogram(2),
        },
      ],
      [
        { name: 'rooms' },
        { name: 'x_ready', merge: Math.min },
        { name: 'x_lag_seconds', merge: Math.max },
        { name: 'x_build_info', merge: Math.max },
        { name: 'h' },
      ],
    );
    t.strictSame(summed, {
      rooms: [rooms('a', 1), rooms('b', 5), rooms('c', 4)],
      x_ready: one(0),
      x_lag_seconds: one(5),
      x_build_info: one(1),
      h: histogram(3),
    });
  },
);

t.test('what several workers have counted is in the merged number once', async (t) => {
  const worker = (online: number, shared: number): MetricValues => ({
    online: [{ labels: { domain: 'a' }, value: online }],
    shared: [{ labels: { domain: 'a' }, value: shared }],
  });
  const merged = mergeMetrics(
    [worker(3, 0), worker(2, 1)],
    [{ name: 'online', duplicates: 'shared' }, { name: 'shared' }],
  );
  t.strictSame(merged, worker(4, 1));
});

t.test(
  'the text of a metric escapes backslashes, quotes and line feeds as the format of Prometheus asks',
  async (t) => {
    const family = { name: 'x', type: 'gauge', help: 'One \\ and\nanother "line".' } as const;
    t.equal(
      prometheusText([[family, [{ labels: { name: '\\ " \n' }, value: 0.5 }]]]),
      `# HELP x One \\\\ and\\nanother "line".\n# TYPE x gauge\nx{name="\\\\ \\" \\n"} 0.5\n`,
    );
  },
);
