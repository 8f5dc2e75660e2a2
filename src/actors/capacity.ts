/**
 * How much an endpoint may have and a domain may hold. What is beyond the limits of an endpoint is the caller's fault
 * (400), what is beyond those of the domain is not (503).
 */
import { badRequest, OUT_OF_MEMORY, type ReplyError, UNAVAILABLE } from '../errors.js';
import { heap } from '../heap.js';
import type { Address } from './address.js';
import { type Arriving, bytesOf } from './arrivals.js';
import type { EndpointState, Online } from './endpoint.js';
import { FOOTPRINT } from './memory.js';
import { watchFilter } from './roster.js';

/** Whether `count` is more than a limit allows, 0 being none. */
function isOver(count: number, limit: number): boolean {
  return limit > 0 && count > limit;
}

export function tooManyRooms(limit: number): ReplyError {
  return badRequest(`rooms must be at most ${limit} of one user`);
}

export function tooManyBuddies(limit: number): ReplyError {
  return badRequest(`buddies must be at most ${limit} of one user`);
}

/** The rooms it is in; those of an endpoint that comes to this node, where it is on others. */
function roomsOf({ domain, address, online, entry }: EndpointState): readonly Address[] {
  return online || domain.cluster === null ? entry.rooms : domain.cluster.roomsOf(address);
}

/** What an ONLINE adds to what its endpoint has. */
export function arriving(state: EndpointState, { rooms, buddies }: Online): Arriving {
  const { domain, address, entry } = state;
  const inRooms = new Set(roomsOf(state));
  const watching = new Set(entry.watching);
  const entered = rooms.filter((room) => !inRooms.has(room));
  return {
    endpoints: state.online || state.clients.length > 0 ? 0 : 1,
    rooms: entered.length,
    newRooms: entered.filter((room) => !domain.hasRoom(room)).length,
    buddies: buddies.filter((buddy) => buddy !== address && !watching.has(watchFilter(buddy))).length,
  };
}

/** Why a client may not come; null: it may. `replaces`: it takes the place of another. */
export function refusalOf(state: EndpointState, brings: Arriving, replaces: boolean): ReplyError | null {
  const { domain, clients, entry } = state;
  const { clientsPerEndpoint, endpointsPerDomain, roomsPerDomain } = domain.limits;
  const { arrivals } = domain;
  const before = arrivals.of(clients);
  const refusal = tooMuch(
    state,
    roomsOf(state).length + before.rooms + brings.rooms,
    entry.watching.length + before.buddies + brings.buddies,
  );
  if (refusal) return refusal;
  if (!replaces && isOver(clients.length + 1, clientsPerEndpoint)) return UNAVAILABLE;
  if (brings.endpoints > 0 && isOver(domain.online + arrivals.endpoints + 1, endpointsPerDomain)) return UNAVAILABLE;
  const bytes = arrivals.bytes + bytesOf(brings);
  if (!domain.memory.hasRoom(bytes) || !heap.hasRoom(bytes)) return OUT_OF_MEMORY;
  if (brings.newRooms === 0) return null;
  return isOver(domain.roomCount + arrivals.newRooms + brings.newRooms, roomsPerDomain) ? UNAVAILABLE : null;
}

/** Why an endpoint may not have so much; null: it may. */
export function tooMuch({ domain }: EndpointState, rooms: number, buddies: number): ReplyError | null {
  const { roomsPerEndpoint, buddiesPerEndpoint } = domain.limits;
  if (isOver(buddies, buddiesPerEndpoint)) return tooManyBuddies(buddiesPerEndpoint);
  return isOver(rooms, roomsPerEndpoint) ? tooManyRooms(roomsPerEndpoint) : null;
}

/** Why an endpoint may not enter one room more; null: it may. */
export function joinRefusal(state: EndpointState, room: Address): ReplyError | null {
  const { domain, entry, clients } = state;
  const { roomsPerEndpoint, roomsPerDomain } = domain.limits;
  const rooms = entry.rooms.length + domain.arrivals.of(clients).rooms + 1;
  if (isOver(rooms, roomsPerEndpoint)) return tooManyRooms(roomsPerEndpoint);
  if (isFull(state, room)) return UNAVAILABLE;
  if (domain.hasRoom(room)) return null;
  if (!domain.memory.hasRoom(FOOTPRINT.room)) return OUT_OF_MEMORY;
  return isOver(domain.roomCount + domain.arrivals.newRooms + 1, roomsPerDomain) ? UNAVAILABLE : null;
}

/** In a cluster, members on all nodes count; the room's own actor knows those of its node. */
export function isFull({ domain }: EndpointState, room: Address): boolean {
  return domain.cluster !== null && isOver(domain.cluster.memberCount(room) + 1, domain.limits.roomMembers);
}
