import t from 'tap';
import { TopicTree } from '../src/actors/topic-tree.js';
import fc from './support/properties.js';
import { filter, modelMatches, topic } from './support/topics.js';

interface Subscription {
  readonly filter: string;
  readonly subscriber: number;
}

/** What the tree must be indistinguishable from: a list. */
class Model {
  readonly #list: Subscription[] = [];

  insert(subscription: Subscription): void {
    if (this.#find(subscription) < 0) this.#list.push(subscription);
  }

  remove(subscription: Subscription): boolean {
    const at = this.#find(subscription);
    if (at >= 0) this.#list.splice(at, 1);
    return at >= 0;
  }

  match(topic: string): number[] {
    return this.#list.filter(({ filter }) => modelMatches(filter, topic)).map(({ subscriber }) => subscriber);
  }

  exact(filter: string): number[] {
    return this.#list.filter((subscription) => subscription.filter === filter).map(({ subscriber }) => subscriber);
  }

  get filters(): readonly string[] {
    return [...new Set(this.#list.map(({ filter }) => filter))];
  }

  get subscriptions(): readonly Subscription[] {
    return [...this.#list];
  }

  #find(wanted: Subscription): number {
    return this.#list.findIndex((one) => one.filter === wanted.filter && one.subscriber === wanted.subscriber);
  }
}

function matched(tree: TopicTree<number>, topic: string): number[] {
  const found: number[] = [];
  tree.match(topic, (subscriber) => found.push(subscriber));
  return found.sort();
}

type Step =
  | ({ readonly kind: 'insert' | 'remove' } & Subscription)
  | { readonly kind: 'match'; readonly topic: string };

const subscriber = fc.integer({ min: 0, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('insert' as const), filter, subscriber }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), filter, subscriber }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('match' as const), topic }) },
);

function isSame(found: readonly number[], wanted: readonly number[]): boolean {
  return JSON.stringify([...found].sort()) === JSON.stringify([...wanted].sort());
}

function holds(steps: readonly Step[]): boolean {
  const tree = new TopicTree<number>();
  const model = new Model();
  for (const step of steps) {
    if (step.kind === 'match') {
      if (!isSame(matched(tree, step.topic), model.match(step.topic))) return false;
    } else if (step.kind === 'insert') {
      if (tree.insert(step.filter, step.subscriber) !== step.filter) return false;
      model.insert(step);
    } else if (tree.remove(step.filter, step.subscriber) !== model.remove(step)) return false;
    if (tree.size !== model.filters.length) return false;
    if (tree.wildcards !== model.filters.filter((filter) => /[+#]/.test(filter)).length) return false;
  }
  for (const { filter, subscriber } of model.subscriptions) tree.remove(filter, subscriber);
  return tree.size === 0;
}

t.test('any sequence of subscriptions leaves the tree equal to a plain list', async () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), holds), { numRuns: 500 });
});

t.test('many subscribers of one filter come and go one by one', async (t) => {
  for (const filter of ['a/b', 'a/+']) {
    const tree = new TopicTree<number>();
    for (let n = 0; n < 100; n++) tree.insert(filter, n);
    for (let n = 0; n < 100; n++) tree.insert(filter, n);
    t.equal(matched(tree, 'a/b').length, 100, 'each is told once');
    for (let n = 0; n < 100; n += 2) t.ok(tree.remove(filter, n));
    t.notOk(tree.remove(filter, 0), 'who has left cannot leave again');
    t.equal(matched(tree, 'a/b').length, 50);
    for (let n = 1; n < 100; n += 2) t.ok(tree.remove(filter, n));
    t.equal(tree.size, 0);
  }
});

t.test('the subscribers of a filter are found by the filter as written', async (t) => {
  const tree = new TopicTree<number>();
  tree.insert('a/b', 1);
  tree.insert('a/+', 2);
  t.strictSame([...tree.exact('a/b')], [1]);
  t.strictSame([...tree.exact('a/c')], []);
});

t.test('the levels of filters with wildcards are counted while they are there', async (t) => {
  const tree = new TopicTree<number>();
  tree.insert('a/b/c', 1);
  t.equal(tree.levels, 0);
  tree.insert('a/b/+', 1);
  tree.insert('a/b/#', 1);
  tree.insert('a/+', 1);
  t.equal(tree.levels, 5);
  tree.remove('a/b/+', 1);
  t.equal(tree.levels, 4);
  tree.remove('a/b/#', 1);
  tree.remove('a/+', 1);
  t.equal(tree.levels, 0);
});

t.test('levels named like an object’s own properties are levels like others', async (t) => {
  const tree = new TopicTree<number>();
  tree.insert('__proto__/+', 1);
  tree.insert('constructor/toString', 2);
  t.strictSame(matched(tree, '__proto__/x'), [1]);
  t.strictSame(matched(tree, 'constructor/toString'), [2]);
  t.strictSame(matched(tree, 'toString'), []);
  t.notOk(tree.remove('hasOwnProperty', 1));
});

t.test('a removal while others stay takes only its own branch away', async (t) => {
  const tree = new TopicTree<number>();
  tree.insert('a/+/c', 1);
  tree.insert('a/+', 2);
  tree.insert('a/#', 3);
  t.notOk(tree.remove('a/+/c/d', 1));
  t.notOk(tree.remove('a/+/c', 2));
  t.ok(tree.remove('a/+', 2));
  t.strictSame(matched(tree, 'a/b/c'), [1, 3]);
  t.strictSame(matched(tree, 'a/b'), [3]);
});
