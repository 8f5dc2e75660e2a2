/**
 * Where packets go in a cluster. All that is for an endpoint goes through its oldest part, which relays it to the
 * others: one way, so the order of each sender holds and nothing comes twice. What is for a room goes to every node
 * that has members; those who watch addresses by MQTT are served by the node the packet comes from.
 */
import type { Address, Target } from '../actors/address.js';
import type { Packet } from '../actors/packet.js';
import { type Deliver, routeToWatchers } from '../actors/router.js';
import type { ClusteredDomain } from './domain.js';
import type { Peer } from './peer.js';

/** A packet that finds its endpoint gone is sent on to where it is now, so many times. */
const HOPS = 3;

const NONE: ReadonlySet<Peer> = new Set();

export class Delivery {
  constructor(private readonly cluster: ClusteredDomain) {}

  dispatch(packet: Packet, target: Target | null): void {
    if (target === null) return this.#broadcast(packet);
    const found = target.node === 'gid' ? this.#toRoom(packet) : this.#toEndpoint(packet, target.client);
    if (!found) this.cluster.domain.drop(packet, 'offline', target.address);
  }

  #broadcast(packet: Packet): void {
    const { cluster } = this;
    cluster.domain.broadcast(packet, true);
    for (const peer of cluster.node.mesh.peers.values()) cluster.relayPacket(peer, 'b', null, packet);
  }

  #toRoom(packet: Packet): boolean {
    const { domain, replica } = this.cluster;
    let found = domain.route(packet);
    const nodes = new Set(this.#watching(packet));
    for (const peer of replica.rooms.get(packet.topic)?.peers.keys() ?? []) if (peer?.up) nodes.add(peer);
    for (const peer of nodes) this.cluster.relayPacket(peer, 'g', null, packet);
    found ||= nodes.size > 0;
    return found;
  }

  #toEndpoint(packet: Packet, only: string | null): boolean {
    const { cluster } = this;
    const { system } = cluster.domain.runtime;
    const watching = this.#watching(packet);
    const found = routeToWatchers(system, cluster.domain.table, packet) || watching.size > 0;
    for (const peer of watching) cluster.tellPacket(peer, 'v', null, packet);
    return this.#inOrder(packet, only) || found;
  }

  /** Behind all that this node has sent to the endpoint, whichever way that went. */
  #inOrder(packet: Packet, only: string | null): boolean {
    const { replica, paths } = this.cluster;
    const record = replica.records.get(packet.topic);
    const primary = record && replica.primary(record);
    if (!primary) return this.toPrimary(packet, only, 0);
    const again = () => void this.#inOrder(packet, only);
    if (paths.mustWait(packet.topic, primary.peer, again)) return true;
    return this.toPrimary(packet, only, 0);
  }

  /** To the oldest part of its endpoint, on whichever node that is. False where there is none. */
  toPrimary(packet: Packet, only: string | null, hops: number): boolean {
    const { domain, replica } = this.cluster;
    const record = replica.records.get(packet.topic);
    const primary = record ? replica.primary(record) : null;
    if (primary?.peer && hops < HOPS) {
      this.cluster.relayPacket(primary.peer, 'e', null, packet, only, hops + 1);
      return true;
    }
    const found = domain.routeToOwner({ kind: 'deliver', packet, only });
    if (domain.trace !== null) domain.trace.routed(packet, found);
    return found;
  }

  /** To the other parts of an endpoint whose oldest part is here. */
  relay(address: Address, { packet, only }: Deliver): void {
    const record = this.cluster.replica.records.get(address);
    if (!record) return;
    const [first] = record.parts;
    if (record.parts.length === 1 && first?.peer === null) return;
    const unmet = record.parts.find(({ peer }) => peer === null)?.unmet;
    for (const { peer, hidden } of record.parts) {
      if (peer && !hidden && !unmet?.includes(peer)) this.cluster.relayPacket(peer, 'y', address, packet, only);
    }
  }

  /** A relayed packet: to this node's part alone. */
  relayed(address: Address, packet: Packet, only: string | null): void {
    const { registry, runtime } = this.cluster.domain;
    const entry = registry.endpoints.get(address);
    if (entry) runtime.system.tell(entry.actor, { kind: 'deliver', packet, only, relayed: true });
  }

  /**
   * A presence that every node makes for its own: to this node's part, and to those who watch by MQTT from the node of
   * the oldest part only.
   */
  hereAlone(packet: Packet): void {
    const { domain, replica } = this.cluster;
    if (domain.trace !== null) domain.trace.routed(packet, domain.registry.endpoints.has(packet.topic));
    this.relayed(packet.topic, packet, null);
    const record = replica.records.get(packet.topic);
    const primary = record ? replica.primary(record) : null;
    if (primary?.peer) return;
    routeToWatchers(domain.runtime.system, domain.table, packet);
    for (const peer of this.#watching(packet)) this.cluster.tellPacket(peer, 'v', null, packet);
  }

  /** Another node's packet for those who watch here. */
  toWatchers(packet: Packet): void {
    routeToWatchers(this.cluster.domain.runtime.system, this.cluster.domain.table, packet, true);
  }

  /** Nodes where somebody subscribed by MQTT to a packet's topic. */
  #watching({ topic }: Packet): ReadonlySet<Peer> {
    const { interest } = this.cluster;
    return interest.isEmpty ? NONE : interest.peers(topic);
  }
}
