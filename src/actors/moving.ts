/**
 * Moves an endpoint to another node when its own node ends in order: its clients, their queues and positions, its rooms and
 * buddies are handed over in the form in which they would be on disk, and restored there as they would be from disk (keeping.ts).
 * PROTOCOL.md section 20. How the other node is chosen and told is in src/cluster/leaving.ts and adoption.ts.
 *
 * The node that ends freezes the endpoint at one moment: from then on it forwards the packets delivered to the endpoint to the
 * other node, until nobody sends it any. The other node may receive the same packets itself, since the endpoint is in the same
 * rooms there. Of two such copies the clients that have moved get the forwarded one, which is in the right order; packets that
 * came to the other node alone follow when everything has been forwarded.
 */
import { CLOSE, type CloseReason, UNAVAILABLE } from '../errors.js';
import type { Address } from './address.js';
import { type Arriving, arrive, deliverHere, forwarded, type IsMet, settle } from './arriving.js';
import { isPresent } from './away.js';
import type { Client } from './client.js';
import type { RemoteNode } from './cluster.js';
import { deliver, toWebhook } from './delivery.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import { type EndpointRecord, isOnline } from './endpoint-record.js';
import { inOrder } from './in-order.js';
import { inspect } from './inspect.js';
import { clientOf, keptEndpoint, keptQueues, messagesOf, restoreClients } from './keeping.js';
import type { KeptEndpoint, KeptQueues } from './kept.js';
import { lookup } from './lists.js';
import { becomeOnline, signOut, tellConnected } from './online.js';
import type { Packet } from './packet.js';
import type { Deliver } from './router.js';
import type { Ref } from './system.js';
import { giveAdopted, inPlaces, isConnected, keepUnconfirmed, keepWaiting, nameOf, queuedByName } from './unseen.js';

/** The state of an endpoint that is handed over to the other node. */
export interface Moved {
  readonly kept: KeptEndpoint;
  readonly queues: KeptQueues | null;
}

/** What an endpoint that moves is told of its clients by its parts on other nodes, and the node that it goes to has to know. */
export type Told = Extract<EndpointMessage, { kind: 'signedOut' | 'confirmedElsewhere' | 'missed' }>;

/** What comes for an endpoint that has stopped to move, and is passed on. */
export type Passed = Deliver | Told;

/** What waits for the clients of an endpoint: `presences` where there are packets, and none of them is a message. */
export type Waiting = 'messages' | 'presences' | 'nothing';

export type MovingMessage =
  /** To the node that ends in order: what waits in the endpoint. */
  | { readonly kind: 'whatWaits'; readonly done: (what: Waiting) => void }
  /** To the node that ends in order: stop the endpoint here, and hand it over to another node. */
  | {
      readonly kind: 'handOver';
      /** The reason with which the connections of the endpoint's clients are closed. */
      readonly reason: CloseReason;
      readonly numberOf: (packet: Packet) => number;
      /** Called for all that is to be passed on from now on; of a packet it sees to the receipt. */
      readonly forward: (passed: Passed) => void;
      /** Called first where nothing waits for any client: where it answers true, `done` is not called. Absent: `done` is called in each case. */
      readonly quiet?: () => boolean;
      /** Called with the endpoint's state, or with null where there is nothing to hand over. */
      readonly done: (moved: Moved | null) => void;
    }
  /** The other node has taken the endpoint and all packets are forwarded; or, with `missed`, it stays, and these came meanwhile. */
  | {
      readonly kind: 'handedOver';
      readonly missed: readonly Passed[] | null;
      readonly done: () => void;
    }
  /** To the node that takes the endpoint over: from a node that ends in order, or from one that is gone. */
  | {
      readonly kind: 'adopt';
      readonly moved: Moved;
      readonly isMet: IsMet;
      /** Where the old node is gone: a new era for its clients' positions, as packets may be lost. null: positions go on. */
      readonly era: string | null;
      /** Whether buddies and rooms are not told that the endpoint is online: at the start of a server, whose end did not tell them that it went. */
      readonly isQuiet?: boolean;
      readonly packetOf: (number: number) => Packet | null;
      readonly done: (isTaken: boolean) => void;
    }
  /** To the node that takes the endpoint over: a packet that was delivered on the old node and is forwarded. */
  | { readonly kind: 'forwarded'; readonly deliver: Deliver }
  /** To the node that takes the endpoint over: the old node has forwarded everything. */
  | { readonly kind: 'adopted' };

/** The state of a move on the node that ends. */
interface Leaving {
  readonly isLeaving: true;
  readonly forward: (passed: Passed) => void;
  /**
   * Messages that came while the endpoint was leaving, which it receives again if it stays on this node: the last one that tells of each node
   * with a part of the endpoint, and the first one of other kinds.
   */
  readonly late: Map<RemoteNode | EndpointMessage['kind'], EndpointMessage>;
}

export type Moving = Leaving | Arriving;

/** Handles a message to an endpoint while it moves; false: the message is to be handled as usual. */
export function whileMoving(state: EndpointState, moving: Moving, message: EndpointMessage): boolean {
  if (moving.isLeaving) return whileLeaving(state, moving, message);
  if (message.kind === 'deliver') deliverHere(state, moving, message);
  else if (message.kind === 'handOver') moving.later.push(message);
  else return false;
  return true;
}

export function fromMove(state: EndpointState, message: MovingMessage, self: Ref<EndpointMessage>): EndpointState {
  switch (message.kind) {
    case 'whatWaits':
      message.done(whatWaits(state));
      return state;
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
      settle(state, self);
      return state;
  }
}

function whatWaits({ clients, unseen }: EndpointState): Waiting {
  if ((unseen?.length ?? 0) > 0) return 'messages';
  if (clients.some(({ queue }) => queue.state.entries.some(({ kind }) => kind === 'message'))) return 'messages';
  return clients.some(({ queue }) => queue.length > 0) ? 'presences' : 'nothing';
}

/** Whether no client has to be given or told anything but what comes from now on. */
function isQuiet({ clients, unseen, turns }: EndpointState): boolean {
  const isDone = ({ queue, mayMiss }: Client): boolean => queue.state.entries.length === 0 && !mayMiss;
  return (unseen?.length ?? 0) === 0 && (turns?.size ?? 0) === 0 && clients.every(isDone);
}

type HandOver = Extract<MovingMessage, { kind: 'handOver' }>;

/** Closes the connections of the endpoint's clients and hands its state over, which does not change from then on. */
function handOver(
  state: EndpointState,
  { reason, numberOf, forward, quiet, done }: HandOver,
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
  state.moving = { isLeaving: true, forward, late: new Map() };
  if (quiet && isQuiet(state) && quiet()) return;
  const kept = keptEndpoint(state);
  const queues = keptQueues(state, numberOf);
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

/** Passes on what comes, relaying packets too, as the oldest part may still be here; answers requests with UNAVAILABLE. */
function whileLeaving(state: EndpointState, { forward, late }: Leaving, message: EndpointMessage): boolean {
  switch (message.kind) {
    case 'deliver':
      toWebhook(state, message);
      if (!message.relayed) state.domain.cluster.relay(state.record, message);
      forward(message);
      return true;
    case 'forwarded':
      forward(message.deliver);
      return true;
    case 'attach':
      message.transport.close(CLOSE.shutdown);
      return true;
    case 'partCame':
      // Behind what has come meanwhile.
      late.delete(message.node);
      late.set(message.node, message);
      return true;
    case 'signedOut':
    case 'missed':
    case 'confirmedElsewhere':
      forward(message);
      return true;
    case 'signedOutByName':
    case 'seen':
      // The first one of its kind has said the same: it keeps that one's place.
      late.set(message.kind, message);
      return true;
    case 'pass':
      message.done();
      return true;
    case 'inspect':
      message.reply(inspect(state));
      return true;
    case 'send':
    case 'whatWaits':
    case 'handedOver':
    case 'save':
    // What the other node is given meanwhile is deleted there when the move is over (DomainCluster.forget).
    case 'deleted':
    case 'unseen':
      return false;
    case 'handOver':
      message.done(null);
      return true;
    default:
      if ('reply' in message) message.reply(UNAVAILABLE);
      return true;
  }
}

/** Forgets the endpoint on this node, since it lives on the other one now; no presence is sent. */
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

/** No node could take the endpoint: it goes on here until this node ends, and gets the packets that it missed. */
function stay(state: EndpointState, missed: readonly Passed[], self: Ref<EndpointMessage>): void {
  const { runtime } = state.domain;
  const { moving } = state;
  state.moving = null;
  // The connections of the endpoint's clients were closed for the move: what these have not confirmed waits, as when a client goes.
  if (!isConnected(state)) for (const client of state.clients) keepUnconfirmed(state, client);
  if (moving?.isLeaving) for (const message of moving.late.values()) self.tell(message);
  for (const message of missed) {
    if (message.kind === 'deliver') deliver(state, { ...message, relayed: true });
    else self.tell(message);
  }
  for (const client of state.clients) {
    if (client.isAway) runtime.kept?.start(client);
    else runtime.returning.start(client);
  }
  if (state.online && !isPresent(state)) runtime.grace.start(self);
}

type Adopt = Extract<MovingMessage, { kind: 'adopt' }>;

/** Takes over an endpoint from another node, beside the clients that it may have on this node already. */
function adopt(state: EndpointState, adopting: Adopt, self: Ref<EndpointMessage>): void {
  const { moved, isMet, era, isQuiet = false, packetOf, done } = adopting;
  const { domain } = state;
  if (state.moving) return done(false);
  const { kept, queues } = moved;
  const before = state.clients;
  const known = new Set(before.map((client) => domain.tickets.hashOf(client)));
  const copyOf = samePackets(state, packetOf);
  // What has moved is older than what waits here alone: that came meanwhile.
  const { unseen } = state;
  const waiting = unseen?.packets.slice() ?? [];
  state.unseen = null;
  enter(state, kept, era !== null, isQuiet);
  const clients = kept.clients.filter(({ hash }) => !known.has(hash)).map((client) => clientOf(state, client, self));
  state.clients = before.concat(clients);
  const among = isMet(null) ? state.clients : clients;
  const restore = { packetOf: copyOf, goesOn: era === null, among, ...(era === null ? {} : { era }) };
  const here = new Set([...waiting, ...before.flatMap(({ queued }) => queued)]);
  const all = inPlaces(state, inOrder([messagesOf(queues, copyOf), waiting]), (packet) => here.has(packet));
  restoreClients(state, clients, queues, restore);
  keepWaiting(state, waiting);
  unseen?.clear();
  if (era !== null) giveAdopted(state, clients, before, waiting);
  all.clear();
  const { grace } = domain.runtime;
  if (isPresent(state)) grace.cancel(self);
  else if (state.online && !grace.has(self)) grace.start(self);
  if (era === null) state.moving = arrive(state, clients, isMet);
  domain.trace?.event('adopted', state.address, '');
  domain.changed(state.address, self);
  done(true);
  // A sign-out that came while the endpoint was on its way found it on no node.
  const signedOutAt = domain.signOuts.last(state.address);
  if (signedOutAt !== undefined) signOut(state, self, signedOutAt);
}

/** Begins this node's part of the endpoint, with its rooms and buddies. No presence is sent where it is online already. */
function enter(state: EndpointState, kept: KeptEndpoint, isGone: boolean, isQuiet: boolean): void {
  const { domain, record } = state;
  const { tracker, fanout } = domain;
  const full = (short: string): Address => `/domain/${domain.name}/${short}` as Address;
  // The nick, show and status in this node's record are at least as new as those that were handed over.
  const isKnown = record.stamp > 0;
  const { nick, show, status } = isKnown ? record : kept;
  const isIn = lookup(record.rooms);
  const rooms = ((isGone && roomsNow(record)) || kept.rooms.map(full)).filter((room) => !isIn(room));
  const isBack = !kept.isAway && record.away;
  if (!kept.isAway && !state.online) becomeOnline(state);
  const change = { type: 'grponline', isShown: !isKnown, isAway: kept.isAway, isBack } as const;
  const update = (): void => {
    tracker.watch(record, kept.buddies.map(full));
    tracker.update(record, { nick, show, status }, rooms, [], change);
  };
  if (isQuiet || isOnline(record)) fanout.silently(update, isQuiet);
  else update();
}

/**
 * The rooms of an endpoint whose node is gone: those of its living parts, which may have left some since; without one those that the node
 * had told before it died, which is later than its record. null: nothing is known.
 */
function roomsNow({ birth, rooms, parts }: EndpointRecord): readonly Address[] | null {
  if (birth > 0) return rooms;
  const living = parts.find(({ node, hidden }) => node.up && !hidden);
  return (living ?? parts.find(({ node }) => !node.up))?.rooms ?? null;
}

/** Wraps `packetOf` so that a message which is queued or stored here already is the same object in the queues of new clients. */
function samePackets(
  state: EndpointState,
  packetOf: (number: number) => Packet | null,
): (number: number) => Packet | null {
  const known = queuedByName(state, state.domain.mailboxes?.read(state.address));
  if (known.size === 0) return packetOf;
  return (number) => {
    const packet = packetOf(number);
    return packet?.kind === 'message' ? (known.get(nameOf(packet)) ?? packet) : packet;
  };
}
