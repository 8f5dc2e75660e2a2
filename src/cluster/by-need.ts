/** In which order a node that ends hands its endpoints over, or writes them to JetStream, since it may not have the time for all of them. */
import type { Address } from '../actors/address.js';
import type { Waiting } from '../actors/moving.js';
import { inSlices } from '../slices.js';
import type { ClusteredDomain } from './domain.js';

/** An endpoint that this node has a part of. */
export interface EndpointHere {
  readonly cluster: ClusteredDomain;
  readonly address: Address;
}

/** Why an endpoint has its place in the order. */
export type Need = 'connected' | Waiting;

/** Of those for whom no message waits the ones that cost least come first. */
const ORDER: readonly Need[] = ['connected', 'messages', 'nothing', 'presences'];

/**
 * The endpoints of these domains: first those with connected clients, then those in which messages wait, then all others. `known`: what was
 * found before; these are not asked again, which would take most of the time of a node with very many. What is found now is added.
 */
export async function byNeed(
  domains: Iterable<ClusteredDomain>,
  known: Map<Address, Need>,
): Promise<readonly EndpointHere[]> {
  const found = new Map<Need, EndpointHere[]>(ORDER.map((need) => [need, []]));
  const asked: Promise<void>[] = [];
  await new Promise<void>((done) => inSlices(ask(domains, known, found, asked), done));
  // Each answers, however busy the machine is: also one that has ended meanwhile.
  await Promise.all(asked);
  return ORDER.flatMap((need) => found.get(need) ?? []);
}

/** Finds where each endpoint belongs, one a step; those that have to say so themselves do it later. */
function* ask(
  domains: Iterable<ClusteredDomain>,
  known: Map<Address, Need>,
  found: ReadonlyMap<Need, EndpointHere[]>,
  asked: Promise<void>[],
): Generator<void> {
  for (const cluster of domains) {
    for (const { address, actor, birth, connected } of cluster.tracker.here()) {
      if (birth === 0) continue;
      const is = (need: Need): void => {
        known.set(address, need);
        found.get(need)?.push({ cluster, address });
      };
      const need = connected > 0 ? 'connected' : known.get(address);
      if (need) is(need);
      else asked.push(new Promise((said) => actor.tell({ kind: 'whatWaits', done: (what) => said(is(what)) })));
      yield;
    }
  }
}
