/** Gives up endpoints of this node that another node has taken over while this one was cut off (orphans.ts). */
import type { Address } from '../actors/address.js';
import type { Packet } from '../actors/packet.js';
import { CLOSE } from '../errors.js';
import type { ClusterMetrics } from '../metrics.js';
import type { ClusteredDomain } from './domain.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import type { TicketRecords } from './ticket-records.js';

export interface GivingUpOptions {
  readonly mesh: Pick<Mesh, 'send'>;
  readonly records: Pick<TicketRecords, 'forget'>;
  readonly metrics: Pick<ClusterMetrics, 'givenUp'>;
}

/** Ends an endpoint on this node in favour of `peer`, which has taken it over, and sends the messages accepted here to `peer`. */
export function giveUp(
  { mesh, records, metrics }: GivingUpOptions,
  { domain, items }: ClusteredDomain,
  address: Address,
  peer: Peer,
): void {
  const actor = domain.tracker.actor(address);
  if (!actor) return;
  const packets = new Map<Packet, number>();
  const pass = (packet: Packet, only: string | null): void => {
    if (packet.kind === 'message') mesh.send(peer, items.relayed(address, packet, only));
  };
  actor.tell({
    kind: 'handOver',
    reason: CLOSE.moved,
    numberOf: (packet) => packets.get(packet) ?? packets.set(packet, packets.size).size - 1,
    forward: (passed) => {
      if (passed.kind !== 'deliver') return;
      pass(passed.packet, passed.only);
      // The other node is not asked what becomes of it.
      passed.packet.receipt?.report('unknown');
    },
    done: (moved) => {
      if (!moved) return;
      for (const packet of packets.keys()) pass(packet, null);
      metrics.givenUp += 1;
      const done = (): void => records.forget(domain.name, address);
      actor.tell({ kind: 'handedOver', missed: null, done });
    },
  });
}
