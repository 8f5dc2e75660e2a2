/**
 * A backend's session: owns its subscriptions, what is in flight both ways, its will, and at most one connection. Told
 * by its connection what the client sent, by publishers what there is for it, by the router when its subscriptions
 * hold, and by itself when a time is up. Never touches a socket. Lives as long as section 4.1 of MQTT 5 has it live.
 */

import type { Deletion } from '../../actors/deletions.js';
import type { Publication, Qos } from '../../actors/publication.js';
import type { Deliver, Published, TopicSubscription } from '../../actors/router.js';
import type { Behaviour, Ref } from '../../actors/system.js';
import type { BanKind } from '../../directory/bans.js';
import { CLOSE } from '../../errors.js';
import { Fifo } from '../../fifo.js';
import type { Broker } from './broker.js';
import { connect } from './connect.js';
import type { Connection } from './connection.js';
import { takeAllDeleted, takeDeleted } from './deleted.js';
import { disconnect, endSession, lost } from './disconnect.js';
import { PINGRESP } from './encode.js';
import { sharedPublicationOf } from './frame-publication.js';
import { Outbound } from './outbound.js';
import type { Connect, Incoming, Refused } from './packets.js';
import { accepted, acceptWill, acknowledge, publishFromClient, refuseLate } from './publish.js';
import type { Outcome } from './publish-to-address.js';
import { REASON, webSocketCodeOf } from './reason.js';
import type { Pending } from './received.js';
import { goOn, Replay } from './replay.js';
import type { SessionJournal } from './session-journal.js';
import { move, type SessionMoving, type SessionMovingMessage, whileMoving } from './session-moving.js';
import type { GroupMessage } from './shared.js';
import { subscribe, unsubscribe } from './subscribe.js';
import { isKeyTaken } from './taken-keys.js';
import { SessionWill } from './will.js';

export interface ConnectMessage {
  readonly kind: 'connect';
  readonly connection: Connection;
  readonly packet: Connect;
  /** The server made the client id. */
  readonly assigned: boolean;
  /** A topic for answers to the client (Response Information); null: the client did not ask for one or is anonymous. */
  readonly responseInformation: string | null;
}

/** The router has taken what a SUBSCRIBE or UNSUBSCRIBE changed. */
export interface Changed {
  readonly kind: 'changed';
  readonly connection: Connection;
  /** SUBACK or UNSUBACK. */
  readonly ack: Buffer;
  /** The subscriptions that are to be sent what is retained. */
  readonly retained: ReadonlySet<SessionSubscription>;
  /** The place in the order of retained publications at which the subscriptions began to hold. */
  readonly upTo: number;
}

export type SessionMessage =
  | ConnectMessage
  | { readonly kind: 'received'; readonly connection: Connection; readonly packet: Incoming }
  | { readonly kind: 'refused'; readonly connection: Connection; readonly refused: Refused }
  | { readonly kind: 'lost'; readonly connection: Connection }
  | { readonly kind: 'drained'; readonly connection: Connection }
  | Changed
  | SessionMovingMessage
  | Published
  | Deliver
  /** This session's turn to send retained publications has come. */
  | { readonly kind: 'replay' }
  /** A publication that is to be acknowledged has passed one mailbox more on its way to all receivers. */
  | { readonly kind: 'accepted'; readonly ready: () => void; readonly hops: number }
  /** A publication that has been taken is refused. */
  | { readonly kind: 'unsent'; readonly pending: Pending; readonly outcome: Outcome }
  | { readonly kind: 'willDue' }
  | { readonly kind: 'expired' }
  /** The server drains. */
  | { readonly kind: 'shutdown' }
  /** Another node has had a session of its client id for longer. */
  | { readonly kind: 'yield' }
  /** The session ends if `value` is its client identifier, or the network address of its connection. */
  | { readonly kind: 'kick'; readonly by: BanKind; readonly value: string }
  /** The domain's API keys have changed: a connection whose key is taken away ends. */
  | { readonly kind: 'keys' }
  /** Messages were deleted: the session removes those that wait for its client, and waiting events of the domain that carry them. */
  | { readonly kind: 'deleted'; readonly deletion: Deletion };

/** A subscription as its session keeps it. */
export interface SessionSubscription extends TopicSubscription {
  /** The session's epoch when it subscribed: a clean start begins another, in which earlier subscriptions count no more. */
  readonly epoch: number;
  readonly group: Ref<GroupMessage> | null;
}

export interface SessionState {
  readonly broker: Broker;
  readonly clientId: string;
  readonly outbound: Outbound;
  /** Retained publications that are still to be sent to the client. */
  readonly replay: Replay;
  /** Where the session writes what is to survive a restart; null: nothing survives. */
  readonly journal: SessionJournal | null;
  connection: Connection | null;
  /** Whether a client has connected and the session has not ended since. */
  alive: boolean;
  epoch: number;
  /** The subscriptions by filter, as the client wrote it. */
  subscriptions: Map<string, SessionSubscription>;
  /** Packet identifiers of QoS 2 publications that were passed on and are not released yet. */
  received: Set<number>;
  /** Those whose outcome is not known yet. */
  readonly pending: Map<number, Pending>;
  /** Seconds that the session outlives its connection. */
  expiryS: number;
  readonly will: SessionWill;
  cancelExpiry: (() => void) | null;
  /** Whether the router has been told of changed subscriptions and has not answered yet. */
  changing: boolean;
  /** Messages from connections that came while `changing`: they wait, so that answers keep their order. */
  readonly held: Fifo<FromConnection>;
  /** The session's move to this node or to another one; null while it does not move. */
  moving: SessionMoving | null;
}

export function newSession(
  broker: Broker,
  clientId: string,
  journal: SessionJournal | null = broker.sessionJournal(clientId),
): SessionState {
  const { metrics, runtime } = broker.domain;
  const waiting = broker.waitingOf(clientId);
  return {
    broker,
    clientId,
    outbound: new Outbound(metrics, () => runtime.clock.now(), broker.domain.memory, journal, waiting),
    replay: new Replay(),
    journal,
    connection: null,
    alive: false,
    epoch: 0,
    subscriptions: new Map(),
    received: new Set(),
    pending: new Map(),
    expiryS: 0,
    will: new SessionWill(runtime.clock, (will) => acceptWill(broker, will)),
    cancelExpiry: null,
    changing: false,
    held: new Fifo(),
    moving: null,
  };
}

function receive(state: SessionState, message: SessionMessage, self: Ref<SessionMessage>): SessionState {
  switch (message.kind) {
    case 'published':
      published(state, message);
      return state;
    case 'deliver':
      deliver(state, message);
      return state;
    case 'changed':
      changed(state, message, self);
      return state;
    case 'accepted':
      accepted(state, message, self);
      return state;
    case 'unsent':
      answer(state, message.pending.connection, refuseLate(state, message), self);
      return state;
    case 'replay':
      goOn(state, self);
      return state;
    case 'willDue':
    case 'expired':
    case 'shutdown':
    case 'yield':
      timeUp(state, message.kind);
      return state;
    case 'handOver':
    case 'handedOver':
    case 'forwarded':
    case 'adopted':
    case 'keep':
      move(state, message);
      return state;
    case 'kick':
      kicked(state, message.by, message.value);
      return state;
    case 'keys':
      keysChanged(state, self);
      return state;
    case 'deleted':
      takeAllDeleted(state, message.deletion);
      return state;
    default:
      if (state.changing || state.held.length > 0) state.held.push(message);
      else fromConnection(state, message, self);
      return state;
  }
}

type FromConnection = Extract<SessionMessage, { connection: Connection }>;

function fromConnection(state: SessionState, message: FromConnection, self: Ref<SessionMessage>): void {
  if (message.kind === 'connect') {
    connect(state, message, self);
    // The API key may have been taken away since CONNECT was checked.
    return keysChanged(state, self);
  }
  // The message comes from a connection that another one has replaced.
  if (message.connection !== state.connection) return message.kind === 'lost' ? message.connection.end() : undefined;
  switch (message.kind) {
    case 'received':
      return received(state, message.connection, message.packet, self);
    case 'refused':
      return breach(state, message.connection, message.refused, self);
    case 'lost':
      message.connection.end();
      return lost(state, self);
    case 'drained':
      state.outbound.flush(message.connection);
      return goOn(state, self);
    case 'changed':
      return undefined;
  }
}

function received(state: SessionState, connection: Connection, packet: Incoming, self: Ref<SessionMessage>): void {
  switch (packet.cmd) {
    case 'publish':
      return answer(state, connection, publishFromClient(state, connection, packet, self), self);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      answer(state, connection, acknowledge(state, connection, packet, self), self);
      return goOn(state, self);
    case 'subscribe':
      return subscribe(state, connection, packet, self);
    case 'unsubscribe':
      return unsubscribe(state, connection, packet, self);
    case 'pingreq':
      return void connection.send(PINGRESP); // [MQTT-3.12.4-1]
    case 'disconnect':
      return answer(state, connection, disconnect(state, connection, packet, self), self);
    case 'connect':
      return breach(state, connection, { reason: REASON.protocolError, silent: false }, self);
  }
}

/** Ends the connection with a reason code that is not 0. */
function answer(state: SessionState, connection: Connection, reason: number, self: Ref<SessionMessage>): void {
  if (reason !== 0) breach(state, connection, { reason, silent: false }, self);
}

/** The client broke the standard: DISCONNECT says how [MQTT-4.13.1-1], and its will goes out [MQTT-3.1.2-8]. */
export function breach(
  state: SessionState,
  connection: Connection,
  { reason, silent }: Omit<Refused, 'cmd'>,
  self: Ref<SessionMessage>,
): void {
  if (silent) connection.end();
  else connection.disconnect(reason, webSocketCodeOf(reason));
  lost(state, self);
}

/**
 * Sends a publication once, at the highest QoS of the subscriptions that it matched, with all of their identifiers
 * [MQTT-3.3.4-3].
 */
function published(state: SessionState, { publication, subscription, others }: Published): void {
  const first = subscription as SessionSubscription;
  if (first.epoch !== state.epoch) return;
  if (others === null) {
    const identifiers = first.identifier > 0 ? [first.identifier] : NO_IDENTIFIERS;
    return push(state, publication, first.qos, first.retainAsPublished, identifiers, first.group);
  }
  pushMatched(state, publication, [first, ...(others as readonly SessionSubscription[])]);
}

const NO_IDENTIFIERS: readonly number[] = [];

function pushMatched(state: SessionState, publication: Publication, matched: readonly SessionSubscription[]): void {
  const qos = Math.max(...matched.map((subscription) => subscription.qos));
  const identifiers = matched.map(({ identifier }) => identifier).filter((identifier) => identifier > 0);
  const asPublished = matched.some(({ retainAsPublished }) => retainAsPublished);
  push(state, publication, qos, asPublished, identifiers, null);
}

function push(
  state: SessionState,
  publication: Publication,
  granted: number,
  asPublished: boolean,
  identifiers: readonly number[],
  group: Ref<GroupMessage> | null,
): void {
  const qos = Math.min(publication.qos, granted) as Qos; // [MQTT-3.8.4-8]
  const retain = asPublished && publication.retain; // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
  const item = { publication, qos, retain, identifiers, group };
  if (state.moving !== null && whileMoving(state, item)) return;
  state.outbound.push(item, state.connection, state.broker.domain.limits);
}

/** Sends a packet of an endpoint or room that the session watches. */
function deliver(state: SessionState, { packet, matched = [] }: Deliver): void {
  const own = (matched as readonly SessionSubscription[]).filter(({ epoch }) => epoch === state.epoch);
  if (own.length > 0 && !takeDeleted(state, packet)) pushMatched(state, sharedPublicationOf(packet), own);
}

/** Answers the SUBSCRIBE or UNSUBSCRIBE, sends what is retained, then handles what came meanwhile. */
function changed(state: SessionState, message: Changed, self: Ref<SessionMessage>): void {
  if (!message.connection.send(message.ack)) {
    // The client does not accept the answer for its size, and would wait for it for ever.
    const tooLarge = { reason: REASON.packetTooLarge, silent: false };
    if (message.connection === state.connection) breach(state, message.connection, tooLarge, self);
  }
  for (const subscription of message.retained) {
    const { filter } = subscription;
    if (state.subscriptions.get(filter) === subscription) state.replay.begin(filter, message.upTo);
  }
  goOn(state, self);
  state.changing = false;
  seeToHeld(state, self);
}

/** Handles what was held, as far as the next packet that the router has to be told of. */
function seeToHeld(state: SessionState, self: Ref<SessionMessage>): void {
  while (!state.changing) {
    const message = state.held.shift();
    if (!message) return;
    fromConnection(state, message, self);
  }
}

/** An operator ends the session. */
function kicked(state: SessionState, by: BanKind, value: string): void {
  const found = by === 'clientId' ? state.clientId : state.connection?.wire.address;
  if (by === 'id' || found !== value) return;
  state.alive = false;
  state.connection?.disconnect(REASON.administrativeAction, CLOSE.stopped.webSocketCode);
  if (state.connection) state.broker.domain.metrics.mqtt.connected -= 1;
  state.connection = null;
  state.will.discard();
}

/** The session stays for as long as it outlives a connection, for whoever comes back with another key. */
function keysChanged(state: SessionState, self: Ref<SessionMessage>): void {
  const { connection, broker } = state;
  if (!connection || !isKeyTaken(broker.domain, connection)) return;
  connection.disconnect(REASON.notAuthorized, CLOSE.stopped.webSocketCode);
  state.will.discard();
  lost(state, self);
}

function timeUp(state: SessionState, kind: 'willDue' | 'expired' | 'shutdown' | 'yield'): void {
  if (kind === 'yield') state.alive = false;
  if (kind === 'shutdown' || kind === 'yield') {
    const reason = kind === 'yield' ? CLOSE.replaced : CLOSE.shutdown;
    state.connection?.disconnect(reason.mqttReason, reason.webSocketCode);
    if (state.connection) state.broker.domain.metrics.mqtt.connected -= 1;
    state.connection = null;
    state.will.discard();
    return;
  }
  if (state.connection) return;
  if (kind === 'expired') state.alive = false;
  endSession(state, kind);
}

export const session: Behaviour<SessionState, SessionMessage> = {
  receive,
  /** A failure about a publication leaves the session as it was; one about what its client asked for does not. */
  onCrash: (_state, { kind }) =>
    kind === 'published' || kind === 'deliver' || kind === 'drained' || kind === 'accepted' ? 'resume' : 'stop',
  isDone: ({ connection, alive, changing }) => connection === null && !alive && !changing,
  afterStop(state) {
    // A session that is stopped while it is connected has lost its domain.
    state.connection?.disconnect(REASON.administrativeAction, CLOSE.stopped.webSocketCode);
    if (state.connection) state.broker.domain.metrics.mqtt.connected -= 1;
    state.connection = null;
    endSession(state, 'stopped');
    state.broker.ended(state.clientId);
    state.broker.domain.cluster.sessions.release(state.clientId);
  },
};
