import t from 'tap';
import { Liveness } from '../src/protocols/liveness.js';
import { ManualClock } from './mqtt/support/clock.js';

const SECOND = 1000;

function world(pingMs: number, silenceMs: number) {
  const clock = new ManualClock();
  const begun = clock.now();
  const pings: number[] = [];
  const gone: number[] = [];
  const since = () => (clock.now() - begun) / SECOND;
  const alive = new Liveness<string>(
    clock,
    { pingMs, silenceMs },
    () => pings.push(since()),
    () => gone.push(since()),
  );
  const pass = (seconds: number) => {
    for (let n = 0; n < seconds; n++) clock.advance(SECOND);
  };
  return { clock, pings, gone, alive, pass, begun };
}

t.test('a silent peer is pinged three times, and gone after silenceMs', async (t) => {
  for (const [pingMs, silenceMs, pings] of [
    [30, 120, [30, 60, 90]],
    [60, 120, [30, 60, 90]],
    [25, 120, [24, 48, 72, 96]],
    [30, 20, [5, 10, 15]],
  ] as const) {
    const { alive, pass, ...seen } = world(pingMs * SECOND, silenceMs * SECOND);
    alive.open('socket');
    pass(silenceMs - 1);
    t.strictSame([seen.pings, seen.gone], [pings, []]);
    pass(1);
    t.strictSame(seen.gone, [silenceMs]);
    t.equal(alive.heardAt('socket'), null);
    pass(300);
    t.strictSame([seen.pings, seen.gone], [pings, [silenceMs]]);
    alive.close();
    t.equal(seen.clock.waiting, 0);
  }
});

t.test('a peer that says something by itself every 20 seconds is never pinged', async (t) => {
  const { alive, pass, pings, gone } = world(30 * SECOND, 120 * SECOND);
  alive.open('socket');
  for (let n = 0; n < 100; n++) {
    pass(20);
    alive.heard('socket');
  }
  t.strictSame([pings, gone], [[], []]);
  pass(30);
  t.strictSame(pings, [2030]);
  alive.close();
});

t.test('a peer that answers is pinged again after the same time, and known to have been heard then', async (t) => {
  const { alive, pass, pings, gone, begun, clock } = world(30 * SECOND, 120 * SECOND);
  alive.open('socket');
  pass(31);
  alive.heard('socket');
  t.equal(alive.heardAt('socket'), begun + 31 * SECOND);
  pass(60);
  t.strictSame(pings, [30, 61, 91]);
  t.equal(alive.heardAt('socket'), begun + 31 * SECOND, 'a ping is nothing that was heard');
  pass(59);
  t.strictSame(gone, []);
  pass(1);
  t.strictSame(gone, [151]);
  alive.heard('socket');
  t.equal(alive.heardAt('socket'), null, 'what comes from one that has gone changes nothing');
  alive.open('other');
  alive.closed('other');
  pass(200);
  t.strictSame(gone, [151]);
  t.equal(clock.waiting, 0);
});
