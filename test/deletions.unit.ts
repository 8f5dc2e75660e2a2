/** Messages of a deleted conversation that wait at an endpoint which is moving to this node. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { takeAllDeleted } from '../src/actors/deletions.js';
import type { EndpointState } from '../src/actors/endpoint.js';
import { type MessageFields, Packet } from '../src/actors/packet.js';
import type { Deliver } from '../src/actors/router.js';

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
