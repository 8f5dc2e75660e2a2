/**
 * An endpoint that moves to another node, since its own ends in order: its clients, their queues and positions, its rooms
 * and buddies go there as they would go to disk, and come back there by what brings them back from disk (keeping.ts).
 * PROTOCOL.md section 20. Which node that is, and how it is told, is in src/cluster/leaving.ts and adoption.ts.
 *
 * The node that ends stops the endpoint's actor at one moment: from then on what is delivered to it here goes on to the other
 * node, until nobody sends anything here any more. The other node may have the same packets itself by then, as it is in the
 * same rooms: of the two copies the clients that have moved get the one that came by the old way, which is the earlier one, and
 * what has no copy there when all has come, behind it.
 */
import { CLOSE, type CloseReason, UNAVAILABLE } from '../errors.js';
import type { Address } from './address.js';
import { isPresent } from './away.js';
import type { Client } from './client.js';
import { takeDeleted } from './deletions.js';
import { deliver, toWebhook } from './delivery.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import { isOnline } from './endpoint-record.js';
import { inspect } from './inspect.js';
import { clientOf, keptEndpoint, keptQueues, restoreClients } from './keeping.js';
import type { KeptEndpoint, KeptQueues } from './kept.js';
import { lookup } from './lists.js';
import { becomeOnline, tellConnected } from './online.js';
import type { Packet } from './packet.js';
import type { Deliver } from './router.js';
import type { Ref } from './system.js';
import { isInTurns } from './turns.js';
import { isConnected, keepWaiting, nameOf } from './unseen.js';

/** Packets that may have a copy on their way; beyond it the oldest counts as the only one. */
const MOST_COPIES = 10_000;

/** What goes to the other node. */
export interface Moved {
  readonly kept: KeptEndpoint;
  readonly queues: KeptQueues | null;
}

export type MovingMessage =
  /** The server ends in order, and another node is to have the endpoint. */
  | {
      readonly kind: 'handOver';
      /** Why its connections end. */
      readonly reason: CloseReason;
      readonly numberOf: (packet: Packet) => number;
      /** Has what is delivered from now on. */
      readonly forward: (deliver: Deliver) => void;
      /** Is given null where there is nothing to hand over. */
      readonly done: (moved: Moved | null) => void;
    }
  /** The other node has it, and all that was on its way here has come; or (`missed`) it stays, with what came meanwhile. */
  | { readonly kind: 'handedOver'; readonly missed: readonly Deliver[] | null; readonly done: () => void }
  /** Another node, which ends, hands the endpoint over to this one; or its node is gone. */
  | {
      readonly kind: 'adopt';
      readonly moved: Moved;
      /** Where its node is gone: the era of its clients' positions, which may have missed something. null: they go on as they were. */
      readonly era: string | null;
      readonly packetOf: (number: number) => Packet | null;
      readonly done: (isTaken: boolean) => void;
    }
  /** The node that hands the endpoint over has been delivered this. */
  | { readonly kind: 'forwarded'; readonly deliver: Deliver }
  /** That node has forwarded everything. */
  | { readonly kind: 'adopted' };

/** On the node that ends. */
interface Leaving {
  readonly isLeaving: true;
  readonly forward: (deliver: Deliver) => void;
}

/** On the node that takes the endpoint over, until nothing more comes by the old way. */
interface Arriving {
  readonly isLeaving: false;
  readonly clients: ReadonlySet<Client>;
  /** Packets that have come by one of the two ways, by what they are. */
  readonly copies: Map<string, { readonly packet: Packet; readonly isForwarded: boolean }>;
  /** What has come here itself and waits for those clients. */
  readonly held: Set<Deliver>;
}

export type Moving = Leaving | Arriving;

/** What an endpoint that moves does with a message; false: what any other does. */
export function whileMoving(state: EndpointState, moving: Moving, message: EndpointMessage): boolean {
  if (moving.isLeaving) return whileLeaving(state, moving, message);
  if (message.kind === 'deliver') deliverHere(state, moving, message);
  else if (message.kind === 'handOver') settle(state);
  return message.kind === 'deliver';
}

export function fromMove(state: EndpointState, message: MovingMessage, self: Ref<EndpointMessage>): EndpointState {
  switch (message.kind) {
    case 'handOver':
      handOver(state, message, self);
      return state;
    case 'handedOver':
      if (message.missed) stay(state, message.missed, self);
      else if (state.moving?.isLeaving) leave(state, self);
      message.done();
      return state;
    case 'adopt':
      adopt(state, message, self);
      return state;
    case 'forwarded':
      forwarded(state, message.deliver);
      return state;
    case 'adopted':
      settle(state);
      return state;
  }
}

type HandOver = Extract<MovingMessage, { kind: 'handOver' }>;

/** Ends its connections, says what it has, and changes no more. */
function handOver(
  state: EndpointState,
  { reason, numberOf, forward, done }: HandOver,
  self: Ref<EndpointMessage>,
): void {
  const { domain, record, clients } = state;
  if (record.birth === 0 || state.moving?.isLeaving) return done(null);
  const { limits, runtime } = domain;
  for (const client of clients) {
    const { transport } = client;
    if (transport) client.detach(transport, transport.close(reason), limits, runtime.clock.now());
    forgetTimes(state, client);
  }
  runtime.grace.cancel(self);
  tellConnected(state);
  const kept = keptEndpoint(state);
  const queues = keptQueues(state, numberOf);
  state.moving = { isLeaving: true, forward };
  done({ kept: { ...kept, clients: kept.clients.map((client, at) => withStamp(client, clients[at])) }, queues });
}

function withStamp(kept: KeptEndpoint['clients'][number], client: Client | undefined): typeof kept {
  return client && client.namedAt > 0 ? { ...kept, namedAt: client.namedAt } : kept;
}

function forgetTimes({ domain }: EndpointState, client: Client): void {
  const { runtime } = domain;
  runtime.idle.cancel(client);
  runtime.returning.cancel(client);
  runtime.kept?.cancel(client);
}

/** What is delivered goes on, as the endpoint's oldest part may be here still; who calls may call again. */
function whileLeaving(state: EndpointState, { forward }: Leaving, message: EndpointMessage): boolean {
  switch (message.kind) {
    case 'deliver':
      toWebhook(state, message);
      if (!message.relayed) state.domain.cluster.relay(state.record, message);
      message.packet.receipt?.report('queued');
      forward(message);
      return true;
    case 'forwarded':
      forward(message.deliver);
      return true;
    case 'attach':
      message.transport.close(CLOSE.shutdown);
      return true;
    case 'pass':
      message.done();
      return true;
    case 'inspect':
      message.reply(inspect(state));
      return true;
    case 'send':
    case 'handedOver':
    case 'save':
      return false;
    case 'handOver':
      message.done(null);
      return true;
    default:
      if ('reply' in message) message.reply(UNAVAILABLE);
      return true;
  }
}

/** It lives on the other node now: here it is forgotten, and nobody is told of anything. */
function leave(state: EndpointState, self: Ref<EndpointMessage>): void {
  const { domain, record, address, clients, unseen } = state;
  const { tickets, metrics, away, tracker } = domain;
  for (const client of clients) {
    tickets.delete(client.token);
    away.remove(client, 'handedOver');
    client.confirmations = null;
    client.clear();
  }
  metrics.clients -= clients.length;
  state.clients = [];
  unseen?.clear();
  state.unseen = null;
  state.turns = null;
  if (state.online) metrics.endpointsOnline -= 1;
  state.online = false;
  state.moving = null;
  domain.trace?.event('handedOver', address, '');
  domain.fanout.silently(() => tracker.goOffline(record));
  domain.changed(address, self);
}

/** No node could take it: it ends with this one. */
function stay(state: EndpointState, missed: readonly Deliver[], self: Ref<EndpointMessage>): void {
  const { runtime } = state.domain;
  state.moving = null;
  for (const message of missed) deliver(state, { ...message, relayed: true });
  for (const client of state.clients) {
    if (client.isAway) runtime.kept?.start(client);
    else runtime.returning.start(client);
  }
  if (state.online && !isPresent(state)) runtime.grace.start(self);
}

type Adopt = Extract<MovingMessage, { kind: 'adopt' }>;

/** Takes over what another node hands over, beside what it has here already. */
function adopt(state: EndpointState, { moved, era, packetOf, done }: Adopt, self: Ref<EndpointMessage>): void {
  const { domain } = state;
  if (state.moving) return done(false);
  const { kept, queues } = moved;
  const before = state.clients;
  const known = new Set(before.map((client) => domain.tickets.hashOf(client)));
  const copyOf = samePackets(state, packetOf);
  enter(state, kept);
  const clients = kept.clients.filter(({ hash }) => !known.has(hash)).map((client) => clientOf(state, client, self));
  state.clients = before.concat(clients);
  const restore = { packetOf: copyOf, goesOn: era === null, ...(era === null ? {} : { era }) };
  restoreClients(state, clients, queues, restore);
  const { grace } = domain.runtime;
  if (isPresent(state)) grace.cancel(self);
  else if (state.online && !grace.has(self)) grace.start(self);
  const isHandedOver = era === null;
  if (isHandedOver) state.moving = { isLeaving: false, clients: new Set(clients), copies: new Map(), held: new Set() };
  domain.trace?.event('adopted', state.address, '');
  domain.changed(state.address, self);
  done(true);
}

/** The endpoint is here as well from now on, in the rooms that it is in. Where it was online, or away, before, nobody sees a change. */
function enter(state: EndpointState, kept: KeptEndpoint): void {
  const { domain, record } = state;
  const { tracker, fanout } = domain;
  const full = (short: string): Address => `/domain/${domain.name}/${short}` as Address;
  // What is known of it here is not older than what the other node has handed over.
  const isKnown = record.stamp > 0;
  const { nick, show, status } = isKnown ? record : kept;
  const isIn = lookup(record.rooms);
  const rooms = kept.rooms.map(full).filter((room) => !isIn(room));
  const isBack = !kept.isAway && record.away;
  if (!kept.isAway && !state.online) becomeOnline(state);
  const change = { type: 'grponline', isShown: !isKnown, isAway: kept.isAway, isBack } as const;
  const update = (): void => {
    tracker.watch(record, kept.buddies.map(full));
    tracker.update(record, { nick, show, status }, rooms, [], change);
  };
  if (isOnline(record)) fanout.silently(update);
  else update();
}

/** Messages that clients here have queued, or the offline store has, are the same objects in the queues of those that come. */
function samePackets(
  { clients, unseen, domain, address }: EndpointState,
  packetOf: (number: number) => Packet | null,
): (number: number) => Packet | null {
  const stored = domain.mailboxes?.read(address) ?? [];
  const here = [...clients.flatMap(({ queued }) => queued), ...(unseen?.packets ?? []), ...stored];
  if (here.length === 0) return packetOf;
  const known = new Map(here.filter(({ kind }) => kind === 'message').map((packet) => [nameOf(packet), packet]));
  return (number) => {
    const packet = packetOf(number);
    return packet?.kind === 'message' ? (known.get(nameOf(packet)) ?? packet) : packet;
  };
}

/** Delivers what has come here itself: to clients that have moved only when it is clear that it has not come to them before. */
function deliverHere(state: EndpointState, { clients, copies, held }: Arriving, message: Deliver): void {
  if (isInTurns(state)) {
    deliver(state, message);
    return;
  }
  const copy = copyOf(state, copies, message, false);
  const others = state.clients.filter((client) => !clients.has(client));
  if (copy) {
    deliver(state, { ...message, packet: copy }, others);
    return;
  }
  held.add(message);
  deliver(state, message, others);
}

/** Gives what came by the old way to clients that have moved. */
function forwarded(state: EndpointState, message: Deliver): void {
  const { moving } = state;
  if (!moving || moving.isLeaving || isInTurns(state)) {
    deliver(state, { ...message, relayed: true });
    return;
  }
  const copy = copyOf(state, moving.copies, message, true);
  for (const other of copy ? moving.held : []) if (other.packet === copy) moving.held.delete(other);
  const { only } = message;
  const packet = copy ?? message.packet;
  give(state, moving, { kind: 'deliver', packet, only });
  if (packet.kind === 'message' && only === null && !isConnected(state)) keepWaiting(state, [packet]);
}

function give(state: EndpointState, moving: Arriving, { packet, only }: Deliver): void {
  const arrived = state.clients.filter((client) => moving.clients.has(client));
  const clients = only === null ? takeDeleted(state, packet, arrived) : arrived.filter(({ name }) => name === only);
  for (const client of clients) client.push(packet, state.domain.limits);
}

/** The copy of a packet that has come by the other way; null: none has, and this one is remembered. */
function copyOf(
  { domain }: EndpointState,
  copies: Arriving['copies'],
  { packet, only }: Deliver,
  isForwarded: boolean,
): Packet | null {
  const key = `${only ?? ''}\n${packet.kind}\n${domain.runtime.encode(packet)}`;
  const known = copies.get(key);
  if (known && known.isForwarded !== isForwarded) {
    copies.delete(key);
    return known.packet;
  }
  if (copies.size < MOST_COPIES) copies.set(key, { packet, isForwarded });
  return null;
}

/** Nothing more comes by the old way. */
function settle(state: EndpointState): void {
  const { moving } = state;
  if (!moving || moving.isLeaving) return;
  state.moving = null;
  for (const message of moving.held) give(state, moving, message);
}
