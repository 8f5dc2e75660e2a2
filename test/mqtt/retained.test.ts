import t from 'tap';
import { Publication } from '../../src/actors/publication.js';
import { Metrics } from '../../src/metrics.js';
import { Retained } from '../../src/protocols/mqtt/retained.js';

const unlimited = () => ({ retainedPerDomain: 0, retainedBytes: 0 });

function publication(topic: string, payload = 'x', expiresAt = Number.POSITIVE_INFINITY): Publication {
  const fields = { qos: 0, retain: true, properties: Buffer.alloc(0), publisher: null } as const;
  return new Publication({ ...fields, topic, payload: Buffer.from(payload), expiresAt });
}

function kept(...topics: readonly string[]): Retained {
  const retained = new Retained(new Metrics().domain('a.example'), unlimited);
  for (const topic of topics) retained.put(publication(topic));
  return retained;
}

t.test('A filter finds what it matches', async (t) => {
  const retained = kept('a', 'a/b', 'a/b/c', 'a//c', '/a', '$SYS/x', 'd');
  const table: readonly (readonly [filter: string, topics: readonly string[]])[] = [
    ['a', ['a']],
    ['a/#', ['a', 'a//c', 'a/b', 'a/b/c']],
    ['a/+', ['a/b']],
    ['+/+/c', ['a//c', 'a/b/c']],
    ['a/+/#', ['a//c', 'a/b', 'a/b/c']],
    ['#', ['/a', 'a', 'a//c', 'a/b', 'a/b/c', 'd']],
    ['+/#', ['/a', 'a', 'a//c', 'a/b', 'a/b/c', 'd']],
    ['+/x', []],
    ['$SYS/#', ['$SYS/x']],
    ['/+', ['/a']],
    ['b', []],
  ];
  for (const [filter, topics] of table) {
    const found = retained.match(filter, 0).map(({ topic }) => topic);
    t.strictSame(found.sort(), [...topics].sort(), filter);
  }
});

t.test('A later publication takes the place of an earlier one, an empty one removes it', async (t) => {
  const retained = kept('a/b');
  retained.put(publication('a/b', 'new'));
  t.equal(retained.match('a/b', 0)[0]?.payload.toString(), 'new');
  t.equal(retained.count, 1);
  retained.put(publication('a/b', ''));
  retained.remove('a');
  t.equal(retained.count, 0);
  t.strictSame(retained.match('#', 0), []);
});

t.test('What has expired is found no more, and is gone', async (t) => {
  const retained = kept('stays');
  retained.put(publication('goes', 'x', 1000));
  t.equal(retained.match('#', 999).length, 2);
  t.equal(retained.match('#', 1000).length, 1);
  t.equal(retained.count, 1);
});

t.test('Beyond its bounds nothing is kept, and that is counted', async (t) => {
  const metrics = new Metrics().domain('a.example');
  const limits = { retainedPerDomain: 0, retainedBytes: 1_000_000 };
  const retained = new Retained(metrics, () => limits);
  const large = 'x'.repeat(100_000);
  for (let i = 0; i < 12; i++) retained.put(publication(`t/${i}`, large));
  t.equal(retained.count, 9);
  t.equal(metrics.dropped.quotaExceeded, 3);
  for (let i = 0; i < 9; i++) retained.put(publication(`t/${i}`, ''));
  for (let i = 0; i < 100; i++) retained.put(publication(i + '/a'.repeat(200)));
  t.ok(retained.count < 20, `${retained.count} of 200 levels are kept: levels count`);
  for (let i = 0; i < 100; i++) retained.put(publication(i + '/a'.repeat(200), ''));
  for (let i = 0; i < 12; i++) retained.put(publication(`t/${i}`, large));
  t.equal(retained.count, 9, 'what has gone takes nothing any more');
});
