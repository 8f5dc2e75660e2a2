/** Lanes of domains take turns in what waits of each: counted in messages and writes, not in time. */
import t from 'tap';
import { Lane } from '../src/actors/lane.js';
import { type ActorLane, type Behaviour, createSystem, type Ref } from '../src/actors/system.js';
import { Metrics } from '../src/metrics.js';
import { withTime } from './support/time-by-hand.js';
import { turnsUntil } from './support/until.js';

function stage(t: { teardown(fn: () => void): void }, isCrowded: boolean, sleptMs = () => 0) {
  const system = createSystem({ metrics: new Metrics(), sleptMs });
  t.teardown(() => system.close());
  system.isCrowded = isCrowded;
  /** What was handled and written, in order. */
  const log: string[] = [];
  const behaviour: Behaviour<null, string> = {
    receive(state, message) {
      log.push(message);
      return state;
    },
  };
  const actorIn = (lane: ActorLane): Ref<string> => system.spawn(system.group('group', lane), behaviour, null);
  const writes = (lane: ActorLane, what: string) => lane.add({ flush: () => log.push(what) });
  const handled = (count: number) => turnsUntil(`${count} entries of the log`, () => log.length >= count);
  return { system, log, actorIn, writes, handled };
}

t.test(
  'thirty-two messages of the only busy domain are handled before their turn, and what they tell other actors',
  async (t) => {
    const { system, log, actorIn } = stage(t, false);
    withTime(t, () => 0);
    const [lane, other] = [system.lane(), system.lane()];
    const hearer = actorIn(lane);
    const teller: Behaviour<null, string> = {
      receive(state, message) {
        hearer.tell(message);
        return state;
      },
    };
    const actor = system.spawn(system.group('group', lane), teller, null);
    for (let n = 1; n < 32; n++) actor.tell('told');
    t.equal(system.endRead(), false, 'there are fewer');
    t.strictSame(log, []);
    actor.tell('told');
    t.equal(system.endRead(), true);
    t.equal(log.length, 32);
    for (let n = 0; n < 32; n++) actor.tell('told');
    actorIn(other).tell('calm');
    t.equal(system.endRead(), false, 'another domain is busy');
    t.equal(log.length, 32);
    await turnsUntil('all in their turn', () => log.length >= 65);
  },
);

t.test('the first read since the event loop has slept has its turn when it ends, others wait for theirs', async (t) => {
  withTime(t, () => 0);
  let sleptMs = 0;
  const { system, log, actorIn, writes, handled } = stage(t, false, () => sleptMs);
  let turns = 0;
  system.endOfTurn.add(() => {
    turns += 1;
  });
  const isOver = (isFirst: boolean, handle: () => void): boolean => {
    if (isFirst) sleptMs += 0.01;
    system.beginRead();
    handle();
    return system.endRead();
  };
  const [lane, other] = [system.lane(), system.lane()];
  const [actor, calm] = [actorIn(lane), actorIn(other)];
  const tell = (message: string) => () => actor.tell(message);
  t.ok(isOver(true, tell('alone')));
  t.strictSame([log, turns], [['alone'], 1]);
  t.ok(isOver(true, () => system.wake()));
  t.equal(turns, 2, 'a turn that was requested is had');
  isOver(false, () => undefined);
  t.equal(turns, 2, 'and no other');

  t.notOk(isOver(false, tell('at once')));
  t.notOk(isOver(true, tell('while a turn is due')));
  t.equal(log.length, 1);
  await handled(3);
  const bothTold = () => {
    actor.tell('busy');
    calm.tell('busy, too');
  };
  t.notOk(isOver(true, bothTold));
  t.equal(log.length, 3);
  await handled(5);
  const toldAndWritten = () => {
    writes(lane, 'written');
    actor.tell('before it is written');
  };
  t.notOk(isOver(true, toldAndWritten));
  await handled(7);
  t.strictSame(log.slice(5), ['before it is written', 'written']);
});

t.test('no message is handled before its turn where domains share the turns', async (t) => {
  const { system, log, actorIn, handled } = stage(t, true);
  const actor = actorIn(system.lane());
  system.beginRead();
  for (let n = 0; n < 100; n++) actor.tell('told');
  t.equal(system.endRead(), false);
  t.strictSame(log, []);
  await handled(100);
});

t.test(
  'what comes to more than a slice of messages waits for its turn, and so does what comes meanwhile',
  async (t) => {
    withTime(t, () => 0);
    const { system, log, actorIn, handled } = stage(t, false);
    const lane = system.lane();
    const hearer = actorIn(lane);
    const room: Behaviour<null, null> = {
      receive(state) {
        for (let n = 0; n < 100; n++) hearer.tell('told');
        return state;
      },
    };
    const actor = system.spawn(system.group('group', lane), room, null);
    for (let n = 0; n < 32; n++) actor.tell(null);
    t.equal(system.endRead(), false);
    const first = log.length;
    t.ok(first <= 1000, `${first} of 3,200`);
    for (let n = 0; n < 32; n++) actor.tell(null);
    t.equal(system.endRead(), false);
    t.equal(log.length, first);
    await handled(6400);
    for (let n = 0; n < 32; n++) hearer.tell('later');
    t.equal(system.endRead(), true, 'after that turn they are again');
  },
);

t.test('what waits of one domain holds up a message of another by one message', async (t) => {
  const { system, log, actorIn, handled } = stage(t, true);
  const [flood, calm] = [system.lane(), system.lane()];
  const members = Array.from({ length: 10_000 }, () => actorIn(flood));
  for (const member of members) member.tell('flood');
  actorIn(calm).tell('calm');
  await handled(10_001);
  t.ok(log.indexOf('calm') <= 1, `after ${log.indexOf('calm')} of 10,000`);
});

t.test('writes to ten thousand connections of one domain hold up a write of another by one', async (t) => {
  const { system, log, writes, handled } = stage(t, true);
  const [flood, calm] = [system.lane(), system.lane()];
  for (let n = 0; n < 10_000; n++) writes(flood, 'flood');
  writes(calm, 'calm');
  await handled(10_001);
  t.ok(log.indexOf('calm') <= 1, `after ${log.indexOf('calm')} of 10,000`);
});

t.test('a connection whose write takes a whole turn does not put off the writes of other domains', async (t) => {
  const { system, log, handled } = stage(t, true);
  const now = performance.now;
  let aheadMs = 0;
  withTime(t, () => now.call(performance) + aheadMs);
  const lanes = ['slow', 'second', 'third'].map((what) => ({ what, lane: system.lane() }));
  const flush = (what: string) => () => {
    log.push(what);
    aheadMs += 1000;
  };
  for (let n = 0; n < 20; n++) for (const { what, lane } of lanes) lane.add({ flush: flush(what) });
  await handled(60);
  for (const { what } of lanes) t.ok(log.indexOf(what) < 3, `${what}: after ${log.indexOf(what)} of 60`);
  t.ok(log.lastIndexOf('slow') >= 57, 'the domains take turns to the end');
});

t.test(
  'a domain with messages waiting is written when they are handled, and others need not wait for that',
  async (t) => {
    const { system, log, actorIn, writes, handled } = stage(t, true);
    const [flood, calm] = [system.lane(), system.lane()];
    const member = actorIn(flood);
    for (let n = 0; n < 20; n++) member.tell('flood');
    writes(flood, 'flood is written');
    writes(calm, 'calm is written');
    await handled(22);
    t.ok(log.indexOf('calm is written') < log.indexOf('flood is written') || log.indexOf('flood is written') === 20);
    t.equal(log.filter((what, at) => what === 'flood' && at > log.indexOf('flood is written')).length, 0);
  },
);

t.test('each of many busy domains keeps its order, and none is forgotten', async (t) => {
  for (const isCrowded of [true, false]) {
    const { system, log, actorIn, handled } = stage(t, isCrowded);
    const actors = Array.from({ length: 50 }, () => actorIn(system.lane()));
    for (let n = 0; n < 100; n++) for (const [i, actor] of actors.entries()) actor.tell(`${i} ${n}`);
    await handled(5000);
    for (const i of actors.keys()) {
      t.strictSame(
        log.filter((what) => what.startsWith(`${i} `)),
        Array.from({ length: 100 }, (_, n) => `${i} ${n}`),
      );
    }
  }
});

t.test(
  'a lane that never empties lets go of what it has handled, and its clients are written all the same',
  async (t) => {
    const { system, log, writes, handled } = stage(t, true);
    const lane = system.lane();
    let left = 30_000;
    const restless: Behaviour<null, null> = {
      receive(state, _message, self) {
        left -= 1;
        if (left > 0) self.tell(null);
        return state;
      },
    };
    const actor = system.spawn(system.group('group', lane), restless, null);
    for (let n = 0; n < 10; n++) actor.tell(null);
    writes(lane, 'written');
    await handled(1);
    t.strictSame(log, ['written']);
    await turnsUntil('an empty lane', () => lane.pending === 0);
    t.ok(left <= 0);
  },
);

t.test(
  'a million messages that wait are moved as often as there are messages, not as often as there are turns',
  async (t) => {
    const lane = new Lane<number>(() => undefined);
    const { slice } = Array.prototype;
    let moved = 0;
    t.teardown(() => {
      Array.prototype.slice = slice;
    });
    for (let n = 0; n < 1_000_000; n++) lane.tell(n, null);
    Array.prototype.slice = function (this: unknown[], ...range: [number?, number?]) {
      const rest = slice.apply(this, range);
      moved += rest.length;
      return rest;
    };
    let sum = 0;
    while (lane.messages > 0) lane.handle(1000, (cell) => (sum += cell));
    t.equal(sum, 499_999_500_000);
    t.ok(moved <= 2 * 1_000_000, `${moved} moved`);
  },
);

for (const isCrowded of [false, true]) {
  const beside = isCrowded ? 'beside another domain' : 'alone';
  t.test(
    `a flood of half a million messages, ${beside}, leaves at most 100,000 of them to the next turn`,
    async (t) => {
      const { system, log, actorIn } = stage(t, isCrowded);
      const actor = actorIn(system.lane());
      if (isCrowded) actorIn(system.lane()).tell('calm');
      for (let n = 0; n < 500_000; n++) actor.tell('flood');
      await new Promise((resolve) => setImmediate(resolve));
      t.ok(log.length >= 400_000, `${log.length} handled`);
      t.ok(actor.pending <= 100_000, `${actor.pending} wait`);
    },
  );
}
