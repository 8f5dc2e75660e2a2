import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { keptQueue, queueState } from '../src/actors/kept.js';
import { Memory } from '../src/actors/memory.js';
import type { Packet } from '../src/actors/packet.js';
import { PacketQueue } from '../src/actors/queue.js';
import type { QueueLimits } from '../src/actors/queue-limits.js';
import { Metrics } from '../src/metrics.js';
import { message, packet } from './support/arbitraries.js';
import fc from './support/properties.js';

/** The clock of a queue in which nothing expires. */
const runtime = { clock: { now: () => 0 }, era: 'e' };

const order = ['status', 'presence', 'message'];

/**
 * The rule for a full queue by the letter: while the queue is too full, the oldest of the least kind goes; a single packet
 * always stays.
 */
function overflow(packets: readonly Packet[], { queuePackets, queueBytes }: QueueLimits): Packet[] {
  const left = [...packets];
  const bytes = () => left.reduce((sum, { bytes }) => sum + bytes, 0);
  while (left.length > 1 && ((queuePackets && left.length > queuePackets) || (queueBytes && bytes() > queueBytes))) {
    const kind = order.find((kind) => left.some((packet) => packet.kind === kind));
    left.splice(
      left.findIndex((packet) => packet.kind === kind),
      1,
    );
  }
  return left;
}

type Step =
  | { readonly kind: 'push'; readonly packet: Packet }
  | { readonly kind: 'putBack'; readonly packets: readonly Packet[] }
  | { readonly kind: 'take'; readonly share: number }
  | { readonly kind: 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: packet.map((packet) => ({ kind: 'push' as const, packet })) },
  {
    weight: 1,
    arbitrary: fc.array(packet, { maxLength: 4 }).map((packets) => ({ kind: 'putBack' as const, packets })),
  },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 100 }).map((share) => ({ kind: 'take' as const, share })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
);

const limits: fc.Arbitrary<QueueLimits> = fc.record({
  queuePackets: fc.constantFrom(0, 1, 3, 8),
  queueBytes: fc.constantFrom(0, 100, 500, 2000),
});

function isSame(found: readonly Packet[], wanted: readonly Packet[]): boolean {
  return found.length === wanted.length && found.every((packet, at) => packet === wanted[at]);
}

const OWNER = { address: '/domain/a.example/uid/1' as Address, name: 'one' };

t.test('after any sequence of steps the queue holds what the rule says, and drops are counted', async () => {
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 40 }), (limits, steps) => {
      const metrics = new Metrics().domain('a.example');
      const memory = new Memory(metrics, () => ({ bytesPerDomain: 0 }));
      const queue = new PacketQueue({ metrics, memory, runtime }, OWNER);
      let model: Packet[] = [];
      let dropped = 0;
      for (const step of steps) {
        if (step.kind === 'take') {
          const count = Math.floor((model.length * step.share) / 100);
          queue.take(count);
          model = model.slice(count);
        } else if (step.kind === 'clear') {
          queue.clear();
          model = [];
        } else {
          const full = step.kind === 'push' ? [...model, step.packet] : [...step.packets, ...model];
          model = step.kind === 'putBack' && step.packets.length === 0 ? model : overflow(full, limits);
          const gone = step.kind === 'push' ? queue.push(step.packet, limits) : queue.putBack(step.packets, limits);
          dropped += gone.length;
          if (gone.length !== (step.kind === 'putBack' && step.packets.length === 0 ? 0 : full.length - model.length))
            return false;
        }
        const bytes = model.reduce((sum, packet) => sum + packet.bytes, 0);
        if (!isSame(queue.packets, model) || queue.bytes !== bytes) return false;
        // The same packet may be drawn twice, and then it counts once.
        if (memory.bytes !== [...new Set(model)].reduce((sum, packet) => sum + packet.bytes, 0)) return false;
        if (metrics.queuedPackets !== model.length || metrics.queuedBytes !== bytes) return false;
      }
      return metrics.dropped.queueOverflow === dropped;
    }),
    { numRuns: 500 },
  );
});

t.test('packets of a queue whose numbers its client alone knows come behind the position that it says', async (t) => {
  const queue = newQueue();
  queue.beginEra('before', true);
  const [one, two] = fc.sample(packet, 2) as [Packet, Packet];
  for (const each of [one, two]) queue.push(each, { queuePackets: 0, queueBytes: 0 });
  t.strictSame(queue.confirm(57), [], 'no other position confirms anything');
  t.equal(queue.placeAt(57), 57);
  t.strictSame([queue.era, queue.confirmed, queue.accepted], ['before', 57, 59]);
  queue.sent(queue.batch(Number.POSITIVE_INFINITY));
  t.strictSame(queue.confirm(58), [one]);
  t.equal(queue.placeAt(100), 0, 'its numbers are known now');
});

t.test('a queue whose numbers its client alone knows stays so on another node', async (t) => {
  const queue = newQueue();
  queue.beginEra('before', true);
  const [one] = fc.sample(packet, 1) as [Packet];
  queue.push(one, { queuePackets: 0, queueBytes: 0 });
  const again = newQueue();
  const kept = JSON.parse(JSON.stringify(keptQueue(queue, () => 0)));
  again.restore(
    queueState(kept, () => one),
    { queuePackets: 0, queueBytes: 0 },
  );
  t.equal(again.placeAt(57), 57);
  t.strictSame([again.era, again.confirmed, again.packets], ['before', 57, [one]]);
});

t.test('two queues that are empty share nothing', async (t) => {
  const metrics = new Metrics().domain('a.example');
  const memory = new Memory(metrics, () => ({ bytesPerDomain: 0 }));
  const [one, two] = [
    new PacketQueue({ metrics, memory, runtime }, OWNER),
    new PacketQueue({ metrics, memory, runtime }, OWNER),
  ];
  const [sample] = fc.sample(packet, 1);
  if (sample) one.push(sample, { queuePackets: 0, queueBytes: 0 });
  t.equal(two.packets.length, 0);
  one.clear();
  t.equal(one.packets.length, 0);
  t.equal(metrics.queuedBytes, 0);
});

t.test(
  'a packet in many queues counts once; beyond the memory of the domain each queue keeps one packet',
  async (t) => {
    const metrics = new Metrics().domain('a.example');
    let bytesPerDomain = 1_000_000;
    const memory = new Memory(metrics, () => ({ bytesPerDomain }));
    const queues = Array.from({ length: 10 }, () => new PacketQueue({ metrics, memory, runtime }, OWNER));
    const packets = fc.sample(packet, 5).filter((packet) => packet.kind === 'message');
    const unlimited = { queuePackets: 0, queueBytes: 0 };
    const [sample] = fc.sample(packet, 1) as [Packet];
    for (const queue of queues) queue.push(sample, unlimited);
    t.equal(memory.bytes, sample.bytes);
    bytesPerDomain = 1;
    for (const packet of packets) for (const queue of queues) queue.push(packet, unlimited);
    for (const queue of queues) t.equal(queue.packets.length, 1);
    for (const queue of queues) queue.clear();
    t.equal(memory.bytes, 0);
  },
);

function newQueue(): PacketQueue {
  const metrics = new Metrics().domain('a.example');
  const memory = new Memory(metrics, () => ({ bytesPerDomain: 0 }));
  return new PacketQueue({ metrics, memory, runtime }, OWNER);
}

/** How many entries, gaps among them, the queue holds. */
function entriesOf(queue: PacketQueue): number {
  queue.rewind();
  return queue.batch(Number.POSITIVE_INFINITY).entries;
}

t.test('a full queue whose client confirms nothing grows by none of the presences that it drops', async (t) => {
  const queue = newQueue();
  const packets = fc.sample(packet, 1000);
  const message = packets.find(({ kind }) => kind === 'message') as Packet;
  const presence = packets.find(({ kind }) => kind === 'presence') as Packet;
  const limits = { queuePackets: 1, queueBytes: 0 };
  queue.push(message, limits);
  for (let n = 1; n <= 5000; n++) {
    queue.sent(queue.batch(Number.POSITIVE_INFINITY));
    queue.push(presence, limits);
  }
  t.equal(queue.batch(Number.POSITIVE_INFINITY).missed, 1, 'what the client was told of before is not told again');
  t.equal(entriesOf(queue), 2, 'the message, and one gap');
  t.equal(queue.accepted - queue.confirmed, 5001, 'all of them keep their numbers');
});

t.test('a client that goes on from ever earlier positions makes its queue no longer', async (t) => {
  const queue = newQueue();
  const [sample] = fc.sample(packet, 1) as [Packet];
  for (let n = 1; n <= 1000; n++) {
    queue.push(sample, { queuePackets: 0, queueBytes: 0 });
    queue.sent(queue.batch(Number.POSITIVE_INFINITY));
    queue.confirm(n);
  }
  for (let n = 999; n >= 0; n--) {
    queue.rewind();
    queue.reopen(n);
  }
  t.equal(queue.confirmed, 0);
  t.equal(entriesOf(queue), 1);
  t.equal(queue.batch(Number.POSITIVE_INFINITY).missed, 1000);
});

t.test(
  'of what a connection gives back the keeper of messages is told before which one each stands, the last one first',
  async (t) => {
    const told: unknown[] = [];
    const metrics = new Metrics().domain('a.example');
    const memory = new Memory(metrics, () => ({ bytesPerDomain: 0 }));
    const hold = (_owner: Address, _queue: string, packet: Packet, before?: Packet) => void told.push([packet, before]);
    const queue = new PacketQueue({ metrics, memory, runtime, held: { hold, release: () => undefined } }, OWNER);
    const unlimited = { queuePackets: 0, queueBytes: 0 };
    const [a, b, c] = fc.sample(message, 3) as [Packet, Packet, Packet];
    for (const one of [a, b, c]) queue.push(one, unlimited);
    queue.putBack(queue.take(2), unlimited);
    t.strictSame(told.slice(3), [
      [b, c],
      [a, c],
    ]);
  },
);
