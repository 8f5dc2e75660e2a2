/**
 * An endpoint's parts on other nodes, as its part on this node deals with them: what each of them knows the others come
 * to know. PROTOCOL.md has one endpoint, whichever nodes its clients came to.
 */
import type { Inherited } from '../cluster/port.js';
import { CLOSE } from '../errors.js';
import type { Address } from './address.js';
import { tooMuch } from './capacity.js';
import type { Client } from './client.js';
import type { EndpointMessage, EndpointState, Online } from './endpoint.js';
import { enter, exit } from './membership.js';
import { addWatching, removeClient, watchBuddies } from './online.js';
import { watched } from './roster.js';
import type { Ref } from './system.js';

export type SiblingMessage =
  /** It comes online here and is elsewhere already: what is known there; null: nothing any more. */
  | {
      readonly kind: 'inherited';
      readonly inherited: Inherited | null;
      readonly client: Client;
      readonly online: Online;
    }
  /** It comes online elsewhere. */
  | { readonly kind: 'bequeath'; readonly answer: (inherited: Inherited) => void }
  /** A client of this name has come online elsewhere. */
  | { readonly kind: 'nameClaimed'; readonly client: string }
  /** What another part has come to. */
  | {
      readonly kind: 'mirror';
      readonly join: readonly Address[];
      readonly leave: readonly Address[];
      readonly nick: string | null;
      readonly watch: readonly Address[];
    }
  | { readonly kind: 'mirrored'; readonly filters: readonly string[] }
  /** A client elsewhere is connected: it has what nobody had seen. */
  | { readonly kind: 'seen' }
  /** What was told before has gone on to the other parts. */
  | { readonly kind: 'pass'; readonly done: () => void }
  /** Another part has come. */
  | { readonly kind: 'sibling' };

export function fromSibling(state: EndpointState, message: SiblingMessage, self: Ref<EndpointMessage>): EndpointState {
  switch (message.kind) {
    case 'inherited':
      return inherited(state, message.inherited, message.client, message.online, self);
    case 'bequeath':
      return bequeath(state, message.answer);
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
      state.domain.cluster?.connected(state.address, state.clients);
      return state;
  }
}

/** Goes on where the other part is: nick, show and rooms are the endpoint's, and messages that nobody has seen. */
function inherited(
  state: EndpointState,
  from: Inherited | null,
  client: Client,
  online: Online,
  self: Ref<EndpointMessage>,
): EndpointState {
  const { domain, entry } = state;
  const { rooms } = entry;
  const buddies = from ? [...new Set([...online.buddies, ...from.watching])] : online.buddies;
  const together = from ? new Set([...rooms, ...from.rooms, ...online.rooms]).size : 0;
  const refusal = tooMuch(state, together, buddies.length);
  if (refusal) {
    removeClient(state, client, CLOSE.stopped, self);
    online.reply(refusal);
    return state;
  }
  if (from && !state.online) {
    Object.assign(entry, { nick: from.nick, show: from.show, status: from.status });
    for (const packet of from.unseen) client.push(packet, domain.limits);
    const added = from.rooms.filter((room) => !rooms.includes(room));
    state.entry.rooms = [...rooms, ...added];
    for (const room of added) enter(state, room, null);
  }
  watchBuddies(state, buddies, self, (filters) => {
    domain.runtime.system.tell(self, { kind: 'subscribed', filters, client, online });
  });
  return state;
}

function endNamed(state: EndpointState, name: string, self: Ref<EndpointMessage>): EndpointState {
  const same = state.clients.find((client) => client.name === name);
  if (same) removeClient(state, same, CLOSE.stopped, self);
  return state;
}

function bequeath(state: EndpointState, answer: (inherited: Inherited) => void): EndpointState {
  const { nick, show, status, rooms, watching } = state.entry;
  answer({ nick, show, status, rooms, watching: watching.map(watched), unseen: state.unseen?.packets ?? [] });
  return state;
}

function mirror(
  state: EndpointState,
  { join, leave, nick, watch }: Extract<SiblingMessage, { kind: 'mirror' }>,
  self: Ref<EndpointMessage>,
): EndpointState {
  if (!state.online) return state;
  const { domain, address, entry } = state;
  for (const room of join) if (!state.entry.rooms.includes(room)) enter(state, room, null);
  for (const room of leave) if (state.entry.rooms.includes(room)) exit(state, room, null);
  const kept = state.entry.rooms.filter((room) => !leave.includes(room));
  state.entry.rooms = [...kept, ...join.filter((room) => !kept.includes(room))];
  domain.cluster?.update(address, entry, true, 'join', nick);
  watchBuddies(state, watch, self, (filters) => domain.runtime.system.tell(self, { kind: 'mirrored', filters }));
  return state;
}
