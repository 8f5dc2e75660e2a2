/** Messages that are deleted while they wait: at an endpoint that is moving to this node, in an outbox, and in the offline store. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { takeAllDeleted } from '../src/actors/deletions.js';
import type { EndpointState } from '../src/actors/endpoint.js';
import { Mailboxes } from '../src/actors/mailboxes.js';
import { type Answered, Outbox } from '../src/actors/outbox.js';
import { type MessageFields, Packet } from '../src/actors/packet.js';
import type { Deliver } from '../src/actors/router.js';
import type { Limits } from '../src/config.js';
import { Metrics } from '../src/metrics.js';
import type { Table, TableName } from '../src/store/store.js';
import { ManualClock } from './mqtt/support/clock.js';
import { MemoryStore } from './support/memory-store.js';

const address = '/domain/example.com/uid/b' as Address;

function held(from: string): Deliver {
  const said = { from, to: 'b', nick: from, type: 'chat' as const, body: 'hello', timestamp: '1', style: '' };
  const fields: MessageFields = { ...said, id: `of-${from}` };
  return { kind: 'deliver', packet: new Packet('message', fields, address, null), only: null };
}

t.test('a deleted message that was held for a move is counted, and its bytes are free for the next one', async (t) => {
  const [deleted, other] = [held('a'), held('c')];
  const moving = { isLeaving: false, held: new Set([deleted, other]), heldBytes: 2 * deleted.packet.bytes };
  const drops: unknown[] = [];
  const domain = { mailboxes: null, drop: (...drop: unknown[]) => drops.push(drop) };
  const state = { domain, address, clients: [], unseen: null, moving } as unknown as EndpointState;
  takeAllDeleted(state, { user: 'a', other: 'b', isOfRoom: false, id: null, bySite: true });
  t.strictSame([...moving.held], [other]);
  t.equal(moving.heldBytes, other.packet.bytes);
  t.strictSame(drops, [[deleted.packet, 'deleted', address]]);
});

/** An outbox with room for three items, the POST that is under way, and how its items have left. */
function smallOutbox() {
  const clock = new ManualClock();
  const left: string[] = [];
  const posts: { readonly body: string; readonly done: (answer: Answered) => void }[] = [];
  const rules = {
    batch: 3,
    gatherMs: 0,
    longestPauseMs: 60_000,
    oldestMs: null,
    attempts: 3,
    words: { failed: () => '"failed"', missed: (count: number) => `"missed ${count}"` },
    isOver: (items: number) => items > 3,
    hasRoom: () => true,
    body: (items: readonly string[]) => items.join(),
  };
  const port = {
    clock,
    post: (body: string, done: (answer: Answered) => void) => {
      posts.push({ body, done });
      return () => undefined;
    },
    left: (way: string, count: number) => void left.push(`${way} ${count}`),
    changed: () => undefined,
    failed: () => undefined,
  };
  return { clock, left, posts, outbox: new Outbox(rules, port, null, ['domain', 'events']) };
}

t.test('an item deleted under way, whose POST fails, leaves once, and takes the room of no other', async (t) => {
  const { clock, left, posts, outbox } = smallOutbox();
  const push = (id: string): void => outbox.push(`{"id":"${id}"}`, { name: id });
  push('a');
  outbox.delete('a', () => true);
  posts[0]?.done({ status: 503 });
  for (const id of ['b', 'c', 'd']) push(id);
  t.strictSame(left, ['deleted 1']);
  clock.advance(60_000);
  t.equal(posts[1]?.body, '{"id":"b"},{"id":"c"},{"id":"d"}');
});

t.test('an item deleted under way is counted where the outbox ends before its POST is answered', async (t) => {
  const { left, outbox } = smallOutbox();
  outbox.push('{"id":"a"}', { name: 'a' });
  outbox.delete('a', () => true);
  t.strictSame(outbox.close(), []);
  t.strictSame(left, ['deleted 1']);
});

class CountingStore extends MemoryStore {
  reads = 0;

  override table<V>(name: TableName): Table<V> {
    const table = super.table<V>(name);
    const get: Table<V>['get'] = (key) => {
      this.reads += 1;
      return table.get(key);
    };
    return { ...table, get };
  }
}

t.test(
  'a deletion reads the one message that it deletes, whatever ids users have chosen, and whatever rooms share them',
  async (t) => {
    const store = new CountingStore();
    const limits = { queuePackets: 0, queueBytes: 0, offlineBytes: 0, offlineAgeS: 0 } as Limits;
    const owner = { name: 'example.com', limits, metrics: new Metrics().domain('example.com') };
    const mailboxes = new Mailboxes(owner, new ManualClock(), store);
    t.teardown(() => mailboxes.close());
    const keep = (room: string, id: string): void => {
      const fields: MessageFields = {
        ...{ from: 'a', to: room, nick: 'a', type: 'grpchat', body: 'hello', timestamp: '1', style: '' },
        id,
      };
      mailboxes.keep(address, new Packet('message', fields, address, null));
    };
    // The sum over the characters of all these ids, each times a power of 31, is the same.
    const ids = Array.from({ length: 16 }, (_, n) =>
      n.toString(2).padStart(4, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'),
    );
    for (const id of ids) for (const room of ['gid:hall', 'gid:lobby']) keep(room, id);
    const deletion = { user: 'a', other: 'gid:lobby', isOfRoom: true, id: ids[7] as string, bySite: false };
    t.equal(mailboxes.delete(null, deletion), true);
    t.equal(store.reads, 1);
    t.equal(mailboxes.delete(null, deletion), false);
    t.equal(store.reads, 1);
  },
);
