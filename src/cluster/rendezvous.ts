/** Rendezvous hashing: all nodes choose the same node for an address; a node that comes or goes moves only its own addresses. */
import { createHash } from 'node:crypto';
import type { Peer } from './peer.js';

/** The weight of a node for a name, as hexadecimal digits of a SHA-1: the node with the highest weight is chosen. */
export function weightOf(node: string, name: string): string {
  return createHash('sha1').update(`${node}\n${name}`).digest('hex');
}

interface Nodes {
  /** The name of this node. */
  readonly name: string;
  readonly mesh: { readonly peers: ReadonlyMap<string, Peer> };
}

/** The node chosen for an address among the nodes that are up: every node chooses the same one. null where it is this node. */
export function chosenBy({ name, mesh }: Nodes, address: string): Peer | null {
  let chosen: Peer | null = null;
  let highest = weightOf(name, address);
  for (const peer of mesh.peers.values()) {
    const weight = peer.up ? weightOf(peer.name, address) : '';
    if (weight > highest) [chosen, highest] = [peer, weight];
  }
  return chosen;
}

/** Whether this node is the one that takes over a domain's unfinished work of the node named `left`, which is gone. */
export function succeeds(nodes: Nodes, left: string, domain: string): boolean {
  if (left === nodes.name || nodes.mesh.peers.get(left)?.up) return false;
  return chosenBy(nodes, `${domain} ${left}`) === null;
}
