/**
 * On which node the client of a ticket lives: its token says where it came online, and an endpoint that a node has handed over
 * is on another one since. So the nodes that have a part of the endpoint are asked, one after the other.
 */
import type { Address } from '../actors/address.js';
import type { Tickets } from '../actors/tickets.js';
import type { LocalNode } from './local-node.js';
import type { Peer } from './peer.js';

const FIND_MS = 5000;

/** Where the client of a ticket has been found. */
export type Whereabout =
  | { readonly peer: Peer; readonly name: string }
  /** On this node. */
  | 'here'
  /** No node knows the ticket. */
  | null;

export interface WhereaboutsOptions {
  readonly domain: { readonly name: string; readonly tickets: Pick<Tickets, 'find'> };
  readonly node: Pick<LocalNode, 'homeOf' | 'rpc'>;
  /** The other nodes that have a part of an endpoint. */
  readonly peersOf: (address: Address) => readonly Peer[];
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

  /** `counting`: who asks keeps a position; a node answers it with an empty name where the ticket has ended by a sign-out. */
  find(address: Address, token: string, counting: boolean, done: (found: Whereabout) => void): void {
    const { domain, node } = this.options;
    const asked = new Set<Peer>();
    const next = (): void => {
      // It may have come here while another node was asked.
      if (domain.tickets.find(token)?.address === address) return done('here');
      const peer = this.candidates(address, token).find((one) => !asked.has(one));
      if (!peer) return done(null);
      asked.add(peer);
      node.rpc.call(peer, 'visit', [domain.name, address, token, counting], FIND_MS, (name) => {
        if (typeof name === 'string') done({ peer, name });
        else next();
      });
    };
    next();
  }
}
