/**
 * One client of an endpoint: a browser tab, a phone. Owned by its endpoint's actor, and nobody else calls it; a ticket
 * leads adapters here only to name it in what they tell the endpoint.
 *
 * It holds a bounded queue and at most one transport. Packets go through the queue always, so that order holds, and out
 * at the end of the turn, so that what one turn brings for a client is one frame.
 */
import type { CloseReason } from '../errors.js';
import type { DomainMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Address } from './address.js';
import type { EndpointMessage } from './endpoint.js';
import type { Packet } from './packet.js';
import { PacketQueue, type QueueKeeper, type QueueLimits } from './queue.js';
import type { Ref } from './system.js';
import type { HopName, Trace } from './trace.js';
import { connectionOf, type Transport } from './transport.js';

/** Clients with something to send at the end of this turn. */
export class Outbox {
  #clients: Client[] = [];

  add(client: Client): void {
    this.#clients.push(client);
  }

  flush(): void {
    const clients = this.#clients;
    this.#clients = [];
    if (clients.length === 0) return;
    const now = performance.now();
    for (const client of clients) client.flush(now);
  }
}

const NONE: readonly Packet[] = [];

export class Client {
  transport: Transport | null = null;
  /** When its last transport went, or it was made: milliseconds since the epoch. */
  detachedAt: number;
  /** When ONLINE's answer said how its buddies are, in milliseconds of `performance.now()`; not yet: infinity. */
  toldAt = Number.POSITIVE_INFINITY;
  private readonly metrics: DomainMetrics;
  readonly #queue: PacketQueue;
  /** Ended, and has not said yet what it could not get out. */
  #settling: Transport | null = null;
  #canTake = false;
  #scheduled = false;
  #overflowed = false;

  constructor(
    readonly endpoint: Ref<EndpointMessage>,
    /** Its endpoint's. */
    readonly address: Address,
    /** The last part of its address. */
    readonly name: string,
    /** The secret part of its ticket. */
    readonly token: string,
    private readonly outbox: Outbox,
    domain: QueueKeeper,
    now: number,
  ) {
    this.detachedAt = now;
    this.metrics = domain.metrics;
    this.#queue = new PacketQueue(domain, address);
  }

  /** Packets not yet handed to a transport. */
  get queued(): readonly Packet[] {
    return this.#queue.packets;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  push(packet: Packet, limits: QueueLimits): void {
    // On its way since before the answer of ONLINE, which holds what it says.
    if (packet.kind === 'presence' && packet.acceptedAt < this.toldAt && packet.topic === this.address) return;
    this.metrics.delivered[packet.kind] += 1;
    if (this.#canTake && this.#queue.isOver(limits)) this.flush(performance.now());
    if (packet.trace !== null) packet.trace.hop('queued', packet, this.address, this.name);
    this.#reportOverflow(this.#queue.push(packet, limits));
    this.#schedule();
  }

  /** Takes over from an earlier transport, which ends; what that could not get out goes first. */
  attach(transport: Transport, reason: CloseReason, limits: QueueLimits): void {
    this.#replace(reason, limits);
    this.transport = transport;
    this.metrics.connections[transport.kind] += 1;
    this.#canTake = this.#settling === null;
    this.#schedule();
  }

  /** The transport has gone and gives back what it could not get out. False where it was not this client's any more. */
  detach(transport: Transport, unsent: readonly Packet[], limits: QueueLimits, now: number): boolean {
    if (this.#settling === transport) this.#settled(unsent, limits);
    if (this.transport !== transport) return false;
    this.transport = null;
    this.metrics.connections[transport.kind] -= 1;
    this.#canTake = false;
    this.detachedAt = now;
    this.#traceAll('returned', unsent, `${transport.kind} has gone`);
    this.#reportOverflow(this.#queue.putBack(unsent, limits));
    return true;
  }

  /** It was closed while an earlier transport had not said yet what it could not get out. Answers that. */
  leftBehind(transport: Transport, unsent: readonly Packet[]): readonly Packet[] {
    if (this.#settling !== transport) return NONE;
    this.#settling = null;
    this.#traceAll('returned', unsent, `${transport.kind} has gone`);
    return unsent;
  }

  /** The transport can take more. */
  drained(transport: Transport): void {
    if (this.transport !== transport) return;
    this.#canTake = this.#settling === null;
    this.#schedule();
  }

  /** Ends its connection for good; answers the packets that nobody has seen through it. */
  close(reason: CloseReason, limits: QueueLimits): readonly Packet[] {
    this.#end(reason, limits);
    const unseen = [...this.#queue.packets];
    this.#queue.clear();
    return unseen;
  }

  /** Hands the queue to the transport, as far as it takes it; `now` is of `performance.now()`. */
  flush(now: number): void {
    this.#scheduled = false;
    const { packets } = this.#queue;
    if (!this.#canTake || !this.transport || packets.length === 0) return;
    const taken = this.transport.deliver(packets);
    for (let i = 0; i < taken; i++) {
      const { kind, acceptedAt, trace } = packets[i] as Packet;
      this.metrics.sent[kind] += 1;
      this.metrics.delivery.observe(now - acceptedAt);
      if (trace !== null) this.#traceSent(trace, packets[i] as Packet);
    }
    this.#canTake = taken === packets.length;
    if (taken < packets.length) this.#traceAll('waiting', packets.slice(taken), 'the connection takes no more now');
    this.#queue.shift(taken);
  }

  /** Ends the transport that another takes the place of. */
  #replace(reason: CloseReason, limits: QueueLimits): void {
    const { transport } = this;
    if (!transport?.settle?.(reason)) return this.#end(reason, limits);
    this.#settling = transport;
    this.transport = null;
    this.metrics.connections[transport.kind] -= 1;
  }

  /** What the one before could not get out goes first. */
  #settled(unsent: readonly Packet[], limits: QueueLimits): void {
    this.#settling = null;
    this.#canTake = this.transport !== null;
    this.#reportOverflow(this.#queue.putBack(unsent, limits));
    this.#schedule();
  }

  #end(reason: CloseReason, limits: QueueLimits): void {
    const { transport } = this;
    if (!transport) return;
    this.transport = null;
    this.metrics.connections[transport.kind] -= 1;
    this.#canTake = false;
    const unsent = transport.close(reason);
    this.#traceAll('returned', unsent, `${transport.kind} has ended`);
    this.#reportOverflow(this.#queue.putBack(unsent, limits));
  }

  #schedule(): void {
    if (this.#scheduled || !this.#canTake || this.#queue.packets.length === 0) return;
    this.#scheduled = true;
    this.outbox.add(this);
  }

  #traceSent(trace: Trace, packet: Packet): void {
    const { name, transport } = this;
    if (transport) trace.hop('sent', packet, this.address, `${name} by ${connectionOf(transport)}`);
  }

  #traceAll(hop: HopName, packets: readonly Packet[], detail: string): void {
    for (const packet of packets) if (packet.trace !== null) packet.trace.hop(hop, packet, this.address, detail);
  }

  #reportOverflow(overflow: readonly Packet[]): void {
    const { length: dropped } = overflow;
    this.#traceAll('dropped', overflow, 'queueOverflow');
    if (dropped === 0 || this.#overflowed) return;
    this.#overflowed = true;
    const what = { event: 'queue overflow', endpoint: this.address, client: this.name, dropped };
    seldom.warn(`queue overflow ${this.address}`, what, 'a client does not take its packets; old ones go');
  }
}
