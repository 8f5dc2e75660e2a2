/**
 * Where a packet goes. A sender resolves the address itself and tells those behind it: an endpoint's actor, a room's
 * members, and who watches the address by MQTT. One hop for each of them, so that what a sender says in a room and what
 * it says to a member directly arrive in the order in which they were said (PROTOCOL.md section 5).
 */
import type { Address, Target } from './address.js';
import { deleteForSite, deletionOf } from './deletions.js';
import type { Domain } from './domain.js';
import { type EndpointRecord, isOnline, primaryOf } from './endpoint-record.js';
import { forgetInLeftSessions } from './forgetting.js';
import type { Packet } from './packet.js';
import { type Deliver, tellWatchers } from './router.js';
import { sizeOf } from './small-set.js';

/**
 * Routes a packet to its target, or, where the target is null, to all endpoints. A message for an endpoint that is offline
 * is kept where the domain keeps offline messages, else dropped and counted.
 */
export function dispatch(domain: Domain, packet: Packet, target: Target | null): void {
  domain.metrics.accepted[packet.kind] += 1;
  if (packet.kind === 'message') domain.metrics.volume.bytesIn += packet.bytes;
  if (domain.events !== null && packet.kind === 'message') domain.events.accepted(packet);
  if (target === null) {
    broadcastHere(domain, packet, true);
    domain.cluster.broadcast(packet);
    packet.receipt?.report('dropped');
    return;
  }
  const { address, node, client } = target;
  if (domain.history !== null && !isForWebhookOnly(domain, target)) domain.history.take(packet, address);
  const deletion = deletionOf(domain, packet);
  if (deletion !== null) {
    deleteForSite(domain, packet, deletion.id);
    forgetInLeftSessions(domain, packet, deletion);
  }
  if (node === 'gid') {
    const isThere = toRoom(domain, packet);
    deleteFromMailboxes(domain, packet, null);
    if (!isThere) domain.drop(packet, 'offline', address);
    packet.receipt?.report('dropped');
    return;
  }
  const isWatched = tellWatchers(domain.table, packet);
  const isWatchedElsewhere = domain.cluster.toWatchers(packet);
  if (domain.cluster.toEndpoint(packet, client)) return;
  keepOrDrop(domain, packet, address, client, isWatched || isWatchedElsewhere);
}

/**
 * What becomes of a packet for an endpoint that is offline. A message to the endpoint, and not to one client (`only`), is
 * kept where the domain keeps offline messages. Any other is dropped, which is counted where nobody watches the endpoint
 * either.
 */
export function keepOrDrop(
  domain: Domain,
  packet: Packet,
  address: Address,
  only: string | null,
  isWatched = false,
): void {
  const kept = only === null && packet.topic === address ? domain.keep(packet, address) : null;
  if (only === null) deleteFromMailboxes(domain, packet, address);
  if (kept === null && !isWatched) domain.drop(packet, 'offline', address);
  if (kept !== null || !isWatched) domain.events?.foundNobody(packet, address, kept ?? 'dropped');
  const { store } = domain.runtime;
  if (packet.receipt === null) return;
  if (kept === 'stored' && store) packet.receipt.stored(store);
  else packet.receipt.report('dropped');
}

/** Where a packet deletes a message, removes that from an endpoint's offline messages, or (`address` null) from those of all. */
function deleteFromMailboxes(domain: Domain, packet: Packet, address: Address | null): void {
  const deletion = domain.mailboxes === null ? null : deletionOf(domain, packet);
  if (deletion !== null) domain.mailboxes?.delete(address, deletion);
}

/** Whether a service has nobody but its webhook. */
function isForWebhookOnly(domain: Domain, { node, id, address }: Target): boolean {
  if (node !== 'sid' || !domain.serviceConfig(id)?.webhook) return false;
  const record = domain.tracker.records.get(address);
  return record === undefined || !isOnline(record);
}

function toRoom(domain: Domain, packet: Packet): boolean {
  const isHere = toRoomHere(domain, packet);
  return domain.cluster.toRoom(packet) || isHere;
}

export function hasMembersHere(domain: Domain, room: Address): boolean {
  return sizeOf(domain.tracker.rooms.get(room)?.here ?? []) > 0;
}

/**
 * Tells a packet to the members of its room on this node, the sender left out, each of whom reports to its receipt, and to
 * those here who watch the room by MQTT. `isRelayed`: the packet comes from another node, which has seen to shared subscriptions.
 */
export function toRoomHere(domain: Domain, packet: Packet, isRelayed?: true): boolean {
  const { tracker, table, trace } = domain;
  const room = tracker.rooms.get(packet.topic);
  // Every other node with members has the packet for them already.
  const deliver: Deliver = { kind: 'deliver', packet, only: null, relayed: true };
  for (const { actor, address } of room?.here ?? []) {
    if (actor === null || address === packet.sender) continue;
    if (packet.receipt !== null) packet.receipt.expect();
    actor.tell(deliver);
  }
  const isWatched = tellWatchers(table, packet, isRelayed);
  const found = isWatched || hasMembersHere(domain, packet.topic);
  if (trace !== null) trace.routed(packet, found);
  return found;
}

/** Tells a packet to its endpoint on this node; answers whether there is one. */
export function toEndpointHere(domain: Domain, packet: Packet, only: string | null): boolean {
  const actor = domain.tracker.actor(packet.topic);
  if (domain.trace !== null) domain.trace.routed(packet, actor !== null);
  if (actor === null) return false;
  actor.tell({ kind: 'deliver', packet, only });
  return true;
}

/** Tells a packet to this node's part of an endpoint; the other parts have it from elsewhere. */
export function relayedHere(domain: Domain, address: Address, packet: Packet, only: string | null): void {
  const actor = domain.tracker.actor(address);
  if (actor) actor.tell({ kind: 'deliver', packet, only, relayed: true });
  else packet.receipt?.report('dropped');
}

/**
 * Tells a presence to this node's part of an endpoint: every node makes it for its own. Those who watch by MQTT have it from
 * the node of the oldest part only.
 */
export function presenceTo(domain: Domain, hearer: EndpointRecord, packet: Packet): void {
  const { actor } = hearer;
  if (domain.trace !== null) domain.trace.routed(packet, actor !== null);
  actor?.tell({ kind: 'deliver', packet, only: null, relayed: true });
  if (primaryOf(hearer)) return;
  tellWatchers(domain.table, packet);
  domain.cluster.toWatchers(packet);
}

/** Tells a packet to every endpoint of this node, and to those here who watch the domain. `isOrigin`: this node accepted it. */
export function broadcastHere(domain: Domain, packet: Packet, isOrigin: boolean): void {
  const { tracker, table, trace } = domain;
  const own: Deliver = { kind: 'deliver', packet, only: null };
  const relayed: Deliver = { kind: 'deliver', packet, only: null, relayed: true };
  for (const { actor, birth, parts } of tracker.here()) {
    // A service with a webhook has an actor on every node and perhaps no client: its webhook is called once.
    const isNowhere = birth === 0 && parts.length === 0;
    if (!isOrigin && isNowhere) continue;
    if (packet.receipt !== null) packet.receipt.expect();
    actor.tell(isNowhere ? own : relayed);
  }
  tellWatchers(table, packet, isOrigin ? undefined : true);
  if (trace !== null) trace.routed(packet, true);
}
