/**
 * An endpoint: what users, visitors and services share. Owns its clients, its show, its buddies and the rooms it is
 * in. Told by the adapters (through protocols/commands.ts), by other endpoints and rooms (`deliver`) and by itself.
 * Never touches a socket, never asks another actor and waits.
 */
import type { ReplyError } from '../errors.js';
import { CLOSE, UNAVAILABLE } from '../errors.js';
import { type Address, isRoom, type Node, shortIdOf, type Target } from './address.js';
import type { Client } from './client.js';
import type { Domain, Handled } from './domain.js';
import { type EndpointView, inspect } from './inspect.js';
import { announceToRooms, enter, evicted, join, leave } from './membership.js';
import { comeOnline, goOffline, type OnlineResult, removeClient, subscribed } from './online.js';
import { complete, type Outgoing, type Packet } from './packet.js';
import { appearance, type Show, transition } from './presence.js';
import { PacketQueue } from './queue.js';
import type { EndpointEntry } from './registry.js';
import { announceToBuddies } from './roster.js';
import type { Deliver, Subscription } from './router.js';
import { chooseClients, configureService, deliversInTurns, handOver, passOn } from './service.js';
import { fromSibling, type SiblingMessage } from './siblings.js';
import type { Behaviour, Ref } from './system.js';
import { connectionOf, type Transport } from './transport.js';

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
  | {
      readonly kind: 'subscribed';
      readonly filters: readonly string[];
      readonly client: Client;
      readonly online: Online;
    }
  | SiblingMessage
  | { readonly kind: 'offline'; readonly client: Client; readonly reply: Reply<null> }
  | {
      readonly kind: 'show';
      readonly show: Show;
      readonly nick: string | null;
      readonly status: string | null;
      readonly reply: Reply<null>;
    }
  | { readonly kind: 'join'; readonly room: Address; readonly nick: string | null; readonly reply: Reply<null> }
  | { readonly kind: 'leave'; readonly room: Address; readonly nick: string | null; readonly reply: Reply<null> }
  /** The room had no place for it. */
  | { readonly kind: 'evicted'; readonly room: Address }
  /** From one of its clients, or a push of the site in its name (client null). */
  | {
      readonly kind: 'send';
      readonly client: Client | null;
      readonly outgoing: Outgoing;
      readonly handled?: Handled | undefined;
    }
  | Deliver
  | { readonly kind: 'push'; readonly deliver: Deliver }
  | {
      readonly kind: 'attach';
      readonly client: Client;
      readonly transport: Transport;
      /** Of a connection on another node that was there before a gap: one that has come since has its place. */
      readonly isRenewed?: boolean;
    }
  | {
      readonly kind: 'detach';
      readonly client: Client;
      readonly transport: Transport;
      /** What the transport took and could not get out. */
      readonly unsent: readonly Packet[];
    }
  | { readonly kind: 'drained'; readonly client: Client; readonly transport: Transport }
  | { readonly kind: 'idled'; readonly client: Client }
  | { readonly kind: 'graceEnded' }
  | { readonly kind: 'inspect'; readonly reply: Reply<EndpointView> }
  /** The configuration of its service may have changed. */
  | { readonly kind: 'configure' };

export interface EndpointState {
  readonly domain: Domain;
  readonly address: Address;
  readonly node: Node;
  readonly id: string;
  /** How packets name it. */
  readonly shortId: string;
  /** What others may read of it: nick, appearance and rooms. */
  readonly entry: EndpointEntry;
  subscription: Subscription | null;
  /** From its first client to the end of the grace after its last. */
  online: boolean;
  clients: readonly Client[];
  /** Messages that came while no client was connected: a client that comes next has them, whichever it is. */
  unseen: PacketQueue | null;
  /** POSTs a service's messages to its site. */
  webhook: Client | null;
  /** A service that delivers in turns: sender → the client it stays with. */
  turns: Map<string, Client> | null;
}

/** Shared while there are none: an empty list of its own would be 16 bytes for each user. */
const NO_CLIENTS: readonly Client[] = [];

export function newEndpoint(domain: Domain, { address, node, id }: Target, entry: EndpointEntry): EndpointState {
  return {
    domain,
    address,
    node,
    id,
    shortId: shortIdOf(node, id),
    entry,
    subscription: null,
    online: false,
    clients: NO_CLIENTS,
    unseen: null,
    webhook: null,
    turns: null,
  };
}

function receive(state: EndpointState, message: EndpointMessage, self: Ref<EndpointMessage>): EndpointState {
  switch (message.kind) {
    case 'deliver':
      return deliver(state, message, self);
    case 'push':
      return push(state, message.deliver);
    case 'send':
      return send(state, message);
    case 'attach':
      return attach(state, message.client, message.transport, message.isRenewed);
    case 'detach':
      return detach(state, message.client, message.transport, message.unsent);
    case 'drained':
      message.client.drained(message.transport);
      return state;
    case 'online':
      return comeOnline(state, message, self);
    case 'subscribed':
      return subscribed(state, message);
    case 'offline':
      if (state.clients.includes(message.client)) removeClient(state, message.client, CLOSE.stopped, self);
      message.reply(null);
      return state;
    case 'show':
      return show(state, message.show, message.nick, message.status, message.reply);
    case 'join':
      return join(state, message.room, message.nick, message.reply);
    case 'leave':
      return leave(state, message.room, message.nick, message.reply);
    case 'evicted':
      return evicted(state, message.room);
    case 'idled':
      return idled(state, message.client, self);
    case 'graceEnded':
      return state.clients.length === 0 && !state.domain.runtime.grace.has(self) ? goOffline(state) : state;
    case 'inspect':
      message.reply(inspect(state));
      return state;
    case 'configure':
      return configureService(state, self);
    default:
      return fromSibling(state, message, self);
  }
}

/**
 * A packet through a room has come by way of the room's actor. One that came directly takes as many steps, so that it
 * does not overtake what its sender said in a room before (PROTOCOL.md section 5: order).
 */
function deliver(state: EndpointState, message: Deliver, self: Ref<EndpointMessage>): EndpointState {
  if (isRoom(state.domain.name, message.packet.topic)) return push(state, message);
  state.domain.runtime.system.tell(self, { kind: 'push', deliver: message });
  return state;
}

/** Pushes a packet to its clients; keeps a message while none is connected. */
function push(state: EndpointState, message: Deliver): EndpointState {
  const { packet, only } = message;
  const { limits, cluster } = state.domain;
  if (state.webhook && packet.kind === 'message' && !message.relayed) state.webhook.push(packet, limits);
  if (cluster !== null && !message.relayed && passOnInCluster(state, message)) return state;
  const clients = only === null ? chooseClients(state, packet) : state.clients.filter(({ name }) => name === only);
  let connected = false;
  for (const client of clients) {
    client.push(packet, limits);
    connected ||= client.transport !== null;
  }
  if (connected || packet.kind !== 'message') return state;
  if (cluster?.isConnectedElsewhere(state.address)) return state;
  const isHere = state.online || state.clients.length > 0;
  if (isHere && only === null && (clients.length === 0 || clients.length === state.clients.length)) {
    state.unseen ??= new PacketQueue(state.domain, state.address);
    state.unseen.push(packet, limits);
    if (packet.trace !== null) packet.trace.hop('kept', packet, state.address, 'until a client connects');
  } else if (clients.length === 0 && !state.webhook) {
    const isOwn = only === null && packet.topic === state.address;
    if (!isOwn || !state.domain.keep(packet, state.address)) state.domain.drop(packet, 'offline', state.address);
  }
  return state;
}

type Send = Extract<EndpointMessage, { kind: 'send' }>;

/** Completes a packet with its sender and routes it; with carbons, the sender's other clients have it too. */
function send(state: EndpointState, { client, outgoing, handled }: Send): EndpointState {
  const { domain, address, entry, shortId } = state;
  const topic = outgoing.target?.address ?? domain.everyone;
  const packet = complete(outgoing, shortId, entry.nick || shortId, topic, address);
  packet.fromClient = outgoing.fromClient === true;
  const isKept = domain.dispatch(packet, outgoing.target);
  if (client && packet.kind === 'message' && domain.settings.carbons && topic !== address) {
    for (const other of state.clients) if (other !== client) other.push(packet, domain.limits);
    domain.cluster?.carbon(address, packet);
  }
  handled?.(isKept);
  return state;
}

/** Its parts on other nodes have it too; of a service that delivers in turns, one of them: true where that is another. */
function passOnInCluster(state: EndpointState, message: Deliver): boolean {
  const { cluster } = state.domain;
  if (message.only === null && deliversInTurns(state, message.packet)) {
    return cluster?.takeTurn(state.address, message, state.clients) ?? false;
  }
  cluster?.relay(state.address, message);
  return false;
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
  state.domain.runtime.idle.cancel(client);
  state.domain.trace?.event('attached', state.address, `${client.name} by ${connectionOf(transport)}`);
  client.attach(transport, CLOSE.replaced, state.domain.limits);
  state.unseen?.clear();
  state.unseen = null;
  state.domain.cluster?.connected(state.address, state.clients);
  state.domain.mailboxes?.clear(state.address);
  return state;
}

function detach(state: EndpointState, client: Client, transport: Transport, unsent: readonly Packet[]): EndpointState {
  const { limits, runtime } = state.domain;
  if (!state.clients.includes(client)) {
    handOver(state, client.leftBehind(transport, unsent));
    return state;
  }
  if (!client.detach(transport, unsent, limits, runtime.clock.now())) return state;
  runtime.idle.start(client);
  const { cluster } = state.domain;
  cluster?.connected(state.address, state.clients);
  state.domain.trace?.event('detached', state.address, `${client.name} by ${connectionOf(transport)}`);
  if (state.clients.some((other) => other.transport !== null)) return state;
  if (cluster?.isConnectedElsewhere(state.address)) return state;
  for (const packet of client.queued) {
    if (packet.kind !== 'message') continue;
    state.unseen ??= new PacketQueue(state.domain, state.address);
    state.unseen.push(packet, limits);
  }
  return state;
}

function idled(state: EndpointState, client: Client, self: Ref<EndpointMessage>): EndpointState {
  const isBack = client.transport !== null || state.domain.runtime.idle.has(client);
  if (!isBack && state.clients.includes(client)) removeClient(state, client, CLOSE.ticketNotFound, self);
  return state;
}

/** Takes a new show; tells those who hear of it what changed, if they can see a change. */
function show(
  state: EndpointState,
  to: Show,
  nick: string | null,
  status: string | null,
  reply: Reply<null>,
): EndpointState {
  const { entry } = state;
  entry.show = to;
  entry.status = status ?? entry.status;
  if (nick !== null && nick !== '') entry.nick = nick;
  announce(state, { isShown: true });
  reply(null);
  return state;
}

/** Brings what others see up to date, and tells them what changed. `isShown`: show or status have been set. */
export function announce(
  state: EndpointState,
  { entered: enteredRooms = [], isShown = false }: { entered?: readonly Address[]; isShown?: boolean } = {},
): void {
  const { entry, domain } = state;
  const after = state.online ? appearance(entry.show, entry.status) : null;
  const type = transition(entry.appearance, after);
  entry.appearance = after;
  if (domain.cluster !== null) {
    for (const room of enteredRooms) enter(state, room, null);
    domain.cluster.update(state.address, entry, state.online, { type: 'grponline', isShown });
    return;
  }
  if (type !== null) announceToBuddies(state, type);
  const entered = new Set(enteredRooms);
  const known = state.entry.rooms.filter((room) => !entered.has(room));
  if (type === 'online') announceToRooms(state, known, 'grponline');
  if (type === 'offline') announceToRooms(state, known, 'grpoffline');
  for (const room of enteredRooms) enter(state, room, after ? 'grponline' : null);
}

/** A message that it failed on, or that came when it had ended: who asked may ask again, and finds another in its place. */
function unanswered(message: EndpointMessage): void {
  if (message.kind === 'send') message.handled?.(false);
  else if ('reply' in message) message.reply(UNAVAILABLE);
  else if ('online' in message) message.online.reply(UNAVAILABLE);
  else if (message.kind === 'pass') message.done();
}

/**
 * What came when it had ended: who asked is told, and a message goes to the actor in its place, or to the offline store,
 * as if it had come a moment later.
 */
function onDeadLetter(message: EndpointMessage, state: EndpointState): void {
  if (message.kind === 'send') send(state, { ...message, client: null });
  else if (message.kind === 'deliver') redeliver(state, message);
  else if (message.kind === 'push') redeliver(state, message.deliver);
  else unanswered(message);
}

function redeliver({ domain, address }: EndpointState, deliver: Deliver): void {
  const { packet, only, relayed } = deliver;
  // Another node sees to what it has relayed.
  if (packet.topic !== address || relayed || domain.routeToOwner(deliver)) return;
  if (only !== null || !domain.keep(packet, address)) domain.drop(packet, 'offline', address);
}

/** A crash while it comes, goes or changes leaves a state that cannot be trusted; one about a packet does not. */
function onCrash(_state: EndpointState, message: EndpointMessage): 'resume' | 'stop' {
  unanswered(message);
  return ['deliver', 'push', 'send', 'drained', 'inspect', 'configure'].includes(message.kind) ? 'resume' : 'stop';
}

/** Whoever is still connected hears that the ticket is gone, and comes online again. */
function afterStop(state: EndpointState): void {
  const { domain, address, entry } = state;
  const { clients } = state;
  state.clients = [];
  for (const client of clients) passOn(state, client, CLOSE.ticketNotFound);
  for (const packet of state.webhook?.close(CLOSE.stopped, domain.limits) ?? [])
    domain.drop(packet, 'webhookFailed', address);
  goOffline(state);
  domain.runtime.grace.cancel(entry.actor);
  if (state.subscription) {
    const { subscription } = state;
    domain.runtime.system.tell(domain.router, { kind: 'unsubscribe', filters: [address], subscription });
  }
  domain.registry.endpoints.delete(address);
}

export const endpoint: Behaviour<EndpointState, EndpointMessage> = {
  receive,
  onCrash,
  isDone: (state) => !state.online && state.clients.length === 0 && state.webhook === null,
  afterStop,
  onDeadLetter,
};
