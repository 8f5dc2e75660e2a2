/**
 * Lets this node's clients hear of what changes in the replica. Each node tells its own, whichever node the change is
 * from, so that a change, a node that dies and one that comes back are all the same: nobody hears a thing twice, and
 * what anybody believes is what this node's replica says.
 */
import { type Address, shortId } from '../actors/address.js';
import { Packet, type PresenceType } from '../actors/packet.js';
import { watched, watchFilter } from '../actors/roster.js';
import type { ClusteredDomain } from './domain.js';
import type { Peer } from './peer.js';
import { momentsOf, type Record, type ReplicaEvents } from './replica.js';

export class Audience implements ReplicaEvents {
  /** Endpoint elsewhere → endpoints here that it watches: they hear of it too, although they need not list it. */
  readonly #watched = new Map<Address, Set<Address>>();

  constructor(private readonly cluster: ClusteredDomain) {}

  /** Another node says: this endpoint of it watches these of ours. */
  watched(address: Address, buddies: readonly Address[]): void {
    const { records } = this.cluster.replica;
    let known = this.#watched.get(address);
    if (!known) {
      known = new Set();
      this.#watched.set(records.get(address)?.address ?? address, known);
    }
    for (const buddy of buddies) known.add(records.get(buddy)?.address ?? buddy);
  }

  changed(record: Record, type: 'online' | 'offline' | 'show'): void {
    const { domain } = this.cluster;
    const { address, nick } = record;
    const from = shortId(domain.name, address);
    const show = type === 'offline' ? 'unavailable' : record.show;
    const status = type === 'offline' ? '' : record.status;
    for (const hearer of this.#hearers(address)) {
      const to = shortId(domain.name, hearer);
      domain.metrics.accepted.presence += 1;
      const packet = new Packet('presence', { from, to, nick, type, show, status }, hearer, address);
      this.cluster.delivery.hereAlone(packet);
    }
  }

  inRoom(record: Record, room: Address, type: PresenceType, nick: string | null): void {
    const { domain } = this.cluster;
    if (!domain.registry.rooms.has(room) && !domain.isHeard(room)) return;
    const to = shortId(domain.name, room);
    const from = shortId(domain.name, record.address);
    const show = type === 'grpoffline' ? 'unavailable' : record.show;
    const fields = { from, to, nick: nick ?? record.nick, type, show, status: to };
    domain.metrics.accepted.presence += 1;
    domain.route(new Packet('presence', fields, room, record.address));
  }

  appeared(record: Record, peer: Peer, isBack: boolean): void {
    const { cluster } = this;
    const watchers = this.#watchers(record.address);
    for (const watcher of watchers) cluster.tellOne(peer, 'w', watcher, [record.address]);
    const entry = cluster.domain.registry.endpoints.get(record.address);
    const part = cluster.replica.localPart(record.address);
    if (!entry || !part) return;
    // The endpoint has parts on both: they come to know of each other.
    part.unmet = [...(part.unmet ?? []), peer];
    cluster.tellOne(
      peer,
      'm',
      record.address,
      momentsOf(part),
      record.left?.moments ?? [],
      null,
      entry.watching.map(watched),
    );
    const since = isBack ? peer.lostAt : 0;
    const met = (unseen: readonly Packet[]) => cluster.met(peer, record.address, since, unseen);
    cluster.domain.runtime.system.tell(entry.actor, { kind: 'sibling', met });
  }

  remembered(): void {
    this.cluster.domain.runtime.metrics.cluster.replicaEndpoints += 1;
  }

  forgotten({ address }: Record): void {
    this.cluster.domain.runtime.metrics.cluster.replicaEndpoints -= 1;
    this.#watched.delete(address);
    this.cluster.turns.forget(address);
  }

  shared(by: 1 | -1): void {
    this.cluster.domain.metrics.endpointsShared += by;
  }

  /** Of an endpoint's buddies here in its list, those that a peer has. */
  hearersOn(peer: Peer, address: Address): Address[] {
    const watching = this.cluster.domain.registry.endpoints.get(address)?.watching ?? [];
    return watching.map(watched).filter((buddy) => this.cluster.peersOf(buddy).includes(peer));
  }

  /** Endpoints of this node that list it. */
  #watchers(address: Address): Address[] {
    const found: Address[] = [];
    for (const { owner } of this.cluster.domain.table.exact(watchFilter(address)))
      if (owner !== null) found.push(owner);
    return found;
  }

  #hearers(address: Address): Set<Address> {
    const { registry } = this.cluster.domain;
    const hearers = new Set(this.#watchers(address));
    for (const hearer of this.#watched.get(address) ?? []) if (registry.endpoints.has(hearer)) hearers.add(hearer);
    for (const filter of registry.endpoints.get(address)?.watching ?? []) {
      const hearer = watched(filter);
      if (registry.endpoints.has(hearer)) hearers.add(hearer);
    }
    return hearers;
  }
}
