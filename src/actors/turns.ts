/**
 * Services that deliver in turns: a message goes to one of the clients, one after another. A sender stays with the same
 * client while that one is connected, and a client without connection has no turn. PROTOCOL.md sections 9 and 12.
 */
import { BoundedMap } from '../bounded-map.js';
import type { Client } from './client.js';
import type { EndpointState } from './endpoint.js';
import type { Packet } from './packet.js';

/** Senders remembered by one service; the one that has been silent longest is forgotten first. */
export const REMEMBERED_SENDERS = 10_000;

/** Whether messages to an endpoint go to one of its clients. */
export function isInTurns({ node, id, domain }: Pick<EndpointState, 'node' | 'id' | 'domain'>): boolean {
  return node === 'sid' && domain.serviceConfig(id)?.delivery === 'turns';
}

/** How many clients of a service on this node may have a turn. */
export function countConnected({ clients, domain }: EndpointState): number {
  const now = domain.runtime.clock.now();
  return clients.filter((client) => client.isConnected(now)).length;
}

/** The client whose turn it is, or the one that this packet's sender has been with; null: none is connected. */
export function turn(state: EndpointState, { sender }: Packet): Client | null {
  const { clients, domain } = state;
  const now = domain.runtime.clock.now();
  state.turns ??= new BoundedMap(() => REMEMBERED_SENDERS);
  const known = state.turns.get(sender ?? '');
  const isThere = known !== undefined && clients.includes(known) && known.isConnected(now);
  const next = isThere ? known : clients.find((client) => client.isConnected(now));
  if (!next) return null;
  if (!isThere) state.clients = [...clients.filter((client) => client !== next), next];
  state.turns.set(sender ?? '', next);
  return next;
}
