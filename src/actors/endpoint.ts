/**
 * An endpoint: what users, visitors and services share. Owns its clients, and writes its record in the tracker: show,
 * buddies, rooms. Told by the adapters (through protocols/commands.ts), by whoever sends to its address or to a room it
 * is in (`deliver`) and by itself. Never touches a socket, never asks another actor and waits.
 */
import type { ReplyError } from '../errors.js';
import { CLOSE, UNAVAILABLE } from '../errors.js';
import { type Address, type Node, shortIdOf, type Target } from './address.js';
import { isKept, isPresent } from './away.js';
import { Client, type NamedClient } from './client.js';
import { type Deletion, takeAllDeleted } from './deletions.js';
import { deliver, redeliver } from './delivery.js';
import { dispatch } from './dispatch.js';
import type { Domain } from './domain.js';
import type { EndpointRecord } from './endpoint-record.js';
import { fromReplica, type ReplicationMessage } from './endpoint-replication.js';
import { type EndedClient, type EndpointView, inspect } from './inspect.js';
import { fromJournal, type KeepingMessage } from './keeping.js';
import { join, leave, type Showing, show } from './membership.js';
import { fromMove, type Moving, type MovingMessage, whileMoving } from './moving.js';
import {
  comeBack,
  comeOnline,
  goAway,
  goOffline,
  type OnlineResult,
  removeAll,
  removeClient,
  signOut,
  tellConnected,
} from './online.js';
import { complete, type Outgoing, type Packet } from './packet.js';
import type { Position } from './position.js';
import type { Show } from './presence.js';
import type { Deliver } from './router.js';
import { closeWebhook, configureService, handOver, passOn, passWaiting } from './service.js';
import type { ServiceWebhook } from './service-webhook.js';
import type { Behaviour, Ref } from './system.js';
import { connectionOf, type Transport } from './transport.js';
import { isInTurns } from './turns.js';
import { type Confirmations, isConnected, keepUnconfirmed, placeAt } from './unseen.js';
import type { WaitingQueue } from './waiting-queue.js';

type Reply<T> = (result: T | ReplyError) => void;

export interface Online {
  readonly kind: 'online';
  readonly nick: string;
  readonly show: Show | null;
  readonly status: string | null;
  readonly buddies: readonly Address[];
  readonly rooms: readonly Address[];
  readonly client: string | null;
  readonly reply: Reply<OnlineResult>;
}

export type EndpointMessage =
  | Online
  | ReplicationMessage
  | KeepingMessage
  | MovingMessage
  | {
      readonly kind: 'offline';
      /** Null: the site signs the endpoint out by its name. */
      readonly client: NamedClient | null;
      /** Whether all clients of the endpoint end with it, on whichever node. */
      readonly all?: boolean;
      readonly reply: Reply<null>;
    }
  | Showing
  | { readonly kind: 'join'; readonly room: Address; readonly nick: string | null; readonly reply: Reply<null> }
  | { readonly kind: 'leave'; readonly room: Address; readonly nick: string | null; readonly reply: Reply<null> }
  /** A packet from one of the endpoint's clients, or from the site in the endpoint's name (client null). */
  | {
      readonly kind: 'send';
      readonly client: NamedClient | null;
      readonly outgoing: Outgoing;
    }
  | Deliver
  | {
      readonly kind: 'attach';
      readonly client: NamedClient;
      readonly transport: Transport;
      /** Set for a connection on another node that was there before that node was lost: a newer connection takes precedence. */
      readonly isRenewed?: boolean;
    }
  | {
      readonly kind: 'detach';
      readonly client: NamedClient;
      readonly transport: Transport;
      /** What the transport took and could not get out. */
      readonly unsent: readonly Packet[];
    }
  | { readonly kind: 'drained'; readonly client: NamedClient; readonly transport: Transport }
  /** A client that counts has confirmed all packets up to a position. */
  | {
      readonly kind: 'confirm';
      readonly client: NamedClient;
      /** The connection over which the client confirms; null: it confirms by a call. */
      readonly transport: Transport | null;
      readonly position: Position;
    }
  /** The client of a transport that `acknowledges` has these packets, or they will never reach it: `dropped` says why. */
  | {
      readonly kind: 'acknowledged';
      readonly client: NamedClient;
      readonly transport: Transport;
      readonly packets: readonly Packet[];
      readonly dropped: string | null;
    }
  | { readonly kind: 'idled'; readonly client: Client }
  /** The ticket of a client that is away ends; `why` is for operators. */
  | { readonly kind: 'keepEnded'; readonly client: Client; readonly why: string }
  | { readonly kind: 'graceEnded' }
  | { readonly kind: 'inspect'; readonly reply: Reply<EndpointView> }
  /** What was told before has gone on to the other parts of the endpoint. */
  | { readonly kind: 'pass'; readonly done: () => void }
  /** Messages are deleted that may wait in the endpoint's queues. */
  | { readonly kind: 'deleted'; readonly deletion: Deletion }
  /** The configuration of the endpoint's service may have changed. */
  | { readonly kind: 'configure' };

export interface EndpointState {
  readonly domain: Domain;
  readonly address: Address;
  readonly node: Node;
  readonly id: string;
  /** The name of the endpoint in packets. */
  readonly shortId: string;
  /** What others may read of the endpoint: nick, show, appearance and rooms. */
  readonly record: EndpointRecord;
  /** From when a client comes to the end of the grace after the last that was there; not while all that are left are away. */
  online: boolean;
  clients: readonly Client[];
  /** When a client of the endpoint that has ended was connected last, in milliseconds since the epoch. */
  seenAt: number;
  /** Clients that have ended, for operators, the latest last; null: none has ended. */
  ended: readonly EndedClient[] | null;
  /** Messages that no client has confirmed, and that wait for the next client to come (actors/unseen.ts). */
  unseen: WaitingQueue | null;
  /** Which messages one of its clients has confirmed while others may have them queued; null: it had one client at a time. */
  confirmations: Confirmations | null;
  /** POSTs a service's messages to its site. */
  webhook: ServiceWebhook | null;
  /** A service that delivers in turns: sender → the client it stays with. */
  turns: Map<string, Client> | null;
  /** Set while the endpoint moves to another node or from one; null nearly always. */
  moving: Moving | null;
}

/** Shared while there are none: an empty list of its own would be 16 bytes for each user. */
const NO_CLIENTS: readonly Client[] = [];

export function newEndpoint(domain: Domain, { node, id }: Target, record: EndpointRecord): EndpointState {
  return {
    domain,
    address: record.address,
    node,
    id,
    shortId: shortIdOf(node, id),
    record,
    online: false,
    clients: NO_CLIENTS,
    seenAt: 0,
    ended: null,
    unseen: null,
    confirmations: null,
    webhook: null,
    turns: null,
    moving: null,
  };
}

function receive(state: EndpointState, message: EndpointMessage, self: Ref<EndpointMessage>): EndpointState {
  if (state.moving !== null && whileMoving(state, state.moving, message)) return state;
  switch (message.kind) {
    case 'deliver':
      return deliver(state, message);
    case 'send':
      return send(state, message);
    case 'attach':
      return attach(state, own(message.client), message.transport, message.isRenewed);
    case 'detach':
      return detach(state, own(message.client), message.transport, message.unsent);
    case 'drained':
      own(message.client).drained(message.transport);
      return state;
    case 'confirm':
      own(message.client).confirm(message.transport, message.position);
      return state;
    case 'acknowledged':
      own(message.client).acknowledge(message.transport, message.packets, message.dropped);
      return state;
    case 'graceEnded':
      state.domain.changed(state.address, self);
      return isPresent(state) || state.domain.runtime.grace.has(self) ? state : goOffline(state);
    case 'inspect':
      message.reply(inspect(state));
      return state;
    case 'pass':
      message.done();
      return state;
    case 'configure':
      return configureService(state);
    case 'deleted':
      takeAllDeleted(state, message.deletion);
      return state;
    case 'keep':
    case 'wait':
    case 'save':
    case 'restore':
      return fromJournal(state, message, self);
    case 'whatWaits':
    case 'handOver':
    case 'handedOver':
    case 'adopt':
    case 'forwarded':
    case 'adopted':
      return fromMove(state, message, self);
    default:
      state.domain.changed(state.address, self);
      return change(state, message, self);
  }
}

/** Adapters name clients to their own endpoint only; that of a stand-in is on another node. */
function own(client: NamedClient): Client {
  if (client instanceof Client) return client;
  throw new Error(`${client.address} was told of a client that is none of its own`);
}

type Changing = Extract<
  EndpointMessage,
  ReplicationMessage | { kind: 'online' | 'offline' | 'show' | 'join' | 'leave' | 'idled' | 'keepEnded' }
>;

/** Handles messages that may change what others see of the endpoint, or which clients it has. */
function change(state: EndpointState, message: Changing, self: Ref<EndpointMessage>): EndpointState {
  switch (message.kind) {
    case 'online':
      return comeOnline(state, message, self);
    case 'offline':
      return offline(state, message, self);
    case 'show':
      return show(state, message);
    case 'join':
      return join(state, message.room, message.nick, message.reply);
    case 'leave':
      return leave(state, message.room, message.nick, message.reply);
    case 'idled':
      return idled(state, message.client, self);
    case 'keepEnded':
      return keepEnded(state, message.client, message.why, self);
    default:
      return fromReplica(state, message, self);
  }
}

type Send = Extract<EndpointMessage, { kind: 'send' }>;

/** Completes a packet with its sender and routes it; with carbons, the sender's other clients have it too. */
function send(state: EndpointState, { client, outgoing }: Send): EndpointState {
  const { domain, address, record, shortId } = state;
  const topic = outgoing.target?.address ?? domain.everyone;
  const packet = complete(outgoing, shortId, record.nick || shortId, topic, address);
  packet.fromClient = outgoing.fromClient === true;
  dispatch(domain, packet, outgoing.target);
  if (client && packet.kind === 'message' && domain.settings.carbons && topic !== address) {
    for (const other of state.clients) if (other !== client) other.push(packet, domain.limits);
    domain.cluster.carbon(record, packet);
  }
  return state;
}

function attach(state: EndpointState, client: Client, transport: Transport, isRenewed?: boolean): EndpointState {
  if (!state.clients.includes(client)) {
    transport.close(CLOSE.ticketNotFound);
    return state;
  }
  if (isRenewed && client.transport !== null) {
    transport.close(CLOSE.replaced);
    return state;
  }
  const { limits, runtime } = state.domain;
  runtime.idle.cancel(client);
  runtime.returning.cancel(client);
  if (client.isAway) state.domain.changed(state.address, client.endpoint);
  comeBack(state, client);
  state.domain.trace?.event('attached', state.address, `${client.name} by ${connectionOf(transport)}`);
  if (transport.counting) placeAt(state, client, transport.counting.asked);
  client.attach(transport, CLOSE.replaced, limits, runtime.clock.now());
  tellConnected(state);
  if (isInTurns(state)) passWaiting(state);
  return state;
}

function detach(state: EndpointState, client: Client, transport: Transport, unsent: readonly Packet[]): EndpointState {
  const { limits, runtime } = state.domain;
  if (!state.clients.includes(client)) {
    const left = client.leftBehind(transport, unsent);
    state.confirmations?.returned(left);
    handOver(state, left, [], new Set(left.filter((packet) => !state.confirmations?.has(packet))));
    return state;
  }
  if (!client.detach(transport, unsent, limits, runtime.clock.now())) return state;
  runtime.idle.start(client);
  tellConnected(state);
  state.domain.trace?.event('detached', state.address, `${client.name} by ${connectionOf(transport)}`);
  if (!isConnected(state)) keepUnconfirmed(state, client);
  return state;
}

function idled(state: EndpointState, client: Client, self: Ref<EndpointMessage>): EndpointState {
  const { idle, returning } = state.domain.runtime;
  const isBack = client.transport !== null || idle.has(client) || returning.has(client);
  if (isBack || !state.clients.includes(client)) return state;
  if (isKept(state, client)) goAway(state, client, self);
  else removeClient(state, client, CLOSE.ticketNotFound, self, 'not connected in time');
  return state;
}

function keepEnded(state: EndpointState, client: Client, why: string, self: Ref<EndpointMessage>): EndpointState {
  if (!client.isAway || !state.clients.includes(client)) return state;
  state.domain.away.remove(client, 'expired');
  removeClient(state, client, CLOSE.ticketNotFound, self, why);
  return state;
}

type Offline = Extract<EndpointMessage, { kind: 'offline' }>;

function offline(state: EndpointState, message: Offline, self: Ref<EndpointMessage>): EndpointState {
  const { all, reply } = message;
  const client = message.client && own(message.client);
  if (client === null) signOut(state, self);
  else if (state.clients.includes(client)) {
    if (all) {
      state.domain.cluster.signOut(state.record);
      removeAll(state, self);
    } else removeClient(state, client, CLOSE.stopped, self);
  }
  reply(null);
  return state;
}

/** Answers a message that the actor failed on, or that came after its end: the caller may ask again, and finds a new actor. */
function unanswered(message: EndpointMessage): void {
  if (message.kind === 'send') message.outgoing.receipt?.report('unknown');
  else if (message.kind === 'deliver') message.packet.receipt?.report('unknown');
  else if ('reply' in message) message.reply(UNAVAILABLE);
  else if (message.kind === 'handOver') message.done(null);
  else if (message.kind === 'whatWaits') message.done('nothing');
  else if (message.kind === 'adopt') message.done(false);
  else if (message.kind === 'handedOver') message.done();
  else if (message.kind === 'pass' || message.kind === 'save' || message.kind === 'restore') message.done();
}

/**
 * A message that came after the actor's end: requests are answered, and packets go to the endpoint's new actor, or to the
 * offline store, as if they had come a moment later.
 */
function onDeadLetter(message: EndpointMessage, state: EndpointState): void {
  if (message.kind === 'send') send(state, { ...message, client: null });
  else if (message.kind === 'deliver') redeliver(state, message);
  else if (message.kind === 'forwarded') redeliver(state, message.deliver);
  else unanswered(message);
}

/** Messages that change nothing of the endpoint but its queues. */
const HARMLESS = new Set('deliver send drained confirm acknowledged inspect configure deleted keep save'.split(' '));

/** A crash while the endpoint comes, goes or changes leaves a state that cannot be trusted; a crash about a packet does not. */
function onCrash(_state: EndpointState, message: EndpointMessage): 'resume' | 'stop' {
  unanswered(message);
  return HARMLESS.has(message.kind) ? 'resume' : 'stop';
}

/** Clients that are still connected are told that their ticket is gone, so that they come online again. */
function afterStop(state: EndpointState): void {
  const { domain, address, clients, record } = state;
  const { actor } = record;
  state.clients = [];
  for (const client of clients) passOn(state, client, CLOSE.ticketNotFound);
  closeWebhook(state);
  goOffline(state);
  if (actor) {
    domain.runtime.grace.cancel(actor);
    domain.changed(address, actor);
  }
  domain.tracker.detachActor(record);
}

export const endpoint: Behaviour<EndpointState, EndpointMessage> = {
  receive,
  onCrash,
  isDone: ({ record, clients, webhook }) => record.birth === 0 && clients.length === 0 && webhook === null,
  afterStop,
  onDeadLetter,
};
