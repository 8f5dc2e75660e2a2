/** Rendezvous hashing: of the nodes that there are an address chooses the same one on each; one that comes or goes moves only the addresses that it has. */
import { createHash } from 'node:crypto';
import type { Address } from '../actors/address.js';

/** The heaviest node has the address. */
export function weightOf(node: string, address: Address): string {
  return createHash('sha1').update(`${node}\n${address}`).digest('hex');
}
