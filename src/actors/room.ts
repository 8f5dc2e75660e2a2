/**
 * A room: owns its members, told by the endpoints that enter and exit, and by whoever resolves its address (`deliver`).
 * It exists while it has members. Never knows more of a member than its address and actor.
 */
import type { ReplyError } from '../errors.js';
import { UNAVAILABLE } from '../errors.js';
import { seldom } from '../seldom.js';
import type { Address } from './address.js';
import type { Domain } from './domain.js';
import type { EndpointMessage } from './endpoint.js';
import { FOOTPRINT } from './memory.js';
import type { Packet } from './packet.js';
import type { SizedRoom } from './room-sizes.js';
import type { Deliver, Subscription } from './router.js';
import type { Behaviour, Ref } from './system.js';

type Reply = (result: ReplyError | null) => void;

export type RoomMessage =
  | Deliver
  | {
      readonly kind: 'enter';
      readonly member: Address;
      readonly actor: Ref<EndpointMessage>;
      /** What the others are told; null: nothing. */
      readonly packet: Packet | null;
      readonly reply: Reply | null;
    }
  | { readonly kind: 'exit'; readonly member: Address; readonly packet: Packet | null; readonly reply: Reply | null }
  | { readonly kind: 'members'; readonly reply: (members: readonly Address[] | ReplyError) => void };

export interface RoomState {
  readonly domain: Domain;
  readonly address: Address;
  readonly members: Map<Address, Ref<EndpointMessage>>;
  readonly size: SizedRoom;
  subscription: Subscription | null;
}

export function newRoom(domain: Domain, address: Address): RoomState {
  return { domain, address, members: new Map(), size: { address, size: 0 }, subscription: null };
}

function receive(state: RoomState, message: RoomMessage, self: Ref<RoomMessage>): RoomState {
  switch (message.kind) {
    case 'deliver':
      return fanOut(state, message);
    case 'enter':
      return enter(state, message, self);
    case 'exit':
      state.members.delete(message.member);
      resize(state);
      announce(state, message.packet, self);
      message.reply?.(null);
      return state;
    case 'members':
      message.reply([...state.members.keys()]);
      return state;
  }
}

/** In a cluster a room has members on other nodes too: its replica says how many. */
function resize({ domain, size, members }: RoomState): void {
  if (domain.cluster === null) domain.roomSizes.change(size, members.size);
}

/** To all members but the sender. */
function fanOut(state: RoomState, deliver: Deliver): RoomState {
  const { system } = state.domain.runtime;
  const { sender } = deliver.packet;
  // Other nodes have the room's packets for their own members.
  if (state.domain.cluster !== null && !deliver.relayed) return fanOut(state, { ...deliver, relayed: true });
  for (const [member, actor] of state.members) if (member !== sender) system.tell(actor, deliver);
  return state;
}

function enter(
  state: RoomState,
  { member, actor, packet, reply }: Extract<RoomMessage, { kind: 'enter' }>,
  self: Ref<RoomMessage>,
): RoomState {
  const { domain, members, address } = state;
  const limit = domain.limits.roomMembers;
  if (limit > 0 && members.size >= limit && !members.has(member)) {
    seldom.warn(`room full ${domain.name}`, { event: 'room full', room: address, limit }, 'a room is full');
    domain.runtime.system.tell(actor, { kind: 'evicted', room: address });
    reply?.(UNAVAILABLE);
    return state;
  }
  members.set(member, actor);
  resize(state);
  announce(state, packet, self);
  reply?.(null);
  return state;
}

/** To the other members, and to those who watch rooms from outside. */
function announce(state: RoomState, packet: Packet | null, self: Ref<RoomMessage>): void {
  if (!packet) return;
  fanOut(state, { kind: 'deliver', packet, only: null });
  state.domain.route(packet, null, self);
}

function afterStop(state: RoomState): void {
  const { domain, address, subscription } = state;
  state.members.clear();
  resize(state);
  domain.registry.rooms.delete(address);
  domain.memory.subtract(FOOTPRINT.room);
  if (subscription) {
    domain.runtime.system.tell(domain.router, { kind: 'unsubscribe', filters: [address], subscription });
  }
}

export const room: Behaviour<RoomState, RoomMessage> = {
  receive,
  onCrash(_state, message) {
    if ('reply' in message) message.reply?.(UNAVAILABLE);
    return 'resume';
  },
  isDone: ({ members }) => members.size === 0,
  afterStop,
};
