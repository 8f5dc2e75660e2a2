import t from 'tap';
import { Memory } from '../../src/actors/memory.js';
import { Publication } from '../../src/actors/publication.js';
import { type DomainMetrics, Metrics } from '../../src/metrics.js';
import { Retained, type RetainedLimits } from '../../src/protocols/mqtt/retained.js';

const unlimited = { retainedPerDomain: 0, retainedBytes: 0 };

function newRetained(metrics: DomainMetrics, limits: RetainedLimits = unlimited, bytesPerDomain = 0): Retained {
  return new Retained(metrics, () => limits, new Memory(metrics, () => ({ bytesPerDomain })));
}

function newMetrics(): DomainMetrics {
  return new Metrics().domain('a.example');
}

/** The publications that a filter matches, asked for with a budget of so many levels at a time. */
function matched(retained: Retained, filter: string, now = 0, levels = 3): Publication[] {
  const found: Publication[] = [];
  const cursor = retained.cursor(filter);
  for (let next = cursor.next(now, { left: levels }); next !== null; next = cursor.next(now, { left: levels })) {
    if (next !== 'paused') found.push(next);
  }
  return found;
}

function publication(topic: string, payload = 'x', expiresAt = Number.POSITIVE_INFINITY): Publication {
  const fields = { qos: 0, retain: true, properties: Buffer.alloc(0), publisher: null } as const;
  return new Publication({ ...fields, topic, payload: Buffer.from(payload), expiresAt });
}

function kept(...topics: readonly string[]): Retained {
  const retained = newRetained(newMetrics());
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
    const found = matched(retained, filter).map(({ topic }) => topic);
    t.strictSame(found.sort(), [...topics].sort(), filter);
  }
});

t.test('A later publication takes the place of an earlier one, an empty one removes it', async (t) => {
  const retained = kept('a/b');
  retained.put(publication('a/b', 'new'));
  t.equal(matched(retained, 'a/b')[0]?.payload.toString(), 'new');
  t.equal(retained.count, 1);
  retained.put(publication('a/b', ''));
  retained.remove('a');
  t.equal(retained.count, 0);
  t.strictSame(matched(retained, '#'), []);
});

t.test('A retained publication that has expired is found no more, and gives its room back', async (t) => {
  const retained = kept('stays');
  retained.put(publication('goes', 'x', 1000));
  t.equal(matched(retained, '#', 999).length, 2);
  t.equal(matched(retained, '#', 1000).length, 1);
  t.equal(retained.count, 1);
});

t.test('Beyond the bounds of its domain nothing is retained, and that is counted', async (t) => {
  const metrics = newMetrics();
  const retained = newRetained(metrics, { retainedPerDomain: 0, retainedBytes: 1_000_000 });
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

t.test('Nothing is retained beyond the memory of its domain, and what is removed gives its part back', async (t) => {
  const metrics = newMetrics();
  const retained = newRetained(metrics, unlimited, 100_000);
  const large = 'x'.repeat(30_000);
  for (let i = 0; i < 5; i++) retained.put(publication(`t/${i}`, large));
  t.equal(retained.count, 3);
  t.equal(metrics.dropped.quotaExceeded, 2);
  t.ok(metrics.memoryBytes > 90_000 && metrics.memoryBytes <= 100_000, `${metrics.memoryBytes} bytes are counted`);
  for (let i = 0; i < 5; i++) retained.put(publication(`t/${i}`, ''));
  t.equal(metrics.memoryBytes, 0);
});

t.test('A cursor looks at no more levels than its budget has, whatever its filter matches', async (t) => {
  const retained = newRetained(newMetrics());
  for (let i = 0; i < 1000; i++) retained.put(publication(`a/${i % 10}/${i}/x`));
  for (const filter of ['#', '+/+/+/x', '+/+/+/nothing', 'a/+/+/+', 'a/5/#']) {
    const cursor = retained.cursor(filter);
    const budget = { left: 100 };
    let found = 0;
    while (budget.left > 0 && cursor.next(0, budget) !== null) found += 1;
    t.ok(budget.left >= -4, `${filter}: ${budget.left} is left`);
    t.ok(found <= 101, `${filter}: ${found} are found`);
  }
});

t.test('A cursor keeps its place while publications come, go and change, and finds none that came later', async (t) => {
  const retained = kept('a/1', 'a/2', 'a/3', 'b/1', 'b/2');
  const cursor = retained.cursor('+/+');
  const budget = { left: 1000 };
  const next = () => {
    const found = cursor.next(0, budget);
    return found === null || found === 'paused' ? found : found.topic;
  };
  t.equal(next(), 'a/1');
  retained.put(publication('a/1', 'again'));
  retained.put(publication('a/2', ''));
  retained.put(publication('a/4', 'new'));
  retained.put(publication('b/1', 'changed'));
  retained.put(publication('c/1', 'new'));
  t.equal(next(), 'a/3');
  retained.put(publication('b/2', ''));
  retained.put(publication('b/1', ''));
  t.equal(next(), null);
  t.strictSame(
    matched(retained, '#')
      .map(({ topic }) => topic)
      .sort(),
    ['a/1', 'a/3', 'a/4', 'c/1'],
  );
});
