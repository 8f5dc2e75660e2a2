/**
 * What MQTT keeps for the next start of the server: retained publications, and the sessions of backends that outlive
 * their connection, with their subscriptions and what is on its way to their clients. Wills are not kept.
 *
 * Written as things change and read once, when a broker is made. A session's key is made of its domain's and its own part.
 * A publication is written once, however many sessions it is on its way to: theirs refer to it by its number.
 */
import { Publication, type PublicationFields, type Qos } from '../../actors/publication.js';
import { damaged } from '../../damaged.js';
import { part } from '../../store/keys.js';
import type { Key, Store, Table } from '../../store/store.js';
import type { Item } from './outbound.js';
import type { KeptSession, KeptSubscription, SessionJournal } from './session-journal.js';

type KeptPublication = Omit<PublicationFields, 'publisher'>;

interface KeptItem {
  /** The number of its publication among the domain's. */
  readonly publication: number;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
  /** Packet identifier; 0: it waits. */
  readonly id: number;
  readonly released: boolean;
}

/** A publication that was on its way to a client when the server ended. */
export interface StoredItem {
  readonly item: Item;
  /** Packet identifier; 0: it waits. */
  readonly id: number;
  readonly released: boolean;
}

/** A session as it was when the server ended. */
export interface StoredSession extends KeptSession {
  readonly journal: DiskSession;
  readonly subscriptions: readonly KeptSubscription[];
  readonly received: readonly number[];
  /** The publications on their way to the client, in the order in which they came. */
  readonly items: readonly StoredItem[];
}

/** Whether a value has fields of these types. */
function has(value: unknown, types: Readonly<Record<string, string>>): boolean {
  const fields = Object(value) as Readonly<Record<string, unknown>>;
  return Object.entries(types).every(([name, type]) => typeof fields[name] === type);
}

function isPublication(value: KeptPublication): boolean {
  if (!has(value, { topic: 'string', qos: 'number', retain: 'boolean', expiresAt: 'number' })) return false;
  return Buffer.isBuffer(value.payload) && Buffer.isBuffer(value.properties);
}

function isSession(value: KeptSession): boolean {
  return has(value, { clientId: 'string', expiryS: 'number' });
}

function isSubscription(value: KeptSubscription): boolean {
  return has(value, { filter: 'string', qos: 'number' });
}

function isItem(value: KeptItem): boolean {
  return has(value, { publication: 'number', qos: 'number', id: 'number' }) && Array.isArray(value.identifiers);
}

function plain(publication: Publication): KeptPublication {
  const { topic, payload, qos, retain, properties, expiresAt } = publication;
  return { topic, payload, qos, retain, properties, expiresAt };
}

export class Journal {
  /** How many sessions outlive their connections. */
  kept = 0;
  /** What ends from now on ends with the server or its domain only: it stays on disk for the next start. */
  frozen = false;
  readonly sessions: Table<KeptSession>;
  readonly subscriptions: Table<KeptSubscription>;
  readonly received: Table<boolean>;
  readonly outbound: Table<KeptItem>;
  readonly #retained: Table<KeptPublication>;
  readonly #publications: Table<KeptPublication>;
  /** Publications that are written, with how many items refer to each. */
  readonly #written = new Map<Publication, { readonly number: number; items: number }>();
  #lastNumber = 0;
  readonly #part: string;
  /** Whether sessions are kept for the next start: only by a server on its own, not by a node of a cluster. */
  readonly keepsSessions: boolean;

  constructor(
    private readonly store: Store,
    domain: string,
  ) {
    this.sessions = store.table('sessions');
    this.subscriptions = store.table('subscriptions');
    this.received = store.table('received');
    this.outbound = store.table('outbound');
    this.#retained = store.table('retained');
    this.#publications = store.table('publications');
    this.#part = part(domain);
    this.keepsSessions = store.node === null;
  }

  /** Whether the disk has room for so many bytes more. */
  hasRoom(bytes = 0): boolean {
    return this.store.hasRoom(bytes);
  }

  committed(done: () => void): void {
    this.store.committed(done);
  }

  retain(publication: Publication): void {
    this.#retained.put([this.#part, part(publication.topic)], plain(publication));
  }

  unretain(topic: string): void {
    this.#retained.remove([this.#part, part(topic)]);
  }

  *retained(): Iterable<PublicationFields> {
    for (const [key, kept] of this.#retained.entries(this.#part)) {
      if (isPublication(kept)) yield { ...kept, publisher: null };
      else damaged('publication', key.join(' '));
    }
  }

  session(clientId: string): DiskSession {
    return new DiskSession(this, [this.#part, part(clientId)]);
  }

  /** One item more refers to the publication, which is written the first time. Answers the publication's number. */
  refer(publication: Publication): number {
    const known = this.#written.get(publication);
    if (known) {
      known.items += 1;
      return known.number;
    }
    this.#lastNumber += 1;
    this.#written.set(publication, { number: this.#lastNumber, items: 1 });
    this.#publications.put([this.#part, this.#lastNumber], plain(publication));
    return this.#lastNumber;
  }

  numberOf(publication: Publication): number {
    return this.#written.get(publication)?.number ?? 0;
  }

  /** One item less refers to the publication, which goes with the last of them. */
  unrefer(publication: Publication): void {
    const known = this.#written.get(publication);
    if (!known) return;
    known.items -= 1;
    if (known.items > 0) return;
    this.#written.delete(publication);
    this.#publications.remove([this.#part, known.number]);
  }

  /** All publications on disk, by their numbers. */
  #readPublications(): Map<number, Publication> {
    const found = new Map<number, Publication>();
    for (const [[, last], kept] of this.#whole('publication', this.#publications, isPublication)) {
      const number = Number(last);
      found.set(number, new Publication({ ...kept, publisher: null }));
      this.#lastNumber = Math.max(this.#lastNumber, number);
    }
    return found;
  }

  /** The items of one session. An item whose publication is not there is removed. */
  #itemsOf(
    { key }: DiskSession,
    kept: readonly (readonly [string | number, KeptItem])[],
    publications: ReadonlyMap<number, Publication>,
  ): StoredItem[] {
    const items: StoredItem[] = [];
    for (const [last, { publication: number, qos, retain, identifiers, id, released }] of kept) {
      const publication = publications.get(number);
      if (!publication) {
        this.outbound.remove([...key, Number(last)]);
        continue;
      }
      const known = this.#written.get(publication);
      if (known) known.items += 1;
      else this.#written.set(publication, { number, items: 1 });
      items.push({ item: { publication, qos, retain, identifiers, group: null, key: Number(last) }, id, released });
    }
    return items;
  }

  /** The records of a table that are what `isWhole` says; the others are removed. */
  *#whole<V>(kind: string, table: Table<V>, isWhole: (value: V) => boolean): Iterable<readonly [Key, V]> {
    for (const [key, value] of table.entries(this.#part)) {
      if (isWhole(value)) {
        yield [key, value];
        continue;
      }
      damaged(kind, key.join(' '));
      table.remove(key);
    }
  }

  /** All sessions on disk, each with what belongs to it. */
  stored(): StoredSession[] {
    const publications = this.#readPublications();
    const heads = [...this.#whole('session', this.sessions, isSession)];
    const known = new Set(heads.map(([[, own]]) => own));
    // What belonged to a session whose own record is damaged must not come back with a later one of its name.
    for (const table of [this.subscriptions, this.received, this.outbound]) {
      for (const [key] of table.entries(this.#part)) if (!known.has(key[1] as string)) table.remove(key);
    }
    const subscriptions = bySession(this.#whole('subscription', this.subscriptions, isSubscription));
    const received = bySession(this.received.entries(this.#part));
    const outbound = bySession(this.#whole('item', this.outbound, isItem));
    const sessions = heads.map(([[, own], session]) => {
      const journal = this.session(session.clientId);
      const items = this.#itemsOf(journal, outbound.get(String(own)) ?? [], publications);
      journal.resume(items.at(-1)?.item.key ?? 0);
      return {
        ...session,
        journal,
        subscriptions: (subscriptions.get(String(own)) ?? []).map(([, subscription]) => subscription),
        received: (received.get(String(own)) ?? []).map(([id]) => Number(id)),
        items,
      };
    });
    for (const [number, publication] of publications) {
      if (!this.#written.has(publication)) this.#publications.remove([this.#part, number]);
    }
    return sessions;
  }
}

function bySession<V>(entries: Iterable<readonly [Key, V]>): Map<string, (readonly [string | number, V])[]> {
  const found = new Map<string, (readonly [string | number, V])[]>();
  for (const [[, session = '', last = ''], value] of entries) {
    const known = found.get(String(session));
    if (known) known.push([last, value]);
    else found.set(String(session), [[last, value]]);
  }
  return found;
}

/** One session's part of the journal. Writes nothing for a session that ends with its connection. */
export class DiskSession implements SessionJournal {
  #active = false;
  #last = 0;

  constructor(
    private readonly journal: Journal,
    readonly key: readonly [string, string],
  ) {}

  #activate(active: boolean): void {
    if (active !== this.#active) this.journal.kept += active ? 1 : -1;
    this.#active = active;
  }

  get #writes(): boolean {
    return this.#active && !this.journal.frozen;
  }

  /** The session was on disk at the start; `last` is the highest key of its items. */
  resume(last: number): void {
    this.#activate(true);
    this.#last = last;
  }

  committed(done: () => void): void {
    if (this.#writes) this.journal.committed(done);
    else done();
  }

  changed(done: () => void): void {
    if (this.journal.hasRoom()) this.committed(done);
    else done();
  }

  keep(session: KeptSession): void {
    if (session.expiryS > 0) this.#activate(true);
    if (this.#writes) this.journal.sessions.put(this.key, session);
  }

  subscribe(subscription: KeptSubscription): void {
    if (this.#writes) this.journal.subscriptions.put([...this.key, part(subscription.filter)], subscription);
  }

  unsubscribe(filter: string): void {
    if (this.#writes) this.journal.subscriptions.remove([...this.key, part(filter)]);
  }

  receive(id: number): void {
    if (this.#writes) this.journal.received.put([...this.key, id], true);
  }

  release(id: number): void {
    if (this.#writes) this.journal.received.remove([...this.key, id]);
  }

  put(item: Item, id = 0, released = false): void {
    if (!this.#writes) return;
    const { publication, qos, retain, identifiers } = item;
    // On a full disk, what no publisher has been promised is kept in memory only.
    if (item.key === undefined && publication.publisher === null && !this.journal.hasRoom(publication.bytes)) return;
    const number = item.key === undefined ? this.journal.refer(publication) : this.journal.numberOf(publication);
    item.key ??= ++this.#last;
    this.journal.outbound.put([...this.key, item.key], { publication: number, qos, retain, identifiers, id, released });
  }

  remove({ key, publication }: Item): void {
    if (!this.#writes || key === undefined) return;
    this.journal.outbound.remove([...this.key, key]);
    this.journal.unrefer(publication);
  }

  /** Does nothing: this journal writes each change as it comes. */
  write(): void {}

  /** Does nothing: a server on its own hands no sessions over. */
  hold(): void {}

  end(): void {
    if (this.#writes) this.journal.sessions.remove(this.key);
    this.#activate(false);
  }
}
