import t from 'tap';
import { hasWildcard, isFilter, isTopic, matches } from '../src/actors/topic.js';
import fc from './support/properties.js';
import { filter, modelMatches, topic } from './support/topics.js';

t.test('a filter matches as MQTT 5 section 4.7 says', async (t) => {
  const rows: readonly (readonly [filter: string, topic: string, matches: boolean])[] = [
    ['a/b', 'a/b', true],
    ['a/b', 'a/c', false],
    ['a/b', 'a/b/c', false],
    ['a/b/c', 'a/b', false],
    ['a/b', 'A/b', false],
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['sport/#', 'sports', false],
    ['#', 'a', true],
    ['#', '/', true],
    ['#', '/a/b', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['+', 'finance', true],
    ['+/b/#', 'a/b', true],
    ['+/b/#', 'a/b/c/d', true],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['$SYS/#', '$SYS', true],
    ['$SYS/+', '$SYS/x', true],
    ['a/#', 'a/$b', true],
    ['a/+', 'a/$b', true],
    ['/domain/a.example/gid/+', '/domain/a.example/gid/r1', true],
    ['/domain/a.example/gid/+', '/domain/b.example/gid/r1', false],
    ['/domain/a.example/gid/+', '/domain/a.example/gid/r1/client/x', false],
    ['/domain/a.example/#', '/domain/a.example/uid/__proto__', true],
    ['constructor', 'constructor', true],
  ];
  for (const [filter, topic, expected] of rows) {
    t.equal(matches(filter, topic), expected, `${filter} ${expected ? 'matches' : 'does not match'} ${topic}`);
    t.equal(modelMatches(filter, topic), expected, 'and so does the model');
  }
});

t.test('a topic has no wildcards, and neither topics nor filters are empty, malformed or too long', async (t) => {
  const longest = 'x'.repeat(65_535);
  for (const good of ['a', '/', '//', 'a b', '$SYS', 'é', ' ', longest]) {
    t.ok(isTopic(good), good.slice(0, 10));
    t.ok(isFilter(good), good.slice(0, 10));
  }
  for (const bad of ['', 'a\u0000b', 'a\ud800', `${longest}x`, 'é'.repeat(32_768)]) {
    t.notOk(isTopic(bad), JSON.stringify(bad.slice(0, 10)));
    t.notOk(isFilter(bad), JSON.stringify(bad.slice(0, 10)));
  }
  for (const good of ['+', '#', '/+', '+/#', 'a/+/b', 'a/#']) {
    t.ok(isFilter(good), good);
    t.notOk(isTopic(good), good);
    t.ok(hasWildcard(good), good);
  }
  for (const bad of ['a+', '+a', 'a#', '#/a', 'a/#/b', '##', '++', 'a/+b/c', '#/', 'a/b#']) t.notOk(isFilter(bad), bad);
});

t.test('any filter and topic match exactly when the model says so', async () => {
  fc.assert(
    fc.property(filter, topic, (filter, topic) => matches(filter, topic) === modelMatches(filter, topic)),
    { numRuns: 2000 },
  );
});

t.test('the filters and topics that the properties use are valid', async () => {
  fc.assert(fc.property(filter, topic, (filter, topic) => isFilter(filter) && isTopic(topic)));
});
