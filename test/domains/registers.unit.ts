import t from 'tap';
import { type Change, Registers, SETTINGS } from '../../src/directory/registers.js';
import { dice } from '../support/dice.js';

interface Replica {
  readonly registers: Registers;
  /** What it has not been told yet. */
  readonly inbox: Change[];
}

function stateOf({ registers }: Replica): unknown {
  const { born, removed, settings } = registers;
  return { born, removed, settings, keys: [...registers.named('key:')].sort(([a], [b]) => (a < b ? -1 : 1)) };
}

/** Random changes on three replicas that hear of each other late and in any order. */
function wander(seed: number): { readonly replicas: readonly Replica[]; readonly removedKeys: ReadonlySet<string> } {
  const roll = dice(seed);
  const replicas: Replica[] = [1, 2, 3].map(() => ({ registers: new Registers(), inbox: [] }));
  const removedKeys = new Set<string>();
  let stamp = 0;
  const tell = (from: Replica, change: Omit<Change, 'domain'>): void => {
    for (const one of replicas) {
      if (one === from) one.registers.take(change);
      else one.inbox.push({ domain: 'a', ...change });
    }
  };
  const hear = (one: Replica): void => {
    const [change] = one.inbox.splice(roll(Math.max(1, one.inbox.length)), 1);
    if (change) one.registers.take(change);
  };
  for (let step = 0; step < 200; step++) {
    const one = replicas[roll(3)] as Replica;
    const { born } = one.registers;
    const keys = [...one.registers.named('key:')].map(([name]) => name);
    stamp += 1;
    const write = (name: string, value: Change['registers'][number][1]['value'], life = born || stamp): void =>
      tell(one, { removed: 0, registers: [[name, { stamp, born: life, value }]] });
    const what = roll(10);
    if (what < 4) hear(one);
    else if (born === 0 || what === 4) write(SETTINGS, { step });
    else if (what === 5 && roll(4) === 0) tell(one, { removed: stamp, registers: [] });
    else if (what < 8) write(`key:${step}`, { added: step });
    else if (keys.length > 0) {
      const key = keys[roll(keys.length)] as string;
      removedKeys.add(key);
      write(key, null);
    }
  }
  for (const one of replicas) while (one.inbox.length > 0) hear(one);
  return { replicas, removedKeys };
}

t.test('replicas agree, in whatever order they hear of changes, and no removed key comes back', async (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const { replicas, removedKeys } = wander(seed);
    const [first, ...others] = replicas.map(stateOf);
    for (const other of others) t.strictSame(other, first, `seed ${seed}`);
    const { keys } = first as { keys: [string][] };
    t.notOk(
      keys.some(([name]) => removedKeys.has(name)),
      `seed ${seed}`,
    );
  }
});

t.test('a domain that is changed elsewhere while it is removed stays removed', async (t) => {
  const registers = new Registers();
  registers.take({ removed: 0, registers: [[SETTINGS, { stamp: 1, born: 1, value: { a: 1 } }]] });
  registers.take({ removed: 2, registers: [] });
  registers.take({ removed: 0, registers: [[SETTINGS, { stamp: 3, born: 1, value: { a: 2 } }]] });
  t.equal(registers.born, 0);
  registers.take({ removed: 0, registers: [[SETTINGS, { stamp: 4, born: 4, value: { a: 3 } }]] });
  t.strictSame([registers.born, registers.settings], [4, { a: 3 }]);
});

t.test('a change of a life that has ended does not stand in the way of the next one', async (t) => {
  const registers = new Registers();
  registers.take({ removed: 0, registers: [[SETTINGS, { stamp: 1, born: 1, value: { a: 1 } }]] });
  registers.take({ removed: 0, registers: [[SETTINGS, { stamp: 9, born: 1, value: { a: 2 } }]] });
  registers.take({ removed: 5, registers: [[SETTINGS, { stamp: 6, born: 6, value: { a: 3 } }]] });
  t.strictSame([registers.born, registers.settings], [6, { a: 3 }]);
});

t.test('registers that hold nothing are remembered up to a bound, the latest', async (t) => {
  const registers = new Registers();
  registers.take({ removed: 0, registers: [[SETTINGS, { stamp: 1, born: 1, value: {} }]] });
  for (let i = 2; i < 12; i++)
    registers.take({ removed: 0, registers: [[`key:${i}`, { stamp: i, born: 1, value: null }]] });
  t.strictSame(registers.prune(3), ['key:2', 'key:3', 'key:4', 'key:5', 'key:6', 'key:7', 'key:8']);
  t.equal(registers.all().length, 4);
});
