/**
 * An endpoint that has come to this node from one which ends (moving.ts), for as long as that node still forwards what comes to it.
 *
 * What is forwarded is for the clients that have moved. Who else may have it by another way is what the other node has told: parts of
 * the endpoint that it had met before, to which it relays itself. A client that has come by itself meanwhile, to this node or to
 * another one, has it from here.
 */
import { part } from '../store/keys.js';
import type { Client } from './client.js';
import type { RemoteNode } from './cluster.js';
import { takeDeleted } from './deletions.js';
import { deliver, isConnectedElsewhereFor } from './delivery.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import { type Outcome, outcomeFor } from './outcome.js';
import type { Packet } from './packet.js';
import type { Deliver } from './router.js';
import type { Ref } from './system.js';
import { isInTurns } from './turns.js';
import { behindTheirs, isConnectedHere, keepWaiting, partCame, queuedAs, waitingFor, watchAll } from './unseen.js';

/** So many packets are remembered whose second copy may still come; a packet beyond that is treated as having no copy. */
const MOST_COPIES = 10_000;
/** So many bytes of packets are remembered, and so many are held, for an endpoint that moves. */
const MOST_COPIES_BYTES = 4 * 1024 * 1024;

/** Whether a node's part of the endpoint (null: this one's) has what comes to the node that ends by another way than through here. */
export type IsMet = (node: RemoteNode | null) => boolean;

/** The state of a move on the node that takes the endpoint over, until the old node has forwarded everything. */
export interface Arriving {
  readonly isLeaving: false;
  /** The clients that have moved. */
  readonly clients: ReadonlySet<Client>;
  readonly isMet: IsMet;
  /** Packets of which one copy has come, forwarded or delivered here, by a hash of their receiver, kind and JSON. */
  readonly copies: Map<string, { readonly deliver: Deliver; readonly isForwarded: boolean }>;
  copiesBytes: number;
  /** Packets that were delivered on this node and wait for `clients` until the forwarded ones have come, within the same bounds. */
  readonly held: Set<Deliver>;
  heldBytes: number;
  /** The endpoint is to go on to a third node, since this one ends, too: it does when it has come. */
  readonly later: EndpointMessage[];
}

/** The endpoint has come with these clients. What waits for them is for all clients that have come by themselves, too. */
export function arrive(state: EndpointState, clients: readonly Client[], isMet: IsMet): Arriving {
  const { domain, record } = state;
  const nothing = { copies: new Map(), copiesBytes: 0, held: new Set<Deliver>(), heldBytes: 0, later: [] };
  const moving: Arriving = { isLeaving: false, clients: new Set(clients), isMet, ...nothing };
  if (isInTurns(state)) return moving;
  if (record.parts.length > 0 || state.clients.length > clients.length) watchAll(state);
  const waiting = waitingFor(state, clients);
  if (!isMet(null)) {
    const isFor = behindTheirs(state, waiting);
    for (const client of ownClients(state, moving)) {
      for (const packet of waiting) if (isFor(client, packet)) client.push(packet, domain.limits);
    }
  }
  for (const { node, hidden } of record.parts) {
    if (hidden || isMet(node)) continue;
    domain.cluster.giveLate(record, node, waiting);
    partCame(state, node);
  }
  return moving;
}

/** Delivers a packet that came to this node itself; clients that have moved get it only when no forwarded copy can come. */
export function deliverHere(state: EndpointState, moving: Arriving, message: Deliver): void {
  const { held, isMet } = moving;
  if (isInTurns(state)) {
    deliver(state, message);
    return;
  }
  const copy = copyOf(state, moving, message, false);
  const others = ownClients(state, moving);
  if (copy) {
    deliver(state, { ...message, packet: copy.packet }, isMet(null) ? others : []);
    return;
  }
  const { bytes } = message.packet;
  const isHeld = held.size < MOST_COPIES && moving.heldBytes + bytes <= MOST_COPIES_BYTES;
  if (isHeld) {
    held.add(message);
    moving.heldBytes += bytes;
  }
  deliver(state, message, isHeld ? others : state.clients);
}

/**
 * Takes a packet that the node which ends has forwarded: the clients that have moved get it, and so do clients and parts of the
 * endpoint that get it by no other way.
 */
export function forwarded(state: EndpointState, message: Deliver): void {
  const { moving, domain, record } = state;
  if (!moving || moving.isLeaving || isInTurns(state)) {
    deliver(state, { ...message, relayed: true });
    return;
  }
  const copy = copyOf(state, moving, message, true);
  if (copy && moving.held.delete(copy)) moving.heldBytes -= copy.packet.bytes;
  const { only, relayed } = message;
  const packet = copy?.packet ?? asHere(state, message.packet);
  if (copy === null && !relayed) domain.cluster.relay(record, message, (node) => !moving.isMet(node));
  const isForAll = copy === null && !moving.isMet(null);
  const clients = isForAll ? state.clients : arrived(state, moving);
  const outcome = give(state, { kind: 'deliver', packet, only }, clients, isForAll && state.unseen !== null);
  message.packet.receipt?.report(outcome);
}

/** The clients that have come to this node by themselves. */
export function ownClients({ clients }: EndpointState, moving: Arriving): readonly Client[] {
  return clients.filter((client) => !moving.clients.has(client));
}

function arrived({ clients }: EndpointState, moving: Arriving): readonly Client[] {
  return clients.filter((client) => moving.clients.has(client));
}

/** A forwarded message as it waits here, where the part here has sent it to the node that ends: it keeps its place. */
function asHere(state: EndpointState, packet: Packet): Packet {
  return (packet.kind === 'message' && queuedAs(state, packet)) || packet;
}

/**
 * Gives a packet to clients; answers what becomes of it. `isBehind`: it comes by no other way, and follows a message that waits for the next
 * client, which is to have neither or both.
 */
function give(state: EndpointState, { packet, only }: Deliver, among: readonly Client[], isBehind = false): Outcome {
  const clients = only === null ? takeDeleted(state, packet, among) : among.filter(({ name }) => name === only);
  for (const client of clients) if (!client.queued.includes(packet)) client.push(packet, state.domain.limits);
  if (packet.kind !== 'message' || only !== null) return outcomeFor(clients);
  const isConnected = isConnectedHere(state) || isConnectedElsewhereFor(state);
  if (isBehind || !isConnected) keepWaiting(state, [packet]);
  return isConnected ? outcomeFor(clients) : 'queued';
}

/** The copy of a packet that came earlier by the other way; null: none has come, and this packet is remembered. */
function copyOf({ domain }: EndpointState, moving: Arriving, message: Deliver, isForwarded: boolean): Deliver | null {
  const { copies } = moving;
  const { packet, only } = message;
  const key = part(`${only ?? ''}\n${packet.kind}\n${domain.runtime.encode(packet)}`);
  const known = copies.get(key);
  if (known && known.isForwarded !== isForwarded) {
    copies.delete(key);
    moving.copiesBytes -= packet.bytes;
    return known.deliver;
  }
  if (!known && copies.size < MOST_COPIES && moving.copiesBytes + packet.bytes <= MOST_COPIES_BYTES) {
    copies.set(key, { deliver: message, isForwarded });
    moving.copiesBytes += packet.bytes;
  }
  return null;
}

/** The old node forwards no more: clients that have moved get the packets held for them, and the move is over. */
export function settle(state: EndpointState, self: Ref<EndpointMessage>): void {
  const { moving } = state;
  if (!moving || moving.isLeaving) return;
  state.moving = null;
  for (const message of moving.held) give(state, message, arrived(state, moving));
  for (const message of moving.later) self.tell(message);
}
