/**
 * Messages that are deleted while they wait: they are delivered to nobody. PROTOCOL.md section 18.
 *
 * One message is deleted by the status `deleted {id}` from its sender to its receiver. The status travels the way that the message
 * went, behind it, and takes the message out wherever it still waits for clients; a client that never had the message is not told.
 * What waits for the site is no way's end, and is taken out on every node (`deleteForSite`).
 *
 * A conversation, or all that a user has said, is deleted by the history (forgetting.ts), which tells nobody: it is taken out of
 * everything in which messages wait, on every node (`deleteWaiting`).
 */
import type { EventKind } from '../event-kinds.js';
import { seldom } from '../seldom.js';
import { inSlices } from '../slices.js';
import { type Address, isRoom, parseTarget, shortId } from './address.js';
import type { Client } from './client.js';
import type { Domain } from './domain.js';
import type { EndpointState } from './endpoint.js';
import { type MessageFields, messageName, type Packet, type StatusFields } from './packet.js';
import { whenHandled } from './router.js';
import { forgetWaiting } from './unseen.js';

const DELETED = 'deleted ';
/** The kind of the event that tells of a message which was accepted. */
const ACCEPTED: EventKind = 'message';
/** Hops after which a message stands in queues and outboxes: to its sender's actor, and from there to the actors of its receivers. */
const HOPS = 2;

/** Which messages are deleted. Users and rooms are named as in the messages, by their short ids. */
export interface Deletion {
  readonly user: string;
  /** The other side of the conversation, or a room; null: all of the user's conversations, and what it has said in rooms. */
  readonly other: string | null;
  readonly isOfRoom: boolean;
  /** Of the conversation only the message that the user has sent under this id; null: all. */
  readonly id: string | null;
  /** Whether the site has deleted it, and not its sender's client. */
  readonly bySite: boolean;
  /** Of a single message: whether all MQTT sessions that get the status which deletes it have had that. Others may still have the message. */
  readonly isLate?: boolean;
}

/** The deletion of a single message, by its sender or by the site. */
export interface MessageDeletion extends Deletion {
  readonly other: string;
  readonly id: string;
}

/** The message that a packet deletes; null, nearly always: the packet deletes none. */
export function deletionOf({ name }: Pick<Domain, 'name'>, packet: Packet): MessageDeletion | null {
  if (packet.kind !== 'status') return null;
  const { topic, fields, fromClient } = packet;
  const { from, show } = fields as StatusFields;
  if (!show.startsWith(DELETED)) return null;
  const id = show.slice(DELETED.length);
  return { user: from, other: shortId(name, topic), id, isOfRoom: isRoom(name, topic), bySite: !fromClient };
}

/** The name (`messageName`) of the message that is deleted. */
export function nameOfDeleted({ user, other, id }: MessageDeletion): string {
  return messageName({ from: user, to: other, id });
}

export function isDeleted({ user, other, id, isOfRoom }: Deletion, message: MessageFields): boolean {
  const { from, to, type } = message;
  const inRoom = type === 'grpchat';
  if (id !== null) return message.id === id && from === user && to === other && inRoom === isOfRoom;
  if (type === 'broadcast') return false;
  if (other === null) return from === user || (!inRoom && to === user);
  if (inRoom !== isOfRoom) return false;
  return inRoom ? to === other : (from === user && to === other) || (from === other && to === user);
}

/** What waits with messages in it, as JSON: a frame, an event with its `packet`, or a message itself. */
type Holder = MessageFields & {
  readonly messages?: readonly MessageFields[];
  readonly kind?: string;
  readonly packet?: MessageFields;
};

/** Whether a frame's JSON holds a single message, which is deleted. */
export function isFrameOf(deletion: Deletion, payload: Buffer): boolean {
  const { messages } = parse(deletion, payload) ?? {};
  return messages?.length === 1 && isDeleted(deletion, messages[0] as MessageFields);
}

/** Whether what waits for the site, as JSON, is a deleted message or an event that carries one. */
export function isItemOf(deletion: Deletion, json: string | Buffer): boolean {
  const item = parse(deletion, json);
  if (item === null || (item.kind === ACCEPTED && !deletion.bySite)) return false;
  return isDeleted(deletion, item.packet ?? item);
}

/** Parses JSON that may hold a deleted message; null: the text cannot hold it, as is mostly seen without parsing, or is no JSON. */
function parse({ id }: Deletion, json: string | Buffer): Holder | null {
  if (id !== null && !json.includes(JSON.stringify(id))) return null;
  try {
    return Object(JSON.parse(json.toString())) as Holder;
  } catch {
    return null;
  }
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

/** Takes deleted messages out of an endpoint's queues on this node, without a packet that would tell its clients of that. */
export function takeAllDeleted(state: EndpointState, deletion: Deletion): void {
  const { domain, address, clients, moving } = state;
  const taken = new Set<Packet>();
  for (const client of clients) {
    for (const packet of client.queued.filter(isMessage(deletion))) {
      takeFromQueue(client, packet);
      taken.add(packet);
    }
  }
  for (const packet of state.unseen?.packets.filter(isMessage(deletion)) ?? []) {
    forgetWaiting(state, packet);
    taken.add(packet);
  }
  if (moving?.isLeaving === false) {
    for (const held of moving.held) {
      if (!isMessage(deletion)(held.packet)) continue;
      moving.held.delete(held);
      moving.heldBytes -= held.packet.bytes;
      taken.add(held.packet);
    }
  }
  // A message of the offline store is counted when it is taken out there.
  for (const packet of taken) if (!domain.mailboxes?.placeOf(packet)) domain.drop(packet, 'deleted', address);
}

/** Removes a deleted message from a client's queue. It does not count as lost, since the client is not to know of it. */
function takeFromQueue(client: Client, packet: Packet): void {
  client.queue.remove(packet, 0);
  client.transport?.dropped?.([packet]);
}

/** Whether a packet is a deleted message. */
export function isMessage(deletion: Deletion): (packet: Packet) => boolean {
  return ({ kind, fields }) => kind === 'message' && isDeleted(deletion, fields as MessageFields);
}

/**
 * What a deletion takes out of what waits for the site, as another node is asked for it. `bySite`: the site itself has deleted it.
 * `isLate`: in place of that, out of MQTT sessions that have not got the status, as nobody had taken them over yet.
 */
export type ForSite = readonly [
  marker: null,
  sender: Address,
  to: Address,
  id: string,
  bySite: boolean,
  isLate?: boolean,
];

/**
 * A status that deletes a message has been dispatched: on every node the message is taken out of what waits for the site. An event
 * that tells of a message which was accepted goes only where the site deletes it: nobody takes back from the site what he has said.
 */
export function deleteForSite(domain: Domain, { sender, topic, fromClient }: Packet, id: string): void {
  const { events, webhooks, settings, cluster } = domain;
  if (sender === null || (!events?.carriesMessages && webhooks.size === 0 && !settings.carbons)) return;
  const what: ForSite = [null, sender, topic, id, !fromClient];
  deleteForSiteHere(domain, what, () => undefined);
  cluster.forget(what, () => undefined);
}

/**
 * Takes a deleted message out of what waits for the site on this node, and for the other clients of its sender; `isLate`: out of MQTT
 * sessions alone, since all else is done when the status is dispatched.
 */
export function deleteForSiteHere(domain: Domain, what: ForSite, done: () => void): void {
  const [, sender, to, id, bySite, isLate = false] = what;
  const { name, tracker, cluster, events, webhooks, settings, onDeleted } = domain;
  const isOfRoom = isRoom(name, to);
  const deletion = { user: shortId(name, sender), other: shortId(name, to), id, isOfRoom, bySite, isLate };
  const run = (): void => {
    if (isLate || events?.carriesMessages) for (const deleted of onDeleted) deleted(deletion);
    if (!isLate) {
      events?.delete(deletion);
      for (const webhook of webhooks) webhook.delete(deletion);
      if (settings.carbons) tracker.actor(sender)?.tell({ kind: 'deleted', deletion });
    }
    done();
  };
  const handled = (): void => whenHandled(domain, run, HOPS);
  if (!isLate) return handled();
  cluster.sessions.whenTaken((isTaken) => {
    if (!isTaken) deletionGivenUp(domain);
    handled();
  });
}

/** A single message is deleted, and MQTT sessions of lost nodes may have it still. */
export function deletionGivenUp({ name, runtime }: Domain): void {
  runtime.metrics.cluster.deletionsGivenUp += 1;
  const what = { event: 'deletion given up', domain: name };
  seldom.warn(`deletion given up ${name}`, what, 'a deleted message may stay in MQTT sessions of a lost node');
}

/**
 * Takes deleted messages out of everything in which messages wait on this node, some in each turn of the event loop. An endpoint or MQTT
 * session that this node is taking over from one that is gone has been given its messages before that. `done` gets false where too many
 * wait for such takeovers, and nothing has been taken out.
 */
export function deleteWaiting(domain: Domain, deletion: Deletion, done: (isDone: boolean) => void): void {
  const isHandled = (): void => whenHandled(domain, () => done(true));
  const run = (): void => inSlices(waitingPlaces(domain, deletion)[Symbol.iterator](), isHandled);
  const { cluster } = domain;
  cluster.whenTaken(sidesOf(domain, deletion), (isTaken) => {
    if (!isTaken) return done(false);
    cluster.sessions.whenTaken((areTaken) => {
      if (areTaken) whenHandled(domain, run, HOPS);
      else done(false);
    });
  });
}

function* waitingPlaces(domain: Domain, deletion: Deletion): Iterable<void> {
  const { tracker, mailboxes, webhooks, events, onDeleted } = domain;
  const sides = sidesOf(domain, deletion);
  for (const deleted of onDeleted) deleted(deletion);
  for (const side of sides ?? []) yield tracker.actor(side)?.tell({ kind: 'deleted', deletion });
  if (!sides) for (const { actor } of tracker.here()) yield actor.tell({ kind: 'deleted', deletion });
  if (mailboxes) yield* mailboxes.deleteAll(deletion, sides);
  for (const webhook of webhooks) yield* webhook.deleteAll(deletion);
  if (events) yield* events.deleteAll(deletion);
}

/** The two endpoints of a conversation, which alone have its messages; null: others may have them as well. */
export function sidesOf({ name }: Domain, { user, other, isOfRoom }: Deletion): readonly Address[] | null {
  if (other === null || isOfRoom) return null;
  return [user, other].flatMap((side) => parseTarget(name, side)?.address ?? []);
}
