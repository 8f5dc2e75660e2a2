/**
 * An endpoint's parts on other nodes, as its part on this node deals with them: what each of them knows the others come
 * to know. PROTOCOL.md has one endpoint, whichever nodes its clients came to.
 */

import type { Moment } from '../cluster/moments.js';
import { CLOSE } from '../errors.js';
import type { Address } from './address.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import { enter, exit } from './membership.js';
import { addWatching, removeClient, watchBuddies } from './online.js';
import type { Packet } from './packet.js';
import type { Ref } from './system.js';

export type SiblingMessage =
  /** A client of this name has come online elsewhere. */
  | { readonly kind: 'nameClaimed'; readonly client: string }
  /** What another part has come to. */
  | {
      readonly kind: 'mirror';
      readonly join: readonly Moment[];
      readonly leave: readonly Moment[];
      readonly nick: string | null;
      readonly watch: readonly Address[];
    }
  | { readonly kind: 'mirrored'; readonly filters: readonly string[] }
  /** A client elsewhere is connected: it has what nobody had seen. */
  | { readonly kind: 'seen' }
  /** What was told before has gone on to the other parts. */
  | { readonly kind: 'pass'; readonly done: () => void }
  /** Another part has come. */
  | {
      readonly kind: 'sibling';
      /** Is given the messages that nobody has seen: what comes next is relayed. */
      readonly met: (unseen: readonly Packet[]) => void;
    };

export function fromSibling(state: EndpointState, message: SiblingMessage, self: Ref<EndpointMessage>): EndpointState {
  switch (message.kind) {
    case 'nameClaimed':
      return endNamed(state, message.client, self);
    case 'mirror':
      return mirror(state, message, self);
    case 'mirrored':
      if (state.online) addWatching(state, message.filters);
      return state;
    case 'seen':
      state.unseen?.clear();
      state.unseen = null;
      return state;
    case 'pass':
      message.done();
      return state;
    case 'sibling':
      message.met(state.unseen?.packets ?? []);
      state.domain.cluster?.connected(state.address, state.clients);
      return state;
  }
}

/** It comes online here: show, status and rooms are the endpoint's, whichever node has it. Nobody has to be asked. */
export function goOnAsElsewhere(state: EndpointState): void {
  const { domain, address, entry } = state;
  const known = domain.cluster?.elsewhere(address);
  if (!known) return;
  entry.show = known.show;
  entry.status = known.status;
  const added = known.rooms.filter((room) => !entry.rooms.includes(room));
  entry.rooms = [...entry.rooms, ...added];
  for (const room of added) enter(state, room, null);
}

function endNamed(state: EndpointState, name: string, self: Ref<EndpointMessage>): EndpointState {
  const same = state.clients.find((client) => client.name === name);
  if (same) removeClient(state, same, CLOSE.stopped, self);
  return state;
}

function mirror(
  state: EndpointState,
  message: Extract<SiblingMessage, { kind: 'mirror' }>,
  self: Ref<EndpointMessage>,
): EndpointState {
  if (!state.online) return state;
  const { domain, address, entry } = state;
  const isLater = (moment: Moment): boolean => domain.cluster?.isLatest(address, moment) ?? false;
  const isHere = ([room]: Moment): boolean => entry.rooms.includes(room);
  const join = message.join.filter((moment) => !isHere(moment) && isLater(moment));
  const leave = message.leave.filter(isLater);
  const gone = new Set(leave.filter(isHere).map(([room]) => room));
  for (const [room] of join) enter(state, room, null);
  for (const room of gone) exit(state, room, null);
  domain.cluster?.leftElsewhere(
    address,
    leave.filter((moment) => !isHere(moment)),
  );
  entry.rooms = [...entry.rooms.filter((room) => !gone.has(room)), ...join.map(([room]) => room)];
  domain.cluster?.update(address, entry, true, { type: 'join', nick: message.nick, moments: [...join, ...leave] });
  const mirrored = (filters: readonly string[]) => domain.runtime.system.tell(self, { kind: 'mirrored', filters });
  watchBuddies(state, message.watch, self, mirrored);
  return state;
}
