/** The history against a list: random messages, reads, deletions, days and restarts, and pages read meanwhile. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { addressOf, reference } from '../src/actors/address.js';
import { History } from '../src/actors/history.js';
import { Packet } from '../src/actors/packet.js';
import type { Limits } from '../src/config.js';
import { Metrics } from '../src/metrics.js';
import { encodePacket } from '../src/protocols/frame.js';
import { part } from '../src/store/keys.js';
import { openLmdb } from '../src/store/lmdb.js';
import type { Store } from '../src/store/store.js';
import { ManualClock } from './mqtt/support/clock.js';
import type { Check } from './support/check.js';
import { dice } from './support/dice.js';

const DAY_MS = 86_400_000;
const MOST = 30;
const DAYS = 2;
const domain = 'a.example';
const USERS = ['1', 'jack', '张三', 'vid:7', 'uid:vid:7'];
const ROOMS = ['lobby', '7'];

function user(name: string): Address {
  if (name.startsWith('uid:')) return addressOf(domain, 'uid', name.slice(4));
  return name.startsWith('vid:') ? addressOf(domain, 'vid', name.slice(4)) : addressOf(domain, 'uid', name);
}

function room(name: string): Address {
  return addressOf(domain, 'gid', name);
}

interface Said {
  readonly conversation: string;
  readonly from: string;
  readonly id: string;
  readonly body: string;
  readonly at: number;
  readonly number: number;
}

function conversationOf(from: string, to: string, isRoom: boolean): string {
  return isRoom ? `room ${to}` : [from, to].sort().join(' and ');
}

interface Page {
  readonly items: readonly string[];
  readonly next: number | null;
}

class World {
  said: Said[] = [];
  readonly reads = new Map<string, number>();
  clock = new ManualClock();
  readonly metrics = new Metrics();
  history!: History;
  #store!: Store;
  #number = 0;

  constructor(
    private readonly t: Check,
    private readonly folder: string,
    readonly limits: Partial<Limits> = {},
  ) {
    this.open();
  }

  open(): void {
    this.#store = openLmdb(this.folder);
    const owner = {
      name: domain,
      limits: { historyBytes: 0, ...this.limits } as Limits,
      metrics: this.metrics.domain(domain),
    };
    this.history = new History(owner, this.clock, this.#store, { messages: MOST, days: DAYS }, encodePacket);
  }

  async close(): Promise<void> {
    this.history.close();
    await this.#store.close();
  }

  /** The server is killed a second after what came last, at any moment of what it writes, and starts again. */
  async kill(): Promise<void> {
    this.clock.advance(1000);
    await this.#store.close();
    const clock = new ManualClock();
    clock.advance(this.clock.now() - clock.now());
    // Whatever the history of before still wanted to do at a time does not come to pass.
    this.clock = clock;
    this.open();
  }

  send(from: string, to: string, isRoom: boolean, body: string): void {
    this.#number += 1;
    const id = `m${this.#number}`;
    const topic = isRoom ? room(to) : user(to);
    const type = isRoom ? 'grpchat' : 'chat';
    const fields = { from, to, nick: '', timestamp: '1', type, body, style: '', id } as const;
    this.history.take(new Packet('message', fields, topic, user(from)), topic);
    const conversation = conversationOf(from, to, isRoom);
    this.said.push({ conversation, from, id, body, at: this.clock.now(), number: this.#number });
    const own = this.said.filter((one) => one.conversation === conversation);
    if (own.length > MOST) this.said.splice(this.said.indexOf(own[0] as Said), 1);
  }

  read(by: string, to: string, isRoom: boolean, id: string): void {
    const topic = isRoom ? room(to) : user(to);
    const fields = { from: by, to, nick: '', show: `read ${id}` };
    this.history.take(new Packet('status', fields, topic, user(by)), topic);
    const conversation = conversationOf(by, to, isRoom);
    const found = this.of(conversation).find((one) => one.id === id);
    const mark = `${by} in ${conversation}`;
    if (found) this.reads.set(mark, Math.max(this.reads.get(mark) ?? 0, found.number));
  }

  /** What the history is to have of a conversation. */
  of(conversation: string): Said[] {
    const oldest = this.clock.now() - DAYS * DAY_MS;
    return this.said.filter((one) => one.conversation === conversation && one.at >= oldest);
  }

  forgetRead(conversation: string): void {
    for (const mark of [...this.reads.keys()]) if (mark.endsWith(` in ${conversation}`)) this.reads.delete(mark);
  }

  checkPages(name: string, other: string, isRoom: boolean, limit: number, meanwhile: () => void): void {
    const conversation = conversationOf(name, other, isRoom);
    const address = isRoom ? room(other) : user(other);
    const idsOf = ({ items }: Page) => items.map((json) => (JSON.parse(json) as Said).id);
    const before = this.of(conversation).map(({ id }) => id);
    let back: string[] = [];
    let next: number | null = null;
    do {
      const page: Page = this.history.messages(user(name), address, { before: next, after: null, limit });
      back = [...idsOf(page), ...back];
      next = page.next;
      if (next !== null) meanwhile();
    } while (next !== null);
    const kept = new Set(this.of(conversation).map(({ id }) => id));
    const still = before.filter((id) => kept.has(id));
    this.t.strictSame(
      back.filter((id) => kept.has(id)),
      still,
      `backwards through ${conversation}`,
    );

    const forth: string[] = [];
    let after: number | null = 0;
    while (after !== null) {
      const page: Page = this.history.messages(user(name), address, { before: null, after, limit });
      forth.push(...idsOf(page));
      after = page.next;
    }
    this.t.strictSame(
      forth,
      this.of(conversation).map(({ id }) => id),
      `forwards through ${conversation}`,
    );
  }

  checkList(name: string, limit: number): void {
    const all = new Map<string, { with: string; last: string; number: number; unread: number }>();
    const mayRead = (one: Said) =>
      one.conversation.startsWith('room ') || one.conversation.split(' and ').includes(name);
    for (const { conversation } of this.said.filter(mayRead)) {
      const messages = this.of(conversation);
      const last = messages.at(-1);
      if (!last) continue;
      const mark = this.reads.get(`${name} in ${conversation}`) ?? 0;
      const unread = messages.filter((one) => one.from !== name && one.number > mark).length;
      const [one, two] = conversation.split(' and ');
      const other = conversation.startsWith('room ') ? `gid:${conversation.slice(5)}` : one === name ? two : one;
      all.set(conversation, { with: other as string, last: last.id, number: last.number, unread });
    }
    const expected = [...all.values()].sort((a, b) => b.number - a.number);
    const found: object[] = [];
    let before: number | null = null;
    do {
      const rooms = ROOMS.map(room);
      const { items, next } = this.history.conversations(user(name), rooms, { before, after: null, limit });
      for (const { other, last, unread } of items) {
        found.push({ with: reference(domain, other), last: (JSON.parse(last) as Said).id, unread });
      }
      before = next;
    } while (before !== null);
    this.t.strictSame(
      found,
      expected.map(({ number: _, ...rest }) => rest),
      `the conversations of ${name}`,
    );
  }
}

for (const seed of [1, 2, 3]) {
  t.test(`the history is what a plain list would be, seed ${seed}`, async (t) => {
    const world = new World(t, t.testdir());
    const roll = dice(seed);
    const pick = <T>(list: readonly T[]): T => list[roll(list.length)] as T;
    const one = () => {
      const isRoom = roll(3) === 0;
      return [pick(USERS), isRoom ? pick(ROOMS) : pick(USERS), isRoom] as const;
    };
    const send = () => {
      const [from, to, isRoom] = one();
      const length = roll(10) === 0 ? roll(6000) : roll(200);
      for (let i = roll(12); i >= 0; i--) world.send(from, to, isRoom, 'ü'.repeat(length));
    };
    for (let step = 0; step < 600; step++) {
      const [name, other, isRoom] = one();
      const conversation = conversationOf(name, other, isRoom);
      const address = isRoom ? room(other) : user(other);
      const action = roll(20);
      if (action < 8) send();
      else if (action < 10) world.read(name, other, isRoom, pick(world.of(conversation))?.id ?? 'none');
      else if (action < 13) world.checkPages(name, other, isRoom, 1 + roll(9), send);
      else if (action < 15) world.checkList(name, 1 + roll(4));
      else if (action === 15) world.clock.advance(roll(DAY_MS / 4));
      else if (action === 16 && roll(4) === 0) {
        await world.close();
        world.open();
      } else if (action === 16) {
        await world.kill();
      } else if (action === 17) {
        const gone = pick(world.of(conversation))?.id ?? 'none';
        const from = world.of(conversation).find(({ id }) => id === gone)?.from ?? null;
        t.equal(world.history.forgetMessage(user(name), address, gone), from);
        world.said = world.said.filter(({ id }) => id !== gone);
        if (world.of(conversation).length === 0) world.forgetRead(conversation);
      } else if (action === 18 && roll(3) === 0) {
        world.history.forgetConversation(user(name), address);
        world.said = world.said.filter((message) => message.conversation !== conversation);
        world.forgetRead(conversation);
      } else if (action === 19 && roll(6) === 0) {
        while (world.history.forgetSome(user(name)));
        const isGone = (message: Said) => message.from === name || message.conversation.split(' and ').includes(name);
        world.said = world.said.filter((message) => !isGone(message));
        for (const mark of [...world.reads.keys()]) {
          const where = mark.slice(mark.indexOf(' in ') + 4);
          if (where.split(' and ').includes(name) || world.of(where).length === 0) world.reads.delete(mark);
        }
      }
    }
    for (const name of USERS) world.checkList(name, 2);
    const { history } = world.metrics.domain(domain);
    t.ok(history.kept > 1000 && history.trimmed > 100 && history.deleted > 10, JSON.stringify(history));
    t.equal(history.messages, history.kept - history.trimmed - history.deleted);
    world.clock.advance((DAYS + 1) * DAY_MS);
    t.match(history, { messages: 0, bytes: 0 }, 'all of it has gone in time, unasked');
    await world.close();
    const store = openLmdb(`${t.testdirName}`);
    for (const table of [
      'gathered',
      'conversations',
      'messages',
      'participants',
      'authors',
      'ages',
      'reads',
    ] as const) {
      t.strictSame([...store.table(table).entries(part(domain))], [], `nothing is left in ${table}`);
    }
    t.equal([...store.table('history').entries(part(domain))].length, 1, 'but how much there is');
    await store.close();
  });
}
