import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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

t.test('A cursor comes to its end though new topics are published faster than it goes', async (t) => {
  const retained = kept('a/1', 'a/2', 'b/1', 'b/2');
  const cursor = retained.cursor('+/#');
  const found: string[] = [];
  for (let i = 0; i < 100; i++) {
    for (const topic of [`a/new${i}`, `b/new${i}/x`, `new${i}/1`]) retained.put(publication(topic));
    const next = cursor.next(0, { left: 1 });
    if (next === null) break;
    if (next !== 'paused') found.push(next.topic);
    t.not(i, 99, 'it has come to its end');
  }
  t.strictSame(found, ['a/1', 'a/2', 'b/1', 'b/2']);
});

t.test('A cursor finds all that stays, whatever is removed around the place where it stands', async (t) => {
  const count = 1000;
  const retained = newRetained(newMetrics());
  for (let i = 0; i < count; i++) retained.put(publication(`t/${i}`));
  const cursor = retained.cursor('t/+');
  const found: string[] = [];
  for (let i = 0; i < count; i += 10) {
    const next = cursor.next(0, { left: count });
    if (next === null || next === 'paused') break;
    found.push(next.topic);
    // The one where it stands goes, and so do the nine behind it.
    for (let gone = i; gone < i + 10; gone++) retained.put(publication(`t/${gone}`, ''));
  }
  const wanted = Array.from({ length: count / 10 }, (_, i) => `t/${i * 10}`);
  t.strictSame(found, wanted);
  t.equal(retained.count, 0);
  t.equal(cursor.next(0, { left: count }), null);
});

/** Bytes that are in use when garbage has been collected. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

t.test('A cursor that waits for its client holds on to no topic that comes and goes meanwhile', async (t) => {
  const retained = newRetained(newMetrics());
  for (let i = 0; i < 500; i++) retained.put(publication(`jobs/${i}`));
  const cursor = retained.cursor('jobs/+');
  t.match(cursor.next(0, { left: 10 }), { topic: 'jobs/0' });
  const before = heapBytes();
  for (let i = 500; i < 100_000; i++) {
    retained.put(publication(`jobs/${i}`));
    retained.put(publication(`jobs/${i - 400}`, ''));
  }
  const grown = heapBytes() - before;
  t.ok(grown < 8_000_000, `${grown} bytes are held`);
  t.match(cursor.next(0, { left: 10 }), { topic: 'jobs/1' });
});
