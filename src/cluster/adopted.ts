/** How a node looks for a client whose own node is gone: the interface through which whereabouts.ts asks orphans.ts. */
import type { Address } from '../actors/address.js';
import type { KeptSessionState, SessionRecords } from '../actors/cluster.js';
import type { DomainConfig } from '../config.js';
import type { Peer } from './peer.js';

/** Where the client is now. `later`: JetStream cannot say yet, or this node is too busy; null: nobody knows the client's ticket. */
export type Adopted = 'here' | 'later' | { readonly peer: Peer } | null;

export interface OrphanFinder {
  /** Whether JetStream may have endpoints of the domain. */
  mayKnow(): boolean;
  /** Looks for the client of a ticket that no living node knows; calls `done` with the place where it was found. */
  find(address: Address, token: string, done: (found: Adopted) => void): void;
  /** Seconds after which a client that is answered `later` should ask again. The answer differs from call to call, so that clients do not all ask at once. */
  laterS(): number;
  /** Whether a part of an endpoint may be on a node that is gone. */
  isOrphan(address: Address): boolean;
  /**
   * Takes over an endpoint so that a message for it is not lost. Returns false where it is no orphan.
   */
  revive(address: Address, done: (found: Adopted) => void): boolean;
  /** Whether an endpoint is being taken over by this node. */
  isTaking(address: Address): boolean;
  /**
   * Calls `done` with true when none of these endpoints (null: none of the domain) is being taken over by this node; with false where too
   * many wait for that.
   */
  whenTaken(addresses: readonly Address[] | null, done: (isTaken: boolean) => void): void;
}

/** The numbers of the publications of a session that are to be removed. */
export type DeletedIn = (kept: Pick<KeptSessionState, 'state' | 'fresh'>) => readonly number[];

/** How a domain's MQTT sessions are kept in JetStream, and found there when their node is gone. */
export interface SessionStore {
  recordsOf(domain: SessionDomain): SessionRecords;
  /** Looks for a session that no living node has claimed, and takes it over; null: there is none. */
  find(clientId: string, done: (found: Adopted) => void): void;
  /** Another node has the session: its records are not this node's any more. */
  forget(clientId: string): void;
  /**
   * Removes publications from what is kept of sessions for whose client ids `isLeft` answers true: those whose numbers `deletedIn` answers.
   * `done` gets false where JetStream cannot say.
   */
  deleteLeft(isLeft: (clientId: string) => boolean, deletedIn: DeletedIn, done: (isDone: boolean) => void): void;
  /** Calls `done` when none of the sessions is being taken over that are now; with false, at once, where too many wait for that. */
  whenTaken(done: (isTaken: boolean) => void): void;
}

/** A domain as the records of its MQTT sessions see it. */
export interface SessionDomain {
  readonly name: string;
  readonly settings: Pick<DomainConfig, 'durability'>;
  /** The stamp of this node's claim of a client id; 0: it has not claimed it. */
  stampOf(clientId: string): number;
  /** Has a session give its state to `put`. */
  keep(clientId: string): void;
  /** Another node has taken a session over. */
  lost(clientId: string): void;
  /** Whether a session lives on that node, which does not end. */
  isAt(clientId: string, node: string): boolean;
}
