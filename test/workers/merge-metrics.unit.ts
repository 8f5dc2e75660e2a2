import t from 'tap';
import { mergeMetrics, mergeTexts } from '../../src/workers/merge-metrics.js';

t.test(
  'texts of several workers become one: each sample named by its worker, each family described once',
  async (t) => {
    const text = (value: number): string =>
      [
        '# HELP nextalk_rooms Rooms.',
        '# TYPE nextalk_rooms gauge',
        `nextalk_rooms ${value}`,
        '',
        '# HELP nextalk_time_seconds Time.',
        '# TYPE nextalk_time_seconds histogram',
        `nextalk_time_seconds_bucket{le="+Inf",route="a{b}"} ${value}`,
        '',
      ].join('\n');
    const joined = mergeTexts(
      new Map([
        ['a-1', text(1)],
        ['a-2', text(2)],
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
nextalk_time_seconds_bucket{worker="a-1",le="+Inf",route="a{b}"} 1
nextalk_time_seconds_bucket{worker="a-2",le="+Inf",route="a{b}"} 2
`,
    );
  },
);

t.test(
  'numbers of several workers add up by their labels; of lag the largest counts, of readiness the least',
  async (t) => {
    const rooms = (domain: string, value: number) => ({ labels: { domain }, value });
    const one = (value: number) => [{ labels: {}, value }];
    const histogram = (count: number) => [
      { labels: {}, count: count * 2, sum: count * 3, buckets: [1, null].map((le) => ({ le, count })) },
    ];
    const summed = mergeMetrics([
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
    ]);
    t.strictSame(summed, {
      rooms: [rooms('a', 1), rooms('b', 5), rooms('c', 4)],
      x_ready: one(0),
      x_lag_seconds: one(5),
      x_build_info: one(1),
      h: histogram(3),
    });
  },
);
