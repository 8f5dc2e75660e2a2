/** Rendezvous hashing: of the nodes that there are an address chooses the same one on each; one that comes or goes moves only the addresses that it has. */
import { createHash } from 'node:crypto';
import type { Peer } from './peer.js';

/** The heaviest node has the address. */
export function weightOf(node: string, name: string): string {
  return createHash('sha1').update(`${node}\n${name}`).digest('hex');
}

interface Nodes {
  /** The name of this node. */
  readonly name: string;
  readonly mesh: { readonly peers: ReadonlyMap<string, Peer> };
}

/** The node that an address chooses among those that are up, the same on each of them; null: this one. */
export function chosenBy({ name, mesh }: Nodes, address: string): Peer | null {
  let chosen: Peer | null = null;
  let highest = weightOf(name, address);
  for (const peer of mesh.peers.values()) {
    const weight = peer.up ? weightOf(peer.name, address) : '';
    if (weight > highest) [chosen, highest] = [peer, weight];
  }
  return chosen;
}

/** Whether this node is the one that goes on with what a node has left of a domain that is not there any more. */
export function succeeds(nodes: Nodes, left: string, domain: string): boolean {
  if (left === nodes.name || nodes.mesh.peers.get(left)?.up) return false;
  return chosenBy(nodes, `${domain} ${left}`) === null;
}
