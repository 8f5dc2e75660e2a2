/** The pace at which a node takes over endpoints of nodes that are gone. */
import t from 'tap';
import { AT_ONCE, MOST_WAITING, Pace } from '../../src/cluster/pace.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A pace whose clocks the test moves. */
function setUp() {
  const clock = { now: 0, turnMs: 0 };
  return {
    clock,
    pace: new Pace(
      () => clock.now,
      () => clock.turnMs,
    ),
  };
}

/** Takeovers that end when the test says so. */
function takeovers(pace: Pace) {
  const begun: (() => void)[] = [];
  const run = (): boolean => pace.run(() => new Promise((resolve) => void begun.push(resolve)));
  return { begun, run };
}

t.test('a herd: so many are taken over at a time, so many wait, and the rest are told to come later', async (t) => {
  const { pace } = setUp();
  const { begun, run } = takeovers(pace);
  const room = AT_ONCE + MOST_WAITING;
  t.equal(Array.from({ length: room + 5 }, run).filter((isRun) => isRun).length, room);
  t.equal(begun.length, AT_ONCE);
  begun[0]?.();
  await turn();
  t.equal(begun.length, AT_ONCE + 1, 'the next one begins when one has ended');
  t.equal(run(), true);
});

t.test('a node is busy while it takes over, and while those are expected who were told to come later', async (t) => {
  const { clock, pace } = setUp();
  const { begun, run } = takeovers(pace);
  t.equal(pace.isBusy, false);
  for (let n = 0; n <= AT_ONCE + MOST_WAITING; n++) run();
  t.equal(pace.isBusy, true);
  for (let ended = 0; ended < begun.length; ended++) {
    begun[ended]?.();
    await null;
    await null;
  }
  await turn();
  t.equal(begun.length, AT_ONCE + MOST_WAITING);
  clock.now += 4000;
  pace.advanced();
  t.equal(pace.isBusy, true, 'who was told to come later has not come yet');
  clock.now += 1000;
  t.equal(pace.isBusy, false, 'nobody comes any more');
});

t.test('a node that takes nobody over for long, as JetStream does not answer, is not busy', (t) => {
  const { clock, pace } = setUp();
  takeovers(pace).run();
  clock.now += 4000;
  pace.advanced();
  clock.now += 4000;
  t.equal(pace.isBusy, true);
  clock.now += 1000;
  t.equal(pace.isBusy, false);
  t.end();
});

t.test('a turn of the event loop begins steps for a slice of its time only', async (t) => {
  const { clock, pace } = setUp();
  let steps = 0;
  const stepsIn = async (costMs: number, count: number): Promise<number[]> => {
    steps = 0;
    for (let n = 0; n < count; n++) {
      pace.step((done) => {
        steps += 1;
        clock.turnMs += costMs;
        done();
      });
    }
    const turns = [steps];
    for (let before = steps; steps < count; before = steps) {
      await turn();
      turns.push(steps - before);
    }
    await turn();
    return turns;
  };
  t.strictSame(await stepsIn(0.5, 12), [4, 4, 4], 'the first of those that come in one turn are done at once');
  t.strictSame(await stepsIn(50, 3), [1, 1, 1], 'one at least, however long a turn takes');
});

t.test('a step that never ends does not hold up the others', async (t) => {
  const { pace } = setUp();
  let done = 0;
  pace.step(() => undefined);
  pace.step((next) => {
    done += 1;
    next();
  });
  t.equal(done, 0);
  await turn();
  t.equal(done, 1);
});

t.test('what follows a turn counts as a part of its slice', async (t) => {
  const { clock, pace } = setUp();
  let done = 0;
  const work = async (): Promise<void> => {
    await pace.turn();
    clock.turnMs += 1;
    done += 1;
  };
  const all = Promise.all(Array.from({ length: 5 }, work));
  const turns: number[] = [];
  for (let before = 0; done < 5; before = done) {
    await turn();
    turns.push(done - before);
  }
  await all;
  t.strictSame(turns, [4, 1], 'two at once, and two in the turn that follows');
});
