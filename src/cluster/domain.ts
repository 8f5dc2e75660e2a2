/**
 * One domain on this node's side of the cluster: writes this node's parts into the replica and tells the other nodes of
 * them; the port that the domain's actors use. What comes in from other nodes is in incoming.ts.
 */
import type { Address, Target } from '../actors/address.js';
import type { Client } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import type { Appearance } from '../actors/presence.js';
import type { EndpointEntry } from '../actors/registry.js';
import type { Deliver } from '../actors/router.js';
import { Audience } from './audience.js';
import { Delivery } from './delivery.js';
import { Hosting } from './hosting.js';
import { Interest } from './interest.js';
import { Left, type Moment } from './moments.js';
import type { ClusterNode } from './node.js';
import { Paths } from './paths.js';
import type { Peer } from './peer.js';
import type { Change, DomainCluster, Elsewhere } from './port.js';
import { enteredAt, momentsOf, type Part, type Record, Replica, roomsOf } from './replica.js';
import { Sessions } from './sessions.js';
import { Topics } from './topics.js';
import { Turns } from './turns.js';
import { Visits } from './visits.js';
import { wireOf } from './wire.js';

/** How long a call sent on to another node waits for its answer. */
const CALL_MS = 5000;

export class ClusteredDomain implements DomainCluster {
  readonly replica: Replica;
  readonly delivery: Delivery;
  readonly audience: Audience;
  readonly interest: Interest;
  readonly hosting: Hosting;
  readonly visits: Visits;
  readonly topics: Topics;
  readonly sessions: Sessions;
  readonly turns: Turns;
  readonly paths: Paths;

  constructor(
    readonly node: ClusterNode,
    readonly domain: Domain,
  ) {
    this.audience = new Audience(this);
    this.replica = new Replica(this.audience, domain.roomSizes, node.siblings);
    this.delivery = new Delivery(this);
    this.interest = new Interest(this);
    this.hosting = new Hosting(this);
    this.visits = new Visits(this);
    this.topics = new Topics(this);
    this.sessions = new Sessions(this);
    this.turns = new Turns(this);
    this.paths = new Paths(this);
  }

  get tokenPrefix(): string {
    return this.node.tokenPrefix;
  }

  get online(): number {
    return this.replica.records.size;
  }

  appearance(address: Address): Appearance | null {
    return this.replica.appearance(address);
  }

  nick(address: Address): string | null {
    return this.replica.records.get(address)?.nick ?? null;
  }

  members(room: Address): readonly Address[] {
    return [...(this.replica.rooms.get(room)?.members ?? [])].map(({ address }) => address);
  }

  memberCount(room: Address): number {
    return this.replica.rooms.get(room)?.members.size ?? 0;
  }

  update(address: Address, entry: EndpointEntry, online: boolean, change: Change): void {
    const part = this.replica.localPart(address);
    if (online && !part) this.#up(address, entry, change);
    else if (online && part) this.#change(address, entry, part, change);
    else if (part) {
      this.tell('x', address);
      this.replica.down(address, null);
    }
  }

  #up(address: Address, { nick, show, status, rooms }: EndpointEntry, { isShown }: Change): void {
    const record = this.replica.records.get(address);
    const stamp = this.node.stamp();
    const shown = isShown ? stamp : (record?.shown ?? 0);
    const moments = rooms.map((room) => [room, (record && enteredAt(record, room)) || stamp] as const);
    this.tell('u', address, stamp, nick, shown, show, status, stamp, moments);
    this.replica.up(address, null, stamp, { stamp, nick, shown, show, status }, moments);
    for (const room of rooms) record?.left?.enter(room);
  }

  #change(address: Address, entry: EndpointEntry, part: Part, change: Change): void {
    const record = this.replica.records.get(address);
    if (!record) return;
    this.#setProfile(record, entry, change);
    const { rooms } = entry;
    const stamps = new Map(change.moments);
    let now = 0;
    const stampOf = (room: Address): number => {
      const known = stamps.get(room);
      if (known === undefined && now === 0) now = this.node.stamp();
      return known ?? now;
    };
    const add = rooms.filter((room) => !part.rooms.includes(room)).map((room) => [room, stampOf(room)] as const);
    const remove = part.rooms.filter((room) => !rooms.includes(room)).map((room) => [room, stampOf(room)] as const);
    if (add.length + remove.length === 0) return;
    const { type, nick = null } = change;
    this.tell('r', address, add, remove, type, nick);
    this.replica.enter(address, null, add, remove, { type, nick });
    for (const [room] of add) record.left?.enter(room);
    this.#left(record, remove);
  }

  #setProfile(record: Record, { nick, show, status }: EndpointEntry, { isShown }: Change): void {
    const { address } = record;
    const isRenamed = record.nick !== nick;
    const isChanged = isShown || record.show !== show || record.status !== status;
    if (!isRenamed && !isChanged) return;
    const now = this.node.stamp();
    const [stamp, shown] = [isRenamed ? now : record.stamp, isChanged ? now : record.shown];
    this.tell('s', address, stamp, nick, shown, show, status);
    this.replica.set(address, { stamp, nick, shown, show, status });
  }

  #left(record: Record, moments: readonly Moment[]): void {
    if (moments.length === 0) return;
    record.left ??= new Left();
    for (const [room, stamp] of moments) record.left.leave(room, stamp);
  }

  confirm(address: Address, rooms: readonly Address[], isIn: boolean): void {
    const record = this.replica.records.get(address);
    if (!record || rooms.length === 0 || !this.replica.localPart(address)) return;
    const stamp = this.node.stamp();
    const moments = rooms.map((room) => [room, stamp] as const);
    if (isIn) this.replica.enter(address, null, moments, [], { type: 'join', nick: null });
    else this.#left(record, moments);
  }

  isLatest(address: Address, [room, stamp]: Moment): boolean {
    const record = this.replica.records.get(address);
    const own = this.replica.localPart(address);
    if (!record || !own) return true;
    return stamp > Math.max(own.entered[own.rooms.indexOf(room)] ?? 0, record.left?.at(room) ?? 0);
  }

  leftElsewhere(address: Address, moments: readonly Moment[]): void {
    const record = this.replica.records.get(address);
    if (record) this.#left(record, moments);
  }

  watch(address: Address, buddies: readonly Address[]): void {
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
    for (const peer of this.peersOf(address)) this.tellOne(peer, 'm', address, [], [], null, buddies);
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
    this.node.calls.ask(peer, 'call', [this.domain.name, ...call], CALL_MS, done);
    return true;
  }

  visit(address: Address, token: string, done: (client: Client | null) => void): void {
    this.visits.find(address, token, done);
  }

  settled(done: () => void): void {
    this.node.mesh.barrier(done);
  }

  dispatch(packet: Packet, target: Target | null): void {
    this.delivery.dispatch(packet, target);
  }

  relay(address: Address, deliver: Deliver): void {
    this.delivery.relay(address, deliver);
  }

  carbon(address: Address, packet: Packet): void {
    for (const peer of this.peersOf(address)) this.relayPacket(peer, 'c', address, packet);
  }

  roomsOf(address: Address): readonly Address[] {
    const record = this.replica.records.get(address);
    return record ? roomsOf(record) : [];
  }

  nodesOf(address: Address): readonly string[] {
    const parts = this.replica.records.get(address)?.parts ?? [];
    return parts.filter(({ hidden }) => !hidden).map(({ peer }) => peer?.name ?? this.node.name);
  }

  /** Nodes that have a part of an endpoint, but this one; the oldest part first. */
  peersOf(address: Address): Peer[] {
    const found: Peer[] = [];
    for (const { peer, hidden } of this.replica.records.get(address)?.parts ?? []) {
      if (peer?.up && !hidden) found.push(peer);
    }
    return found;
  }

  claimName(address: Address, name: string): void {
    for (const peer of this.peersOf(address)) this.tellOne(peer, 'n', address, name);
  }

  /** The show is the last that was set, also on a node that is not heard of: who hides there does not appear here. */
  elsewhere(address: Address): Elsewhere | null {
    const record = this.replica.records.get(address);
    return record ? { show: record.show, status: record.status, rooms: roomsOf(record) } : null;
  }

  /**
   * A part of an endpoint has come on another node, and the part here knows: what comes next is relayed. What nobody has
   * seen since `since` (`performance.now()`) goes there, from the part that messages have gone through.
   */
  met(peer: Peer, address: Address, since: number, unseen: readonly Packet[]): void {
    const record = this.replica.records.get(address);
    const own = this.replica.localPart(address);
    if (!record || !own?.unmet) return;
    own.unmet.splice(own.unmet.indexOf(peer), 1);
    if (own.unmet.includes(peer)) return;
    if (own.unmet.length === 0) own.unmet = null;
    if (this.replica.primary(record, peer) !== own) return;
    for (const packet of unseen) if (packet.acceptedAt >= since) this.tellPacket(peer, 'U', address, packet);
  }

  isConnectedElsewhere(address: Address): boolean {
    const parts = this.replica.records.get(address)?.parts ?? [];
    return parts.some(({ peer, hidden, connected }) => peer?.up === true && !hidden && connected > 0);
  }

  connected(address: Address, clients: readonly Client[]): void {
    const part = this.replica.localPart(address);
    if (!part) return;
    part.connected = clients.filter(({ transport }) => transport !== null).length;
    const peers = this.peersOf(address);
    for (const peer of peers) this.tellOne(peer, 'k', address, part.connected);
  }

  takeTurn(address: Address, { packet, only }: Deliver, clients: readonly Client[]): boolean {
    const own = clients.filter(({ transport }) => transport !== null).length;
    const peer = this.turns.choose(address, packet.sender ?? '', own);
    if (peer) this.relayPacket(peer, 'y', address, packet, only);
    return peer !== null;
  }

  /** Everything that a peer is to know of this node's part of the domain. */
  *snapshot(peer: Peer): Iterable<string> {
    for (const [address, { nick, shown, show, status, stamp, left, parts }] of this.replica.records) {
      const part = parts.find((other) => other.peer === null);
      if (!part) continue;
      yield this.item('u', address, stamp, nick, shown, show, status, part.birth, momentsOf(part));
      const hearers = this.audience.hearersOn(peer, address);
      if (hearers.length > 0) yield this.item('w', address, hearers);
      if (parts.length === 1 || !parts.some((other) => other.peer === peer)) continue;
      yield this.item('k', address, part.connected);
      if (left) yield this.item('m', address, [], left.moments, null, []);
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
