/**
 * Moves a backend's session to another node while its own node ends in order: its subscriptions and its publications in flight
 * and waiting, as plain data. PROTOCOL.md section 20. For a moment publications reach the new node in two ways, directly and
 * forwarded by the node that ends: the session gets only one of two copies.
 */
import type { KeptSessionState, SessionMover } from '../../actors/cluster.js';
import type { Publication, Qos } from '../../actors/publication.js';
import { publicationOf, type WirePublication, wirePublicationOf } from '../../cluster/wire.js';
import { CLOSE } from '../../errors.js';
import { part } from '../../store/keys.js';
import type { Broker } from './broker.js';
import { deletedBy } from './deleted.js';
import type { StoredItem } from './journal.js';
import type { Item } from './outbound.js';
import { readSession } from './replicated-session.js';
import { restoreSession } from './restore.js';
import type { SessionState } from './session.js';
import type { KeptSubscription } from './session-journal.js';
import { isShare } from './topics.js';

/**
 * How many different forwarded publications are remembered until their direct copies come, and how many that came directly wait for
 * their forwarded copies; of further ones the client may get both.
 */
const MOST_COPIES = 10_000;
/** How many bytes of publications that came directly wait for their forwarded copies. */
const MOST_HELD_BYTES = 4 * 1024 * 1024;

/** A publication on its way to the session's client, as JSON between nodes. `id`: its packet identifier, 0 while it waits. */
type MovedItem = readonly [
  WirePublication,
  Qos,
  retain: boolean,
  identifiers: readonly number[],
  id: number,
  released: boolean,
];

/** A session as JSON between nodes. `expiryS`: seconds that it outlives its connection; null: it never ends. */
interface MovedSession {
  readonly clientId: string;
  readonly expiryS: number | null;
  readonly subscriptions: readonly KeptSubscription[];
  readonly received: readonly number[];
  readonly items: readonly MovedItem[];
}

type Forward = Parameters<SessionMover['handOver']>[1];

export type SessionMovingMessage =
  /** The session's node ends and another node is to take the session. `done` gets null where the session does not outlive its connection. */
  | { readonly kind: 'handOver'; readonly forward: Forward; readonly done: (moved: unknown) => void }
  /** Another node has taken the session (`missed` null); or it has refused it, and these were forwarded meanwhile. */
  | { readonly kind: 'handedOver'; readonly missed: readonly unknown[] | null; readonly done: () => void }
  /** At the new node: a publication for the session that came to its old node. */
  | { readonly kind: 'forwarded'; readonly item: unknown }
  /** At the new node: the old node has forwarded all publications that came for the session. */
  | { readonly kind: 'adopted' }
  /** The session is to write itself to its journal, from which another node takes it where this one dies. */
  | { readonly kind: 'keep' };

/**
 * A session that moves. `forward` sends publications on from the node that ends; null at the new node, where `held` are those that
 * came directly, and `copies` counts, by content, those that were forwarded and may still come directly.
 */
export interface SessionMoving {
  readonly forward: Forward | null;
  readonly held: Held;
  readonly copies: Map<string, number>;
}

/** Publications in the order in which they came, which can be taken out by their content. */
export class Held {
  readonly #items = new Set<Item>();
  readonly #byContent = new Map<string, Item[]>();
  /** Counts, by content, publications that were held and deleted, and whose forwarded copies may still come. */
  readonly #deleted = new Map<string, number>();
  bytes = 0;

  get size(): number {
    return this.#items.size;
  }

  get items(): Iterable<Item> {
    return this.#items;
  }

  add(key: string, item: Item): void {
    this.#items.add(item);
    this.bytes += item.publication.bytes;
    const same = this.#byContent.get(key);
    if (same) same.push(item);
    else this.#byContent.set(key, [item]);
  }

  /** Takes out the first publication with this content. Answers whether there was one. */
  take(key: string): boolean {
    const same = this.#byContent.get(key);
    const item = same?.shift();
    if (same?.length === 0) this.#byContent.delete(key);
    if (!item) return false;
    this.bytes -= item.publication.bytes;
    return this.#items.delete(item);
  }

  /** Takes out all publications for which `isDeleted` is true, and notes that their forwarded copies are to go nowhere. Answers how many there were. */
  takeOutAll(isDeleted: (publication: Publication) => boolean): number {
    const before = this.size;
    for (const [key, [item]] of this.#byContent) {
      if (!item || !isDeleted(item.publication)) continue;
      while (this.take(key)) addOne(this.#deleted, key);
    }
    return before - this.size;
  }

  /** Whether a publication with this content was deleted before its forwarded copy, which this one is, had come. */
  takeDeleted(key: string): boolean {
    return takeOne(this.#deleted, key);
  }
}

function movedItem({ publication, qos, retain, identifiers }: Item, now: number, id = 0, released = false): MovedItem {
  return [wirePublicationOf(publication, now), qos, retain, identifiers, id, released];
}

function itemOf([wire, qos, retain, identifiers]: MovedItem, now: number): Item {
  return { publication: publicationOf(wire, now), qos, retain, identifiers, group: null };
}

/** A short name of a publication's content. */
function keyOf({ publication, qos, retain, identifiers }: Item): string {
  const { topic, payload, properties } = publication;
  const content = [topic, payload.toString('base64'), properties.toString('base64'), qos, retain, identifiers];
  return part(JSON.stringify(content));
}

/** Takes a publication that comes while the session moves. False where the session does not move. */
export function whileMoving(state: SessionState, item: Item): boolean {
  const { moving } = state;
  if (!moving) return false;
  const { bytes } = item.publication;
  if (moving.forward) moving.forward(movedItem(item, state.broker.domain.runtime.clock.now()), bytes);
  else {
    const key = keyOf(item);
    if (takeOne(moving.copies, key)) return true;
    if (moving.held.size >= MOST_COPIES || moving.held.bytes + bytes > MOST_HELD_BYTES) return false;
    moving.held.add(key, item);
  }
  return true;
}

function addOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Lowers the count of a key. Answers whether there was one. */
function takeOne(counts: Map<string, number>, key: string): boolean {
  const count = counts.get(key) ?? 0;
  if (count > 1) counts.set(key, count - 1);
  else counts.delete(key);
  return count > 0;
}

export function move(state: SessionState, message: SessionMovingMessage): void {
  switch (message.kind) {
    case 'handOver':
      return message.done(handOver(state, message.forward));
    case 'handedOver':
      state.moving = null;
      state.journal?.hold(false);
      if (message.missed) for (const item of message.missed) forwarded(state, item as MovedItem);
      else leave(state);
      return message.done();
    case 'keep':
      return keep(state);
    case 'forwarded':
      return forwarded(state, message.item as MovedItem);
    case 'adopted':
      // A session that is on its way to a further node stays so.
      return state.moving?.forward ? undefined : settle(state);
  }
}

function handOver(state: SessionState, forward: Forward): MovedSession | null {
  const { connection, broker, alive, expiryS, clientId, received, outbound } = state;
  if (connection) {
    connection.disconnect(CLOSE.shutdown.mqttReason, CLOSE.shutdown.webSocketCode);
    broker.domain.metrics.mqtt.connected -= 1;
    state.connection = null;
    outbound.disconnected();
  }
  state.will.discard();
  if (!alive || expiryS === 0) return null;
  state.cancelExpiry?.();
  state.cancelExpiry = null;
  // A session that has just come here takes along what came directly.
  settle(state);
  state.moving = { forward, held: new Held(), copies: new Map() };
  state.journal?.hold(true);
  const now = broker.domain.runtime.clock.now();
  return {
    clientId,
    expiryS: Number.isFinite(expiryS) ? expiryS : null,
    subscriptions: keptSubscriptions(state),
    received: [...received],
    items: outbound.stored().map(({ item, id, released }) => movedItem(item, now, id, released)),
  };
}

function keptSubscriptions({ subscriptions, replay }: SessionState): readonly KeptSubscription[] {
  return [...subscriptions].map(([filter, { qos, noLocal, retainAsPublished, identifier }]) => {
    return { filter, qos, noLocal, retainAsPublished, identifier, owed: replay.has(filter) };
  });
}

function keep(state: SessionState): void {
  const { journal, received, outbound } = state;
  journal?.write({ subscriptions: () => keptSubscriptions(state), received, items: outbound.stored() });
}

/** The session lives on another node now: this node drops its publications. */
function leave(state: SessionState): void {
  state.outbound.clear();
  state.received.clear();
  state.pending.clear();
  state.alive = false;
}

function forwarded(state: SessionState, moved: MovedItem): void {
  const item = itemOf(moved, state.broker.domain.runtime.clock.now());
  const { moving, broker } = state;
  if (moving) {
    const key = keyOf(item);
    const { held, copies } = moving;
    if (held.takeDeleted(key)) return;
    if (!held.take(key) && copies.size < MOST_COPIES) addOne(copies, key);
  }
  state.outbound.push(item, state.connection, broker.domain.limits);
}

function settle(state: SessionState): void {
  const held = state.moving?.held.items ?? [];
  state.moving = null;
  for (const item of held) state.outbound.push(item, state.connection, state.broker.domain.limits);
}

/** The functions by which the cluster moves the sessions of a domain's broker. */
export function moverOf(broker: Broker): SessionMover {
  const tell = (clientId: string, message: SessionMovingMessage): boolean => {
    const actor = broker.sessions.get(clientId);
    actor?.tell(message);
    return actor !== undefined;
  };
  return {
    clientIds: () => [...broker.sessions.keys()],
    handOver: (clientId, forward, done) => tell(clientId, { kind: 'handOver', forward, done }) || done(null),
    handedOver: (clientId, missed, done) => tell(clientId, { kind: 'handedOver', missed, done }) || done(),
    forwarded: (clientId, item) => void tell(clientId, { kind: 'forwarded', item }),
    passed: (clientId) => void tell(clientId, { kind: 'adopted' }),
    adopt: (moved, done) => adopt(broker, moved, done),
    keep: (clientId) => void tell(clientId, { kind: 'keep' }),
    restore: (clientId, kept, done) => restore(broker, clientId, kept, done),
    deletedIn: (kept, deletion) => {
      const isDeleted = deletedBy(broker.domain, { ...deletion, isLate: true });
      const items = readSession('', { ...kept, subscriptions: null })?.items ?? [];
      // What is in flight stays, as its client may have had it.
      const waiting = items.filter(({ item, id }) => id === 0 && isDeleted(item.publication));
      return waiting.flatMap(({ item }) => item.key ?? []);
    },
  };
}

function adopt(broker: Broker, moved: unknown, done: (clientId: string | null) => void): void {
  if (!isMoved(moved) || broker.sessions.has(moved.clientId) || broker.closed) return done(null);
  const { clientId, subscriptions, received, items } = moved;
  const expiryS = moved.expiryS ?? Number.POSITIVE_INFINITY;
  if (broker.isFull(clientId, expiryS)) return done(null);
  const now = broker.domain.runtime.clock.now();
  const stored: StoredItem[] = items.map((one) => ({ item: itemOf(one, now), id: one[4], released: one[5] }));
  broker.adopt(clientId, 0, (state, actor) => {
    state.moving = { forward: null, held: new Held(), copies: new Map() };
    restoreSession(state, { clientId, expiryS, lostAt: null, subscriptions, received, items: stored }, actor);
    for (const subscription of subscriptions) state.journal?.subscribe(subscription);
    for (const { item, id, released } of stored) state.journal?.put(item, id, released);
  });
  const { cluster } = broker.domain;
  cluster.topics.subscribe(filtersOf(subscriptions), () => cluster.sessions.claim(clientId, () => done(clientId)));
}

function filtersOf(subscriptions: readonly KeptSubscription[]): string[] {
  return subscriptions.map(({ filter }) => filter).filter((filter) => !isShare(filter));
}

function restore(
  broker: Broker,
  clientId: string,
  kept: KeptSessionState,
  done: (isTaken: boolean | null) => void,
): void {
  const stored = readSession(clientId, kept);
  if (!stored) return done(null);
  if (broker.sessions.has(clientId) || broker.closed) return done(false);
  if (broker.isFull(clientId, stored.expiryS)) return done(false);
  const last = kept.fresh.at(-1)?.[0] ?? 0;
  const { expiryS, lostAt } = stored;
  broker.adopt(clientId, last, (state, actor) => {
    restoreSession(state, stored, actor);
    if (lostAt !== null) state.journal?.keep({ clientId, expiryS, lostAt });
  });
  broker.domain.cluster.topics.subscribe(filtersOf(stored.subscriptions), () => done(true));
}

function isMoved(value: unknown): value is MovedSession {
  const { clientId, subscriptions, received, items } = (value ?? {}) as Partial<Record<keyof MovedSession, unknown>>;
  return typeof clientId === 'string' && [subscriptions, received, items].every(Array.isArray);
}
