/**
 * Packets on their way to other nodes. All that is for an endpoint goes through its oldest part, which relays it to the
 * others: one way, so the order of each sender holds and nothing comes twice. What is for a room goes to every node
 * that has members; those who watch addresses by MQTT are served by the node the packet comes from.
 */
import type { Client } from '../actors/client.js';
import type { RemoteNode } from '../actors/cluster.js';
import { toEndpointHere } from '../actors/dispatch.js';
import { type EndpointRecord, nodesOf, primaryOf } from '../actors/endpoint-record.js';
import type { Packet } from '../actors/packet.js';
import type { Deliver } from '../actors/router.js';
import type { ClusteredDomain } from './domain.js';
import { type Peer, peerOf } from './peer.js';

/** A packet that finds its endpoint gone is sent on to where it is now, so many times. */
const HOPS = 3;

const NONE: ReadonlySet<Peer> = new Set();

export class PacketRelays {
  constructor(private readonly cluster: ClusteredDomain) {}

  broadcast(packet: Packet): void {
    const { cluster } = this;
    for (const peer of cluster.node.mesh.peers.values()) cluster.relayPacket(peer, 'b', null, packet);
  }

  toRoom(packet: Packet): boolean {
    const nodes = new Set<RemoteNode>(this.#watching(packet));
    const members = this.cluster.domain.tracker.rooms.get(packet.topic)?.nodes;
    for (const node of members?.keys() ?? []) if (node.up) nodes.add(node);
    for (const node of nodes) this.cluster.relayPacket(peerOf(node), 'g', null, packet);
    return nodes.size > 0;
  }

  toWatchers(packet: Packet): boolean {
    const watching = this.#watching(packet);
    for (const peer of watching) this.cluster.tellPacket(peer, 'v', null, packet);
    return watching.size > 0;
  }

  /** Behind all that this node has sent to the endpoint, whichever way that went. */
  toEndpoint(packet: Packet, only: string | null): boolean {
    const { domain, handover } = this.cluster;
    const record = domain.tracker.records.get(packet.topic);
    const primary = record && primaryOf(record);
    if (primary === undefined) return this.toPrimary(packet, only, 0);
    const again = () => void this.toEndpoint(packet, only);
    if (handover.mustWait(packet.topic, primary && peerOf(primary), again)) return true;
    return this.toPrimary(packet, only, 0);
  }

  /** To the oldest part of its endpoint, on whichever node that is. False where there is none. */
  toPrimary(packet: Packet, only: string | null, hops: number): boolean {
    const { domain } = this.cluster;
    const record = domain.tracker.records.get(packet.topic);
    const primary = record && primaryOf(record);
    if (primary && hops < HOPS) {
      this.cluster.relayPacket(peerOf(primary), 'e', null, packet, only, hops + 1);
      return true;
    }
    return toEndpointHere(domain, packet, only);
  }

  relay(record: EndpointRecord, { packet, only }: Deliver): void {
    if (record.parts.length === 0) return;
    const unmet: readonly RemoteNode[] = this.cluster.unmet(record.address);
    for (const { node, hidden } of record.parts) {
      if (!hidden && !unmet.includes(node)) this.cluster.relayPacket(peerOf(node), 'y', record.address, packet, only);
    }
  }

  carbon(record: EndpointRecord, packet: Packet): void {
    for (const node of nodesOf(record)) this.cluster.relayPacket(peerOf(node), 'c', record.address, packet);
  }

  takeTurn(record: EndpointRecord, { packet, only }: Deliver, clients: readonly Client[]): boolean {
    const own = clients.filter(({ transport }) => transport !== null).length;
    const peer = this.cluster.roundRobin.choose(record, packet.sender ?? '', own);
    if (peer) this.cluster.relayPacket(peer, 'y', record.address, packet, only);
    return peer !== null;
  }

  /** Nodes where somebody subscribed by MQTT to a packet's topic. */
  #watching({ topic }: Packet): ReadonlySet<Peer> {
    const { interest } = this.cluster;
    return interest.isEmpty ? NONE : interest.peers(topic);
  }
}
