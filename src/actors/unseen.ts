/**
 * The messages of an endpoint that none of its clients has confirmed and that wait for whichever client comes next.
 * PROTOCOL.md section 12. A message is with the endpoint until one of its clients confirms it: while a client is
 * connected it is in that one's queue, else it is here, and where it has been read from the offline store also there.
 */
import type { Client } from './client.js';
import type { EndpointState } from './endpoint.js';
import { isConnectedElsewhere } from './endpoint-record.js';
import type { Packet } from './packet.js';
import { PacketQueue } from './queue.js';
import { isInTurns } from './turns.js';
import { UNSEEN } from './unconfirmed.js';

/** Keeps a message until one of the endpoint's clients confirms it. */
export function keepUnseen(state: EndpointState, packet: Packet): void {
  if (state.unseen === null) {
    state.unseen = new PacketQueue(state.domain, state.address, UNSEEN);
    for (const client of state.clients) watch(state, client);
  }
  state.unseen.push(packet, state.domain.limits);
  if (packet.trace !== null) packet.trace.hop('kept', packet, state.address, 'until a client connects');
}

/** A client comes: it has what waits, and says when it has confirmed that. */
export function giveUnseen(state: EndpointState, client: Client): void {
  const { clients, unseen } = state;
  if (clients.length > 0) {
    const numbers = new Map(clients.map((elder) => [elder, elder.accepted]));
    client.elders = { numbers, given: new WeakSet(unseen?.packets) };
  }
  if (state.unseen === null) return;
  watch(state, client);
  // What waits goes to one of them, when that one has a turn.
  if (isInTurns(state)) return;
  for (const packet of state.unseen.packets) client.push(packet, state.domain.limits);
}

/** Nothing waits any more. */
export function clearUnseen(state: EndpointState): void {
  state.unseen?.clear();
  state.unseen = null;
  for (const client of state.clients) client.onConfirmed = null;
}

/** The same for messages of which some may be kept already. */
export function keepWaiting(state: EndpointState, packets: readonly Packet[]): void {
  if (packets.length === 0) return;
  const kept = new Set(state.unseen?.packets);
  for (const packet of packets) if (!kept.has(packet)) keepUnseen(state, packet);
}

/** A message waits no more. */
export function forgetWaiting(state: EndpointState, packet: Packet): void {
  state.unseen?.remove(packet);
  if (state.unseen?.length === 0) clearUnseen(state);
}

/** A client cannot be reached: what it has not confirmed, and no other client has, waits for the next one. */
export function keepUnconfirmed(state: EndpointState, client: Client): void {
  keepWaiting(state, unconfirmed(state, client));
}

/** Messages of a client that neither it nor another client of its endpoint has confirmed. */
export function unconfirmed(state: EndpointState, client: Client): readonly Packet[] {
  const { clients } = state;
  const messages = client.queued.filter(({ kind }) => kind === 'message');
  if (messages.length === 0 || isInTurns(state)) return messages;
  const confirmed = new Set<Packet>();
  for (const other of clients) {
    if (other === client) continue;
    const open = new Set([...other.queued, ...hadNot(other, client)]);
    for (const packet of messages) if (!open.has(packet)) confirmed.add(packet);
  }
  return messages.filter((packet) => !confirmed.has(packet));
}

/** What `client` has in its queue since before `other` came, so that `other` has had none of it. */
export function hadNot(other: Client, client: Client): readonly Packet[] {
  const { elders } = other;
  const number = elders?.numbers.get(client) ?? 0;
  return number === 0 ? [] : client.queuedUpTo(number).filter((packet) => !elders?.given.has(packet));
}

function watch(state: EndpointState, client: Client): void {
  client.onConfirmed = (packets) => confirmed(state, packets);
}

function confirmed(state: EndpointState, packets: readonly Packet[]): void {
  const { unseen, domain, address } = state;
  for (const packet of packets) {
    if (packet.kind !== 'message' || !unseen?.remove(packet)) continue;
    domain.mailboxes?.forget(address, packet);
  }
  if (unseen?.length === 0) clearUnseen(state);
}

/** Whether a client of the endpoint is connected, here or on another node. */
export function isConnected({ clients, record }: EndpointState): boolean {
  return clients.some(({ transport }) => transport !== null) || isConnectedElsewhere(record);
}
