/** The stream between two nodes, its sender and its receiver by themselves, over a network that the test makes lossy. */
import t from 'tap';
import { type Item, Peer } from '../../src/cluster/peer.js';
import { StreamReceiver } from '../../src/cluster/stream-receiver.js';
import { STREAM_CHARACTERS, StreamSender } from '../../src/cluster/stream-sender.js';
import { ClusterMetrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { dice } from '../support/dice.js';

const RUNS = 60;
const STEPS = 150;
const PATIENCE_MS = 1000;
/** Longer than an acknowledgement that nobody waits for is held back. */
const ACK_MS = 25;

/** A frame on its way to the receiver. */
type Frame = readonly [epoch: number, seq: number, urgent: boolean, items: string];
/** What the receiver says: acknowledged up to `seq` (`a`), or missing what follows (`n`). */
type Control = readonly [kind: 'a' | 'n', epoch: number, seq: number];

/** Two nodes; each frame waits on the network until the test delivers or loses it. */
class Pair {
  readonly metrics = new ClusterMetrics();
  readonly clock = new ManualClock();
  readonly peer = new Peer('sender', 1, 0, false);
  readonly frames: Frame[] = [];
  readonly controls: Control[] = [];
  /** Items sent since the stream began anew, and those received since then. */
  sent: number[] = [];
  received: number[] = [];
  resets = 0;
  /** The items of each frame that was dropped as a stream began anew. */
  readonly dropped: string[] = [];
  waiting = 0;
  #epoch = 0;
  readonly sender = new StreamSender(
    () => ++this.#epoch,
    (...frame) => this.frames.push(frame) > 0,
    (dropped) => {
      this.resets += 1;
      this.dropped.push(...dropped);
      this.sent = [];
    },
    this.metrics,
  );
  readonly #receiver = new StreamReceiver(
    this.clock,
    (_peer, item) => this.#take(item),
    (kind, { epoch, seq }) => this.controls.push([kind, epoch, seq]),
    () => setImmediate(() => this.#receiver.flush()),
  );

  constructor() {
    this.sender.reset();
  }

  #take(item: Item): void {
    this.received.push(Number(item[0]));
  }

  send(number: number): void {
    this.sender.send(`["${number}"]`);
    this.sent.push(number);
  }

  /** Waits until the other node has everything; counted in `waiting`. */
  wait(isPatient = false): void {
    this.waiting += 1;
    const done = (): void => {
      this.waiting -= 1;
    };
    this.sender.whenAcknowledged(this.clock.now(), done, isPatient);
  }

  /** The oldest frame on the network arrives. */
  async deliver(): Promise<void> {
    const frame = this.frames.shift();
    if (!frame) return;
    const [epoch, seq, urgent, items] = frame;
    if (epoch > this.peer.epoch) this.received = [];
    this.#receiver.receive(this.peer, epoch, seq, urgent, JSON.parse(`[${items}]`));
    // An acknowledgement that somebody waits for goes out behind what has come in one turn.
    await new Promise(setImmediate);
  }

  answer(): void {
    const control = this.controls.shift();
    if (control?.[0] === 'a') this.sender.acknowledged(control[1], control[2]);
    else if (control) this.sender.missing(control[1], control[2]);
  }

  /** As the mesh does with each sign of life. */
  tick(): void {
    this.clock.advance(PATIENCE_MS + 1);
    this.peer.asked = false;
    this.sender.look(this.clock.now(), PATIENCE_MS);
  }

  /** The network loses nothing any more, until all has come. */
  async heal(): Promise<void> {
    this.sender.flush();
    for (let turn = 0; this.sender.backlog > 0 && turn < 100; turn += 1) {
      this.tick();
      while (this.frames.length > 0) await this.deliver();
      this.clock.advance(ACK_MS);
      while (this.controls.length > 0) this.answer();
    }
  }
}

t.test('over a network that loses and repeats, each item comes once and in order', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const roll = dice(seed);
    const pair = new Pair();
    let number = 0;
    let isInOrder = true;
    for (let step = 0; step < STEPS; step += 1) {
      const chance = roll(20);
      if (chance < 7) pair.send(++number);
      else if (chance < 10) pair.sender.flush();
      else if (chance < 13) await pair.deliver();
      else if (chance < 14) pair.frames.shift();
      else if (chance < 15 && pair.frames[0]) pair.frames.unshift(pair.frames[0]);
      else if (chance < 16) pair.answer();
      else if (chance < 17) pair.controls.shift();
      else if (chance < 18) pair.tick();
      else if (chance < 19) pair.wait();
      else pair.clock.advance(ACK_MS);
      if (pair.peer.epoch === 1) isInOrder &&= pair.received.every((item, at) => item === at + 1);
    }
    t.ok(isInOrder, `seed ${seed}: what has come so far is the beginning of what was sent`);
    await pair.heal();
    t.strictSame(pair.received, pair.sent, `seed ${seed}: all has come`);
    t.equal(pair.sender.backlog, 0, 'nothing is kept for longer than it is needed');
    t.equal(pair.waiting, 0, 'nobody waits any more');
    t.equal(pair.resets, 1, 'and the stream has not begun anew');
  }
});

t.test('a receiver that has forgotten everything gets the stream anew', async (t) => {
  const pair = new Pair();
  for (const number of [1, 2, 3]) {
    pair.send(number);
    pair.sender.flush();
  }
  await pair.heal();
  Object.assign(pair.peer, { epoch: 0, seq: 0 });
  pair.send(4);
  pair.sender.flush();
  await pair.deliver();
  t.strictSame(pair.controls.at(-1), ['n', 1, 0], 'it misses what it had acknowledged');
  while (pair.controls.length > 0) pair.answer();
  t.equal(pair.resets, 2);
  pair.send(5);
  await pair.heal();
  t.strictSame(pair.received, [5]);
});

t.test('what is missing is asked for once, until the next sign of life', async (t) => {
  const pair = new Pair();
  for (const number of [1, 2, 3, 4]) {
    pair.send(number);
    pair.sender.flush();
  }
  pair.frames.shift();
  await pair.deliver();
  await pair.deliver();
  t.strictSame(pair.controls, [['n', 1, 0]]);
  pair.tick();
  await pair.deliver();
  t.equal(pair.controls.length, 2);
});

t.test('frames of an earlier epoch are ignored', async (t) => {
  const pair = new Pair();
  pair.send(1);
  pair.sender.flush();
  const old = pair.frames[0] as Frame;
  pair.sender.reset();
  pair.send(2);
  await pair.heal();
  pair.frames.push(old);
  await pair.deliver();
  t.strictSame(pair.received, [2]);
});

t.test('who waits for as long as the other node is heard of is not released by its silence', async (t) => {
  const pair = new Pair();
  pair.send(1);
  pair.sender.flush();
  pair.wait(true);
  t.equal(pair.sender.look(pair.clock.now() + PATIENCE_MS, PATIENCE_MS), false, 'nobody has lost patience');
  pair.wait();
  t.equal(pair.sender.look(pair.clock.now() + PATIENCE_MS, PATIENCE_MS), true);
  t.equal(pair.waiting, 1, 'the other one waits on');
  await pair.heal();
  t.equal(pair.waiting, 0);
  pair.send(2);
  pair.wait(true);
  pair.sender.release();
  t.equal(pair.waiting, 0, 'at the end of the stream nobody waits');
});

t.test('who waits for an acknowledgement is released by it, by patience and by the end of the stream', async (t) => {
  const pair = new Pair();
  pair.wait();
  t.equal(pair.waiting, 0, 'at once where nothing is on its way');
  pair.send(1);
  pair.wait();
  pair.sender.flush();
  t.equal(pair.frames[0]?.[2], true, 'the frame asks for an acknowledgement at once');
  pair.send(2);
  pair.sender.flush();
  t.equal(pair.frames[1]?.[2], false, 'one behind it does not: nobody waits for that one');
  pair.sender.acknowledged(1, 1);
  t.equal(pair.waiting, 0, 'by the frame that was waited for, whatever came after it');
  pair.wait();
  t.equal(pair.sender.look(pair.clock.now() + PATIENCE_MS - 1, PATIENCE_MS), false);
  t.equal(pair.sender.look(pair.clock.now() + PATIENCE_MS, PATIENCE_MS), true, 'the other node is slow');
  t.equal(pair.waiting, 0);
  pair.wait();
  pair.sender.release();
  t.equal(pair.waiting, 0);
});

t.test('a frame asks at once for the acknowledgement of an earlier one for which somebody has begun to wait', (t) => {
  const pair = new Pair();
  for (const number of [1, 2, 3]) {
    pair.send(number);
    pair.sender.flush();
    if (number === 1) pair.wait();
  }
  t.strictSame(
    pair.frames.map(([, , urgent]) => urgent),
    [false, true, false],
  );
  pair.sender.repeat();
  t.ok(
    pair.frames.slice(3).every(([, , urgent]) => urgent),
    'and so does each that is sent again while somebody waits',
  );
  t.end();
});

t.test('a stream that overflows begins anew, and says how many frames it has dropped', async (t) => {
  const pair = new Pair();
  const item = JSON.stringify(['x'.repeat(500_000)]);
  let frames = 0;
  while (pair.resets === 1 && frames < 1000) {
    pair.sender.send(item);
    frames += 1;
  }
  t.equal(pair.resets, 2);
  t.equal(pair.metrics.framesDropped, frames);
  t.equal(pair.dropped.length, frames, 'what was in them is seen to');
  t.ok(frames * item.length <= STREAM_CHARACTERS + 2 * item.length, 'no later than it has to');
  t.equal(pair.sender.backlog, 0);
});

t.test('an item that NATS would not carry is refused, and disturbs nothing', async (t) => {
  const pair = new Pair();
  pair.sender.send(JSON.stringify(['x'.repeat(800_000)]));
  pair.sender.send(JSON.stringify(['ä'.repeat(400_000)]));
  t.equal(pair.metrics.itemsTooLarge, 2, 'by its bytes, not by its characters');
  pair.send(1);
  await pair.heal();
  t.strictSame([pair.received, pair.resets], [[1], 1]);
});

t.test(
  'of a node that is gone it is known what it has not had, and that leaves the stream where it goes another way',
  async (t) => {
    const pair = new Pair();
    const send = (number: number): void => {
      pair.send(number);
      pair.sender.flush();
    };
    for (const number of [1, 2]) send(number);
    await pair.deliver();
    // Frames 2 and 3 are sent twice, and NATS has had nobody for one of the two: the other one may have come.
    pair.sender.unheard(1, 2);
    send(3);
    pair.sender.repeat();
    pair.sender.unheard(1, 3);
    // Frame 4 was not there for the other node, which does not take frame 5 without it.
    for (const number of [4, 5]) send(number);
    pair.sender.unheard(1, 4);
    pair.send(6);
    pair.send(7);
    const shown: [number, boolean][] = [];
    pair.sender.takeBack(([number], isSure) => {
      shown.push([Number(number), isSure]);
      return Number(number) !== 6;
    });
    const unsure = [1, 2, 3].map((number) => [number, false]);
    const sure = [4, 5, 6, 7].map((number) => [number, true]);
    t.strictSame(shown, [...unsure, ...sure], 'in order');
    pair.frames.length = 0;
    await pair.heal();
    t.strictSame(pair.received, [1, 2, 3, 6], 'a node that comes back has the rest');
    t.equal(pair.sender.backlog, 0);
  },
);
