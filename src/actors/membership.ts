/** An endpoint's side of its rooms; the room's own side is room.ts. PROTOCOL.md section 4. */
import type { ReplyError } from '../errors.js';
import { type Address, shortId } from './address.js';
import { joinRefusal } from './capacity.js';
import type { EndpointState } from './endpoint.js';
import { Packet, type PresenceType } from './packet.js';
import { appearance } from './presence.js';

type Reply = (result: ReplyError | null) => void;

/** A presence of this endpoint to a room: one packet for all members. */
function roomPresence(state: EndpointState, room: Address, type: PresenceType, nick: string | null): Packet {
  const to = shortId(state.domain.name, room);
  state.domain.metrics.accepted.presence += 1;
  const show = type === 'grpoffline' ? 'unavailable' : state.entry.show;
  const fields = { from: state.shortId, to, nick: nick ?? state.entry.nick, type, show, status: to };
  return new Packet('presence', fields, room, state.address);
}

/** In a cluster every node tells its own members, from the replica. */
function presenceInRoom(
  state: EndpointState,
  room: Address,
  type: PresenceType | null,
  nick: string | null | undefined,
): Packet | null {
  return type === null || state.domain.cluster !== null ? null : roomPresence(state, room, type, nick ?? null);
}

export function announceToRooms(state: EndpointState, rooms: readonly Address[], type: PresenceType): void {
  for (const room of rooms) state.domain.route(roomPresence(state, room, type, null));
}

/** Makes it a member; `type` null enters silently. */
export function enter(
  state: EndpointState,
  room: Address,
  type: PresenceType | null,
  nick?: string | null,
  reply?: Reply,
): void {
  const { domain, address, entry } = state;
  domain.runtime.system.tell(domain.room(room), {
    kind: 'enter',
    member: address,
    actor: entry.actor,
    packet: presenceInRoom(state, room, type, nick),
    reply: reply ?? null,
  });
}

export function exit(
  state: EndpointState,
  room: Address,
  type: PresenceType | null,
  nick?: string | null,
  reply?: Reply,
): void {
  const { domain, address } = state;
  domain.runtime.system.tell(domain.room(room), {
    kind: 'exit',
    member: address,
    packet: presenceInRoom(state, room, type, nick),
    reply: reply ?? null,
  });
}

function isVisible(state: EndpointState): boolean {
  return state.online && appearance(state.entry.show, state.entry.status) !== null;
}

/** JOIN: a second one is answered and tells nobody, as is that of the invisible. */
export function join(state: EndpointState, room: Address, nick: string | null, reply: Reply): EndpointState {
  if (state.entry.rooms.includes(room)) {
    state.domain.cluster?.confirm(state.address, [room], true);
    reply(null);
    return state;
  }
  const refusal = joinRefusal(state, room);
  if (refusal) {
    reply(refusal);
    return state;
  }
  state.entry.rooms = [...state.entry.rooms, room];
  enter(state, room, isVisible(state) ? 'join' : null, nick, reply);
  state.domain.cluster?.update(state.address, state.entry, state.online, { type: 'join', nick });
  return state;
}

/** LEAVE, likewise. */
export function leave(state: EndpointState, room: Address, nick: string | null, reply: Reply): EndpointState {
  if (!state.entry.rooms.includes(room)) {
    state.domain.cluster?.confirm(state.address, [room], false);
    reply(null);
    return state;
  }
  state.entry.rooms = state.entry.rooms.filter((other) => other !== room);
  exit(state, room, isVisible(state) ? 'leave' : null, nick, reply);
  state.domain.cluster?.update(state.address, state.entry, state.online, { type: 'join', nick });
  return state;
}

export function evicted(state: EndpointState, room: Address): EndpointState {
  state.entry.rooms = state.entry.rooms.filter((other) => other !== room);
  state.domain.cluster?.update(state.address, state.entry, state.online, { type: 'join' });
  return state;
}
