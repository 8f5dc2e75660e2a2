/**
 * The outbox against a naive model: a site that answers well, badly or not at all, time that passes, a store that commits
 * when it likes, and a process that is killed between any two writes and started again.
 */
import t from 'tap';
import { type Answered, Outbox, type OutboxRules } from '../src/actors/outbox.js';
import type { Waiting } from '../src/actors/outbox-queue.js';
import type { OutboxWay } from '../src/event-kinds.js';
import { ManualClock } from './mqtt/support/clock.js';
import { dice } from './support/dice.js';
import { MemoryStore } from './support/memory-store.js';

const WORDS: OutboxRules['words'] = {
  failed: (item) => JSON.stringify({ kind: 'failed', id: JSON.parse(item).id }),
  missed: (count) => JSON.stringify({ kind: 'missed', count }),
};

const RULES: OutboxRules = {
  batch: 5,
  gatherMs: 200,
  longestPauseMs: 60_000,
  oldestMs: 24 * 60 * 60_000,
  attempts: 3,
  words: WORDS,
  isOver: () => false,
  hasRoom: () => true,
  body: (items) => `[${items.join()}]`,
};

interface Told {
  readonly kind?: string;
  readonly id?: number;
  readonly count?: number;
}

/** A site, and the outbox of the process that runs now. */
class World {
  readonly clock = new ManualClock();
  readonly bodies: Told[][] = [];
  readonly ways = new Map<OutboxWay, number>();
  /** What the one POST under way waits for. */
  pending: { readonly body: Told[]; readonly done: (answer: Answered) => void } | null = null;
  store: MemoryStore | null;
  outbox: Outbox;
  /** Of what waits, as the port counts it. */
  items = 0;
  bytes = 0;
  memory = 0;
  most = 0;

  constructor(
    readonly rules: Partial<OutboxRules> = {},
    isKept = true,
  ) {
    this.store = isKept ? new MemoryStore() : null;
    this.outbox = this.#open();
  }

  #open(): Outbox {
    const port = {
      clock: this.clock,
      post: (body: string, done: (answer: Answered) => void) => {
        if (this.pending) throw new Error('two at a time');
        const one = { body: JSON.parse(body) as Told[], done };
        this.pending = one;
        return () => {
          if (this.pending === one) this.pending = null;
        };
      },
      left: (way: OutboxWay, count: number, _item: Waiting | null) => {
        this.ways.set(way, (this.ways.get(way) ?? 0) + count);
      },
      changed: (items: number, bytes: number, memory: number) => {
        this.items += items;
        this.bytes += bytes;
        this.memory += memory;
        this.most = Math.max(this.most, this.bytes);
      },
      failed: () => undefined,
    };
    return new Outbox({ ...RULES, ...this.rules }, port, this.store?.table('webhooks') ?? null, ['domain', 'events']);
  }

  push(id: number, padding = ''): void {
    this.outbox.push(JSON.stringify({ id, padding }), { name: String(id) });
  }

  /** The message of an item is deleted. */
  delete(id: number): void {
    this.outbox.delete(String(id), (json) => (JSON.parse(json) as Told).id === id);
  }

  /** The site answers what is under way; what it acknowledges it has. */
  answer(answer: Answered): void {
    const { pending } = this;
    if (!pending) return;
    this.pending = null;
    if ('status' in answer && answer.status === 200) this.bodies.push(pending.body);
    pending.done(answer);
  }

  /** The process is killed when so many of its last writes were on disk, and started again. */
  kill(written: number): void {
    this.store = this.store?.killed(written) ?? null;
    this.pending = null;
    this.items = 0;
    this.bytes = 0;
    this.memory = 0;
    // A process that is gone has no timers.
    this.outbox.close();
    this.items = 0;
    this.bytes = 0;
    this.memory = 0;
    this.outbox = this.#open();
  }

  /** The site is well, and time passes until nothing waits. */
  drain(): void {
    for (let turn = 0; this.outbox.view.waiting > 0 || this.pending || this.clock.waiting > 0; turn++) {
      if (turn > 10_000) throw new Error(`never empty: ${JSON.stringify(this.outbox.view)}`);
      if (this.pending) this.answer({ status: 200 });
      else this.clock.advance(60_000);
    }
  }

  get told(): Told[] {
    return this.bodies.flat();
  }
}

function ids(told: readonly Told[]): number[] {
  return told.flatMap(({ kind, id }) => (kind === undefined && id !== undefined ? [id] : []));
}

/** The first time that each id was told is in order. */
function firstTimes(told: readonly Told[]): number[] {
  return [...new Set(ids(told))];
}

function missed(told: readonly Told[]): number {
  return told.reduce((sum, { count = 0 }) => sum + count, 0);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n);
}

t.test('what comes within 200 ms goes together, and at once where that is a whole POST', async (t) => {
  const world = new World();
  world.push(1);
  world.clock.advance(199);
  t.equal(world.pending, null);
  world.push(2);
  world.clock.advance(1);
  t.strictSame(ids(world.pending?.body ?? []), [1, 2]);
  for (const id of range(3, 11)) world.push(id);
  world.answer({ status: 204 });
  t.strictSame(ids((world.pending as World['pending'])?.body ?? []), [3, 4, 5, 6, 7], 'five have come meanwhile');
  world.answer({ status: 200 });
  t.equal(world.pending, null, 'three wait for others');
  world.drain();
  t.strictSame([world.items, world.bytes, world.memory], [0, 0, 0], 'all that was counted has gone');
});

t.test('the site failed: it is told again, with pauses that grow, and fewer at a time', async (t) => {
  const world = new World({ attempts: 100 });
  for (const id of range(0, 5)) world.push(id);
  const sizes: number[] = [];
  const pauses: number[] = [];
  for (const answer of [
    { status: 500 },
    { why: 'silence' },
    { status: 302 },
    { status: 429 },
    { status: 408 },
    { status: 425 },
  ]) {
    sizes.push(world.pending?.body.length ?? 0);
    world.answer(answer);
    let pause = 0;
    for (; !world.pending; pause += 50) world.clock.advance(50);
    pauses.push(pause);
  }
  t.strictSame(sizes, [5, 2, 1, 1, 1, 1]);
  t.strictSame(pauses, [250, 500, 1000, 2000, 4000, 8000]);
  world.drain();
  t.strictSame(ids(world.told), range(0, 5));
});

t.test('any other answer is final', async (t) => {
  for (const status of [400, 401, 403, 404, 410, 422]) {
    const world = new World();
    world.push(1);
    world.clock.advance(200);
    world.answer({ status });
    world.push(2);
    world.drain();
    t.strictSame(ids(world.told), [2], String(status));
    t.equal(world.ways.get('refused'), 1);
  }
});

t.test('an event on which the site stumbles is set aside, and the others go on', async (t) => {
  const world = new World();
  for (const id of range(0, 12)) world.push(id);
  for (let turn = 0; turn < 200 && (world.outbox.view.waiting > 0 || world.pending); turn++) {
    if (!world.pending) world.clock.advance(60_000);
    const isBad = world.pending?.body.some(({ kind, id }) => kind === undefined && id === 7);
    world.answer({ status: isBad ? 500 : 200 });
  }
  t.strictSame(
    ids(world.told),
    range(0, 12).filter((id) => id !== 7),
  );
  t.strictSame(
    world.told.filter(({ kind }) => kind === 'failed'),
    [{ kind: 'failed', id: 7 }],
  );
  const place = world.told.findIndex(({ kind }) => kind === 'failed');
  t.strictSame(world.told[place - 1]?.id, 6, 'in its place');
  t.equal(world.ways.get('failed'), 1);
});

t.test('a site that is down loses nothing by it, however often it is tried', async (t) => {
  const world = new World();
  for (const id of range(0, 3)) world.push(id);
  for (let turn = 0; turn < 100; turn++) {
    world.clock.advance(60_000);
    world.answer({ status: 502 });
  }
  world.drain();
  t.strictSame(
    world.told.map(({ id }) => id),
    [0, 1, 2],
  );
});

t.test('after a day an event is given up, and counted in the place where it stood', async (t) => {
  const world = new World();
  world.push(0);
  world.push(1);
  world.clock.advance(60_000);
  world.answer({ status: 500 });
  world.clock.advance(12 * 60 * 60_000);
  world.push(2);
  world.answer({ status: 500 });
  world.clock.advance(12 * 60 * 60_000);
  while (world.pending) world.answer({ status: 500 });
  world.drain();
  t.strictSame(
    world.told.map(({ kind, id, count }) => kind ?? id ?? count),
    ['missed', 2],
  );
  t.equal(missed(world.told), 2);
  t.equal(world.ways.get('tooOld'), 2);
});

for (const isKept of [true, false]) {
  const where = isKept ? 'on disk' : 'in memory';
  t.test(`beyond the bound the oldest go, and how many stands in their place: ${where}`, async (t) => {
    const world = new World({ isOver: (_items, bytes) => bytes > 200 }, isKept);
    const padding = 'x'.repeat(20);
    for (const id of range(0, 5)) world.push(id, padding);
    t.ok(world.pending, 'five are under way, and stay');
    for (const id of range(5, 20)) world.push(id, padding);
    world.answer({ status: 500 });
    for (const id of range(20, 25)) world.push(id, padding);
    t.ok(world.outbox.view.bytes <= 200);
    world.drain();
    const told = firstTimes(world.told);
    t.strictSame(
      told,
      told.toSorted((a, b) => a - b),
    );
    t.equal(told.length + missed(world.told), 25);
    t.equal(told.at(-1), 24, 'the newest is there');
    t.equal(world.told[0]?.kind, 'missed');
    t.equal(world.ways.get('overflow'), missed(world.told));
    t.strictSame([world.items, world.bytes, world.memory], [0, 0, 0]);
  });
}

t.test('what the disk has no room for is counted where it would have stood', async (t) => {
  let hasRoom = true;
  const world = new World({ hasRoom: () => hasRoom });
  world.push(0);
  hasRoom = false;
  for (const id of range(1, 4)) world.push(id);
  hasRoom = true;
  world.push(4);
  world.drain();
  t.strictSame(
    world.told.map(({ id, count }) => [id ?? null, count ?? null]),
    [
      [0, null],
      [null, 3],
      [4, null],
    ],
  );
  t.equal(world.ways.get('noRoom'), 3);
});

t.test(
  'whatever happens, and wherever the process is killed: at least once, in order, nothing missing but what is said or deleted',
  async (t) => {
    for (let seed = 1; seed <= 400; seed++) {
      const roll = dice(seed);
      const world = new World({ isOver: (_items, bytes) => bytes > 600 });
      let next = 0;
      /** Ids whose writes were not on disk when the process was killed: nobody can know of them. */
      const unknowable = new Set<number>();
      let uncommitted: number[] = [];
      /** Ids that were deleted, and how many POSTs the site had taken when they were; those whose deletion was not on disk. */
      const deleted = new Map<number, number>();
      let undone: number[] = [];
      /** How many POSTs the site had taken when each process began. */
      const lives = [0];
      for (let step = 0; step < 120; step++) {
        const what = roll(13);
        if (what < 5) {
          uncommitted.push(next);
          world.push(next++);
        } else if (what < 7)
          world.answer(roll(3) > 0 ? { status: 200 } : ([{ status: 503 }, { why: 'broken' }][roll(2)] as Answered));
        else if (what < 9) world.clock.advance([100, 250, 5000, 60_000][roll(4)] as number);
        else if (what < 11) {
          world.store?.commit();
          uncommitted = [];
          undone = [];
        } else if (what < 12) {
          const id = roll(Math.max(1, next));
          if (id === next) continue;
          const isUnderWay = world.pending?.body.some((one) => one.id === id);
          world.delete(id);
          deleted.set(id, world.bodies.length + (isUnderWay ? 1 : 0));
          undone.push(id);
        } else if (roll(3) === 0) {
          // The site may have had what was under way, and the process not its answer.
          if (world.pending && roll(2) === 0) world.bodies.push(world.pending.body);
          lives.push(world.bodies.length);
          world.kill(roll((world.store?.uncommitted ?? 0) + 1));
          for (const id of uncommitted) unknowable.add(id);
          for (const id of undone) deleted.set(id, Number.POSITIVE_INFINITY);
          uncommitted = [];
          undone = [];
        }
      }
      world.drain();
      const told = firstTimes(world.told);
      const setAside = world.told.flatMap(({ kind, id }) => (kind === 'failed' ? [id] : []));
      const known = new Set([...told, ...setAside, ...unknowable, ...deleted.keys()]);
      const lost = range(0, next).filter((id) => !known.has(id));
      const what = `seed ${seed}`;
      for (const [id, from] of deleted) {
        if (ids(world.bodies.slice(from).flat()).includes(id)) t.fail(`${what}: ${id} is told after it was deleted`);
      }
      if (lost.length > missed(world.told)) t.fail(`${what}: ${lost.length} are lost, ${missed(world.told)} said`);
      for (const [n, from] of lives.entries()) {
        const life = ids(world.bodies.slice(from, lives[n + 1]).flat());
        if (life.some((id, at) => at > 0 && id <= (life[at - 1] as number))) t.fail(`${what}: out of order: ${life}`);
      }
      t.strictSame([world.items, world.bytes, world.memory, world.store?.size('webhooks')], [0, 0, 0, 0], what);
    }
  },
);

t.test('a restart in order goes on with what waits; one whose URL has changed tells it there', async (t) => {
  const world = new World();
  for (const id of range(0, 3)) world.push(id);
  world.clock.advance(200);
  const [pending] = [world.pending];
  world.outbox.restart('');
  t.equal(world.pending, pending, 'nothing has changed');
  world.outbox.restart('elsewhere');
  t.not(world.pending, pending);
  t.strictSame(ids(world.pending?.body ?? []), [0, 1, 2], 'again');
  world.kill(world.store?.uncommitted ?? 0);
  world.drain();
  t.strictSame(ids(world.told), [0, 1, 2]);
});

t.test('items that nobody is to have any more, and those of a service, which fail for good', async (t) => {
  const world = new World({ batch: 1, gatherMs: 0, words: null, oldestMs: null });
  world.outbox.push('{"id":0}');
  world.outbox.push('{"id":1}', { expiresAt: world.clock.now() + 1000 });
  world.outbox.push('{"id":2}');
  for (let n = 0; n < 3; n++) {
    world.answer({ status: 500 });
    world.clock.advance(60_000);
  }
  t.strictSame([world.ways.get('failed'), world.ways.get('expired')], [1, 1]);
  world.drain();
  t.strictSame(ids(world.told), [2]);
  world.outbox.push('{"id":3}');
  world.outbox.discard();
  t.equal(world.ways.get('discarded'), 1);
  t.strictSame([world.items, world.bytes, world.memory, world.store?.size('webhooks')], [0, 0, 0, 0]);
});
