import t from 'tap';
import { BoundedMap } from '../src/bounded-map.js';

t.test('a bounded map forgets the key that was set longest ago', async (t) => {
  const map = new BoundedMap<string, number>(() => 2);
  map.set('a', 1).set('b', 2).set('a', 3);
  t.strictSame(
    [...map],
    [
      ['b', 2],
      ['a', 3],
    ],
  );
  map.get('b');
  map.set('c', 4);
  t.strictSame([...map.keys()], ['a', 'c'], 'reading a key does not make it newer');
});

t.test('a bounded map follows a limit that changes, and holds nothing while it is 0', async (t) => {
  let limit = 1;
  const map = new BoundedMap<string, number>(() => limit);
  map.set('a', 1);
  limit = 2;
  map.set('b', 2);
  t.equal(map.size, 2);
  limit = 0;
  t.equal(new BoundedMap<string, number>(() => limit).set('a', 1).size, 0);
});
