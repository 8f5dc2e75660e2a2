/** The topic tree alone, in this process: a million filters, and what a lookup, a subscription and its end cost. */
import { setImmediate as turn } from 'node:timers/promises';
import { TopicTree } from '../../src/actors/topic-tree.js';
import type { Figure, Metric, Scenario } from '../scenario.js';

/** Runs `work` for 0 … count-1 and answers microseconds for each. */
function micros(count: number, work: (index: number) => void): number {
  const start = performance.now();
  for (let index = 0; index < count; index += 1) work(index);
  return ((performance.now() - start) * 1000) / count;
}

/** Nine of ten filters name one topic, as users and rooms do; the others watch with a wildcard. */
function filterOf(index: number): string {
  if (index % 10 === 0) return `/domain/d${index % 100}/uid/u${index}/client/+`;
  return `/domain/d${index % 100}/uid/u${index}`;
}

export const topicTree: Scenario = {
  id: 'topic-tree-million',
  title: 'topic tree alone, a tenth of the filters with wildcards',
  targets: ['none'],
  run: async (context) => {
    const figures: Figure[] = [];
    const add = (mode: string, metric: Metric, value: number): void => {
      figures.push({ mode, metric, value });
    };
    for (const filters of context.quick ? [1000, 100_000] : [1000, 1_000_000]) {
      const name = filters === 1000 ? '1k filters' : `${filters / 1000}k filters`;
      const tree = new TopicTree<number>();
      const lookups = 200_000;
      let matches = 0;
      const lookUp = (index: number): void => {
        const wanted = (index * 7919) % filters;
        const topic = wanted % 10 === 0 ? `/domain/d${wanted % 100}/uid/u${wanted}/client/1` : filterOf(wanted);
        tree.match(topic, () => {
          matches += 1;
        });
      };
      add(
        `insert, ${name}`,
        'cost',
        micros(filters, (index) => tree.insert(filterOf(index), index)),
      );
      await turn();
      micros(lookups, lookUp);
      add(`match, ${name}`, 'cost', micros(lookups, lookUp));
      if (matches !== 2 * lookups) throw new Error(`${matches} matches instead of ${2 * lookups}`);
      add(
        `remove, ${name}`,
        'cost',
        micros(filters, (index) => tree.remove(filterOf(index), index)),
      );
      if (tree.size !== 0) throw new Error(`${tree.size} filters are left`);
    }
    return figures;
  },
};
