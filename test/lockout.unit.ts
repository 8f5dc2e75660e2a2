import t from 'tap';
import { loadConfig } from '../src/config.js';
import { Lockout } from '../src/lockout.js';

/** A lockout with a clock of its own, that a test moves. */
function lockout(settings: Record<string, number> = {}) {
  const loaded = loadConfig({ lockout: { failures: 3, longestMs: 8000, ...settings } });
  if ('errors' in loaded) throw new Error(loaded.errors.join());
  const clock = { ms: 1_700_000_000_000 };
  return {
    clock,
    it: new Lockout(
      () => clock.ms,
      () => loaded.config.lockout,
    ),
  };
}

t.test('who guesses wrong waits, twice as long each time, up to the longest', async (t) => {
  const { clock, it } = lockout();
  const waits: number[] = [];
  for (let n = 0; n < 8; n++) {
    waits.push(it.wrong('a'));
    t.equal(it.waitS('a'), waits.at(-1));
    clock.ms += (waits.at(-1) ?? 0) * 1000;
    t.equal(it.waitS('a'), 0, 'and may try again then');
  }
  t.strictSame(waits, [0, 0, 1, 2, 4, 8, 8, 8]);
  t.equal(it.waitS('b'), 0, 'others do not wait');
});

t.test('a right guess, or enough silence, is forgiven', async (t) => {
  const { clock, it } = lockout({ forgetMs: 60_000 });
  for (let n = 0; n < 5; n++) it.wrong('a');
  it.right('a');
  t.strictSame([it.waitS('a'), it.size, it.wrong('a')], [0, 0, 0]);
  for (let n = 0; n < 5; n++) it.wrong('b');
  clock.ms += 60_000;
  t.equal(it.wrong('b'), 0);
});

t.test(
  'a lockout remembers as many names as its limit says, and forgets the one that was silent longest',
  async (t) => {
    const { it } = lockout({ failures: 1, entries: 2 });
    it.wrong('a');
    it.wrong('b');
    it.wrong('a');
    it.wrong('c');
    t.equal(it.size, 2);
    t.strictSame([it.waitS('a') > 0, it.waitS('b') > 0, it.waitS('c') > 0], [true, false, true]);
  },
);

t.test('with failures set to 0 nobody is locked out', async (t) => {
  const { it } = lockout({ failures: 0 });
  for (let n = 0; n < 100; n++) it.wrong('a');
  t.strictSame([it.waitS('a'), it.size], [0, 0]);
});

t.test('it is calm again when all that have guessed wrong were silent long enough and wait no more', async (t) => {
  const { clock, it } = lockout({ failures: 1, firstMs: 1000, forgetMs: 60_000 });
  t.equal(it.isCalm, true);
  it.wrong('a');
  clock.ms += 30_000;
  it.wrong('b');
  clock.ms += 30_000;
  t.strictSame([it.isCalm, it.size], [false, 1]);
  clock.ms += 30_000;
  t.strictSame([it.isCalm, it.size], [true, 0]);
});
