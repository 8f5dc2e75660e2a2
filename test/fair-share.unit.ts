import t from 'tap';
import type { Domain } from '../src/actors/domain.js';
import { FairShare } from '../src/protocols/fair-share.js';

/** Turns of an event loop, by hand. */
class Turns {
  readonly endOfTurn = new Set<() => void>();
  isAwake = false;

  wake(): void {
    this.isAwake = true;
  }

  end(): void {
    this.isAwake = false;
    for (const task of this.endOfTurn) task();
  }
}

function domain(): Domain {
  return { metrics: { deferred: 0 } } as unknown as Domain;
}

t.test('a flood of one domain holds up another one by no turn, and is done in its order', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns);
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
  const fair = new FairShare(turns);
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
  const fair = new FairShare(turns);
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

t.test('who asks first does at once what may be, and makes ready only what has to wait', async (t) => {
  const turns = new Turns();
  const fair = new FairShare(turns);
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
  const fair = new FairShare(turns);
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
