/** Messages that wait for the next client of an endpoint, or stand in the queues of several, as one list. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import type { EndpointState } from '../src/actors/endpoint.js';
import { inOrder } from '../src/actors/in-order.js';
import { messagesOf } from '../src/actors/keeping.js';
import type { KeptQueues } from '../src/actors/kept.js';
import { Memory } from '../src/actors/memory.js';
import { Packet } from '../src/actors/packet.js';
import { keepWaiting } from '../src/actors/unseen.js';
import { Metrics } from '../src/metrics.js';
import { dice } from './support/dice.js';

const address = '/domain/a.example/uid/ada' as Address;

function message(body: string): Packet {
  const fields = { id: body, from: 'bob', to: 'ada', nick: 'Bob', timestamp: '1', type: 'chat', body, style: '' };
  return new Packet('message', fields as never, address, null);
}

const messages = (count: number): Packet[] => Array.from({ length: count }, (_, n) => message(String(n)));

/** An endpoint without clients. */
function endpoint(): EndpointState {
  const metrics = new Metrics().domain('a.example');
  const memory = new Memory(metrics, () => ({ bytesPerDomain: 0 }));
  const limits = { queuePackets: 0, queueBytes: 0 };
  const domain = { metrics, memory, limits, runtime: { clock: { now: () => 0 }, era: 'e' } };
  return { domain, address, clients: [], unseen: null } as unknown as EndpointState;
}

/** How many entries `run` puts into sets and maps. */
function entriesMade(run: () => void): number {
  const [{ add }, { set }] = [Set.prototype, Map.prototype];
  let made = 0;
  Set.prototype.add = function (value) {
    made += 1;
    return add.call(this, value);
  };
  Map.prototype.set = function (key, value) {
    made += 1;
    return set.call(this, key, value);
  };
  try {
    run();
  } finally {
    Set.prototype.add = add;
    Map.prototype.set = set;
  }
  return made;
}

t.test('a message that begins to wait while its endpoint moves costs the same behind many as behind few', async (t) => {
  const state = endpoint();
  const waiting = messages(4000);
  const made = entriesMade(() => {
    for (const packet of waiting) keepWaiting(state, [packet]);
  });
  t.strictSame(state.unseen?.packets.length, 4000);
  t.ok(made < 10 * 4000, `${made} entries`);
});

t.test('what the queues of many clients have is one list in as many steps as there are messages', async (t) => {
  const found = messages(64 * 100);
  const clients = Array.from({ length: 64 }, (_, client) => ({
    name: String(client),
    entries: Array.from({ length: 100 }, (_, at) => 100 * client + at),
  }));
  const queues = { unseen: [], clients } as unknown as KeptQueues;
  const made = entriesMade(() => {
    const all = messagesOf(queues, (number) => found[number] ?? null);
    t.equal(all.length, found.length);
  });
  t.ok(made < 10 * found.length, `${made} entries`);
});

/** The rule by the letter, for two lists: a message that the first has not stands before what follows it in the second and the first has. */
function together(one: readonly Packet[], other: readonly Packet[]): Packet[] {
  const all = [...one];
  for (const [at, packet] of other.entries()) {
    if (one.includes(packet)) continue;
    const next = other.slice(at).find((later) => one.includes(later));
    all.splice(next ? all.indexOf(next) : all.length, 0, packet);
  }
  return all;
}

t.test('lists become one as if they came together two by two', async (t) => {
  const some = messages(12);
  for (let seed = 1; seed <= 500; seed += 1) {
    const roll = dice(seed);
    const lists = Array.from({ length: 1 + roll(4) }, () => some.filter(() => roll(2) === 0).sort(() => roll(3) - 1));
    const expected = lists.reduce(together, []);
    const found = inOrder(lists);
    if (String(found.map(bodyOf)) !== String(expected.map(bodyOf))) {
      t.strictSame(found.map(bodyOf), expected.map(bodyOf), `seed ${seed}`);
      return;
    }
  }
});

t.test('a message that waits is kept once, before those that came after it, until it is taken out', async (t) => {
  const state = endpoint();
  const [one, two, three] = messages(3) as [Packet, Packet, Packet];
  for (const packets of [[three], [three], [one, three], [one, two]]) keepWaiting(state, packets);
  t.strictSame(state.unseen?.packets.map(bodyOf), ['0', '2', '1']);
  t.ok(state.unseen?.remove(three));
  t.notOk(state.unseen?.remove(three));
  keepWaiting(state, [three]);
  t.strictSame(state.unseen?.packets.map(bodyOf), ['0', '1', '2']);
});

function bodyOf({ fields }: Packet): string {
  return (fields as { readonly body: string }).body;
}
