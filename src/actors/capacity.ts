/**
 * How much an endpoint may have and a domain may hold. What is beyond the limits of an endpoint is the caller's fault
 * (400), what is beyond those of the domain is not (503). Limits of a domain count all nodes.
 */
import { badRequest, OUT_OF_MEMORY, type ReplyError, UNAVAILABLE } from '../errors.js';
import { heap } from '../heap.js';
import type { LimitName } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Address } from './address.js';
import { longestAway } from './away.js';
import type { Domain } from './domain.js';
import type { EndpointState } from './endpoint.js';
import { roomsOf } from './endpoint-record.js';
import { lookup } from './lists.js';
import { FOOTPRINT } from './memory.js';

/** Whether `count` is more than a limit of the domain allows; a limit of 0 allows everything. */
function isOver({ limits }: Domain, limit: LimitName, count: number): boolean {
  return limits[limit] > 0 && count > limits[limit];
}

/** Whether `count` is more than a limit of the domain allows; each refusal is counted in the metrics. */
function exceeds(domain: Domain, limit: LimitName, count: number): boolean {
  const isRefused = isOver(domain, limit, count);
  if (isRefused) domain.metrics.exceed(limit);
  return isRefused;
}

/** Whether a text is longer than `messageBytes` allows for a body; each refusal is counted in the metrics. */
export function isTooLong(domain: Domain, text: string): boolean {
  // Nearly always: no UTF-16 unit takes more than three bytes.
  if (text.length * 3 <= domain.limits.messageBytes) return false;
  return exceeds(domain, 'messageBytes', Buffer.byteLength(text));
}

export function tooManyRooms(limit: number): ReplyError {
  return badRequest(`rooms must be at most ${limit} of one user`);
}

export function tooManyBuddies(limit: number): ReplyError {
  return badRequest(`buddies must be at most ${limit} of one user`);
}

/** The reason why an endpoint may not have one more client; null: it may. */
export function clientRefusal(state: EndpointState): ReplyError | null {
  const { domain, online } = state;
  const isRefused = !longestAway(state) && exceeds(domain, 'clientsPerEndpoint', state.clients.length + 1);
  if (isRefused) return UNAVAILABLE;
  return !online && exceeds(domain, 'endpointsPerDomain', domain.tracker.onlineCount + 1) ? UNAVAILABLE : null;
}

/** Whether an endpoint has all the clients that it may have. */
export function hasAllClients({ domain, clients }: EndpointState): boolean {
  return isOver(domain, 'clientsPerEndpoint', clients.length + 1);
}

/** The reason why an endpoint may not have these rooms and buddies beside its own; null: it may. */
export function listRefusal(
  { domain, address, record }: EndpointState,
  rooms: readonly Address[],
  buddies: readonly Address[],
): ReplyError | null {
  const { roomsPerEndpoint, buddiesPerEndpoint } = domain.limits;
  const watching = sizeWith(record.watching, buddies, address);
  if (exceeds(domain, 'buddiesPerEndpoint', watching)) return tooManyBuddies(buddiesPerEndpoint);
  const entered = sizeWith(record.birth > 0 ? record.rooms : roomsOf(record), rooms, address);
  if (exceeds(domain, 'roomsPerEndpoint', entered)) return tooManyRooms(roomsPerEndpoint);
  const { total } = domain.tracker.rooms;
  const added = rooms.filter((room) => !domain.tracker.rooms.get(room)).length;
  if (added > 0 && exceeds(domain, 'roomsPerDomain', total + added)) return UNAVAILABLE;
  const bytes = added * FOOTPRINT.room + (watching - record.watching.length) * FOOTPRINT.buddy;
  return hasMemory(domain, bytes + (record.birth > 0 ? 0 : FOOTPRINT.endpoint)) ? null : OUT_OF_MEMORY;
}

/** How many different addresses two lists, neither of which has one twice, have together; that of `own`, in `more`, does not count. */
function sizeWith(list: readonly Address[], more: readonly Address[], own: Address): number {
  if (list.length === 0) return more.length - (more.includes(own) ? 1 : 0);
  const has = lookup(list, more.length);
  return list.length + more.filter((address) => address !== own && !has(address)).length;
}

function hasMemory({ memory }: Domain, bytes: number): boolean {
  return memory.hasRoom(bytes) && heap.hasRoom(bytes);
}

/** The reason why an endpoint may not enter one more room; null: it may. */
export function joinRefusal(state: EndpointState, room: Address): ReplyError | null {
  return listRefusal(state, [room], []) ?? (isFull(state.domain, room) ? UNAVAILABLE : null);
}

/** Whether a room has all the members it may have. */
export function isFull(domain: Domain, room: Address): boolean {
  const { name, tracker, limits } = domain;
  const limit = limits.roomMembers;
  if (!exceeds(domain, 'roomMembers', tracker.rooms.size(room) + 1)) return false;
  seldom.warn(`room full ${name}`, { event: 'room full', room, limit }, 'a room is full');
  return true;
}
