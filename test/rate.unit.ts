import t from 'tap';
import { Rate } from '../src/protocols/rate.js';

function taken(rate: Rate<object>, who: object, tries: number, perSecond: number, nowMs: number): number {
  let count = 0;
  for (let n = 0; n < tries; n++) if (rate.take(who, perSecond, nowMs)) count += 1;
  return count;
}

t.test(
  'a rate lets through its number in a second, at once or spread, and never twice that over the turn of a second',
  async (t) => {
    const rate = new Rate<object>();
    const who = {};
    t.equal(taken(rate, who, 100, 10, 999), 10, 'at once');
    t.equal(taken(rate, who, 100, 10, 1000), 0, 'the next second brings none by itself');
    t.equal(taken(rate, who, 100, 10, 1499), 5, 'half a second brings half');
    t.equal(taken(rate, who, 100, 10, 60_000), 10, 'a quiet minute no more than a second');
    t.equal(taken(rate, {}, 100, 10, 60_000), 10, 'each has its own');
  },
);

t.test('a burst may be larger than what a second brings', async (t) => {
  const rate = new Rate<object>();
  const who = {};
  const take = (nowMs: number) => {
    let count = 0;
    while (rate.take(who, 10, nowMs, 20)) count += 1;
    return count;
  };
  t.equal(take(0), 20);
  t.equal(take(1000), 10);
  t.equal(take(60_000), 20);
});

t.test('a rate of 0 is no limit, and a clock that goes back lets nothing more through', async (t) => {
  const rate = new Rate<object>();
  const who = {};
  t.equal(taken(rate, who, 1000, 0, 0), 1000);
  t.equal(taken(rate, who, 100, 10, 5000), 10);
  t.equal(taken(rate, who, 100, 10, 0), 0);
});
