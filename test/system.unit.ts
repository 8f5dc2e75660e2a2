import { inspect } from 'node:util';
import t from 'tap';
import { type Behaviour, createSystem, encodeName, type Ref, type System } from '../src/actors/system.js';
import { log } from '../src/log.js';
import { Metrics } from '../src/metrics.js';
import { turnsUntil } from './support/until.js';

interface Told {
  readonly kind: 'add' | 'forward' | 'forwardAtOnce' | 'fail' | 'failForGood' | 'end';
  readonly value?: string;
  readonly to?: Ref<Told>;
}

interface Log {
  readonly values: string[];
  stopped: number;
}

/** An actor that writes down what it is told, and does what the kind of the message says. */
function recorder(dead: string[]): Behaviour<Log, Told> {
  return {
    receive(state, { kind, value = '', to }) {
      if (kind === 'fail' || kind === 'failForGood') throw new Error(value);
      state.values.push(value);
      if (kind === 'forward' && to) to.tell({ kind: 'add', value });
      if (kind === 'forwardAtOnce' && to) to.tellAtOnce({ kind: 'add', value });
      return state;
    },
    onCrash: (_state, { kind }) => (kind === 'failForGood' ? 'stop' : 'resume'),
    isDone: ({ values }) => values.at(-1) === 'done',
    afterStop(state) {
      state.stopped += 1;
    },
    onDeadLetter: ({ value = '' }) => dead.push(value),
  };
}

interface Stage {
  readonly system: System;
  readonly metrics: Metrics;
  /** What came too late for actors that have stopped. */
  readonly dead: readonly string[];
  actor(): { ref: Ref<Told>; log: Log };
  /** Resolves when no actor is told anything any more. */
  quiet(): Promise<void>;
}

t.test('Actors', async (t) => {
  function stage(t: { teardown(fn: () => void): void }): Stage {
    const metrics = new Metrics();
    const system = createSystem({ metrics });
    t.teardown(() => system.close());
    const group = system.group('a group');
    const dead: string[] = [];
    const behaviour = recorder(dead);
    return {
      system,
      metrics,
      dead,
      actor() {
        const log: Log = { values: [], stopped: 0 };
        return { ref: system.spawn(group, behaviour, log), log };
      },
      async quiet() {
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      },
    };
  }

  t.test('receive what they are told, in order, and not before the teller has finished', async (t) => {
    const { actor, quiet } = stage(t);
    const one = actor();
    const two = actor();
    for (const value of ['1', '2', '3']) one.ref.tell({ kind: 'forward', value, to: two.ref });
    t.strictSame(one.log.values, []);
    await quiet();
    t.strictSame(one.log.values, ['1', '2', '3']);
    t.strictSame(two.log.values, ['1', '2', '3']);
    t.equal(one.ref.pending, 0);
  });

  t.test('go on after a crash with the state they had; what was told meanwhile is not lost', async (t) => {
    const { metrics, actor, quiet } = stage(t);
    const one = actor();
    const other = actor();
    one.ref.tell({ kind: 'add', value: 'before' });
    one.ref.tell({ kind: 'fail' });
    one.ref.tell({ kind: 'add', value: 'after' });
    other.ref.tell({ kind: 'add', value: 'undisturbed' });
    await quiet();
    t.strictSame(one.log, { values: ['before', 'after'], stopped: 0 });
    t.strictSame(other.log.values, ['undisturbed']);
    t.equal(metrics.crashes, 1);
    t.equal(metrics.deadLetters, 0);
  });

  t.test('are logged by the kind of the message when they crash, and nothing that it holds', async (t) => {
    const logged = t.capture(log, 'error');
    const { metrics, actor, quiet } = stage(t);
    const told = {
      kind: 'fail',
      value: 'a bug',
      body: 'for one pair of eyes',
      ticket: 'uid:1:ticket-of-jack',
    } as const;
    actor().ref.tell(told);
    await quiet();
    const lines = logged().flatMap(({ args }) => ((args[0] as { event?: unknown }).event === 'crash' ? [args] : []));
    t.match(lines, [[{ event: 'crash', message: 'fail', err: { message: 'a bug' } }, String]]);
    t.notMatch(inspect([lines, metrics.recent.summary()], { depth: 9 }), /one pair of eyes|ticket-of-jack/);
  });

  t.test('stop after a crash that calls for it; what was told is a dead letter, and the others live', async (t) => {
    const { metrics, actor, quiet, dead } = stage(t);
    const one = actor();
    const other = actor();
    one.ref.tell({ kind: 'failForGood' });
    await quiet();
    t.strictSame(one.log, { values: [], stopped: 1 });
    t.ok(one.ref.stopped);
    one.ref.tell({ kind: 'add', value: 'late' });
    t.strictSame(dead, [], 'the teller has not finished');
    other.ref.tell({ kind: 'fail' });
    other.ref.tell({ kind: 'add', value: 'alive' });
    await quiet();
    t.strictSame(other.log, { values: ['alive'], stopped: 0 });
    t.strictSame(dead, ['late']);
    t.equal(metrics.deadLetters, 1);
    t.equal(metrics.crashes, 2);
    t.equal(metrics.actors, 1);
  });

  t.test('give back what waited for one that has failed for good', async (t) => {
    const { actor, quiet, dead } = stage(t);
    const one = actor();
    one.ref.tell({ kind: 'failForGood' });
    for (const value of ['1', '2']) one.ref.tell({ kind: 'add', value });
    await quiet();
    t.strictSame(dead, ['1', '2']);
    t.strictSame(one.log.values, []);
  });

  t.test('end by themselves when they are done, but not while something waits for them', async (t) => {
    const { metrics, actor, quiet } = stage(t);
    const one = actor();
    one.ref.tell({ kind: 'add', value: 'done' });
    one.ref.tell({ kind: 'add', value: 'more' });
    await quiet();
    t.notOk(one.ref.stopped);
    one.ref.tell({ kind: 'add', value: 'done' });
    await quiet();
    t.ok(one.ref.stopped);
    t.strictSame(one.log, { values: ['done', 'more', 'done'], stopped: 1 });
    t.equal(metrics.actors, 0);
  });

  t.test('handle what they are told at once before the teller goes on, and ask for no turn', async (t) => {
    const { system, metrics, actor, quiet } = stage(t);
    const one = actor();
    let turns = 0;
    system.endOfTurn.add(() => {
      turns += 1;
    });
    one.ref.tellAtOnce({ kind: 'add', value: '1' });
    t.strictSame(one.log.values, ['1']);
    one.ref.tellAtOnce({ kind: 'fail' });
    one.ref.tellAtOnce({ kind: 'end', value: 'done' });
    await quiet();
    t.strictSame(one.log, { values: ['1', 'done'], stopped: 1 });
    t.equal(one.ref.pending, 0);
    t.equal(metrics.crashes, 1);
    t.ok(turns <= 1, 'at most what waited for the crash to be judged has a turn');
  });

  t.test(
    'do not handle what they are told at once before what was told earlier, nor within another message',
    async (t) => {
      const { system, dead, actor, quiet } = stage(t);
      const one = actor();
      one.ref.tell({ kind: 'add', value: '1' });
      one.ref.tellAtOnce({ kind: 'add', value: '2' });
      t.strictSame(one.log.values, []);
      await quiet();
      t.strictSame(one.log.values, ['1', '2']);
      const two = actor();
      two.ref.tellAtOnce({ kind: 'forwardAtOnce', value: '3', to: one.ref });
      t.strictSame(one.log.values, ['1', '2']);
      await quiet();
      t.strictSame(one.log.values, ['1', '2', '3']);
      system.isCrowded = true;
      one.ref.tellAtOnce({ kind: 'add', value: '4' });
      t.strictSame(one.log.values, ['1', '2', '3']);
      await quiet();
      one.ref.stop();
      one.ref.tellAtOnce({ kind: 'add', value: '5' });
      t.strictSame(dead, []);
      await quiet();
      t.strictSame(one.log.values, ['1', '2', '3', '4']);
      t.strictSame(dead, ['5']);
    },
  );

  t.test('tasks at the end of a turn run once the mailboxes are empty', async (t) => {
    const { system, actor, quiet } = stage(t);
    const one = actor();
    const two = actor();
    const seen: number[] = [];
    system.endOfTurn.add(() => seen.push(two.log.values.length));
    one.ref.tell({ kind: 'forward', value: 'x', to: two.ref });
    await quiet();
    t.equal(seen.at(-1), 1);
  });

  t.test('a turn that an actor or a client asks for while one runs is that one: no empty turn follows', async (t) => {
    const { system, actor, quiet } = stage(t);
    const lane = system.lane();
    let turns = 0;
    system.endOfTurn.add(() => {
      turns += 1;
      if (turns === 2) system.wake();
    });
    lane.add({ flush: () => system.wake() });
    await quiet();
    t.equal(turns, 1);
    actor().ref.tell({ kind: 'add', value: 'x' });
    await quiet();
    t.equal(turns, 3, 'what is asked for at the end of a turn is another one');
  });
});

t.test('What writing to clients tells an actor is handled in the same turn', async (t) => {
  const system = createSystem({ metrics: new Metrics() });
  t.teardown(() => system.close());
  const lane = system.lane();
  const seen: string[] = [];
  const listener: Behaviour<null, string> = {
    receive(state, message) {
      seen.push(message);
      return state;
    },
  };
  const actor = system.spawn(system.group('a group', lane), listener, null);
  const ended = new Promise<void>((resolve) => {
    system.endOfTurn.add(() => {
      seen.push('the turn ends');
      resolve();
    });
  });
  lane.add({ flush: () => actor.tell('written') });
  await ended;
  t.strictSame(seen, ['written', 'the turn ends']);
});

t.test('What a task at the start of a turn tells an actor is handled in that turn', async (t) => {
  const system = createSystem({ metrics: new Metrics() });
  t.teardown(() => system.close());
  const seen: string[] = [];
  const listener: Behaviour<null, string> = {
    receive(state, message) {
      seen.push(message);
      return state;
    },
  };
  const actor = system.spawn(system.group('a group'), listener, null);
  const ended = new Promise<void>((resolve) => {
    system.startOfTurn.add(() => actor.tell('begun'));
    system.endOfTurn.add(() => {
      seen.push('the turn ends');
      resolve();
    });
  });
  system.wake();
  await ended;
  t.strictSame(seen, ['begun', 'the turn ends']);
});

t.test('Messages that take long do not keep the event loop from the network', async (t) => {
  const system = createSystem({ metrics: new Metrics() });
  t.teardown(() => system.close());
  let handled = 0;
  const slow: Behaviour<null, null> = {
    receive(state, _message, self) {
      const until = performance.now() + 10;
      while (performance.now() < until);
      handled += 1;
      if (handled < 100) self.tell(null);
      return state;
    },
  };
  system.spawn(system.group('a group'), slow, null).tell(null);
  await turnsUntil('the first message handled', () => handled > 0);
  t.ok(handled < 100, `the event loop goes on after ${handled} of 100 messages`);
  await turnsUntil('all messages handled', () => handled >= 100);
});

t.test('Names are encoded without collisions, in what nact allows', async (t) => {
  const names = ['1', 'jack', 'Jack', '张三', 'a@b.cn', '!6a', 'j', '', ' ', 'a b', 'a!20b', '__proto__', 'ﬀ', '../..'];
  const encoded = names.map(encodeName);
  t.equal(new Set(encoded).size, names.length);
  for (const name of encoded) t.match(name, /^[a-z0-9\-$_.+!*'(),]*$/);
});
