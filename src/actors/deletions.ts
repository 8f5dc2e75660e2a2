/**
 * Messages that their sender has deleted: the status `deleted {id}`, to whom the message went. PROTOCOL.md section 18.
 * Wherever the message still waits for somebody it is taken out on the way of that status, which goes where the message went and
 * behind it; who never had the message is told nothing. So it needs nothing of its own between nodes.
 */
import { isRoom, shortId } from './address.js';
import type { Client } from './client.js';
import type { Domain } from './domain.js';
import type { EndpointState } from './endpoint.js';
import type { MessageFields, Packet, StatusFields } from './packet.js';
import { forgetWaiting } from './unseen.js';

const DELETED = 'deleted ';

/** Which message is deleted: that of this sender, to this endpoint or room, with this id. */
export interface Deletion {
  readonly from: string;
  readonly to: string;
  readonly id: string;
  readonly isOfRoom: boolean;
}

/** What a status deletes; null, nearly always: nothing. */
export function deletionOf({ name }: Pick<Domain, 'name'>, { kind, fields, topic }: Packet): Deletion | null {
  if (kind !== 'status') return null;
  const { from, show } = fields as StatusFields;
  if (!show.startsWith(DELETED)) return null;
  return { from, to: shortId(name, topic), id: show.slice(DELETED.length), isOfRoom: isRoom(name, topic) };
}

export function isDeleted({ from, to, id, isOfRoom }: Deletion, fields: MessageFields): boolean {
  return fields.id === id && fields.from === from && fields.to === to && (fields.type === 'grpchat') === isOfRoom;
}

/** Whether the JSON of a frame is that of a message, alone, that is deleted. Most frames are passed over without being parsed. */
export function isFrameOf(deletion: Deletion, payload: Buffer): boolean {
  if (!payload.includes(JSON.stringify(deletion.id))) return false;
  const { messages } = JSON.parse(payload.toString()) as { readonly messages?: readonly MessageFields[] };
  return messages?.length === 1 && isDeleted(deletion, messages[0] as MessageFields);
}

/**
 * Takes a deleted message from all that of an endpoint, or of some of its clients, waits on this node. Answers who of these
 * clients is to be told: those that may have had it, or where nobody knows.
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

/** It counts as no loss to the client, which is to know nothing of it. */
function takeFromQueue(client: Client, packet: Packet): void {
  client.queue.remove(packet, 0);
  client.transport?.dropped?.([packet]);
}

function isMessage(deletion: Deletion): (packet: Packet) => boolean {
  return ({ kind, fields }) => kind === 'message' && isDeleted(deletion, fields as MessageFields);
}
