/** SUBSCRIBE and UNSUBSCRIBE of a backend: MQTT 5 sections 3.8 to 3.11, 4.7 and 4.8. */
import type { Published } from '../../actors/router.js';
import type { Ref } from '../../actors/system.js';
import { heap } from '../../heap.js';
import type { Connection } from './connection.js';
import { encodeSuback, encodeUnsuback } from './encode.js';
import type { Subscribe, Unsubscribe, Version, Wanted } from './packets.js';
import { isForeign } from './publish-to-address.js';
import { FAILURE_3, REASON } from './reason.js';
import type { SessionMessage, SessionState, SessionSubscription } from './session.js';
import { isShare, parseShare } from './topics.js';

/** What one SUBSCRIBE changes. */
interface Changes {
  readonly remove: SessionSubscription[];
  /** By filter: where a filter comes twice, the last counts. */
  readonly insert: Map<string, SessionSubscription>;
  /** The subscriptions that are to be sent what is retained. */
  readonly retained: Set<SessionSubscription>;
}

/** Nodes of the topic tree that a domain's filters with wildcards may take: about 250 MB. */
const MAX_LEVELS = 1_000_000;

/** 0, or the reason code with which a filter is refused. */
function refusalOf(state: SessionState, { filter }: Wanted): number {
  const plain = parseShare(filter)?.filter ?? filter;
  const matched = isShare(filter) ? plain : filter;
  if (isForeign(state.broker.domain, matched)) return REASON.notAuthorized;
  if (state.subscriptions.has(filter) || hasRoom(state, plain)) return 0;
  const { domain } = state.broker;
  const reason = heap.isHigh || domain.memory.isOver ? 'outOfMemory' : 'quotaExceeded';
  domain.runtime.metrics.refuse(reason, { domain: domain.name, detail: 'subscriptions' });
  return REASON.quotaExceeded;
}

function hasRoom({ broker, expiryS, subscriptions }: SessionState, filter: string): boolean {
  const { subscriptionsPerSession, subscriptionsPerDomain } = broker.domain.limits;
  if (expiryS > 0 && broker.journal?.keepsSessions && !broker.journal.hasRoom()) return false;
  if (broker.domain.shortage) return false;
  const { metrics } = broker.domain;
  const isSessionFull = subscriptionsPerSession > 0 && subscriptions.size >= subscriptionsPerSession;
  if (isSessionFull) metrics.exceed('subscriptionsPerSession');
  if (isSessionFull) return false;
  if (subscriptionsPerDomain > 0 && broker.subscriptions >= subscriptionsPerDomain) {
    metrics.exceed('subscriptionsPerDomain');
    return false;
  }
  return broker.domain.table.levels < MAX_LEVELS && broker.hasRoom(filter);
}

export function newSubscription(
  state: SessionState,
  wanted: Wanted,
  identifier: number,
  self: Ref<SessionMessage>,
): SessionSubscription {
  const share = isShare(wanted.filter) ? parseShare(wanted.filter) : null;
  return {
    actor: self,
    listener: self as Ref<Published>,
    filter: share?.filter ?? wanted.filter,
    qos: wanted.qos,
    noLocal: wanted.noLocal,
    retainAsPublished: wanted.retainAsPublished,
    identifier,
    epoch: state.epoch,
    group: share ? state.broker.group(share.group, share.filter) : null,
  };
}

/** Subscribes one filter of a SUBSCRIBE; answers the QoS that is granted, or the reason code that refuses it. */
function take(
  state: SessionState,
  wanted: Wanted,
  identifier: number,
  changes: Changes,
  self: Ref<SessionMessage>,
): number {
  const refused = refusalOf(state, wanted);
  if (refused !== 0) return refused;
  const existing = state.subscriptions.get(wanted.filter);
  const subscription = newSubscription(state, wanted, identifier, self);
  if (!existing) state.broker.subscribed(subscription.filter);
  state.subscriptions.set(wanted.filter, subscription);
  // Retain handling: 0 always, 1 for a new subscription, 2 never [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11].
  const isNew = wanted.retainHandling === 0 || (wanted.retainHandling === 1 && !existing);
  const asks = subscription.group === null && isNew;
  const { filter, qos, noLocal, retainAsPublished } = wanted;
  const owed = asks || state.replay.has(filter);
  state.journal?.subscribe({ filter, qos, noLocal, retainAsPublished, identifier, owed });
  if (subscription.group) {
    // A shared subscription is sent nothing that is retained, section 4.8.2.
    subscription.group.tell({ kind: 'join', member: subscription });
    return wanted.qos;
  }
  // A subscription to the same filter is replaced [MQTT-3.8.4-3].
  const earlier = changes.insert.get(wanted.filter);
  if (earlier) changes.retained.delete(earlier);
  else if (existing) changes.remove.push(existing);
  changes.insert.set(wanted.filter, subscription);
  if (asks) changes.retained.add(subscription);
  return wanted.qos;
}

function code(version: Version, granted: number): number {
  return version < 5 && granted >= 0x80 ? FAILURE_3 : granted; // [MQTT-3.9.3-2] of 3.1.1
}

export function subscribe(
  state: SessionState,
  connection: Connection,
  packet: Subscribe,
  self: Ref<SessionMessage>,
): void {
  const version = connection.version ?? 4;
  const changes: Changes = { remove: [], insert: new Map(), retained: new Set() };
  const known = packet.wanted.map(({ filter }) => state.subscriptions.has(filter));
  // One code for each filter, in their order [MQTT-3.8.4-6].
  const granted = packet.wanted.map((wanted) => code(version, take(state, wanted, packet.identifier, changes, self)));
  const isGranted = granted.map((reason) => reason < FAILURE_3);
  const isNew = isGranted.some((is, i) => is && !known[i]);
  const change = isNew ? 'new' : isGranted.includes(true) ? 'known' : 'none';
  exchange(state, connection, encodeSuback(version, packet.id, granted), changes, self, change);
}

export function unsubscribe(
  state: SessionState,
  connection: Connection,
  packet: Unsubscribe,
  self: Ref<SessionMessage>,
): void {
  const version = connection.version ?? 4;
  const changes: Changes = { remove: [], insert: new Map(), retained: new Set() };
  const results = packet.filters.map((filter) => {
    const subscription = state.subscriptions.get(filter);
    if (!subscription) return REASON.noSubscriptionExisted;
    state.subscriptions.delete(filter);
    state.replay.end(filter);
    state.journal?.unsubscribe(filter);
    state.broker.unsubscribed(subscription.filter);
    if (subscription.group) subscription.group.tell({ kind: 'leave', member: subscription });
    else changes.remove.push(subscription); // [MQTT-3.10.4-1]
    return REASON.success;
  });
  const change = results.includes(REASON.success) ? 'known' : 'none';
  exchange(state, connection, encodeUnsuback(version, packet.id, results), changes, self, change);
}

function filtersOf(subscriptions: readonly SessionSubscription[]): string[] {
  return subscriptions.map(({ filter }) => filter);
}

/**
 * Has the router change its table; SUBACK or UNSUBACK goes out when the change holds [MQTT-3.8.4-1] [MQTT-3.10.4-4].
 * In a session that is kept it waits until the change is on disk: always where a subscription is new, and where one that
 * is known changes or goes, unless the disk is full.
 */
function exchange(
  state: SessionState,
  connection: Connection,
  ack: Buffer,
  { remove, insert, retained }: Changes,
  self: Ref<SessionMessage>,
  change: 'new' | 'known' | 'none',
): void {
  const { broker, journal } = state;
  state.changing = true;
  const done = () => {
    const changed: SessionMessage = { kind: 'changed', connection, ack, retained, upTo: broker.retained.order };
    const answer = () => self.tell(changed);
    if (change === 'new' && journal) journal.committed(answer);
    else if (change === 'known' && journal) journal.changed(answer);
    else answer();
  };
  const { cluster } = broker.domain;
  const tellRouter = () => {
    broker.domain.router.tell({ kind: 'exchange', remove, insert: [...insert.values()], done });
  };
  // Other nodes send what is published there before the subscription counts here: no retained publication comes twice.
  cluster.topics.subscribe(filtersOf([...insert.values()]), tellRouter);
  cluster.topics.unsubscribe(filtersOf(remove));
}
