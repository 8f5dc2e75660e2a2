import t from 'tap';
import { Seldom } from '../src/seldom.js';

function heard() {
  let now = 0;
  const lines: Readonly<Record<string, unknown>>[] = [];
  const seldom = new Seldom(
    () => now,
    (_level, fields) => lines.push(fields),
  );
  const pass = (ms: number): void => {
    now += ms;
  };
  return { seldom, lines, pass };
}

t.test(
  'a complaint that comes 104,100 times is one line a minute, and the next says how many were left out',
  async (t) => {
    const { seldom, lines, pass } = heard();
    for (let n = 0; n < 104_100; n++) seldom.warn('frame', { event: 'refused' }, 'broken');
    t.strictSame(lines, [{ event: 'refused' }]);
    pass(60_000);
    seldom.warn('frame', { event: 'refused' }, 'broken');
    t.strictSame(lines[1], { event: 'refused', more: 104_099 });
    pass(60_000);
    seldom.warn('frame', { event: 'refused' }, 'broken');
    t.strictSame(lines[2], { event: 'refused' });
  },
);

t.test('complaints that name a new address each time are a hundred lines a minute', async (t) => {
  const { seldom, lines, pass } = heard();
  for (let n = 0; n < 20_000; n++) seldom.info(`address ${n}`, { n }, 'refused');
  t.equal(lines.length, 100);
  pass(60_000);
  seldom.info('address 7', { n: 7 }, 'refused');
  t.strictSame(lines.slice(100), [{ event: 'lines left out', lines: 19_900 }, { n: 7 }]);
});
