/** MQTT in one domain: its sessions, shared subscriptions, retained publications and numbers. */
import type { Domain } from '../../actors/domain.js';
import { Publication, type PublicationFields } from '../../actors/publication.js';
import type { TopicSubscription } from '../../actors/router.js';
import { publish, whenHandled } from '../../actors/router.js';
import type { Group, Ref } from '../../actors/system.js';
import { hasWildcard } from '../../actors/topic.js';
import type { Context } from '../context.js';
import { ClientSessions } from './client-sessions.js';
import { FilterShapes } from './filter-shapes.js';
import { Journal } from './journal.js';
import { Replays } from './replay.js';
import { ReplicatedSession } from './replicated-session.js';
import { restoreSession } from './restore.js';
import { type Cursor, Retained } from './retained.js';
import { newSession, type SessionMessage, type SessionState, session } from './session.js';
import type { SessionJournal } from './session-journal.js';
import { moverOf } from './session-moving.js';
import { type GroupMessage, group, newGroup } from './shared.js';
import { isSystemTopic, systemCursor } from './sys.js';
import { eventTopic } from './topics.js';

/** Bytes that a session takes, about, without its subscriptions and what waits for its client. */
const SESSION_BYTES = 3000;
/** Bytes that a subscription takes in its session and the routing table, about, and each level of a filter there. */
const SUBSCRIPTION_BYTES = 400;
const LEVEL_BYTES = 250;

const NO_PROPERTIES = Buffer.alloc(0);

function subscriptionBytes(filter: string): number {
  return SUBSCRIPTION_BYTES + filter.length + (hasWildcard(filter) ? LEVEL_BYTES * filter.split('/').length : 0);
}

export class Broker {
  readonly sessions = new Map<string, Ref<SessionMessage>>();
  readonly groups = new Map<string, Ref<GroupMessage>>();
  readonly retained: Retained;
  readonly replays: Replays;
  /** Sessions of tickets; all others are backends'. */
  readonly clients: ClientSessions;
  /** The shapes of all sessions' filters. */
  readonly shapes = new FilterShapes();
  /** Where the broker writes what is to survive a restart; null: nothing survives. */
  readonly journal: Journal | null;
  readonly startedAt: number;
  #subscriptions = 0;
  /** How many events of the domain wait in sessions, by client id: an event may carry a message, and that may be deleted. */
  readonly #waitingEvents = new Map<string, number>();
  /** The server closes: no will is published any more. */
  closed = false;
  readonly #sessions: Group;
  readonly #groups: Group;

  constructor(
    readonly domain: Domain,
    readonly context: Context,
  ) {
    const { system, clock, store } = domain.runtime;
    const onExpired = (topic: string) => this.journal?.unretain(topic);
    this.retained = new Retained(domain.metrics, () => domain.limits, domain.memory, onExpired);
    this.replays = new Replays(system);
    this.clients = new ClientSessions(domain);
    domain.sessions = this.clients;
    this.journal = store && new Journal(store, domain.name);
    this.startedAt = clock.now();
    this.#sessions = system.group(`mqtt sessions ${domain.name}`, domain.lane);
    this.#groups = system.group(`mqtt groups ${domain.name}`, domain.lane);
    if (this.journal) this.#restore(this.journal, clock.now());
    domain.cluster.sessions.onLost = (clientId) => {
      const found = this.sessions.get(clientId);
      if (found) found.tell({ kind: 'yield' });
    };
    domain.cluster.sessions.mover = moverOf(this);
    domain.onKick.add((by, value) => this.#tellAll({ kind: 'kick', by, value }));
    domain.onKeys.add(() => this.#tellAll({ kind: 'keys' }));
    domain.onDeleted.add((deletion) => {
      if (deletion.id === null || deletion.isLate) return this.#tellAll({ kind: 'deleted', deletion });
      // A single message is taken out of sessions that watch its address by the status that deletes it. An event that comes by way of
      // a shared subscription passes one mailbox more.
      whenHandled(domain, () => {
        for (const clientId of this.#waitingEvents.keys())
          this.sessions.get(clientId)?.tell({ kind: 'deleted', deletion });
      });
    });
    domain.onEvent = (kind, json) => void this.#publishEvent(kind, json);
    domain.cluster.topics.attach({
      deliver: (publication) => void publish(domain.table, publication, true),
      keep: (publication, isOwn) => this.#retain(publication, isOwn),
      assign: (name, publication) => this.#assign(name, publication),
    });
  }

  /** How many subscriptions all sessions have; bounded by `subscriptionsPerDomain`. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** A session has one subscription more. */
  subscribed(filter: string): void {
    this.#subscriptions += 1;
    this.domain.memory.add(subscriptionBytes(filter));
    this.shapes.add(filter);
  }

  /** A session has ended. */
  ended(clientId: string): void {
    this.sessions.delete(clientId);
    this.domain.metrics.mqtt.sessions -= 1;
    this.domain.memory.subtract(SESSION_BYTES);
  }

  /** Whether the domain has room for one subscription more. */
  hasRoom(filter: string): boolean {
    return this.shapes.hasRoom(filter) && this.domain.memory.hasRoom(subscriptionBytes(filter));
  }

  unsubscribed(filter: string): void {
    this.#subscriptions -= 1;
    this.domain.memory.subtract(subscriptionBytes(filter));
    this.shapes.remove(filter);
  }

  /** What a session calls with each publication that begins to wait for its client (`by` 1), or does so no more (-1). */
  waitingOf(clientId: string): (publication: Publication, by: 1 | -1) => void {
    const events = eventTopic(this.domain.name, '');
    return ({ topic }, by) => {
      if (!topic.startsWith(events)) return;
      const count = (this.#waitingEvents.get(clientId) ?? 0) + by;
      if (count > 0) this.#waitingEvents.set(clientId, count);
      else this.#waitingEvents.delete(clientId);
    };
  }

  #tellAll(message: SessionMessage): void {
    for (const session of this.sessions.values()) session.tell(message);
  }

  /** Another node has chosen this node to give a publication to one of its members of a shared subscription. */
  #assign(name: string, publication: Publication): void {
    const found = this.groups.get(name);
    if (found) found.tell({ kind: 'assigned', publication });
    else this.domain.metrics.dropped.noSubscriber += 1;
  }

  /** Brings back all that was there when the server ended and has not expired since. */
  #restore(journal: Journal, now: number): void {
    for (const fields of [...journal.retained()]) {
      if (fields.expiresAt > now) this.retained.put(new Publication(fields));
      else journal.unretain(fields.topic);
    }
    if (!journal.keepsSessions) return;
    for (const stored of journal.stored()) {
      const state = newSession(this, stored.clientId, stored.journal);
      const actor = this.#spawn(state);
      restoreSession(state, stored, actor);
    }
  }

  /** Where a new session writes what outlives this process; null: it ends with that. `last`: the number of its last publication there. */
  sessionJournal(clientId: string, last = 0): SessionJournal | null {
    if (this.journal?.keepsSessions) return this.journal.session(clientId);
    const { records } = this.domain.cluster.sessions;
    return records && new ReplicatedSession(records, clientId, () => this.domain.runtime.clock.now(), last);
  }

  /**
   * Creates a session that comes from another node. `restore` fills it at once, before any publication can reach it. `last`: the number of
   * its last publication that is kept.
   */
  adopt(clientId: string, last: number, restore: (state: SessionState, actor: Ref<SessionMessage>) => void): void {
    const state = newSession(this, clientId, this.sessionJournal(clientId, last));
    restore(state, this.#spawn(state));
  }

  /** A client's session, spawned where there is none yet. */
  session(clientId: string): Ref<SessionMessage> {
    const found = this.sessions.get(clientId);
    if (found) return found;
    return this.#spawn(newSession(this, clientId));
  }

  #spawn(state: SessionState): Ref<SessionMessage> {
    const { clientId } = state;
    const actor = this.domain.runtime.system.spawn(this.#sessions, session, state);
    this.sessions.set(clientId, actor);
    this.domain.metrics.mqtt.sessions += 1;
    this.domain.memory.add(SESSION_BYTES);
    return actor;
  }

  /** Whether there is no room for a session of this client id. */
  isFull(clientId: string, expiryS: number): boolean {
    if (this.sessions.has(clientId)) return false;
    if (expiryS > 0 && this.journal?.keepsSessions && !this.journal.hasRoom()) return true;
    const { sessionsPerDomain } = this.domain.limits;
    if (sessionsPerDomain > 0 && this.sessions.size >= sessionsPerDomain) {
      this.domain.metrics.exceed('sessionsPerDomain');
      return true;
    }
    return !this.domain.memory.hasRoom(SESSION_BYTES);
  }

  /** A shared subscription, spawned where there is none yet. */
  group(share: string, filter: string): Ref<GroupMessage> {
    const name = `${share}/${filter}`;
    const found = this.groups.get(name);
    if (found) return found;
    const { system } = this.domain.runtime;
    const state = newGroup(this, name, filter);
    const actor = system.spawn(this.#groups, group, state);
    this.groups.set(name, actor);
    const subscription: TopicSubscription = {
      actor,
      listener: actor,
      filter,
      qos: 2,
      noLocal: false,
      retainAsPublished: true,
      identifier: 0,
      isShared: true,
    };
    state.subscription = subscription;
    this.domain.router.tell({ kind: 'exchange', remove: [], insert: [subscription] });
    return actor;
  }

  /** Whether a publication would have to be stored and the disk has no room for it. */
  isDiskFull({ qos, retain, payload }: Pick<PublicationFields, 'qos' | 'retain' | 'payload'>): boolean {
    const { journal } = this;
    if (!journal) return false;
    const isStored = (retain && payload.length > 0) || (qos > 0 && journal.kept > 0);
    return isStored && !journal.hasRoom(payload.length);
  }

  /** Retains a publication where it asks for that, and tells all subscribers. Answers how many there are. */
  publish(fields: PublicationFields): number {
    const publication = new Publication(fields);
    const { cluster, table } = this.domain;
    const listeners = publish(table, publication) + cluster.topics.publish(publication);
    if (listeners === 0) this.domain.metrics.dropped.noSubscriber += 1;
    return listeners;
  }

  /** What happens to the domain, for backends that subscribe to `/domain/{domain}/events/{kind}`. */
  #publishEvent(kind: string, json: string): void {
    const publication = new Publication({
      topic: eventTopic(this.domain.name, kind),
      payload: Buffer.from(json),
      qos: 1,
      retain: false,
      properties: NO_PROPERTIES,
      expiresAt: Number.POSITIVE_INFINITY,
      publisher: null,
    });
    publish(this.domain.table, publication);
    this.domain.cluster.topics.publish(publication);
  }

  /** Answers whether the publication is retained. */
  #retain(publication: Publication, isOwn: boolean): boolean {
    const isKept = this.retained.put(publication);
    // In a cluster only the node to which the publication came writes it to the store.
    if (!isOwn && !this.journal?.keepsSessions) return isKept;
    if (isKept) this.journal?.retain(publication);
    else this.journal?.unretain(publication.topic);
    return isKept;
  }

  /** Ends all sessions at once, without wills: the domain has gone, or the server closes. */
  end(): void {
    this.closed = true;
    if (this.journal) this.journal.frozen = true;
    this.domain.cluster.sessions.records?.freeze();
    this.retained.clear();
    this.replays.close();
    for (const actor of [...this.sessions.values()]) (actor as Ref<never>).stop();
    for (const actor of [...this.groups.values()]) (actor as Ref<never>).stop();
    this.clients.close();
  }

  /** The retained publications that a new subscription is to be sent: those up to a place in their order. */
  retainedFor(filter: string, upTo: number): Cursor {
    return isSystemTopic(filter) ? systemCursor(this, filter) : this.retained.cursor(filter, upTo);
  }
}
