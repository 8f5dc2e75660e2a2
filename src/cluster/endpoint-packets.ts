/**
 * Packets for endpoints of which a node may be gone. A message for an endpoint that no living node has makes this node take the endpoint
 * over, and waits for that; what comes for it meanwhile waits behind. What this node has sent to a node that is gone, and which that node has
 * certainly not had, goes on in the same way before anything that is sent later. Where other nodes have something for the same endpoint, it
 * goes on in the order in which all of that was accepted, as far as the clocks of the nodes agree.
 */
import { type Address, parseTarget } from '../actors/address.js';
import type { RemoteNode } from '../actors/cluster.js';
import { deletionOf } from '../actors/deletions.js';
import { keepOrDrop } from '../actors/dispatch.js';
import type { Domain } from '../actors/domain.js';
import { primaryOf } from '../actors/endpoint-record.js';
import { Receipt } from '../actors/outcome.js';
import type { Packet } from '../actors/packet.js';
import { isInTurns } from '../actors/turns.js';
import type { Clock } from '../clock.js';
import type { ClusterMetrics } from '../metrics.js';
import { inSlices } from '../slices.js';
import type { Adopted, OrphanFinder } from './adopted.js';
import type { LocalNode } from './local-node.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import type { PacketRelays } from './relays.js';
import type { Rpc } from './rpc.js';
import { packetOf, type WirePacket } from './wire.js';

/** How many packets wait at most for one endpoint, and for all of them, and how many bytes for all of them. */
export const MOST_HELD = 2000;
const MOST_HELD_IN_ALL = 50_000;
const MOST_HELD_BYTES = 32 * 1024 * 1024;
/**
 * After a node's death messages take its endpoints over only when clients have had this time to come, in milliseconds. Every node may have
 * messages for an endpoint, and only one of them can take it over; a client on another node than its endpoint costs a hop as long as it stays.
 */
const CLIENTS_FIRST_MS = 1000;
/** In this time a node that is connected to NATS hears of each living one. */
const HEARD_MS = 5000;
/** How long other nodes may take to answer; one that is lost is not waited for. */
const ARRIVED_MS = 30_000;

export interface EndpointPacketsOptions {
  readonly domain: Domain;
  readonly relays: Pick<PacketRelays, 'toEndpoint' | 'toPrimary'>;
  /** null where clients are lost with their node. */
  readonly orphans: Pick<OrphanFinder, 'isOrphan' | 'revive' | 'isTaking' | 'whenTaken'> | null;
  readonly rpc: Pick<Rpc, 'withdraw' | 'callAll'>;
  readonly mesh: Pick<LocalNode['mesh'], 'peers'>;
  readonly metrics: Pick<ClusterMetrics, 'goneOn' | 'inDoubt'>;
}

/** A packet that waits. `at`: when it was accepted, by the clock of the node that accepted it. */
interface Held {
  readonly packet: Packet;
  readonly only: string | null;
  readonly at: number;
}

/** Where an endpoint is for which packets have waited; `again`: that is to be found out for each of them. */
type Found = Adopted | 'again';
type End = (found: Found) => void;

export class EndpointPackets {
  /** What waits, by endpoint: it goes on in the order in which it was accepted, by whichever node. */
  readonly #held = new Map<Address, Held[]>();
  /** What waits for the answers of other nodes that are asked at the end of this turn. */
  #asking: (() => void)[] = [];
  /** What ends the wait for endpoints that are left to their clients at present; null: a message takes its endpoint over at once. */
  #clientsFirst: Map<Address, End> | null = null;
  #count = 0;
  #bytes = 0;

  constructor(private readonly options: EndpointPacketsOptions) {}

  /** Sends a packet to its endpoint, in the order of the calls. False where no node has the endpoint, or can take it over. */
  send(packet: Packet, only: string | null): boolean {
    return this.#waits(packet, only) || this.options.relays.toEndpoint(packet, only) || this.#toOrphan(packet, only);
  }

  /** A packet comes from another node. `at`: when it was accepted, where it was sent to a node before that is gone; else no number. */
  arrived(packet: Packet, only: string | null, hops: number, at: unknown): void {
    const accepted = typeof at === 'number' ? at : undefined;
    if (this.#waits(packet, only, accepted) || this.options.relays.toPrimary(packet, only, hops, accepted)) return;
    // The endpoint may have been here, and be on a node that is gone.
    if (!this.#toOrphan(packet, only, accepted)) keepOrDrop(this.options.domain, packet, packet.topic, only);
  }

  /** Another node has a part of an endpoint, perhaps in place of this one: then what waits here goes there. */
  appeared(address: Address): void {
    const { domain, relays } = this.options;
    if (!this.#held.has(address) || !this.#primary(address)) return;
    this.#clientsFirst?.delete(address);
    for (const { packet, only, at } of this.#release(address)) {
      if (!relays.toPrimary(packet, only, 0, at)) keepOrDrop(domain, packet, address, only);
    }
  }

  /**
   * A node is gone: until the function is called that this answers, its endpoints are taken over where their clients come, and not where
   * messages for them wait.
   */
  letClientsFirst(): () => void {
    const { domain, orphans } = this.options;
    // A call is to be answered when its message is kept, which is soon.
    if (orphans === null || domain.answersFromDisk) return () => undefined;
    const left = this.#clientsFirst ?? new Map<Address, End>();
    this.#clientsFirst = left;
    return () => {
      if (this.#clientsFirst === left) this.#clientsFirst = null;
      inSlices(this.#takingOver(left));
    };
  }

  *#takingOver(left: Map<Address, End>): Generator<void> {
    for (const [address, end] of left) {
      left.delete(address);
      if (this.options.orphans?.revive(address, end) !== true) end('again');
      yield;
    }
  }

  /** An endpoint has come to this node: what waits for it here goes on when the endpoint has been taken over. */
  cameUp(address: Address): void {
    const end = this.#clientsFirst?.get(address);
    this.#clientsFirst?.delete(address);
    if (end) this.#whenTaken(address, end);
  }

  /**
   * Sends a packet another way that was sent to a node which is gone, first at a time `at`, by the kind and the fields of its item (items.ts).
   * `isSure`: the node that is gone has certainly not had the packet. Answers whether the packet has been sent; one that has not stays in the
   * stream to that node, which receives it if it comes back.
   */
  goOn(kind: string, fields: readonly unknown[], isSure: boolean, at: number): boolean {
    const { domain, metrics } = this.options;
    const [, only, ...rest] = fields;
    // Of what is forwarded, other parts of the endpoint have what was relayed.
    const isForEndpoint = kind === 'e' || (kind === 'f' && rest[0] === 0);
    const [wire, asked, accepted] = isForEndpoint ? rest.slice(1) : rest;
    if (!isForEndpoint && !(kind === 'y' && this.#isForOneOf(wire as WirePacket))) return false;
    const packet = packetOf(wire as WirePacket, at);
    if (!isOwed(domain, packet)) return false;
    const since = typeof accepted === 'number' ? accepted : at;
    const isSent = isSure && this.#goesOn(packet, only as string | null, since, asked);
    if (isSent) metrics.goneOn += 1;
    else metrics.inDoubt += 1;
    return isSent;
  }

  /** `asked`: the number under which the node that is gone was to say what has become of the packet; else no number. */
  #goesOn(packet: Packet, only: string | null, at: number, asked: unknown): boolean {
    const { domain, relays, rpc } = this.options;
    const report = typeof asked === 'number' ? rpc.withdraw(asked) : null;
    // The sender has been told to say it again.
    if (typeof asked === 'number' && report === null && domain.answersFromDisk) return false;
    if (report) packet.receipt = new Receipt(true, report);
    // What waits for all that was sent to the node that is gone (handover.ts) was sent after this packet, which does not wait with it.
    const isSent =
      this.#waits(packet, only, at) || relays.toPrimary(packet, only, 0, at) || this.#toOrphan(packet, only, at);
    if (isSent) return true;
    if (domain.mailboxes === null || only !== null) {
      report?.(null);
      return false;
    }
    keepOrDrop(domain, packet, packet.topic, only);
    return true;
  }

  /** Whether a packet that was relayed is for one client of a service in turns, and not for all nodes that have one. */
  #isForOneOf([, topic]: WirePacket): boolean {
    const { domain } = this.options;
    const target = parseTarget(domain.name, topic);
    return target !== null && isInTurns({ ...target, domain });
  }

  /**
   * Whether a packet waits: while this node takes its endpoint over; and, where other nodes may have more that was sent to a node that
   * is gone (`at`), until that has come.
   */
  #waits(packet: Packet, only: string | null, at?: number): boolean {
    const { domain, orphans } = this.options;
    const { topic } = packet;
    const isTaking = orphans?.isTaking(topic) === true;
    if (!isTaking && at === undefined && this.#held.size === 0) return false;
    if (!isOwed(domain, packet)) return false;
    if (isTaking) this.#hold(topic, (end) => this.#whenTaken(topic, end));
    else if (at !== undefined && this.#primary(topic) === null) this.#hold(topic, (end) => end('again'));
    return this.#push(packet, only, at);
  }

  #whenTaken(address: Address, end: End): void {
    this.options.orphans?.whenTaken([address], (isTaken) => end(isTaken ? 'again' : 'later'));
  }

  /** Has packets for an endpoint wait, unless some do already, until `wait` says where the endpoint is. */
  #hold(address: Address, wait: (end: End) => void): void {
    if (this.#held.has(address)) return;
    const held: Held[] = [];
    const isOpen = (): boolean => this.#held.get(address) === held;
    this.#held.set(address, held);
    wait((found) => {
      const end = (): void => {
        if (isOpen()) this.#end(address, found);
      };
      // What other nodes have for it comes before their answers: they have lost the node that is gone, as this one has told them.
      if (!isOpen() || (found !== 'here' && found !== 'again')) end();
      else this.#whenArrived(end);
    });
  }

  /** Calls `done` when all has come that other nodes have sent here up to now; for all endpoints that ask in one turn they are asked once. */
  #whenArrived(done: () => void): void {
    if (this.#asking.push(done) > 1) return;
    queueMicrotask(() => {
      const { rpc, mesh } = this.options;
      const asking = this.#asking;
      this.#asking = [];
      rpc.callAll(mesh.peers.values(), 'arrived', [], ARRIVED_MS, () => {
        for (const arrived of asking) arrived();
      });
    });
  }

  /** Puts a packet among those that wait; one that goes on from no dead node (no `at`) comes last, whatever the clocks of other nodes say. */
  #push(packet: Packet, only: string | null, at?: number): boolean {
    const held = this.#held.get(packet.topic);
    if (!held || held.length >= MOST_HELD || this.#count >= MOST_HELD_IN_ALL) return false;
    if (this.#bytes + packet.bytes > MOST_HELD_BYTES) return false;
    const accepted = at ?? Math.max(this.options.domain.runtime.clock.now(), held.at(-1)?.at ?? 0);
    held.splice(held.findLastIndex((other) => other.at <= accepted) + 1, 0, { packet, only, at: accepted });
    this.#count += 1;
    this.#bytes += packet.bytes;
    return true;
  }

  /** What waits for an endpoint, in the order in which it was accepted; it waits no more. */
  #release(address: Address): Held[] {
    const held = this.#held.get(address) ?? [];
    this.#held.delete(address);
    this.#count -= held.length;
    for (const { packet } of held) this.#bytes -= packet.bytes;
    return held;
  }

  #end(address: Address, found: Found): void {
    const { domain, relays } = this.options;
    for (const { packet, only } of this.#release(address)) {
      if (found === 'again') {
        if (!this.send(packet, only)) keepOrDrop(domain, packet, address, only);
      } else if (found === 'later' || !relays.toEndpoint(packet, only)) this.#givesUp(packet, only, found);
    }
  }

  /** Takes over the endpoint of a packet that must not be lost, where the endpoint's node is gone; false where it does not. */
  #toOrphan(packet: Packet, only: string | null, at?: number): boolean {
    const { domain, orphans, relays } = this.options;
    const { topic } = packet;
    if (!orphans || !isOwed(domain, packet)) return false;
    let isOrphan = true;
    this.#hold(topic, (end) => {
      const left = this.#clientsFirst;
      isOrphan = left ? orphans.isOrphan(topic) : orphans.revive(topic, end);
      if (!isOrphan) this.#release(topic);
      else left?.set(topic, end);
    });
    // What does not wait is too much, or the endpoint is where it is already.
    if (isOrphan && !this.#push(packet, only, at) && !relays.toEndpoint(packet, only)) {
      this.#givesUp(packet, only, 'later');
    }
    return isOrphan;
  }

  /** The node of an endpoint's oldest part; null: this one; undefined: there is none. */
  #primary(address: Address): RemoteNode | null | undefined {
    const record = this.options.domain.tracker.records.get(address);
    return record && primaryOf(record);
  }

  /** A node that takes the endpoint over, and that this one has not heard of yet, cannot be sent to: the sender is to try again. */
  #givesUp(packet: Packet, only: string | null, found: Adopted): void {
    const { domain } = this.options;
    const isSomewhere = found === 'later' || (found !== null && typeof found !== 'string');
    if (isSomewhere && domain.answersFromDisk) packet.receipt?.report('unknown');
    else keepOrDrop(domain, packet, packet.topic, only);
  }
}

/** Whether a packet must not be lost: a message, or what deletes one that may wait. */
function isOwed(domain: Domain, packet: Packet): boolean {
  return packet.kind === 'message' || deletionOf(domain, packet) !== null;
}

interface Node {
  readonly mesh: Pick<Mesh, 'connected'>;
  readonly timers: Pick<Clock, 'after'>;
  readonly domains: ReadonlyMap<
    string,
    { readonly relays: Pick<PacketRelays, 'lost'>; readonly packets: EndpointPackets }
  >;
}

/**
 * A node is gone: tells the receivers of what it has had, and is lost with it, unless it has ended in order; then sends what it has certainly
 * not had another way, before anything that is sent later.
 */
export function takeBack(node: Node, peer: Peer, hasEnded: boolean): void {
  const { domains, timers } = node;
  const lost = hasEnded ? [] : [...domains.values()];
  for (const { relays } of lost) relays.lost(peer);
  const ends = lost.map(({ packets }) => packets.letClientsFirst());
  timers.after(CLIENTS_FIRST_MS, () => {
    for (const end of ends) end();
  });
  sendAnotherWay(node, peer, true);
}

/**
 * Sends what a node that is gone has certainly not had another way. A node that is cut off itself has nowhere to send it: it waits until it is
 * connected, and would have heard of the other node since. `wasConnected`: whether it has been that long.
 */
function sendAnotherWay(node: Node, peer: Peer, wasConnected: boolean): void {
  const { mesh, domains, timers } = node;
  const { connected } = mesh;
  if (!connected || !wasConnected) {
    timers.after(HEARD_MS, () => {
      if (!peer.up) sendAnotherWay(node, peer, connected);
    });
    return;
  }
  peer.stream.takeBack(([kind, domain, ...fields], ...how) => {
    return domains.get(domain as string)?.packets.goOn(kind, fields, ...how) === true;
  });
}
