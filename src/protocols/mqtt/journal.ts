/**
 * What MQTT keeps for the next start of the server: retained publications, and the sessions of backends that outlive
 * their connection, with their subscriptions and what is on its way to their clients. Wills are not kept.
 *
 * Written as things change and read once, when a broker is made. A session's key is made of its domain's and its own part.
 */
import type { Publication, PublicationFields, Qos } from '../../actors/publication.js';
import { part } from '../../store/keys.js';
import type { Key, Store, Table } from '../../store/store.js';
import type { Item } from './outbound.js';

type KeptPublication = Omit<PublicationFields, 'publisher'>;

interface KeptSession {
  readonly clientId: string;
  readonly expiryS: number;
  /** When its connection went, in milliseconds since the epoch; null: it has one. */
  readonly lostAt: number | null;
}

export interface KeptSubscription {
  /** As the client wrote it. */
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly identifier: number;
}

export interface KeptItem {
  readonly publication: KeptPublication;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
  /** Packet identifier; 0: it waits. */
  readonly id: number;
  readonly released: boolean;
}

/** A session as it was when the server ended. */
export interface StoredSession extends KeptSession {
  readonly journal: SessionJournal;
  readonly subscriptions: readonly KeptSubscription[];
  readonly received: readonly number[];
  /** In the order in which they came. */
  readonly items: readonly (readonly [key: number, item: KeptItem])[];
}

function plain(publication: Publication): KeptPublication {
  const { topic, payload, qos, retain, properties, expiresAt } = publication;
  return { topic, payload, qos, retain, properties, expiresAt };
}

export class Journal {
  /** What ends from now on ends because the server or its domain does, and is there again at the next start. */
  frozen = false;
  readonly sessions: Table<KeptSession>;
  readonly subscriptions: Table<KeptSubscription>;
  readonly received: Table<boolean>;
  readonly outbound: Table<KeptItem>;
  readonly #retained: Table<KeptPublication>;
  readonly #part: string;

  constructor(store: Store, domain: string) {
    this.sessions = store.table('sessions');
    this.subscriptions = store.table('subscriptions');
    this.received = store.table('received');
    this.outbound = store.table('outbound');
    this.#retained = store.table('retained');
    this.#part = part(domain);
  }

  retain(publication: Publication): void {
    this.#retained.put([this.#part, part(publication.topic)], plain(publication));
  }

  unretain(topic: string): void {
    this.#retained.remove([this.#part, part(topic)]);
  }

  *retained(): Iterable<PublicationFields> {
    for (const [, kept] of this.#retained.entries(this.#part)) yield { ...kept, publisher: null };
  }

  session(clientId: string): SessionJournal {
    return new SessionJournal(this, [this.#part, part(clientId)]);
  }

  /** All that were kept, each with what is its own. */
  stored(): StoredSession[] {
    const subscriptions = bySession(this.subscriptions.entries(this.#part));
    const received = bySession(this.received.entries(this.#part));
    const outbound = bySession(this.outbound.entries(this.#part));
    return [...this.sessions.entries(this.#part)].map(([[, own], session]) => {
      const items = (outbound.get(String(own)) ?? []).map(([key, item]) => [Number(key), item] as const);
      const journal = this.session(session.clientId);
      journal.resume(items.at(-1)?.[0] ?? 0);
      return {
        ...session,
        journal,
        subscriptions: (subscriptions.get(String(own)) ?? []).map(([, subscription]) => subscription),
        received: (received.get(String(own)) ?? []).map(([id]) => Number(id)),
        items,
      };
    });
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

/** One session's; writes nothing until the session is one that outlives its connection. */
export class SessionJournal {
  #active = false;
  #last = 0;

  constructor(
    private readonly journal: Journal,
    private readonly key: readonly [string, string],
  ) {}

  get #writes(): boolean {
    return this.#active && !this.journal.frozen;
  }

  /** It was there before the start; `last` is its highest key. */
  resume(last: number): void {
    this.#active = true;
    this.#last = last;
  }

  /** Its client has connected or gone. One that was kept stays so until it ends. */
  keep(session: KeptSession): void {
    this.#active ||= session.expiryS > 0;
    if (this.#writes) this.journal.sessions.put(this.key, session);
  }

  subscribe(subscription: KeptSubscription): void {
    if (this.#writes) this.journal.subscriptions.put([...this.key, part(subscription.filter)], subscription);
  }

  unsubscribe(filter: string): void {
    if (this.#writes) this.journal.subscriptions.remove([...this.key, part(filter)]);
  }

  /** A publication of QoS 2 is received and not released. */
  receive(id: number): void {
    if (this.#writes) this.journal.received.put([...this.key, id], true);
  }

  release(id: number): void {
    if (this.#writes) this.journal.received.remove([...this.key, id]);
  }

  /** A publication waits (id 0) or is in flight. */
  put(item: Item, id = 0, released = false): void {
    if (!this.#writes) return;
    item.key ??= ++this.#last;
    const { publication, qos, retain, identifiers } = item;
    const kept = { publication: plain(publication), qos, retain, identifiers, id, released };
    this.journal.outbound.put([...this.key, item.key], kept);
  }

  remove({ key }: Item): void {
    if (this.#writes && key !== undefined) this.journal.outbound.remove([...this.key, key]);
  }

  /** The session is no more; what was its own has been removed piece by piece. */
  end(): void {
    if (this.#writes) this.journal.sessions.remove(this.key);
    this.#active = false;
  }
}
