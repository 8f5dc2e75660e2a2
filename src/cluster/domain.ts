/**
 * One domain on this node's side of the cluster: writes this node's parts into the replica and tells the other nodes of
 * them; the port that the domain's actors use. What comes in from other nodes is in incoming.ts.
 */
import type { Address } from '../actors/address.js';
import type { Client } from '../actors/client.js';
import type { DomainCluster, RemoteNode } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import { type Change, type EndpointRecord, momentsOf, nodesOf, partOf, primaryOf } from '../actors/endpoint-record.js';
import { Left, type Moment } from '../actors/moments.js';
import type { Packet } from '../actors/packet.js';
import type { Deliver } from '../actors/router.js';
import type { Tracker } from '../actors/tracker.js';
import { Handover } from './handover.js';
import { Interest } from './interest.js';
import type { ClusterNode } from './node.js';
import { type Peer, peerOf } from './peer.js';
import { PacketRelays } from './relays.js';
import { RemoteClients } from './remote-client.js';
import { RemoteTransports } from './remote-transport.js';
import { RemoteWatchers } from './remote-watchers.js';
import { RoundRobin } from './round-robin.js';
import { Sessions } from './sessions.js';
import { Topics } from './topics.js';
import { wireOf } from './wire.js';

/** How long a call sent on to another node waits for its answer. */
const CALL_MS = 5000;

export class ClusteredDomain implements DomainCluster {
  readonly relays: PacketRelays;
  readonly remoteWatchers: RemoteWatchers;
  readonly interest: Interest;
  readonly remoteTransports: RemoteTransports;
  readonly remoteClients: RemoteClients;
  readonly topics: Topics;
  readonly sessions: Sessions;
  readonly roundRobin: RoundRobin;
  readonly handover: Handover;
  /** Rooms that endpoints of this node have left. */
  readonly #left = new Map<Address, Left>();
  readonly #unmet = new Map<Address, readonly Peer[]>();

  constructor(
    readonly node: ClusterNode,
    readonly domain: Domain,
  ) {
    this.relays = new PacketRelays(this);
    this.remoteWatchers = new RemoteWatchers(() => this.tracker);
    this.interest = new Interest(this);
    this.remoteTransports = new RemoteTransports(this);
    this.remoteClients = new RemoteClients(this);
    this.topics = new Topics(this);
    this.sessions = new Sessions(this);
    this.roundRobin = new RoundRobin();
    this.handover = new Handover(this);
  }

  get tracker(): Tracker {
    return this.domain.tracker;
  }

  get tokenPrefix(): string {
    return this.node.tokenPrefix;
  }

  stamp(): number {
    return this.node.stamp();
  }

  cameUp(record: EndpointRecord): void {
    const { address, birth, stamp, nick, shown, show, status, rooms } = record;
    this.tell('u', address, stamp, nick, shown, show, status, birth, momentsOf(record));
    for (const room of rooms) this.#left.get(address)?.enter(room);
  }

  changed({ address, stamp, nick, shown, show, status }: EndpointRecord): void {
    this.tell('s', address, stamp, nick, shown, show, status);
  }

  roomsChanged(
    record: EndpointRecord,
    entered: readonly Moment[],
    left: readonly Moment[],
    { type, nick }: Change,
  ): void {
    const { address } = record;
    this.tell('r', address, entered, left, type, nick ?? null);
    for (const [room] of entered) this.#left.get(address)?.enter(room);
    this.leftElsewhere(record, left);
  }

  wentDown({ address }: EndpointRecord): void {
    this.#unmet.delete(address);
    this.tell('x', address);
  }

  confirm(record: EndpointRecord, rooms: readonly Address[], isIn: boolean): void {
    if (rooms.length === 0 || record.birth === 0) return;
    const stamp = this.node.stamp();
    const moments = rooms.map((room) => [room, stamp] as const);
    if (isIn) this.tracker.renew(record, moments);
    else this.leftElsewhere(record, moments);
  }

  isLatest({ address, birth, rooms, entered }: EndpointRecord, [room, stamp]: Moment): boolean {
    if (birth === 0) return true;
    return stamp > Math.max(entered[rooms.indexOf(room)] ?? 0, this.#left.get(address)?.at(room) ?? 0);
  }

  leftElsewhere({ address }: EndpointRecord, moments: readonly Moment[]): void {
    if (moments.length === 0) return;
    let left = this.#left.get(address);
    if (!left) {
      left = new Left();
      this.#left.set(address, left);
    }
    for (const [room, stamp] of moments) left.leave(room, stamp);
  }

  watch({ address, parts }: EndpointRecord, buddies: readonly Address[]): void {
    const byPeer = new Map<Peer, Address[]>();
    for (const buddy of buddies) {
      for (const peer of this.peersOf(buddy)) {
        const list = byPeer.get(peer);
        if (list) list.push(buddy);
        else byPeer.set(peer, [buddy]);
      }
    }
    for (const [peer, list] of byPeer) this.tellOne(peer, 'w', address, list);
    // The endpoint's other parts watch them too.
    if (parts.length > 0)
      for (const peer of this.peersOf(address)) this.tellOne(peer, 'm', address, [], [], null, buddies);
  }

  watchedBy(address: Address): ReadonlySet<Address> {
    return this.remoteWatchers.by(address);
  }

  /** Another node has a part of an endpoint: it is told who here lists it, and the parts come to know of each other. */
  appeared(record: EndpointRecord, node: RemoteNode, isBack: boolean): void {
    const peer = peerOf(node);
    const { address, actor, birth, watching } = record;
    for (const watcher of this.tracker.watchers(address)) this.tellOne(peer, 'w', watcher.address, [address]);
    if (!actor || birth === 0) return;
    this.#unmet.set(address, [...this.unmet(address), peer]);
    const left = this.#left.get(address)?.moments ?? [];
    this.tellOne(peer, 'm', address, momentsOf(record), left, null, watching);
    const since = isBack ? peer.lostAt : 0;
    const met = (unseen: readonly Packet[]) => this.#met(peer, record, since, unseen);
    actor.tell({ kind: 'partCame', met });
  }

  isMeeting({ address }: EndpointRecord): boolean {
    return this.#unmet.has(address);
  }

  /** Nodes that have a part of an endpoint, of which its actor here does not know yet; nothing is relayed there. */
  unmet(address: Address): readonly Peer[] {
    return this.#unmet.get(address) ?? [];
  }

  /**
   * A part of an endpoint has come on another node, and the part here knows: what comes next is relayed. What nobody has
   * seen since `since` (`performance.now()`) goes there, from the part that messages have gone through.
   */
  #met(peer: Peer, record: EndpointRecord, since: number, unseen: readonly Packet[]): void {
    const { address } = record;
    const before = this.unmet(address);
    if (!before.includes(peer)) return;
    const rest = before.toSpliced(before.indexOf(peer), 1);
    if (rest.length > 0) this.#unmet.set(address, rest);
    else this.#unmet.delete(address);
    if (rest.includes(peer) || primaryOf(record, peer) !== null) return;
    for (const packet of unseen) if (packet.acceptedAt >= since) this.tellPacket(peer, 'U', address, packet);
  }

  remembered(): void {
    this.domain.runtime.metrics.cluster.replicaEndpoints += 1;
  }

  forgotten(address: Address): void {
    this.domain.runtime.metrics.cluster.replicaEndpoints -= 1;
    this.remoteWatchers.forget(address);
    this.#left.delete(address);
    this.#unmet.delete(address);
    this.roundRobin.forget(address);
  }

  shared(by: 1 | -1): void {
    this.domain.metrics.endpointsShared += by;
  }

  forward(token: string, call: readonly unknown[], done: (answer: unknown) => void): boolean {
    return this.#forward(this.node.homeOf(token), call, done);
  }

  isKnown(token: string): boolean {
    return this.node.homeOf(token) !== null;
  }

  forwardTo(address: Address, call: readonly unknown[], done: (answer: unknown) => void): boolean {
    return this.#forward(this.peersOf(address)[0] ?? null, call, done);
  }

  #forward(peer: Peer | null, call: readonly unknown[], done: (answer: unknown) => void): boolean {
    if (!peer) return false;
    this.domain.runtime.metrics.cluster.callsForwarded += 1;
    this.node.rpc.call(peer, 'call', [this.domain.name, ...call], CALL_MS, done);
    return true;
  }

  remoteClient(address: Address, token: string, done: (client: Client | null) => void): void {
    this.remoteClients.find(address, token, done);
  }

  settled(done: () => void): void {
    this.node.mesh.barrier(done);
  }

  broadcast(packet: Packet): void {
    this.relays.broadcast(packet);
  }

  toRoom(packet: Packet): boolean {
    return this.relays.toRoom(packet);
  }

  toWatchers(packet: Packet): boolean {
    return this.relays.toWatchers(packet);
  }

  toEndpoint(packet: Packet, only: string | null): boolean {
    return this.relays.toEndpoint(packet, only);
  }

  relay(record: EndpointRecord, deliver: Deliver): void {
    this.relays.relay(record, deliver);
  }

  carbon(record: EndpointRecord, packet: Packet): void {
    this.relays.carbon(record, packet);
  }

  takeTurn(record: EndpointRecord, deliver: Deliver, clients: readonly Client[]): boolean {
    return this.relays.takeTurn(record, deliver, clients);
  }

  nodesOf(address: Address): readonly string[] {
    const record = this.tracker.records.get(address);
    if (!record) return [];
    const others = record.parts.filter(({ hidden }) => !hidden).map(({ node, birth }) => ({ name: node.name, birth }));
    const all = record.birth > 0 ? [...others, { name: this.node.name, birth: record.birth }] : others;
    return all.sort((a, b) => a.birth - b.birth).map(({ name }) => name);
  }

  /** Nodes that have a part of an endpoint, but this one; the oldest part first. */
  peersOf(address: Address): Peer[] {
    return nodesOf(this.tracker.records.get(address)).map(peerOf);
  }

  claimName({ address }: EndpointRecord, name: string): void {
    for (const peer of this.peersOf(address)) this.tellOne(peer, 'n', address, name);
  }

  connected({ address, parts, connected }: EndpointRecord): void {
    if (parts.length > 0) for (const peer of this.peersOf(address)) this.tellOne(peer, 'k', address, connected);
  }

  /** Everything that a peer is to know of this node's part of the domain. */
  *snapshot(peer: Peer): Iterable<string> {
    for (const record of this.tracker.here()) {
      const { address, birth, stamp, nick, shown, show, status, watching, connected } = record;
      if (birth === 0) continue;
      yield this.item('u', address, stamp, nick, shown, show, status, birth, momentsOf(record));
      const hearers = watching.filter((buddy) => this.peersOf(buddy).includes(peer));
      if (hearers.length > 0) yield this.item('w', address, hearers);
      if (!partOf(record, peer)) continue;
      yield this.item('k', address, connected);
      const left = this.#left.get(address)?.moments ?? [];
      if (left.length > 0) yield this.item('m', address, [], left, null, []);
    }
    for (const filter of this.interest.own) yield this.interest.item(filter, true);
    yield* this.topics.snapshot();
    yield* this.sessions.snapshot();
  }

  wire(packet: Packet): string {
    return wireOf(packet, this.node.encode, this.node.name);
  }

  item(kind: string, address: Address, ...fields: unknown[]): string {
    return JSON.stringify([kind, this.domain.name, address, ...fields]);
  }

  tell(kind: string, address: Address, ...fields: unknown[]): void {
    this.node.mesh.broadcast(this.item(kind, address, ...fields));
  }

  tellOne(peer: Peer, kind: string, address: Address, ...fields: unknown[]): void {
    this.node.mesh.send(peer, this.item(kind, address, ...fields));
  }

  /** Sends a packet on its way to a receiver, which is a hop of it. */
  relayPacket(peer: Peer, kind: string, address: Address | null, packet: Packet, ...fields: unknown[]): void {
    if (this.domain.trace !== null) this.domain.trace.relayed(packet, peer.name);
    this.tellPacket(peer, kind, address, packet, ...fields);
  }

  /** `fields` stand before the packet. */
  tellPacket(peer: Peer, kind: string, address: Address | null, packet: Packet, ...fields: unknown[]): void {
    const head = JSON.stringify([kind, this.domain.name, address, ...fields]);
    this.node.mesh.send(peer, `${head.slice(0, -1)},${this.wire(packet)}]`);
  }
}
