import t from 'tap';
import { HybridClock } from '../../src/cluster/hybrid-clock.js';
import { dice } from '../support/dice.js';

t.test('each stamp is later than all before it, whatever the time of day does', async (t) => {
  const roll = dice(3);
  let now = 1_700_000_000_000;
  const clock = new HybridClock({ now: () => now });
  let latest = 0;
  let problems = 0;
  for (let step = 0; step < 10_000; step += 1) {
    now += roll(100) - 50;
    if (roll(4) === 0) {
      const heard = (now + roll(1000) - 500) * 1024 + roll(1024);
      clock.heard(heard);
      latest = Math.max(latest, heard);
    }
    const stamp = clock.next();
    if (stamp <= latest || !Number.isSafeInteger(stamp)) problems += 1;
    latest = stamp;
  }
  t.equal(problems, 0);
});

t.test('a stamp is near the time of day', async (t) => {
  const now = 1_700_000_000_000;
  const clock = new HybridClock({ now: () => now });
  t.equal(Math.floor(clock.next() / 1024), now);
  t.equal(Math.floor(clock.next() / 1024), now + 1, 'and a millisecond later where there was one already');
});
