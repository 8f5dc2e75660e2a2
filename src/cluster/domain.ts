/**
 * One domain on this node's side of the cluster: the port that the domain's actors use. Tells the other nodes of this
 * node's parts of endpoints, and hands the rest to collaborators, each of which has a file. What comes in from other
 * nodes is in incoming.ts.
 */
import type { Address } from '../actors/address.js';
import type { DomainCluster, EndpointJournal, MessageKeeper, RemoteNode } from '../actors/cluster.js';
import { keepOrDrop, toEndpointHere } from '../actors/dispatch.js';
import type { Domain } from '../actors/domain.js';
import { type Change, type EndpointRecord, isOnline, momentsOf, namesOf, nodesOf } from '../actors/endpoint-record.js';
import type { Addressee, Claim } from '../actors/message-ids.js';
import type { Moment } from '../actors/moments.js';
import { Receipt } from '../actors/outcome.js';
import type { Packet } from '../actors/packet.js';
import type { Deliver } from '../actors/router.js';
import type { EndedTicket, SignedOut } from '../actors/sign-outs.js';
import { hasItem } from '../actors/small-set.js';
import type { Tracker } from '../actors/tracker.js';
import type { OrphanFinder } from './adopted.js';
import { AwayCounts } from './away-counts.js';
import { Claims } from './claims.js';
import { EndpointPackets } from './endpoint-packets.js';
import { Forgetting } from './forgetting.js';
import { Handover } from './handover.js';
import type { Recipients } from './incoming.js';
import { Interest } from './interest.js';
import { Items } from './items.js';
import { LeftRooms } from './left-rooms.js';
import type { LocalNode } from './local-node.js';
import { Meetings } from './meetings.js';
import { type Peer, peerOf } from './peer.js';
import { PacketRelays } from './relays.js';
import { RemoteClients } from './remote-client.js';
import { RemoteTransports } from './remote-transport.js';
import { RemoteWatchers } from './remote-watchers.js';
import { chosenBy, succeeds } from './rendezvous.js';
import { RoundRobin } from './round-robin.js';
import { Sessions } from './sessions.js';
import { snapshotOf } from './snapshot.js';
import { Topics } from './topics.js';
import { Whereabouts } from './whereabouts.js';

/** How long a call sent on to another node waits for its answer. */
const CALL_MS = 5000;

export class ClusteredDomain implements DomainCluster, Recipients {
  readonly items: Items;
  readonly relays: PacketRelays;
  readonly packets: EndpointPackets;
  readonly meetings: Meetings;
  readonly remoteWatchers: RemoteWatchers;
  readonly interest: Interest;
  readonly remoteTransports: RemoteTransports;
  readonly remoteClients: RemoteClients;
  readonly topics: Topics;
  readonly sessions: Sessions;
  readonly awayCounts: AwayCounts;
  readonly roundRobin = new RoundRobin();
  readonly handover: Handover;
  readonly claims: Claims;
  readonly whereabouts: Whereabouts;
  readonly forgetting: Forgetting;
  readonly journal: EndpointJournal | null;
  readonly held: MessageKeeper | null;
  readonly orphans: OrphanFinder | null;
  readonly stamps: LocalNode['stamps'];
  readonly left = new LeftRooms();

  constructor(
    private readonly node: LocalNode,
    readonly domain: Domain,
  ) {
    const { mesh, rpc, stamps } = node;
    this.stamps = stamps;
    const now = () => domain.runtime.clock.now();
    const items = new Items(domain.name, node, now);
    this.items = items;
    this.awayCounts = new AwayCounts(items, mesh);
    this.remoteWatchers = new RemoteWatchers(domain);
    this.interest = new Interest(items, mesh);
    this.meetings = new Meetings(items, mesh);
    const peersOf = (address: Address) => this.#peersOf(address);
    this.forgetting = new Forgetting(domain, node);
    this.journal = node.journalOf(domain);
    this.orphans = node.orphansOf(domain);
    this.held = node.heldOf(domain, items);
    this.whereabouts = new Whereabouts({ domain, node, peersOf, orphans: this.orphans });
    this.remoteTransports = new RemoteTransports(domain, items, mesh, () => node.leaving.isActive);
    this.remoteClients = new RemoteClients(domain, items, node, this.whereabouts);
    this.sessions = new Sessions(items, mesh, stamps, domain, node.sessionsOf(domain));
    const { interest } = this;
    this.topics = new Topics({ items, mesh, stamps, interest, now, settled: (done) => mesh.barrier(done) });
    const actor = (address: Address) => domain.tracker.actor(address);
    this.handover = new Handover({ domain: domain.name, node, now, actor, peersOf });
    const whenKnown = node.idsOf(domain);
    this.claims = new Claims({ domain, rpc, whenKnown, chosenBy: (address) => chosenBy(node, address) });
    const { handover, meetings, roundRobin } = this;
    this.relays = new PacketRelays({
      ...{ domain, items, mesh, rpc, interest, handover, ending: node.ending, roundRobin, meetings },
      toEndpointHere: (packet, only) => toEndpointHere(domain, packet, only),
      sendAnew: (packet, only) => {
        if (!this.packets.send(packet, only)) keepOrDrop(domain, packet, packet.topic, only);
      },
    });
    const { relays, orphans } = this;
    this.packets = new EndpointPackets({ domain, relays, orphans, rpc, mesh, metrics: domain.runtime.metrics.cluster });
  }

  get tracker(): Tracker {
    return this.domain.tracker;
  }

  get tokenPrefix(): string {
    return this.node.tokenPrefix;
  }

  stamp(): number {
    return this.stamps.next();
  }

  cameUp(record: EndpointRecord): void {
    this.#tell(this.items.cameUp(record, this.domain.fanout.isSilentEverywhere));
    for (const room of record.rooms) this.left.enter(record.address, room);
    this.packets.cameUp(record.address);
  }

  changed(record: EndpointRecord): void {
    this.#tell(this.items.changed(record));
  }

  roomsChanged(record: EndpointRecord, entered: readonly Moment[], left: readonly Moment[], change: Change): void {
    const { address } = record;
    this.#tell(this.items.roomsChanged(address, entered, left, change));
    for (const [room] of entered) this.left.enter(address, room);
    this.leftElsewhere(record, left);
  }

  wentDown(record: EndpointRecord): number {
    const { address } = record;
    this.meetings.forget(address);
    const stamp = this.stamps.next();
    this.#tell(this.items.wentDown(address, !isOnline(record), stamp));
    return stamp;
  }

  wentAway(record: EndpointRecord): void {
    this.#tell(this.items.wentAway(record, !isOnline(record)));
  }

  get awayElsewhere(): number {
    return this.awayCounts.elsewhere;
  }

  get hasOthers(): boolean {
    return this.node.mesh.peers.size > 0;
  }

  awayCount(count: number): void {
    this.awayCounts.change(count, this.domain.limits.awayPerDomain);
  }

  confirm(record: EndpointRecord, rooms: readonly Address[], isIn: boolean): void {
    if (rooms.length === 0 || record.birth === 0) return;
    const stamp = this.stamps.next();
    const moments = rooms.map((room) => [room, stamp] as const);
    if (isIn) this.tracker.renew(record, moments);
    else this.leftElsewhere(record, moments);
  }

  isLatest({ address, birth, rooms, entered }: EndpointRecord, [room, stamp]: Moment): boolean {
    if (birth === 0) return true;
    return stamp > Math.max(entered[rooms.indexOf(room)] ?? 0, this.left.at(address, room));
  }

  leftElsewhere({ address }: EndpointRecord, moments: readonly Moment[]): void {
    this.left.leave(address, moments);
  }

  watch({ address, parts }: EndpointRecord, buddies: readonly Address[]): void {
    const byPeer = new Map<Peer, Address[]>();
    for (const buddy of buddies) {
      for (const peer of this.#peersOf(buddy)) {
        const list = byPeer.get(peer);
        if (list) list.push(buddy);
        else byPeer.set(peer, [buddy]);
      }
    }
    for (const [peer, list] of byPeer) this.node.mesh.send(peer, this.items.watches(address, list));
    if (parts.length > 0) this.#tellParts(address, this.items.mirror(address, { watching: buddies }));
  }

  watchedBy(address: Address): Iterable<Address> {
    return this.remoteWatchers.by(address);
  }

  /** Another node has a part of an endpoint: it is told who here lists it, and the parts come to know of each other. */
  appeared(record: EndpointRecord, node: RemoteNode, as: 'first' | 'new' | 'back'): void {
    const peer = peerOf(node);
    const { address, actor, birth, watching } = record;
    // Whom an endpoint lists it hears of there, without being told that they list it too; what it lists comes before it does.
    const listed = this.remoteWatchers.takeListed(address);
    for (const watcher of this.tracker.watchers(address)) {
      if (as === 'first' && hasItem(listed, watcher.address)) continue;
      this.node.mesh.send(peer, this.items.watches(watcher.address, [address]));
    }
    this.packets.appeared(address);
    if (!actor || birth === 0) return;
    const left = this.left.moments(address);
    this.node.mesh.send(peer, this.items.mirror(address, { entered: momentsOf(record), left, watching }));
    this.meetings.begin(record, peer, as === 'back');
  }

  isFirst(): boolean {
    const { mesh, name } = this.node;
    return [...mesh.peers.values()].every((peer) => !peer.up || name < peer.name);
  }

  isMeeting({ address }: EndpointRecord): boolean {
    return this.meetings.has(address);
  }

  primaryMoved(address: Address, from: RemoteNode | null): void {
    this.handover.moved(address, from && peerOf(from));
  }

  remembered(): void {
    this.domain.runtime.metrics.cluster.replicaEndpoints += 1;
  }

  forgotten(address: Address): void {
    this.domain.runtime.metrics.cluster.replicaEndpoints -= 1;
    this.remoteWatchers.forget(address);
    this.left.forget(address);
    this.meetings.forget(address);
    this.roundRobin.forget(address);
  }

  shared(by: 1 | -1): void {
    this.domain.metrics.endpointsShared += by;
  }

  forward(address: Address, token: string, call: readonly unknown[], done: (answer: unknown) => void): boolean {
    return this.whereabouts.forward(address, token, done, (peer) => this.#forward(peer, call, done));
  }

  isKnown(address: Address, token: string): boolean {
    return this.whereabouts.mayKnow(address, token);
  }

  readonly locate: DomainCluster['locate'] = (...asked) => this.remoteClients.locate(...asked);
  readonly remoteClient: DomainCluster['remoteClient'] = (...asked) => this.remoteClients.find(...asked);

  forwardTo(address: Address, call: readonly unknown[], done: (answer: unknown) => void): boolean {
    return this.#forward(this.#peersOf(address)[0] ?? null, call, done);
  }

  claimIds(
    sender: Address,
    id: string,
    addressees: readonly Addressee[],
    done: (claims: readonly Claim[] | null) => void,
  ): boolean {
    return this.claims.claim(sender, id, addressees, done);
  }

  succeeds(left: string): boolean {
    return succeeds(this.node, left, this.domain.name);
  }

  forget(what: readonly unknown[], done: (answers: readonly unknown[]) => void): void {
    this.forgetting.forget(what, done);
  }

  isTaking(address: Address): boolean {
    return this.orphans?.isTaking(address) === true;
  }

  whenTaken(addresses: readonly Address[] | null, done: (isTaken: boolean) => void): void {
    if (this.orphans) this.orphans.whenTaken(addresses, done);
    else done(true);
  }

  #forward(peer: Peer | null, call: readonly unknown[], done: (answer: unknown) => void): boolean {
    if (!peer) return false;
    this.domain.runtime.metrics.cluster.callsForwarded += 1;
    this.node.rpc.call(peer, 'call', [this.domain.name, ...call], CALL_MS, done);
    return true;
  }

  arrival(receivers: readonly Address[], until: 'acknowledged' | 'written'): (done: () => void) => void {
    const { mesh, ending } = this.node;
    const before = this.relays.nodesTo(receivers);
    return (done) => {
      // The NATS client writes what it is given when this turn of the event loop has come to its end.
      const written = (): unknown => (mesh.hasUnsent ? setImmediate(written) : done());
      const sent = (): void => {
        // Of a receiver that moves the node that it was on may have it, and pass it on.
        const nodes = new Set([...before, ...this.relays.nodesTo(receivers)]);
        ending.whenGone(nodes, (hasWaited) => {
          if (hasWaited) this.whenTaken(receivers, wait);
          else if (until === 'written') written();
          else mesh.barrier(done, [...nodes].map(peerOf));
        });
      };
      const wait = (): void => this.handover.whenNoneWaits(receivers, sent);
      wait();
    };
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

  readonly toWatchers: DomainCluster['toWatchers'] = (packet) => this.relays.toWatchers(packet);

  toEndpoint(packet: Packet, only: string | null): boolean {
    return this.packets.send(packet, only);
  }

  relay(record: EndpointRecord, deliver: Deliver, isFor?: (node: RemoteNode) => boolean): void {
    this.relays.relay(record, deliver, isFor);
  }

  carbon(record: EndpointRecord, packet: Packet): void {
    this.relays.carbon(record, packet);
  }

  giveLate(record: EndpointRecord, node: RemoteNode, packets: readonly Packet[]): void {
    this.relays.giveLate(record, node, packets);
  }

  takeTurn(record: EndpointRecord, deliver: Deliver, own: number): boolean {
    return this.relays.takeTurn(record, deliver, own);
  }

  nodesOf(address: Address): readonly string[] {
    return namesOf(this.tracker.records.get(address), this.node.name);
  }

  claimName({ address }: EndpointRecord, name: string): void {
    this.#tellParts(address, this.items.nameClaimed(address, name));
  }

  holdName({ address }: EndpointRecord, name: string, stamp: number): void {
    this.#tellParts(address, this.items.nameHeld(address, name, stamp));
  }

  signOut({ address }: EndpointRecord): void {
    this.#tellParts(address, this.items.signedOut(address));
  }

  signedOutByName(names: readonly SignedOut[]): void {
    this.#tell(this.items.signedOutByName(true, names));
  }

  ticketsSignedOut(tickets: readonly EndedTicket[]): void {
    this.#tell(this.items.ticketsSignedOut(tickets));
  }

  confirmed({ address }: EndpointRecord, names: readonly string[], isConfirmed: boolean): void {
    for (const item of this.items.confirmedHere(address, isConfirmed, names)) this.#tellParts(address, item);
  }

  connected(record: EndpointRecord): void {
    if (record.parts.length > 0) this.#tellParts(record.address, this.items.connected(record));
  }

  receipt(peer: Peer, id: number): Receipt {
    return new Receipt(true, (outcome) => {
      const answer = (): void => this.node.rpc.answer(peer, id, outcome);
      if (this.domain.answersFromDisk) this.domain.committed(answer);
      else answer();
    });
  }

  snapshot(peer: Peer): Iterable<string> {
    return snapshotOf(this, peer);
  }

  /** The other nodes that have a part of an endpoint; the oldest part first. */
  #peersOf(address: Address): Peer[] {
    return nodesOf(this.tracker.records.get(address)).map(peerOf);
  }

  #tell(item: string): void {
    this.node.mesh.broadcast(item);
  }

  #tellParts(address: Address, item: string): void {
    for (const peer of this.#peersOf(address)) this.node.mesh.send(peer, item);
  }
}
