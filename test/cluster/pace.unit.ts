/** The pace at which a node takes over endpoints of nodes that are gone. */
import t from 'tap';
import { AT_ONCE, FIRST_AT_ONCE, MOST_WAITING, Pace } from '../../src/cluster/pace.js';

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
  const room = FIRST_AT_ONCE + MOST_WAITING;
  t.equal(Array.from({ length: room + 5 }, run).filter((isRun) => isRun).length, room);
  t.equal(begun.length, FIRST_AT_ONCE);
  begun[0]?.();
  await turn();
  t.equal(begun.length, FIRST_AT_ONCE + 1, 'the next one begins when one has ended');
  t.equal(run(), true);
});

t.test('the longer a herd lasts, the more are taken over at a time', async (t) => {
  const { pace } = setUp();
  const { begun, run } = takeovers(pace);
  const inTurn = async (): Promise<number[]> => {
    for (let n = 0; n < 300; n++) run();
    const open: number[] = [];
    for (let ended = 0; ended < 200; ended++) {
      open.push(begun.length - ended);
      begun[ended]?.();
      await turn();
    }
    while (begun.length > 0) {
      for (const end of begun.splice(0)) end();
      await turn();
    }
    return open;
  };
  const open = await inTurn();
  t.strictSame([open[0], open[4], open[95], open[96], open.at(-1)], [FIRST_AT_ONCE, 9, 31, AT_ONCE, AT_ONCE]);
  t.strictSame(await inTurn(), open, 'the next herd begins as the first one did');
});

t.test('a node is busy while it takes over, and while those are expected who were told to come later', async (t) => {
  const { clock, pace } = setUp();
  const { begun, run } = takeovers(pace);
  t.equal(pace.isBusy, false);
  for (let n = 0; n <= FIRST_AT_ONCE + MOST_WAITING; n++) run();
  t.equal(pace.isBusy, true);
  for (let ended = 0; ended < begun.length; ended++) {
    begun[ended]?.();
    await null;
    await null;
  }
  await turn();
  t.equal(begun.length, FIRST_AT_ONCE + MOST_WAITING);
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

/** Takes `count` endpoints over, one every `everyMs`. */
function takeOver({ clock, pace }: ReturnType<typeof setUp>, count: number, everyMs: number): void {
  pace.run(() => new Promise(() => undefined));
  for (let n = 0; n < count; n++) {
    clock.now += everyMs;
    pace.advanced();
  }
}

/** How many of `count` clients that are told to come later are told each number of seconds. */
function told(pace: Pace, count: number): Map<number, number> {
  const found = new Map<number, number>();
  for (let n = 0; n < count; n++) {
    const seconds = pace.laterS();
    found.set(seconds, (found.get(seconds) ?? 0) + 1);
  }
  return found;
}

t.test('a client that is told to come later while few wait comes in a second', (t) => {
  const { pace } = setUp();
  t.strictSame([...told(pace, 10)], [[1, 10]]);
  t.end();
});

t.test('a herd that is told to come later comes one after the other, at the pace of the takeovers', (t) => {
  const at = setUp();
  takeOver(at, 2000, 5);
  const { pace } = at;
  const counts = [...told(pace, 5000).values()];
  t.equal(counts.length, 25, '200 a second');
  t.strictSame(
    counts.every((count) => count > 190 && count < 210),
    true,
  );
  t.end();
});

t.test('who is told to come later comes when half of those that wait have had their turn', (t) => {
  const at = setUp();
  takeOver(at, 2000, 4);
  for (let n = 0; n < AT_ONCE + MOST_WAITING; n++) at.pace.run(() => new Promise(() => undefined));
  t.equal(at.pace.laterS(), 21, 'half of 10,000 at 250 a second');
  t.end();
});

t.test('of a herd that is too large for the longest time all come within that time, and not in one moment', (t) => {
  const at = setUp();
  takeOver(at, 2000, 1000);
  for (let n = 0; n < AT_ONCE + MOST_WAITING; n++) at.pace.run(() => new Promise(() => undefined));
  const counts = told(at.pace, 3000);
  t.ok(Math.max(...counts.keys()) <= 60);
  t.ok(Math.max(...counts.values()) < 200, `${Math.max(...counts.values())} in one second`);
  t.end();
});

t.test('a node is busy until those have come who were told when to come', async (t) => {
  const { clock, pace } = setUp();
  for (let n = 0; n < 10_000; n++) pace.laterS();
  clock.now += 40_000;
  t.equal(pace.isBusy, true, 'the last one may take twice the 20 s');
  clock.now += 6000;
  t.equal(pace.isBusy, false);
});
