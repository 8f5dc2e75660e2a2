import t from 'tap';
import type { Domain } from '../src/actors/domain.js';
import { FairShare } from '../src/protocols/fair-share.js';

/** Turns of an event loop, by hand. */
class Turns {
  readonly endOfTurn = new Set<() => void>();
  isAwake = false;
  isCrowded = false;
  nowMs = 0;
  readonly now = (): number => this.nowMs;

  wake(): void {
    this.isAwake = true;
  }

  end(): void {
    this.isAwake = false;
    for (const task of this.endOfTurn) task();
  }
}

function domain(): Domain {
  return { metrics: { deferred: 0 }, lane: { pending: 0 } } as unknown as Domain;
}

t.test('a flood of one domain holds up another one by no turn, and is done in its order', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const [flood, calm] = [domain(), domain()];
  const done: number[] = [];
  fair.pass(calm, () => undefined);
  for (let turn = 0; turn < 50; turn++) {
    for (let n = 0; n < 100; n++) {
      const number = turn * 100 + n;
      fair.pass(flood, () => void done.push(number));
    }
    t.ok(
      fair.pass(calm, () => undefined),
      'done in the turn in which it comes',
    );
    turns.end();
    t.ok(done.length <= (turn + 1) * 12, 'a turn does a bounded number of the flood');
  }
  while (turns.isAwake) turns.end();
  t.strictSame(
    done,
    Array.from({ length: 5000 }, (_, n) => n),
    'nothing is lost or overtaken',
  );
  t.ok(flood.metrics.deferred > 4000);
  t.equal(calm.metrics.deferred, 0);
});

t.test('several floods are served one after another', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const floods = [domain(), domain(), domain()];
  const done = floods.map(() => 0);
  for (let n = 0; n < 100; n++) {
    for (const [i, one] of floods.entries()) {
      fair.pass(one, () => {
        done[i] = (done[i] ?? 0) + 1;
      });
    }
  }
  turns.end();
  t.ok(Math.max(...done) - Math.min(...done) <= 1, String(done));
});

t.test('a domain that is alone never waits', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const [alone, other] = [domain(), domain()];
  for (let n = 0; n < 10_000; n++) t.ok(fair.pass(alone, () => undefined));
  fair.pass(other, () => undefined);
  turns.end();
  const passed = () => Array.from({ length: 100 }, () => fair.pass(alone, () => undefined)).filter(Boolean).length;
  t.equal(passed(), 4, 'with another one beside it, it does');
  for (let turn = 0; turn < 1100; turn++) {
    fair.pass(alone, () => undefined);
    turns.end();
  }
  t.equal(passed(), 100, 'until that one has been away');
});

t.test('a small task is done uncounted while its domain is the only busy one and nothing of it waits', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const [alone, other] = [domain(), domain()];
  t.notOk(fair.isAlone(alone), 'nothing is known of it yet');
  fair.pass(alone, () => undefined);
  turns.end();
  t.ok(fair.isAlone(alone));
  t.notOk(turns.isAwake, 'no turn is asked for');
  t.notOk(fair.isAlone(other));
  fair.wait(alone, () => undefined);
  t.notOk(fair.isAlone(alone), 'a task waits');
  turns.end();
  t.ok(fair.isAlone(alone));
  fair.pass(other, () => undefined);
  t.notOk(fair.isAlone(other), 'both are busy');
  t.notOk(fair.isAlone(alone));
});

t.test('who asks first does at once what may be, and makes ready only what has to wait', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const [flood, calm] = [domain(), domain()];
  const done: string[] = [];
  fair.pass(calm, () => undefined);
  for (let n = 0; n < 6; n++) {
    if (fair.isTurnOf(flood)) done.push('now');
    else fair.wait(flood, () => done.push('later'));
  }
  turns.end();
  t.strictSame(done, ['now', 'now', 'now', 'now', 'later', 'later']);
});

t.test('a queue is bounded, and a server with nothing to do is not woken', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const [flood, calm] = [domain(), domain()];
  turns.end();
  t.notOk(turns.isAwake);
  fair.pass(calm, () => undefined);
  for (let n = 0; n < 10_004; n++) {
    t.notOk(fair.isFull(flood));
    fair.pass(flood, () => undefined);
  }
  t.ok(fair.isFull(flood));
  t.notOk(fair.isFull(calm));
  while (turns.isAwake) turns.end();
  t.equal(fair.waiting(flood), 0);
});

t.test('what waits of one domain holds at most 64 MiB, however few tasks it is', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const [flood, calm] = [domain(), domain()];
  fair.pass(calm, () => undefined);
  for (let n = 0; n < 4; n++) fair.pass(flood, () => undefined, 1024 * 1024);
  for (let n = 0; n < 64; n++) {
    t.notOk(fair.isFull(flood));
    t.notOk(fair.pass(flood, () => undefined, 1024 * 1024));
  }
  t.ok(fair.isFull(flood));
  t.notOk(fair.isFull(calm));
  while (turns.isAwake) turns.end();
  t.notOk(fair.isFull(flood), 'what is done holds nothing');
});

t.test('a turn begins no further task of a domain once its tasks have taken long, and one always', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const [flood, calm] = [domain(), domain()];
  let done = 0;
  const long = () => {
    turns.nowMs += 5;
    done += 1;
  };
  fair.pass(calm, () => undefined);
  for (let n = 0; n < 10; n++) fair.pass(flood, long);
  t.equal(done, 1, 'at once');
  for (let turn = 1; turn <= 9; turn++) {
    t.ok(fair.pass(calm, () => undefined));
    turns.end();
    t.equal(done, turn + 1, 'one in a turn');
  }
});

t.test('nothing more of a domain is begun while much waits in its lane, and others are', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns, turns.now);
  const lane = { pending: 0 };
  const flood = { metrics: { deferred: 0 }, lane } as unknown as Domain;
  const [calm, other] = [domain(), domain()];
  const done: string[] = [];
  fair.pass(calm, () => undefined);
  fair.pass(flood, () => {
    done.push('to a room');
    lane.pending = 1000;
  });
  t.notOk(fair.pass(flood, () => done.push('flood')));
  for (let n = 0; n < 6; n++) fair.pass(other, () => done.push('other'));
  for (let turn = 0; turn < 5; turn++) turns.end();
  t.strictSame(done, ['to a room', ...Array(6).fill('other')]);
  lane.pending = 0;
  turns.end();
  t.equal(done.at(-1), 'flood');
});

t.test(
  'what is done in parts goes on before another task of its domain is begun, a part in a turn beside others',
  async (t) => {
    const turns = new Turns();
    const fair = new FairShare(turns, turns.now);
    const [flood, calm] = [domain(), domain()];
    const done: string[] = [];
    const batch = (name: string, part: number): void => {
      done.push(`${name} ${part}`);
      turns.nowMs += 1;
      if (part < 3) fair.goOn(flood, () => batch(name, part + 1));
    };
    fair.pass(calm, () => undefined);
    for (const name of ['a', 'b', 'c']) fair.pass(flood, () => batch(name, 1));
    t.strictSame(done, ['a 1']);
    while (turns.isAwake) {
      const before = done.length;
      turns.end();
      t.ok(done.length <= before + 1);
    }
    t.equal(done.join(), 'a 1,a 2,a 3,b 1,b 2,b 3,c 1,c 2,c 3');
  },
);
