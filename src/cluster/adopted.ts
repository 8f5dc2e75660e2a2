/** How a node looks for a client whose own node is gone: the interface through which whereabouts.ts asks orphans.ts. */
import type { Address } from '../actors/address.js';
import type { Peer } from './peer.js';

/** Where the client is now. `later`: JetStream cannot say yet, or this node is too busy; null: nobody knows the client's ticket. */
export type Adopted = 'here' | 'later' | { readonly peer: Peer } | null;

export interface OrphanFinder {
  /** Whether JetStream may have endpoints of the domain. */
  mayKnow(): boolean;
  /** Looks for the client of a ticket that no living node knows; calls `done` with the place where it was found. */
  find(address: Address, token: string, done: (found: Adopted) => void): void;
  /**
   * Takes over an endpoint so that a message of so many bytes for it is not lost. Returns false where no part of the endpoint is on a
   * node that is gone.
   */
  revive(address: Address, bytes: number, done: (found: Adopted) => void): boolean;
}
