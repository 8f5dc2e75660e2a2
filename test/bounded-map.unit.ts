import t from 'tap';
import { BoundedMap } from '../src/bounded-map.js';
import { dice } from './support/dice.js';

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

t.test('a bounded map has the keys of a list that is kept in their order, whatever is set and deleted', async (t) => {
  const next = dice(7);
  for (const limit of [1, 7, 300]) {
    const map = new BoundedMap<number, number>(() => limit);
    let naive: number[] = [];
    for (let step = 0; step < 2000; step++) {
      const key = next(limit * 2);
      naive = naive.filter((one) => one !== key);
      if (next(5) === 0) map.delete(key);
      else {
        map.set(key, step);
        naive = [...naive, key].slice(-limit);
      }
      if (step % 400 === 200) {
        map.clear();
        naive = [];
      }
      if (String([...map.keys()]) !== String(naive)) return t.fail(`limit ${limit}, step ${step}`);
    }
  }
  t.pass('in all steps');
});
