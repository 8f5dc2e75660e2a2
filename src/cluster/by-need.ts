/** In which order a node that ends hands its endpoints over, or writes them to JetStream, since it may not have the time for all of them. */
import type { Address } from '../actors/address.js';
import type { ClusteredDomain } from './domain.js';
import { within } from './within.js';

/** An endpoint that this node has a part of. */
export interface EndpointHere {
  readonly cluster: ClusteredDomain;
  readonly address: Address;
}

/** How long endpoints without a connection may take to say whether something waits in them; one that has not said so counts as empty. */
const ASK_MS = 250;

/** The endpoints of these domains: first those with connected clients, then those in which packets wait, then all others. */
export async function byNeed(domains: Iterable<ClusteredDomain>): Promise<readonly EndpointHere[]> {
  const connected: EndpointHere[] = [];
  const others: EndpointHere[] = [];
  const holding = new Set<EndpointHere>();
  let said: () => void = () => undefined;
  const allSaid = new Promise<void>((resolve) => {
    said = resolve;
  });
  let missing = 0;
  for (const cluster of domains) {
    for (const { address, actor, birth, connected: clients } of cluster.tracker.here()) {
      if (birth === 0) continue;
      const here = { cluster, address };
      if (clients > 0) {
        connected.push(here);
        continue;
      }
      others.push(here);
      missing += 1;
      const done = (isHolding: boolean): void => {
        if (isHolding) holding.add(here);
        missing -= 1;
        if (missing === 0) said();
      };
      actor.tell({ kind: 'isHolding', done });
    }
  }
  if (missing > 0) await within(ASK_MS, allSaid);
  const empty = others.filter((here) => !holding.has(here));
  return [...connected, ...holding, ...empty];
}
