/**
 * Packets on their way to other nodes. All packets for an endpoint go through its oldest part, which relays them to its other
 * parts: with only one way each sender's order holds, and no packet comes twice. A packet for a room goes to every node that has
 * members; nodes where MQTT clients watch an address get its packets from the node that the packets come from.
 */
import type { Address } from '../actors/address.js';
import type { Relays, RemoteNode } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import { type EndpointRecord, nodesOf, primaryOf } from '../actors/endpoint-record.js';
import type { Passed } from '../actors/moving.js';
import { isOutcome, type Receipt } from '../actors/outcome.js';
import type { Packet } from '../actors/packet.js';
import type { Deliver } from '../actors/router.js';
import type { Trace } from '../actors/trace.js';
import type { Tracker } from '../actors/tracker.js';
import type { EndingNodes } from './ending-nodes.js';
import { type Handover, ON_ITS_WAY_MS } from './handover.js';
import type { Interest } from './interest.js';
import type { Items } from './items.js';
import type { LocalNode } from './local-node.js';
import type { Meetings } from './meetings.js';
import { type Peer, peerOf } from './peer.js';
import type { RoundRobin } from './round-robin.js';

/** How many times a packet may be sent to the node of its endpoint's oldest part, as that part may have changed by its arrival. */
export const HOPS = 3;

/** How long a node may take to say what has become of a message. */
export const OUTCOME_MS = 2000;

/** Where a hop leads: on to one node, which takes the packet over; to nodes besides this one; or aside, to the sender's own clients. */
type Hop = 'on' | 'besides' | 'aside';

const NONE: ReadonlySet<Peer> = new Set();

export interface RelayOptions {
  readonly domain: Pick<Domain, 'answersFromDisk'> & {
    readonly tracker: Pick<Tracker, 'records' | 'rooms' | 'here'>;
    readonly trace: Trace | null;
  };
  readonly items: Items;
  readonly mesh: Pick<LocalNode['mesh'], 'peers' | 'send'>;
  readonly rpc: Pick<LocalNode['rpc'], 'expect'>;
  readonly interest: Pick<Interest, 'isEmpty' | 'peers'>;
  readonly handover: Pick<Handover, 'mustWait' | 'moved' | 'through'>;
  readonly ending: Pick<EndingNodes, 'wait'>;
  readonly roundRobin: Pick<RoundRobin, 'choose'>;
  readonly meetings: Pick<Meetings, 'unmet'>;
  /** Gives a packet to its endpoint on this node; answers whether there is one. */
  readonly toEndpointHere: (packet: Packet, only: string | null) => boolean;
  /** Sends a packet that has waited while its endpoint went offline, or while the node of that ended. */
  readonly sendAnew: (packet: Packet, only: string | null) => void;
}

export class PacketRelays implements Relays {
  /** Nodes that are gone, of which one may have sent something through another, and the endpoints here behind each that have not been told so. */
  readonly #lost = new Map<Peer, readonly Address[]>();

  constructor(private readonly options: RelayOptions) {}

  broadcast(packet: Packet): void {
    const { mesh, items } = this.options;
    this.#relay('besides', mesh.peers.values(), packet, () => items.broadcast(packet));
  }

  toRoom(packet: Packet): boolean {
    const { domain, items } = this.options;
    const nodes = new Set<RemoteNode>(this.#watching(packet));
    const members = domain.tracker.rooms.get(packet.topic)?.nodes;
    for (const node of members?.keys() ?? []) if (node.up) nodes.add(node);
    this.#relay('besides', nodes, packet, () => items.toRoom(packet));
    return nodes.size > 0;
  }

  toWatchers(packet: Packet): boolean {
    const { mesh, items } = this.options;
    const watching = this.#watching(packet);
    if (watching.size === 0) return false;
    const item = items.toWatchers(packet);
    for (const peer of watching) mesh.send(peer, item);
    return true;
  }

  /** Sends a packet to its endpoint, behind all that this node has sent there before, by whichever way. */
  toEndpoint(packet: Packet, only: string | null): boolean {
    const primary = this.#primary(packet);
    if (primary === undefined) return this.toPrimary(packet, only, 0);
    const again = () => {
      if (!this.toEndpoint(packet, only)) this.options.sendAnew(packet, only);
    };
    if (this.options.handover.mustWait(packet.topic, primary, packet.bytes, again)) return true;
    return this.toPrimary(packet, only, 0);
  }

  /**
   * Sends a packet to the oldest part of its endpoint, on whichever node that is. `at`: when it was accepted, where it was sent to a node before
   * that is gone. False where the endpoint has no part.
   */
  toPrimary(packet: Packet, only: string | null, hops: number, at?: number): boolean {
    const { items, handover, toEndpointHere } = this.options;
    const primary = this.#primary(packet);
    if (!primary || hops >= HOPS) return toEndpointHere(packet, only);
    if (this.options.ending.wait(primary, packet.bytes, () => this.options.sendAnew(packet, only))) return true;
    if (hops > 0) handover.moved(packet.topic, primary);
    this.#relay('on', [primary], packet, () => items.toEndpoint(packet, only, hops + 1), at);
    return true;
  }

  /**
   * A node is gone, and with it packets that this node has sent to an endpoint through its part: the endpoint's other parts tell that to
   * their clients. Where the domain is durable `always` no message that was answered is lost, and nobody is told.
   */
  lost(peer: Peer): void {
    const { domain, items, mesh, handover } = this.options;
    if (domain.answersFromDisk) return;
    const since = peer.heardAt - ON_ITS_WAY_MS;
    for (const address of handover.through(peer, since)) {
      const record = domain.tracker.records.get(address);
      record?.actor?.tell({ kind: 'missed' });
      for (const node of nodesOf(record)) mesh.send(peerOf(node), items.missed(address));
    }
    this.#lost.set(peer, this.#behind(peer));
    for (const one of this.#lost.keys()) if (one.up || (one.hiddenAt || one.heardAt) <= since) this.#lost.delete(one);
    if (this.#lost.size > 1) this.#lostTogether();
  }

  /** The endpoints here that a node has an older part of: what others send to them goes through that node. */
  #behind(peer: Peer): Address[] {
    const { tracker } = this.options.domain;
    const isOlder = ({ parts, birth }: EndpointRecord): boolean =>
      parts.some((part) => part.node === peer && part.birth < birth);
    return [...tracker.here()].filter(isOlder).map(({ address }) => address);
  }

  /** What one of these nodes has sent through another of them nobody knows: the endpoints here may lack something. */
  #lostTogether(): void {
    for (const [peer, addresses] of this.#lost) {
      for (const address of addresses)
        this.options.domain.tracker.records.get(address)?.actor?.tell({ kind: 'missed' });
      this.#lost.set(peer, []);
    }
  }

  /** The other nodes that packets for these addresses go to. */
  nodesTo(receivers: readonly Address[]): ReadonlySet<RemoteNode> {
    const { domain, interest } = this.options;
    const nodes = new Set<RemoteNode>();
    for (const receiver of receivers) {
      for (const node of nodesOf(domain.tracker.records.get(receiver))) nodes.add(node);
      for (const node of domain.tracker.rooms.get(receiver)?.nodes?.keys() ?? []) nodes.add(node);
      if (!interest.isEmpty) for (const peer of interest.peers(receiver)) nodes.add(peer);
    }
    return nodes;
  }

  relay(record: EndpointRecord, { packet, only }: Deliver, isFor?: (node: RemoteNode) => boolean): void {
    const { address, parts } = record;
    if (parts.length === 0) return;
    const met = this.met(record);
    const nodes = isFor ? met.filter(isFor) : met;
    this.#relay('besides', nodes, packet, () => this.options.items.relayed(address, packet, only));
  }

  /** The other nodes to which packets for an endpoint are relayed from its part here. */
  met({ address, parts }: EndpointRecord): readonly RemoteNode[] {
    const unmet: readonly RemoteNode[] = this.options.meetings.unmet(address);
    return parts.filter(({ node, hidden }) => !hidden && !unmet.includes(node)).map(({ node }) => node);
  }

  /** Passes on what has come here for an endpoint which another node has taken over from this one. */
  forward(peer: Peer, address: Address, passed: Passed): void {
    const { handover, items, mesh } = this.options;
    if (passed.kind !== 'deliver') {
      for (const item of items.told(address, passed)) mesh.send(peer, item);
      return;
    }
    handover.moved(address, peer);
    this.#relay('on', [peer], passed.packet, () => items.forwarded(address, passed));
  }

  carbon(record: EndpointRecord, packet: Packet): void {
    const { items } = this.options;
    this.#relay('aside', nodesOf(record), packet, () => items.carbon(record.address, packet));
  }

  giveLate({ address }: EndpointRecord, node: RemoteNode, packets: readonly Packet[]): void {
    const { items, mesh } = this.options;
    for (const item of items.unseen(address, packets)) mesh.send(peerOf(node), item);
  }

  takeTurn(record: EndpointRecord, { packet, only }: Deliver, own: number): boolean {
    const { items, roundRobin } = this.options;
    const peer = roundRobin.choose(record, packet.sender ?? '', own);
    if (peer) this.#relay('on', [peer], packet, () => items.relayed(record.address, packet, only));
    return peer !== null;
  }

  /** The node of the oldest part of a packet's endpoint; null: this one; undefined: there is none. */
  #primary({ topic }: Packet): Peer | null | undefined {
    const record = this.options.domain.tracker.records.get(topic);
    const primary = record && primaryOf(record);
    return primary && peerOf(primary);
  }

  /** Nodes where somebody subscribed by MQTT to a packet's topic. */
  #watching({ topic }: Packet): ReadonlySet<Peer> {
    const { interest } = this.options;
    return interest.isEmpty ? NONE : interest.peers(topic);
  }

  /**
   * Sends a packet to nodes. Its item is made once for all nodes, and not where there are none; the packet is added to a trace
   * before that, since the item names the trace. Each node answers a packet's receipt for itself.
   */
  #relay(hop: Hop, nodes: Iterable<RemoteNode>, packet: Packet, make: () => string, at?: number): void {
    const { domain, mesh } = this.options;
    let item: string | null = null;
    for (const node of nodes) {
      if (domain.trace !== null) domain.trace.relayed(packet, node.name);
      item ??= make();
      if (packet.receipt !== null && hop !== 'aside') this.#relayAsking(hop, peerOf(node), packet.receipt, item, at);
      else mesh.send(peerOf(node), at === undefined ? item : withTail(item, null, at));
    }
  }

  #relayAsking(hop: Hop, peer: Peer, receipt: Receipt, item: string, at?: number): void {
    const { mesh, rpc } = this.options;
    if (hop === 'besides') receipt.expect();
    const report = (answer: unknown) => receipt.report(isOutcome(answer) ? answer : 'unknown');
    const number = receipt.asksNodes ? rpc.expect(peer, OUTCOME_MS, report) : null;
    mesh.send(peer, number === null && at === undefined ? item : withTail(item, number, at));
    if (number === null) report(null);
  }
}

/** An item that ends with the number under which its receiver's answer is awaited, and with the time when its packet was accepted. */
function withTail(item: string, number: number | null, at?: number): string {
  return `${item.slice(0, -1)},${number}${at === undefined ? '' : `,${at}`}]`;
}
