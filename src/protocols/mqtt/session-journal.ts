/**
 * Where a session writes what outlives its process: on the disk of a server on its own (journal.ts), or in a cluster where other nodes
 * find it (replicated-session.ts).
 */
import type { Qos } from '../../actors/publication.js';
import type { Item } from './outbound.js';

export interface KeptSession {
  readonly clientId: string;
  readonly expiryS: number;
  /** When its connection was lost, in milliseconds since the epoch; null: it has a connection. */
  readonly lostAt: number | null;
}

export interface KeptSubscription {
  /** The filter as the client wrote it. */
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly identifier: number;
  /** The client has not been sent all that was retained when it subscribed. */
  readonly owed: boolean;
}

/** A session as it is now, for a journal that gathers changes. */
export interface SessionSnapshot {
  readonly subscriptions: () => readonly KeptSubscription[];
  readonly received: Iterable<number>;
  readonly items: readonly { readonly item: Item; readonly id: number; readonly released: boolean }[];
}

/** Writes nothing for a session that ends with its connection. */
export interface SessionJournal {
  /** Calls `done` when all that was written before is kept; at once where the session is not kept. */
  committed(done: () => void): void;
  /** Like `committed`, but does not wait while the disk is full: a change of the session is then in memory only, and not refused. */
  changed(done: () => void): void;
  /** The client has connected or its connection is lost. A session that was kept once is kept until it ends. */
  keep(session: KeptSession): void;
  subscribe(subscription: KeptSubscription): void;
  unsubscribe(filter: string): void;
  /** A publication of QoS 2 is received and not released yet. */
  receive(id: number): void;
  release(id: number): void;
  /** A publication waits (id 0) or is in flight. */
  put(item: Item, id?: number, released?: boolean): void;
  remove(item: Item): void;
  /** Writes the session as it is, where changes were gathered. */
  write(snapshot: SessionSnapshot): void;
  /** True: the session is on its way to another node, and nothing of it is written. False: it has gone, or stays here after all. */
  hold(isHeld: boolean): void;
  /** The session has ended; what belonged to it has been removed piece by piece. */
  end(): void;
}
