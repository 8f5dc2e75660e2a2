/**
 * Messages that their sender deletes, by the status `deleted {id}` to the receiver of the message. PROTOCOL.md section 18.
 * The status travels the way that the message went, behind it, and takes the message out wherever it still waits; a client that
 * never had the message is not told. So deleting needs no messages of its own between nodes.
 */
import { isRoom, shortId } from './address.js';
import type { Client } from './client.js';
import type { Domain } from './domain.js';
import type { EndpointState } from './endpoint.js';
import type { MessageFields, Packet, StatusFields } from './packet.js';
import { forgetWaiting } from './unseen.js';

const DELETED = 'deleted ';

/** Which message is deleted: the one with this id from this sender to this endpoint or room, both as short ids. */
export interface Deletion {
  readonly from: string;
  readonly to: string;
  readonly id: string;
  readonly isOfRoom: boolean;
}

/** The message that a packet deletes; null, nearly always: the packet deletes none. */
export function deletionOf({ name }: Pick<Domain, 'name'>, { kind, fields, topic }: Packet): Deletion | null {
  if (kind !== 'status') return null;
  const { from, show } = fields as StatusFields;
  if (!show.startsWith(DELETED)) return null;
  return { from, to: shortId(name, topic), id: show.slice(DELETED.length), isOfRoom: isRoom(name, topic) };
}

export function isDeleted({ from, to, id, isOfRoom }: Deletion, fields: MessageFields): boolean {
  return fields.id === id && fields.from === from && fields.to === to && (fields.type === 'grpchat') === isOfRoom;
}

/** Whether a frame's JSON holds a single message, which is the deleted one. Most frames are ruled out without being parsed. */
export function isFrameOf(deletion: Deletion, payload: Buffer): boolean {
  if (!payload.includes(JSON.stringify(deletion.id))) return false;
  const { messages } = JSON.parse(payload.toString()) as { readonly messages?: readonly MessageFields[] };
  return messages?.length === 1 && isDeleted(deletion, messages[0] as MessageFields);
}

/**
 * Where a packet deletes a message, takes that message out of the clients' queues, and out of the endpoint's waiting and offline
 * messages on this node. Answers the clients that are to get the packet: those that have had the message or may have had it.
 */
export function takeDeleted(state: EndpointState, packet: Packet, clients = state.clients): readonly Client[] {
  const { domain, unseen } = state;
  const deletion = deletionOf(domain, packet);
  if (deletion === null) return clients;
  const told: Client[] = [];
  let taken: Packet | null = null;
  for (const client of clients) {
    const packet = client.queued.find(isMessage(deletion));
    if (!packet || client.mayMiss || client.unconfirmed.includes(packet)) told.push(client);
    if (packet) takeFromQueue(client, packet);
    taken = packet ?? taken;
  }
  const waiting = unseen?.packets.find(isMessage(deletion));
  if (waiting) forgetWaiting(state, waiting);
  taken = waiting ?? taken;
  const isStored = domain.mailboxes?.delete(state.address, deletion) === true;
  if (taken && !isStored) domain.drop(taken, 'deleted', state.address);
  return told;
}

/** Removes a deleted message from a client's queue. It does not count as lost, since the client is not to know of it. */
function takeFromQueue(client: Client, packet: Packet): void {
  client.queue.remove(packet, 0);
  client.transport?.dropped?.([packet]);
}

function isMessage(deletion: Deletion): (packet: Packet) => boolean {
  return ({ kind, fields }) => kind === 'message' && isDeleted(deletion, fields as MessageFields);
}
