/** Messages that are deleted while they wait: at an endpoint that is moving to this node, and in an outbox. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { takeAllDeleted } from '../src/actors/deletions.js';
import type { EndpointState } from '../src/actors/endpoint.js';
import { type Answered, Outbox } from '../src/actors/outbox.js';
import { type MessageFields, Packet } from '../src/actors/packet.js';
import type { Deliver } from '../src/actors/router.js';
import { ManualClock } from './mqtt/support/clock.js';

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
