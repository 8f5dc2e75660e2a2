/**
 * A session's journal in a cluster whose store is in JetStream (src/cluster/session-records.ts): notes what has changed, and writes it when
 * it is asked to, a moment later. Publications that the client has acknowledged by then are never written. The other half, `readSession`,
 * is for the node that takes the session over.
 */
import type { KeptSessionState, SessionRecords } from '../../actors/cluster.js';
import { movedItem } from '../../cluster/validators.js';
import { publicationOf, type WirePublication, wirePublicationOf } from '../../cluster/wire.js';
import { damaged } from '../../damaged.js';
import type { StoredItem, StoredSession } from './journal.js';
import type { Item } from './outbound.js';
import type { KeptSession, KeptSubscription, SessionJournal, SessionSnapshot } from './session-journal.js';

/** A session's state as JSON. `inFlight`: the numbers of publications, with their packet identifiers. */
interface State {
  /** null: it never ends. */
  readonly expiryS: number | null;
  readonly lostAt: number | null;
  readonly received: readonly number[];
  readonly inFlight: readonly (readonly [number: number, id: number, released: 0 | 1])[];
}

/** A publication for a session as JSON; `at`: when it was written, from which its expiry counts. */
type KeptItem = readonly [
  WirePublication,
  qos: Item['qos'],
  retain: boolean,
  identifiers: readonly number[],
  at: number,
];

export class ReplicatedSession implements SessionJournal {
  #kept: KeptSession | null = null;
  #last: number;
  #isHeld = false;
  /** Whether the subscriptions have changed since they were written. */
  #hasChanged = false;
  /** Publications that are not written yet. The limits of the session's queue bound them, since whatever leaves the queue leaves this map. */
  readonly #fresh = new Map<number, Item>();

  constructor(
    private readonly records: SessionRecords,
    private readonly clientId: string,
    private readonly now: () => number,
    /** The highest number of a publication that is kept already. */
    last = 0,
  ) {
    this.#last = last;
  }

  committed(done: () => void): void {
    if (this.#kept && !this.#isHeld) this.records.committed(this.clientId, done);
    else done();
  }

  changed(done: () => void): void {
    this.committed(done);
  }

  keep(session: KeptSession): void {
    if (session.expiryS > 0 || this.#kept) this.#kept = session;
    this.#note();
  }

  subscribe(): void {
    this.#hasChanged = true;
    this.#note();
  }

  unsubscribe(): void {
    this.subscribe();
  }

  receive(): void {
    this.#note();
  }

  release(): void {
    this.#note();
  }

  put(item: Item): void {
    if (!this.#kept) return;
    if (item.key === undefined) {
      this.#last += 1;
      item.key = this.#last;
      this.#fresh.set(item.key, item);
    }
    this.#note();
  }

  remove({ key }: Item): void {
    if (!this.#kept || key === undefined) return;
    if (!this.#fresh.delete(key)) this.records.remove(this.clientId, key);
    this.#note();
  }

  write({ subscriptions, received, items }: SessionSnapshot): void {
    if (!this.#kept || this.#isHeld) return;
    const { expiryS, lostAt } = this.#kept;
    const inFlight = items.flatMap(({ item: { key = 0 }, id, released }) =>
      id > 0 && key > 0 ? [[key, id, released ? 1 : 0] as const] : [],
    );
    const state: State = {
      expiryS: Number.isFinite(expiryS) ? expiryS : null,
      lostAt,
      received: [...received],
      inFlight,
    };
    const fresh = [...this.#fresh].map(([number, item]) => [number, this.#textOf(item)] as const);
    this.#fresh.clear();
    const changed = this.#hasChanged ? JSON.stringify(subscriptions()) : null;
    this.#hasChanged = false;
    this.records.put(this.clientId, { state: JSON.stringify(state), subscriptions: changed, fresh });
  }

  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#note();
  }

  end(): void {
    this.#kept = null;
    this.records.end(this.clientId);
  }

  #note(): void {
    if (this.#kept && !this.#isHeld) this.records.changed(this.clientId);
  }

  #textOf({ publication, qos, retain, identifiers }: Item): string {
    const at = this.now();
    return JSON.stringify([wirePublicationOf(publication, at), qos, retain, identifiers, at] satisfies KeptItem);
  }
}

/** A session as another node has kept it, without those of its publications that are damaged; null where it is damaged itself. */
export function readSession(
  clientId: string,
  { state: text, subscriptions, fresh }: KeptSessionState,
): Omit<StoredSession, 'journal'> | null {
  try {
    const { expiryS, lostAt, received, inFlight } = JSON.parse(text) as State;
    const flying = new Map(inFlight.map(([number, ...rest]) => [number, rest]));
    const items = new Map<number, StoredItem>();
    for (const [number, json] of fresh) {
      const item = readItem(number, json) ?? damaged('publication', `${clientId} ${number}`);
      const [id, released] = flying.get(number) ?? [0, 0];
      if (item) items.set(number, { item, id, released: released === 1 });
    }
    // Publications in flight are sent again in the order in which they were first sent.
    const again = [...flying.keys()].flatMap((number) => items.get(number) ?? []);
    const waiting = [...items.values()].filter(({ id }) => id === 0);
    const read = subscriptions === null ? [] : (JSON.parse(subscriptions) as readonly KeptSubscription[]);
    if (!Array.isArray(received) || read.some(({ filter }) => typeof filter !== 'string')) throw new TypeError();
    const lives = expiryS ?? Number.POSITIVE_INFINITY;
    return { clientId, expiryS: lives, lostAt, subscriptions: read, received, items: [...again, ...waiting] };
  } catch {
    return damaged('session', clientId);
  }
}

/** A publication of a session; null where it is damaged. */
function readItem(key: number, json: string): Item | null {
  try {
    const [wire, qos, retain, identifiers, at] = JSON.parse(json) as KeptItem;
    if (!movedItem([wire, qos, retain, identifiers], '') || !Number.isFinite(at)) return null;
    return { publication: publicationOf(wire, at), qos, retain, identifiers, group: null, key };
  } catch {
    return null;
  }
}
