/**
 * An endpoint's parts on other nodes, as its part on this node deals with them: what each of them knows the others come
 * to know. PROTOCOL.md has one endpoint, whichever nodes its clients came to.
 */
import { CLOSE } from '../errors.js';
import type { Address } from './address.js';
import { ownClients } from './arriving.js';
import type { RemoteNode } from './cluster.js';
import { deliver } from './delivery.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import { momentsOf } from './endpoint-record.js';
import { lookup } from './lists.js';
import type { Moment } from './moments.js';
import { whileMoving } from './moving.js';
import { NAMED_AGAIN, removeAll, removeClient, signOut } from './online.js';
import type { Packet } from './packet.js';
import { passWaiting } from './service.js';
import type { Ref } from './system.js';
import { isInTurns } from './turns.js';
import {
  behindTheirs,
  confirmedElsewhere,
  keepWaiting,
  nameOf,
  partCame,
  queuedByName,
  waitingHere,
} from './unseen.js';

export type ReplicationMessage =
  /** A client elsewhere has taken this name; `stamp` is later than when those that it ends took theirs. */
  | { readonly kind: 'nameClaimed'; readonly client: string; readonly stamp: number }
  /** A client elsewhere has signed out for all clients of the endpoint. */
  | { readonly kind: 'signedOut' }
  /** The site has signed the endpoint out by its name: those of its clients end that came up to then. */
  | { readonly kind: 'signedOutByName'; readonly upTo: number }
  /** Another part of the endpoint has entered or left rooms, or has new buddies. */
  | {
      readonly kind: 'mirror';
      readonly join: readonly Moment[];
      readonly leave: readonly Moment[];
      readonly nick: string | null;
      readonly watch: readonly Address[];
    }
  /** A client elsewhere is connected: in a service in turns it may have a turn. */
  | { readonly kind: 'seen' }
  /** Clients on other nodes have confirmed messages, or (`isConfirmed` false) have given back messages that they had confirmed. */
  | { readonly kind: 'confirmedElsewhere'; readonly names: readonly string[]; readonly isConfirmed: boolean }
  /** Packets for the endpoint may be lost between nodes, of which one is gone or was cut off. */
  | { readonly kind: 'missed' }
  /** Messages that wait on another node, in order, of which clients here may not have had some; of others between them only the names. */
  | { readonly kind: 'unseen'; readonly messages: readonly (Packet | string)[] }
  /** Another node has a part of the endpoint from now on. */
  | {
      readonly kind: 'partCame';
      readonly node: RemoteNode;
      /**
       * Called with the messages that no client has confirmed; later messages are relayed to the new part. `isOwed`: the part has those by
       * no other way, though messages do not go through the part here.
       */
      readonly met: (unseen: readonly (Packet | string)[], isOwed: boolean) => void;
    };

export function fromReplica(
  state: EndpointState,
  message: ReplicationMessage,
  self: Ref<EndpointMessage>,
): EndpointState {
  switch (message.kind) {
    case 'nameClaimed':
      return endNamed(state, message, self);
    case 'signedOut':
      removeAll(state, self);
      return state;
    case 'signedOutByName':
      signOut(state, self, message.upTo);
      return state;
    case 'mirror':
      return mirror(state, message);
    case 'seen':
      if (isInTurns(state)) passWaiting(state);
      return state;
    case 'confirmedElsewhere':
      confirmedElsewhere(state, message.names, message.isConfirmed);
      return state;
    case 'missed':
      state.domain.runtime.metrics.cluster.doubted += 1;
      for (const client of state.clients) client.doubt();
      return state;
    case 'unseen':
      return takeUnseen(state, message.messages);
    case 'partCame':
      // Of a service in turns they wait here until a client there has a turn.
      message.met(isInTurns(state) ? [] : waitingHere(state), isOwed(state, message.node));
      partCame(state, message.node);
      state.domain.cluster.connected(state.record);
      holdNames(state);
      return state;
  }
}

/** Whether the endpoint comes from a node that ends, and that has not met the part of a third one. */
function isOwed({ moving }: EndpointState, node: RemoteNode): boolean {
  return moving !== null && !moving.isLeaving && !moving.isMet(node);
}

function takeUnseen(state: EndpointState, messages: readonly (Packet | string)[]): EndpointState {
  const { moving, record, confirmations } = state;
  const known = queuedByName(state);
  const asKnown = (packet: Packet): Packet => known.get(nameOf(packet)) ?? packet;
  const packets = messages.filter((one) => typeof one !== 'string');
  const order = messages.flatMap((one) => (typeof one === 'string' ? known.get(one) : asKnown(one)) ?? []);
  // Clients that are moving here have what was for them where they were.
  const clients = moving?.isLeaving === false ? ownClients(state, moving) : state.clients;
  const isFor = behindTheirs(state, order);
  if (record.birth > 0 && !moving?.isLeaving && !isInTurns(state)) {
    keepWaiting(
      state,
      packets.map(asKnown).filter((packet) => !confirmations?.has(packet)),
    );
  }
  for (const packet of packets) {
    const message = { kind: 'deliver', packet, only: null, relayed: true } as const;
    if (known.has(nameOf(packet)) || (moving?.isLeaving && whileMoving(state, moving, message))) continue;
    deliver(
      state,
      message,
      clients.filter((client) => isFor(client, packet)),
    );
  }
  return state;
}

function endNamed(
  state: EndpointState,
  { client: name, stamp }: Extract<ReplicationMessage, { kind: 'nameClaimed' }>,
  self: Ref<EndpointMessage>,
): EndpointState {
  const same = state.clients.find((client) => client.name === name);
  if (same && same.namedAt < stamp) removeClient(state, same, CLOSE.stopped, self, NAMED_AGAIN);
  return state;
}

/** Two clients may have taken one name while their nodes did not hear of each other: of these, the earlier ends. */
function holdNames({ domain, record, clients }: EndpointState): void {
  for (const { name, namedAt } of clients) if (namedAt > 0) domain.cluster.holdName(record, name, namedAt);
}

/** Enters and leaves the rooms that another part has, unless something later was done here; watches whom it watches. */
function mirror(state: EndpointState, message: Extract<ReplicationMessage, { kind: 'mirror' }>): EndpointState {
  const { domain, record } = state;
  if (record.birth === 0) return state;
  const { cluster, tracker } = domain;
  const isIn = lookup(record.rooms);
  const join = message.join.filter((moment) => !isIn(moment[0]) && cluster.isLatest(record, moment));
  const left = message.leave.filter((moment) => cluster.isLatest(record, moment));
  const leave = left.filter(([room]) => isIn(room));
  cluster.leftElsewhere(
    record,
    left.filter(([room]) => !isIn(room)),
  );
  const [entering, leaving] = [join, leave].map((moments) => moments.map(([room]) => room)) as [Address[], Address[]];
  const moments = [...join, ...leave];
  tracker.update(record, record, entering, leaving, { type: 'join', nick: message.nick, moments });
  // Other nodes take a room that one part has left for left by all, and do not know yet that this part has entered it later.
  const stays = message.leave.filter((moment) => isIn(moment[0]) && !left.includes(moment)).map(([room]) => room);
  const later = momentsOf(record).filter(([room]) => stays.includes(room));
  if (later.length > 0) cluster.roomsChanged(record, later, [], { type: 'join' });
  tracker.watch(record, message.watch);
  return state;
}
