/**
 * Finds the node on which the client of a ticket lives. The ticket's token names the node where the client came online, but that
 * node may have handed the endpoint over since: so the nodes that have a part of the endpoint are asked, one after the other.
 */
import type { Address } from '../actors/address.js';
import type { Tickets } from '../actors/tickets.js';
import { TICKET_NOT_FOUND } from '../errors.js';
import type { OrphanFinder } from './adopted.js';
import { type LocalNode, RANDOM_DIGITS } from './local-node.js';
import type { Peer } from './peer.js';

const FIND_MS = 5000;
/** Where nothing is taken over: another node of the client is to answer in a moment. */
const LATER_S = 1;

/** Where the client of a ticket has been found. */
export type Whereabout =
  | { readonly peer: Peer; readonly name: string }
  /** The client lives on this node. */
  | 'here'
  /** The client's node is gone, and its endpoint cannot be taken over yet: who asks again in `laterS` seconds may find it. */
  | 'later'
  /** No node knows the ticket. */
  | null;

/** One search for the client of a ticket. */
interface Search {
  readonly address: Address;
  readonly token: string;
  readonly counting: boolean;
  readonly done: (found: Whereabout) => void;
  /** The nodes that were asked: whether the ticket is unknown there, or they have not answered. */
  readonly asked: Map<Peer, 'unknown' | 'silent'>;
  /** Asks the next node. */
  next: () => void;
}

export interface WhereaboutsOptions {
  readonly domain: { readonly name: string; readonly tickets: Pick<Tickets, 'find'> };
  readonly node: Pick<LocalNode, 'homeOf' | 'rpc' | 'isAnswering' | 'leaving'>;
  /** The other nodes that have a part of an endpoint. */
  readonly peersOf: (address: Address) => readonly Peer[];
  /** Takes over endpoints of nodes that are gone; null where endpoints are lost with their node. */
  readonly orphans: OrphanFinder | null;
}

export class Whereabouts {
  constructor(private readonly options: WhereaboutsOptions) {}

  /** Whether the tickets of a node that is gone are gone too: no other node can take its endpoints over. */
  get endsWithNode(): boolean {
    return this.options.orphans?.mayKnow() !== true;
  }

  /** Seconds after which a client that is answered `later` should ask again. */
  laterS(): number {
    return this.options.orphans?.laterS() ?? LATER_S;
  }

  /** The other nodes that may know a ticket, the likeliest first. */
  candidates(address: Address, token: string): readonly Peer[] {
    const home = this.options.node.homeOf(token);
    const peers = this.options.peersOf(address);
    if (!home) return peers;
    const others = peers.filter((peer) => peer !== home);
    return others.length < peers.length ? [home, ...others] : [...others, home];
  }

  /** Whether another node may know a ticket, or this node may take over the ticket's endpoint from a node that is gone. */
  mayKnow(address: Address, token: string): boolean {
    return this.candidates(address, token).length > 0 || this.#mayBeOrphan(token);
  }

  /**
   * Calls `send` with the node that knows a ticket, or `done`: with `TICKET_NOT_FOUND`, or with null where the call is to be repeated.
   * Returns false, and calls neither, where no other node may know the ticket.
   */
  forward(address: Address, token: string, done: (answer: unknown) => void, send: (peer: Peer) => void): boolean {
    const { node, orphans } = this.options;
    // A call that another node has forwarded is forwarded again only by a node that is handing its own endpoints over.
    if (node.isAnswering && !node.leaving.isActive) return false;
    if (!this.mayKnow(address, token)) return false;
    const [first, ...more] = this.candidates(address, token);
    if (first && more.length === 0 && (orphans === null || node.homeOf(token) === first)) {
      send(first);
      return true;
    }
    this.find(address, token, false, (found) => {
      if (found === null) done([TICKET_NOT_FOUND]);
      // The client has come to this node in the meantime, or cannot be found yet: the caller repeats the call.
      else if (typeof found === 'string') done(null);
      else send(found.peer);
    });
    return true;
  }

  #mayBeOrphan(token: string): boolean {
    return token.length > RANDOM_DIGITS && !this.endsWithNode;
  }

  /** Finds the client of a ticket. `counting`: the client keeps a position; a node then answers with an empty name after a sign-out. */
  find(address: Address, token: string, counting: boolean, done: (found: Whereabout) => void): void {
    const { domain } = this.options;
    const search: Search = { address, token, counting, done, asked: new Map(), next: () => undefined };
    search.next = () => {
      // The client may have come to this node while another node was asked.
      if (domain.tickets.find(token)?.address === address) return this.#here(search);
      const peer = this.candidates(address, token).find((one) => !search.asked.has(one));
      if (peer) this.#ask(search, peer);
      else this.#adopt(search);
    };
    search.next();
  }

  /** A client whose endpoint this node is taking over comes when that is over, or later where too many wait for that. */
  #here({ address, done }: Search): void {
    const { orphans } = this.options;
    if (orphans) orphans.whenTaken([address], (isTaken) => done(isTaken ? 'here' : 'later'));
    else done('here');
  }

  /** Looks for a ticket that no living node knows among the endpoints of nodes that are gone. */
  #adopt(search: Search): void {
    const { orphans } = this.options;
    const { address, token, asked, done } = search;
    if (!orphans || !this.#mayBeOrphan(token)) return done(null);
    orphans.find(address, token, (found) => {
      if (found === null || typeof found === 'string') return done(found);
      // A node that has not answered may be about to count as gone, and then its endpoint can be taken over.
      if (asked.has(found.peer)) return done(asked.get(found.peer) === 'silent' ? 'later' : null);
      this.#ask(search, found.peer);
    });
  }

  #ask(search: Search, peer: Peer): void {
    const { domain, node } = this.options;
    const { address, token, counting, done, asked, next } = search;
    asked.set(peer, 'silent');
    node.rpc.call(peer, 'visit', [domain.name, address, token, counting], FIND_MS, (name) => {
      if (typeof name === 'string') return done({ peer, name });
      if (name !== null) asked.set(peer, 'unknown');
      next();
    });
  }
}
