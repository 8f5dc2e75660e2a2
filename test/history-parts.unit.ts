/** What nodes that are gone have left of a history in the store of a cluster goes when nothing is in it: src/actors/history.ts. */
import t from 'tap';
import { type Address, addressOf } from '../src/actors/address.js';
import { History } from '../src/actors/history.js';
import { Packet } from '../src/actors/packet.js';
import type { Limits } from '../src/config.js';
import { Metrics } from '../src/metrics.js';
import { encodePacket } from '../src/protocols/frame.js';
import type { Store, TableName } from '../src/store/store.js';
import { ManualClock } from './mqtt/support/clock.js';
import { MemoryStore } from './support/memory-store.js';

const DAY_MS = 86_400_000;
const name = 'a.example';
const [JACK, ANNA] = ['jack', 'anna'].map((id) => addressOf(name, 'uid', id)) as [Address, Address];
const TABLES: readonly TableName[] = [
  'conversations',
  'messages',
  'participants',
  'authors',
  'ages',
  'reads',
  'history',
];

/** The one store of a cluster, as a node has it. */
function storeOf(store: MemoryStore, node: string): Store {
  return new Proxy(store, {
    get: (target, key) => {
      if (key === 'node') return node;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as unknown as Store;
}

t.test(
  'parts of nodes that are gone, and what was read there, are removed when their messages are too old',
  async (t) => {
    const clock = new ManualClock();
    const store = new MemoryStore();
    const owner = { name, limits: { historyBytes: 0 } as Limits, metrics: new Metrics().domain(name) };
    const open = (node: string) =>
      new History(owner, clock, storeOf(store, node), { messages: 100, days: 1 }, encodePacket);
    const say = (history: History, id: string) => {
      clock.advance(1);
      const fields = {
        from: 'jack',
        to: 'anna',
        nick: '',
        timestamp: '1',
        type: 'chat',
        body: id,
        style: '',
        id,
      } as const;
      history.take(new Packet('message', fields, ANNA, JACK), ANNA);
      history.write();
    };
    const read = (history: History, id: string) => {
      history.take(new Packet('status', { from: 'anna', to: 'jack', nick: '', show: `read ${id}` }, JACK, ANNA), JACK);
      history.write();
    };
    for (let n = 0; n < 3; n++) {
      const gone = open(`gone${n}`);
      say(gone, `of ${n}`);
      gone.close();
    }
    const reader = open('reader');
    say(reader, 'of the reader');
    read(reader, 'of 0');
    reader.close();
    const left = open('left');
    left.isLeft = () => true;
    say(left, 'now');
    t.equal(store.size('history'), 5);
    t.ok(store.size('reads') > 0);
    const asked = { before: null, after: null, limit: 10 };
    t.equal(left.messages(ANNA, JACK, asked).items.length, 5);
    t.equal(left.conversations(ANNA, [], asked).items[0]?.unread, 4);
    for (let turn = 0; turn < 3; turn++) {
      clock.advance(DAY_MS);
      say(left, `again ${turn}`);
      for (let minute = 0; minute < 20; minute++) clock.advance(60_000);
    }
    t.strictSame([...left.nodes()], []);
    t.equal(left.messages(ANNA, JACK, asked).items.length, 1);
    clock.advance(2 * DAY_MS);
    for (let minute = 0; minute < 20; minute++) clock.advance(60_000);
    t.strictSame(
      TABLES.map((table) => [table, store.size(table)]),
      TABLES.map((table) => [table, table === 'history' ? 1 : 0]),
    );
    left.close();
  },
);
