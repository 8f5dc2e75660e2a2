/**
 * Keeps the order of packets to an endpoint when the part of the endpoint that they go through changes. Packets sent through
 * the old part may still be on their way to the new part: until they have arrived there, further packets wait.
 */
import type { Address } from '../actors/address.js';
import type { EndpointMessage } from '../actors/endpoint.js';
import type { Ref } from '../actors/system.js';
import type { LocalNode } from './local-node.js';
import { oneByOne } from './one-by-one.js';
import type { Peer } from './peer.js';

/** After this long a packet is not on its way any more: two nodes, each silent for a lease, may have had it. */
export const ON_ITS_WAY_MS = 10_000;
/** How long packets wait for another node's answer; a node that is silent for its lease is lost, and the wait ends at once. */
export const PATIENCE_MS = 30_000;
/** How many packets, and bytes of them, may wait for one endpoint; further ones are sent at once, and may overtake others. */
export const MAX_WAITING = 10_000;
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** How many may wait for one endpoint's packets to go; further ones are told at once that none waits. */
export const MAX_ASKING = 10_000;
/** How many ways are remembered before old ones are looked for and forgotten. */
export const MANY_WAYS = 10_000;

/** The way that packets to one endpoint take. */
interface Way {
  /** The node that the last packet was sent to; null: this one. */
  peer: Peer | null;
  /** When the last packet was sent, in milliseconds since the epoch. */
  at: number;
  /** Nodes that packets went to before, from this node or others, with the times of the last; null nearly always: none. */
  before: Map<Peer | null, number> | null;
  /** null where packets do not have to wait. */
  waiting: Waiting | null;
}

interface Waiting {
  /** The packets that wait, as functions that send them. */
  readonly packets: (() => void)[];
  /** The nodes whose packets are waited for, as in `Way.before`. */
  readonly for: NonNullable<Way['before']>;
  bytes: number;
  /** Called when these packets have gone; they take no room from packets. */
  readonly asking: (() => void)[];
}

export interface HandoverOptions {
  /** The domain's name. */
  readonly domain: string;
  readonly node: Pick<LocalNode, 'name'> & {
    readonly rpc: Pick<LocalNode['rpc'], 'call'>;
    readonly mesh: Pick<LocalNode['mesh'], 'peers'>;
    readonly leaving: Pick<LocalNode['leaving'], 'movesTo' | 'whenPassedOn'>;
  };
  readonly now: () => number;
  /** An endpoint's actor on this node; null where it has none. */
  readonly actor: (address: Address) => Pick<Ref<EndpointMessage>, 'tell'> | null;
  /** The other nodes that have a part of an endpoint. */
  readonly peersOf: (address: Address) => readonly Peer[];
}

export class Handover {
  readonly #ways = new Map<Address, Way>();
  /** How many ways there may be before old ones are looked for: twice as many as the last search left. */
  #most = MANY_WAYS;

  constructor(private readonly options: HandoverOptions) {}

  /** Ways remembered. */
  get size(): number {
    return this.#ways.size;
  }

  /**
   * A packet of so many bytes is to go to an endpoint whose oldest part is on `peer` (null: this node). Answers whether it has to
   * wait; then `again` is called when it no longer has to.
   */
  mustWait(address: Address, peer: Peer | null, bytes: number, again: () => void): boolean {
    const now = this.options.now();
    const way = this.#ways.get(address);
    if (!way) {
      this.#remember(address, { peer, at: now, before: null, waiting: null });
      return false;
    }
    const { waiting } = way;
    if (waiting) {
      if (waiting.packets.length >= MAX_WAITING || waiting.bytes + bytes > MAX_WAITING_BYTES) return false;
      waiting.packets.push(again);
      waiting.bytes += bytes;
      return true;
    }
    if (way.peer !== peer) noteBefore(way, way.peer, way.at);
    way.peer = peer;
    way.at = now;
    const { before } = way;
    if (before === null) return false;
    const nodes = [...before].filter(([node, at]) => node !== peer && node?.up !== false && now - at < ON_ITS_WAY_MS);
    way.before = null;
    if (nodes.length === 0) return false;
    way.waiting = { packets: [again], bytes, for: before, asking: [] };
    // A packet may have gone from any of these nodes to any other: each passes on what it had after each other one has.
    const sweeps = nodes.flatMap(() => nodes.map(([from]) => from));
    const next = (): void => {
      const from = sweeps.shift();
      if (from === undefined) this.#release(way);
      else this.#sweep(address, from, peer, next);
    };
    next();
    return true;
  }

  /**
   * Packets for an endpoint do not go through the part on `from` (null: this node) any more, or one of another node has gone on there: what
   * was sent through it, by whichever node, may still be on its way, and what a sender says next may come through this node.
   */
  moved(address: Address, from: Peer | null): void {
    const now = this.options.now();
    const way = this.#ways.get(address);
    if (!way) this.#remember(address, { peer: from, at: now, before: null, waiting: null });
    else if (way.peer === from) way.at = now;
    else noteBefore(way, from, now);
  }

  /** The endpoints to which packets have gone through a node, by this one, from `since` (milliseconds since the epoch) on. */
  *through(peer: Peer, since: number): Iterable<Address> {
    for (const [address, way] of this.#ways) {
      const { before, waiting } = way;
      const at = way.peer === peer ? way.at : (before?.get(peer) ?? waiting?.for.get(peer));
      if (at !== undefined && at > since) yield address;
    }
  }

  /** Calls `done` when no packet for these addresses has to wait here. */
  whenNoneWaits(addresses: readonly Address[], done: () => void): void {
    const wait = (address: Address, next: () => void): void => {
      const asking = this.#ways.get(address)?.waiting?.asking;
      // What has waited may have to wait again.
      if (asking && asking.length < MAX_ASKING) asking.push(() => wait(address, next));
      else next();
    };
    oneByOne(addresses, wait, done);
  }

  /**
   * Calls `done` when all packets that this node has had for an endpoint have arrived at the node `to`, and at the nodes of the
   * endpoint's other parts, to which this node relays them, or the node to which this one forwards them; or when these nodes do not
   * answer in time.
   */
  pass(address: Address, to: string, done: () => void): void {
    const { domain, node, actor, peersOf } = this.options;
    const sweepOn = () => {
      const peers = new Set(peersOf(address));
      const peer = node.mesh.peers.get(to);
      if (peer) peers.add(peer);
      const next = node.leaving.movesTo(address);
      if (next) peers.add(next);
      let waiting = peers.size;
      if (waiting === 0) return done();
      const arrived = () => {
        waiting -= 1;
        if (waiting === 0) done();
      };
      for (const other of peers) {
        if (other === next) node.rpc.call(other, 'pass', [domain, address, to], PATIENCE_MS, arrived);
        else node.rpc.call(other, 'arrived', [], PATIENCE_MS, arrived);
      }
    };
    const relayed = () => node.leaving.whenPassedOn(address, sweepOn);
    // The message stands in the endpoint's mailbox behind the packets that are still to be relayed.
    const receiver = actor(address);
    if (receiver) receiver.tell({ kind: 'pass', done: relayed });
    else relayed();
  }

  /** Has the node of the old way (`from`) pass on all packets that it has had; calls `done` when they have arrived at the new one. */
  #sweep(address: Address, from: Peer | null, to: Peer | null, done: () => void): void {
    const { node, domain } = this.options;
    const target = to?.name ?? node.name;
    if (from) node.rpc.call(from, 'pass', [domain, address, target], PATIENCE_MS, done);
    else this.pass(address, target, done);
  }

  #release(way: Way): void {
    const { packets = [], asking = [] } = way.waiting ?? {};
    way.waiting = null;
    for (const again of packets) again();
    for (const ask of asking) ask();
  }

  #remember(address: Address, way: Way): void {
    this.#ways.set(address, way);
    if (this.#ways.size < this.#most) return;
    for (const [other, { at, before, waiting }] of this.#ways) {
      const latest = Math.max(at, ...(before?.values() ?? []));
      if (waiting === null && way.at - latest > ON_ITS_WAY_MS) this.#ways.delete(other);
    }
    this.#most = Math.max(MANY_WAYS, 2 * this.#ways.size);
  }
}

function noteBefore(way: Way, node: Peer | null, at: number): void {
  way.before ??= new Map();
  way.before.set(node, at);
}
