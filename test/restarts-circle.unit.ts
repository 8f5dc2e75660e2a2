/** Rooms and the offline store through cuts, orderly ends and kills: see support/circle.ts. */
import t from 'tap';
import { Circle } from './support/circle.js';
import type { Ending } from './support/restarting-network.js';

const RUNS = 12;
const STEPS = 120;
const KILLS: readonly Ending[] = ['in order', 'killed', 'killed at its end', 'killed at its start'];

for (const durability of ['restart', 'always']) {
  for (const queuePackets of [0, 5]) {
    for (const endings of [['in order'], KILLS] as const) {
      const queues = queuePackets === 0 ? '' : ', of queues that overflow,';
      const what = `${durability}${queues} while the server ${endings.length > 1 ? 'is killed' : 'ends in order'} and starts`;
      t.test(
        `members of a room and who was offline have, or know is missing, what was for them: ${what}`,
        async (t) => {
          const sum = { had: 0, stored: 0, restarts: 0, killed: 0, missed: 0 };
          for (let seed = 1; seed <= RUNS; seed++) {
            const circle = new Circle(durability, queuePackets, endings, seed);
            try {
              await circle.begin();
              for (let step = 0; step < STEPS; step++) await circle.step();
              await circle.finish();
              circle.check();
            } catch (error) {
              t.equal(`seed ${seed}: ${(error as Error).stack}`, '');
              return;
            } finally {
              circle.close();
            }
            for (const { had, stored, pages } of circle.people) {
              sum.had += had.length;
              sum.stored += stored.size;
              for (const page of pages) sum.missed += page.missed;
            }
            sum.restarts += circle.restarts;
            sum.killed += Number(circle.isKilled);
          }
          t.ok(sum.had > 10 * RUNS && sum.restarts > 2 * RUNS && sum.stored > RUNS, JSON.stringify(sum));
          if (endings.length === 1) t.equal(sum.missed > 0, queuePackets > 0, JSON.stringify(sum));
          t.equal(sum.killed > RUNS / 2, endings.length > 1, JSON.stringify(sum));
        },
      );
    }
  }
}
