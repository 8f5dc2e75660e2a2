/** How a client is looked for whose node is gone: what whereabouts.ts asks, and orphans.ts answers. */
import type { Address } from '../actors/address.js';
import type { Peer } from './peer.js';

/** Where it is now. `later`: JetStream cannot say now, or there is too much to do; null: nobody knows its ticket. */
export type Adopted = 'here' | 'later' | { readonly peer: Peer } | null;

export interface OrphanFinder {
  /** Whether JetStream may have endpoints of the domain. */
  mayKnow(): boolean;
  /** Looks for the client of a ticket that no living node knows. */
  find(address: Address, token: string, done: (found: Adopted) => void): void;
  /** Takes over an endpoint for the sake of a message that must not be lost; false: there is none on a node that is gone. */
  revive(address: Address, done: (found: Adopted) => void): boolean;
}
