/**
 * On which node the client of a ticket lives: its token says where it came online, and an endpoint that a node has handed over
 * is on another one since. So the nodes that have a part of the endpoint are asked, one after the other.
 */
import type { Address } from '../actors/address.js';
import type { Tickets } from '../actors/tickets.js';
import { TICKET_NOT_FOUND } from '../errors.js';
import type { OrphanFinder } from './adopted.js';
import { type LocalNode, RANDOM_DIGITS } from './local-node.js';
import type { Peer } from './peer.js';

const FIND_MS = 5000;

/** Where the client of a ticket has been found. */
export type Whereabout =
  | { readonly peer: Peer; readonly name: string }
  /** On this node. */
  | 'here'
  /** Its node is gone, and who comes again in a moment will find it. */
  | 'later'
  /** No node knows the ticket. */
  | null;

export interface WhereaboutsOptions {
  readonly domain: { readonly name: string; readonly tickets: Pick<Tickets, 'find'> };
  readonly node: Pick<LocalNode, 'homeOf' | 'rpc' | 'isAnswering' | 'leaving'>;
  /** The other nodes that have a part of an endpoint. */
  readonly peersOf: (address: Address) => readonly Peer[];
  /** Takes over what was on nodes that are gone; null: that goes with its node. */
  readonly orphans: OrphanFinder | null;
}

export class Whereabouts {
  constructor(private readonly options: WhereaboutsOptions) {}

  /** Other nodes that may know a ticket, the likeliest first. */
  candidates(address: Address, token: string): readonly Peer[] {
    const home = this.options.node.homeOf(token);
    const peers = this.options.peersOf(address);
    if (!home) return peers;
    const others = peers.filter((peer) => peer !== home);
    return others.length < peers.length ? [home, ...others] : [...others, home];
  }

  /** Whether another node may know a ticket, or this one may take it over. */
  mayKnow(address: Address, token: string): boolean {
    return this.candidates(address, token).length > 0 || this.#mayBeOrphan(token);
  }

  /** Sends a call on to the node that knows its ticket; answers whether one may. `done` gets what else there is to say. */
  forward(address: Address, token: string, done: (answer: unknown) => void, send: (peer: Peer) => void): boolean {
    const { node, orphans } = this.options;
    // A node that has handed the ticket over knows where it is; all others are asked for what is theirs.
    if (node.isAnswering && !node.leaving.isActive) return false;
    if (!this.mayKnow(address, token)) return false;
    const [first, ...more] = this.candidates(address, token);
    if (first && more.length === 0 && (orphans === null || node.homeOf(token) === first)) {
      send(first);
      return true;
    }
    this.find(address, token, false, (found) => {
      if (found === null) done([TICKET_NOT_FOUND]);
      // It has come here meanwhile: who calls again is answered here.
      else if (typeof found === 'string') done(null);
      else send(found.peer);
    });
    return true;
  }

  #mayBeOrphan(token: string): boolean {
    return token.length > RANDOM_DIGITS && this.options.orphans?.mayKnow() === true;
  }

  /** `counting`: who asks keeps a position; a node answers it with an empty name where the ticket has ended by a sign-out. */
  find(address: Address, token: string, counting: boolean, done: (found: Whereabout) => void): void {
    const { domain } = this.options;
    const asked = new Set<Peer>();
    const next = (): void => {
      // It may have come here while another node was asked.
      if (domain.tickets.find(token)?.address === address) return done('here');
      const peer = this.candidates(address, token).find((one) => !asked.has(one));
      if (!peer) return this.#adopt(address, token, asked, done, next);
      this.#ask(peer, address, token, asked, done, next, counting);
    };
    next();
  }

  /** No living node knows it: it may be of one that is gone. */
  #adopt(address: Address, token: string, asked: Set<Peer>, done: (found: Whereabout) => void, next: () => void): void {
    const { orphans } = this.options;
    if (!orphans || !this.#mayBeOrphan(token)) return done(null);
    orphans.find(address, token, (found) => {
      if (found === null || typeof found === 'string') return done(found);
      // Another one has taken it over, and has been asked already: it does not know the ticket.
      if (asked.has(found.peer)) return done(null);
      this.#ask(found.peer, address, token, asked, done, next);
    });
  }

  #ask(
    peer: Peer,
    address: Address,
    token: string,
    asked: Set<Peer>,
    done: (found: Whereabout) => void,
    next: () => void,
    counting = false,
  ): void {
    const { domain, node } = this.options;
    asked.add(peer);
    node.rpc.call(peer, 'visit', [domain.name, address, token, counting], FIND_MS, (name) => {
      if (typeof name === 'string') done({ peer, name });
      else next();
    });
  }
}
