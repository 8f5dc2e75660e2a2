/** Services in turns through cuts, orderly ends and kills: see support/desk.ts. */
import t from 'tap';
import { Desk } from './support/desk.js';
import type { Ending } from './support/restarting-network.js';

const RUNS = 20;
const STEPS = 120;
const KILLS: readonly Ending[] = ['in order', 'killed', 'killed at its end', 'killed at its start'];

for (const durability of ['restart', 'always']) {
  for (const endings of [['in order'], KILLS] as const) {
    const what = `${durability}, while the server ${endings.length > 1 ? 'is killed' : 'ends in order'} and starts`;
    t.test(`each message to a service in turns reaches one of its clients: ${what}`, async (t) => {
      const sum = { had: 0, missed: 0, restarts: 0, killed: 0 };
      for (let seed = 1; seed <= RUNS; seed++) {
        const desk = new Desk(durability, endings, seed);
        try {
          await desk.begin();
          for (let step = 0; step < STEPS; step++) await desk.step();
          await desk.finish();
          desk.check();
        } catch (error) {
          t.equal(`seed ${seed}: ${(error as Error).stack}`, '');
          return;
        }
        desk.net.close();
        for (const { bodies, missed } of desk.pages) {
          sum.had += bodies.length;
          sum.missed += missed;
        }
        sum.restarts += desk.restarts;
        sum.killed += Number(desk.isKilled);
      }
      t.ok(sum.had > 10 * RUNS && sum.restarts > RUNS, JSON.stringify(sum));
      t.equal(sum.killed > RUNS / 2, endings.length > 1, JSON.stringify(sum));
      if (endings.length === 1) t.ok(sum.missed > RUNS, JSON.stringify(sum));
    });
  }
}
