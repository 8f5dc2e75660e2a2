/**
 * A client's queue against a model of it: packets come at random, connections of all kinds take them, lose them and give
 * them back, the queue overflows. What a client that counts has had is what was accepted for it, in order and once, or the
 * difference is exactly what its frames call missed and lost.
 */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { Client } from '../src/actors/client.js';
import { Lane } from '../src/actors/lane.js';
import { Memory } from '../src/actors/memory.js';
import { Packet } from '../src/actors/packet.js';
import {
  type Asked,
  formatPosition as format,
  formatAsked,
  parseAsked,
  parsePosition,
} from '../src/actors/position.js';
import { CLOSE } from '../src/errors.js';
import { Metrics } from '../src/metrics.js';
import type { Check } from './support/check.js';
import { Counted, Plain } from './support/connections.js';
import { dice } from './support/dice.js';

const address = '/domain/a.example/uid/1' as Address;
const NONE: readonly Packet[] = [];
const ERA = 'era';

function formatPosition(n: number): string {
  return format(n, ERA);
}

const KINDS = ['message', 'presence', 'status'] as const;

class World {
  readonly roll: (sides: number) => number;
  readonly lane = new Lane(() => undefined);
  readonly metrics = new Metrics().domain('a.example');
  readonly client: Client;
  readonly limits: { queuePackets: number; queueBytes: number };
  /** All packets that were accepted; the first has the number 1. */
  readonly accepted: Packet[] = [];
  readonly numbers = new Map<Packet, number>();
  /** Numbers that the client has had in this turn of its counting. */
  had: number[] = [];
  count = 0;
  /** Whether the client knows the era of its count. */
  line: Counted | null = null;
  /** What a connection that keeps no position was given counts as had by nobody who counts. */
  isMixed = false;
  messages = { lost: 0, missed: 0, frames: 0, resumed: 0 };

  constructor(seed: number, queuePackets: number) {
    this.roll = dice(seed);
    this.limits = { queuePackets, queueBytes: 0 };
    const memory = new Memory(this.metrics, () => ({ bytesPerDomain: 0 }));
    const domain = { metrics: this.metrics, memory, runtime: { clock: { now: () => 0 }, era: ERA } };
    this.client = new Client(null as never, address, 'one', 'token', this.lane, domain, 0);
    this.client.toldAt = 0;
  }

  push(): void {
    const kind = KINDS[this.roll(3)] ?? 'message';
    const fields = { from: '2', to: '1', nick: '', show: '', status: '', body: 'x', style: '', timestamp: '1' };
    const packet = new Packet(kind, { ...fields, type: 'chat' } as never, address, null);
    this.accepted.push(packet);
    this.numbers.set(packet, this.accepted.length);
    this.client.push(packet, this.limits);
  }

  resume(asked: Asked): void {
    this.line = new Counted(asked);
    this.client.attach(this.line, CLOSE.replaced, this.limits, 0);
    this.messages.resumed += 1;
    // Until it has the frame that says more.
    if (typeof asked === 'object' && asked.era !== ERA && this.line.answered === formatAsked(asked)) return;
    const answered = parsePosition(this.line.answered);
    if (answered?.era !== ERA) throw new Error(`it goes on from ${this.line.answered}`);
    if (asked === 'confirmed' || asked === 'first') {
      this.count = answered.n;
      this.had = [];
    } else if (typeof asked === 'object' && asked.era === ERA && answered.n !== this.count) {
      throw new Error(`asked for ${this.count}, and it goes on from ${answered.n}`);
    }
  }

  /** The client reads one frame. */
  read(): void {
    const frame = this.line?.wire.shift();
    if (!frame) return;
    this.messages.frames += 1;
    if (frame.position !== null) this.count = parsePosition(frame.position)?.n ?? Number.NaN;
    const numbers = frame.packets.map((packet) => this.numbers.get(packet) ?? Number.NaN);
    const missed = frame.missed === true ? 0 : frame.missed;
    const after = this.count + numbers.length + missed;
    if (after !== frame.after.n) throw new Error(`counts ${after}, and the frame says ${frame.after.n}`);
    const isOrdered = numbers.every((number, i) => number > (numbers[i - 1] ?? this.count) && number <= after);
    if (!isOrdered) throw new Error(`after ${this.count} and before ${after} came ${numbers}`);
    const gone = this.accepted.slice(this.count, after).filter((packet) => !frame.packets.includes(packet));
    const lost = gone.filter(({ kind }) => kind === 'message').length;
    if (frame.missed !== true && gone.length !== missed) throw new Error(`${gone.length} are missed, not ${missed}`);
    const isExact = this.isMixed ? frame.lost >= lost : frame.lost === lost;
    if (frame.missed !== true && !isExact) throw new Error(`${lost} messages are lost, not ${frame.lost}`);
    this.messages.missed += missed;
    this.messages.lost += lost;
    this.had.push(...numbers);
    this.count = after;
  }

  cut(): void {
    const { line } = this;
    if (!line) return;
    this.line = null;
    this.client.detach(line, NONE, this.limits, 0);
  }

  confirm(): void {
    if (this.line) this.client.confirm(this.line, { era: ERA, n: this.count });
  }

  /** A connection that keeps no position takes over for a while: it gets nothing that was sent before and not returned. */
  plain(): void {
    this.line = null;
    this.isMixed = true;
    const plain = new Plain(1 + this.roll(3), this.limits.queuePackets === 0 ? this.roll(4) : this.roll(2));
    this.client.attach(plain, CLOSE.replaced, this.limits, 0);
    this.lane.write();
    this.client.detach(plain, plain.close(), this.limits, 0);
  }

  step(isMixed: boolean): void {
    const position = { era: ERA, n: this.count };
    switch (this.roll(isMixed ? 12 : 11)) {
      case 0:
        return this.line ? this.cut() : this.resume(position);
      case 1:
        return this.resume(position);
      case 2:
        return this.confirm();
      case 3:
      case 4:
        return this.read();
      case 5:
      case 6:
        return this.lane.write();
      case 7: {
        const { line } = this;
        if (!line) return;
        line.isFull = !line.isFull;
        if (!line.isFull) this.client.drained(line);
        return;
      }
      case 11:
        this.plain();
        return this.resume('confirmed');
      default:
        return this.push();
    }
  }

  /** Reads all that is left, and wants the queue to be empty then. */
  end(): void {
    this.resume({ era: ERA, n: this.count });
    this.lane.write();
    while (this.line?.wire.length) this.read();
    if (this.count !== this.accepted.length) throw new Error(`${this.count} of ${this.accepted.length} are known of`);
    this.confirm();
    if (this.client.queued.length > 0) throw new Error('what is confirmed is kept');
    const isOnce = this.had.every((number, i) => number > (this.had[i - 1] ?? 0));
    if (!isOnce) throw new Error(`came twice or out of order: ${this.had}`);
    const { queuedPackets, queuedBytes, unconfirmedPackets } = this.metrics;
    if (queuedPackets !== 0 || queuedBytes !== 0 || unconfirmedPackets !== 0)
      throw new Error('something is counted still');
  }
}

function run(t: Check, isMixed: boolean, queuePackets: number): void {
  const sum = { lost: 0, missed: 0, frames: 0, resumed: 0 };
  for (let seed = 1; seed <= 1000; seed++) {
    const world = new World(seed, queuePackets);
    world.resume('first');
    try {
      for (let step = 0; step < 120; step++) {
        world.step(isMixed);
        const { unconfirmedPackets } = world.metrics;
        if (unconfirmedPackets !== world.client.unconfirmed.length)
          throw new Error(`${unconfirmedPackets} count as unconfirmed`);
      }
      world.end();
    } catch (error) {
      t.equal(`seed ${seed}: ${(error as Error).message}`, '');
      return;
    }
    for (const name of ['lost', 'missed', 'frames', 'resumed'] as const) sum[name] += world.messages[name];
  }
  t.ok(sum.frames > 3000 && sum.resumed > 5000, JSON.stringify(sum));
  if (queuePackets > 0) t.ok(sum.lost > 50 && sum.missed > sum.lost, JSON.stringify(sum));
  else if (!isMixed) t.equal(sum.missed, 0);
}

t.test('1,000 clients that lose and resume connections have every packet once and in order', async (t) => {
  run(t, false, 0);
});

t.test('1,000 clients whose queues overflow are told exactly what they missed', async (t) => {
  run(t, false, 6);
});

t.test('connections that keep no position may take over in between', async (t) => {
  run(t, true, 0);
});

t.test('connections that keep no position may take over in between while queues overflow', async (t) => {
  run(t, true, 6);
});

t.test('a connection that keeps no position gets only what was never sent', async (t) => {
  const world = new World(1, 0);
  world.resume('first');
  for (let n = 0; n < 3; n++) world.push();
  world.lane.write();
  world.push();
  const plain = new Plain(100);
  world.client.attach(plain, CLOSE.replaced, world.limits, 0);
  world.lane.write();
  t.strictSame(
    plain.taken.map((packet) => world.numbers.get(packet)),
    [4],
  );
  t.equal(world.client.confirmed, 4);
});

t.test('of a full queue what was sent goes first, and is missed only by who asks for it again', async (t) => {
  const world = new World(1, 2);
  const message = () => {
    const fields = { from: '2', to: '1', nick: '', type: 'chat', body: '', style: '', timestamp: '1' } as const;
    world.client.push(new Packet('message', fields, address, null), world.limits);
  };
  world.resume('first');
  message();
  message();
  world.lane.write();
  message();
  world.lane.write();
  const [first, second] = world.line?.wire ?? [];
  t.match(
    [first, second],
    [
      { missed: 0, after: { n: 2 } },
      { missed: 0, after: { n: 3 } },
    ],
  );
  world.count = 2;
  world.resume({ era: ERA, n: 2 });
  world.lane.write();
  t.match(world.line?.wire, [{ missed: 0, lost: 0, position: null, after: { n: 3 } }]);
  message();
  message();
  message();
  world.count = 2;
  world.resume({ era: ERA, n: 2 });
  world.lane.write();
  t.match(world.line?.wire, [{ packets: { length: 2 }, missed: 2, lost: 2, after: { n: 6 } }]);
});

t.test('a position of an unknown era is answered with a new one, and that something may be gone', async (t) => {
  const world = new World(1, 0);
  for (const asked of [
    { era: 'another', n: 7 },
    { era: 'another', n: 0 },
  ]) {
    world.resume(asked);
    world.lane.write();
    t.match(world.line?.wire, [{ packets: [], missed: true, position: formatPosition(0), after: { n: 0 } }]);
  }
  world.push();
  world.resume({ era: 'another', n: 7 });
  world.lane.write();
  t.match(world.line?.wire, [{ packets: { length: 1 }, missed: true, position: formatPosition(0), after: { n: 1 } }]);
});

t.test('a number beyond what was sent counts as the last one that was', async (t) => {
  const world = new World(1, 0);
  world.push();
  world.resume({ era: 'unknown', n: 1 });
  world.lane.write();
  const { line } = world;
  if (line) world.client.confirm(line, { era: ERA, n: 999_999_999_999_999 });
  t.strictSame([world.client.confirmed, world.client.queued.length], [1, 0]);
  world.push();
  const again = new Counted({ era: ERA, n: 999_999_999_999_999 });
  world.client.attach(again, CLOSE.replaced, world.limits, 0);
  t.equal(again.answered, formatPosition(1));
  world.push();
  world.lane.write();
  t.match(again.wire, [{ position: formatPosition(1), after: { n: 3 } }], 'and the client is told so');
});

t.test('a client that confirms beyond what it was sent loses nothing of what waits', async (t) => {
  for (const resumes of [false, true]) {
    const world = new World(1, 0);
    world.resume('first');
    world.push();
    world.lane.write();
    const line = world.line as Counted;
    line.isFull = true;
    world.push();
    world.push();
    world.lane.write();
    if (!resumes) {
      world.client.confirm(line, { era: ERA, n: 3 });
      t.strictSame([world.client.confirmed, world.client.queued.length], [1, 2]);
      line.isFull = false;
      world.client.drained(line);
    }
    const again = resumes ? new Counted({ era: ERA, n: 3 }) : line;
    if (resumes) world.client.attach(again, CLOSE.replaced, world.limits, 0);
    world.lane.write();
    t.match(again.wire.at(-1), { packets: world.accepted.slice(1), after: { n: 3 } });
    world.client.confirm(again, { era: ERA, n: 3 });
    t.equal(world.client.confirmed, 3);
  }
});

t.test(
  'what was sent before a connection broke is confirmed by the one that goes on, however full that is',
  async (t) => {
    const world = new World(1, 0);
    world.resume('first');
    for (let at = 0; at < 3; at++) world.push();
    world.lane.write();
    const full = new Counted({ era: ERA, n: 1 });
    full.isFull = true;
    world.client.attach(full, CLOSE.replaced, world.limits, 0);
    world.lane.write();
    world.client.attach(new Counted({ era: ERA, n: 3 }), CLOSE.replaced, world.limits, 0);
    t.equal(world.client.confirmed, 3);
  },
);

t.test('positions are read as they are written, and nothing else is one', async (t) => {
  t.strictSame(parsePosition(format(12, 'e')), { era: 'e', n: 12 });
  t.strictSame([parseAsked('0'), parseAsked('-')], ['first', 'confirmed']);
  const malformed = ['', '1', '.1', 'e.', 'e.-1', 'e.1.2', 'e.1 ', ' e.1', `${'e'.repeat(33)}.1`, 'e.1234567890123456'];
  for (const text of malformed) t.equal(parsePosition(text), null, text);
});
