/**
 * One client of an endpoint: a browser tab, a phone. Owned by its endpoint's actor, and nobody else calls it; a ticket
 * leads adapters here only to name it in what they tell the endpoint.
 *
 * It holds a bounded queue and at most one transport. Packets go through the queue always, so that order holds, and out
 * at the end of the turn, so that what one turn brings for a client is one frame. They leave the queue when they are
 * confirmed: by the position of a client that counts, by the acknowledgement of MQTT, by being written to others.
 */
import type { CloseReason } from '../errors.js';
import type { DomainMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Address } from './address.js';
import type { EndpointMessage } from './endpoint.js';
import type { Lane } from './lane.js';
import type { Packet } from './packet.js';
import { newEra, type Position } from './position.js';
import { PacketQueue, type QueueKeeper } from './queue.js';
import type { Batch, QueueState } from './queue-entries.js';
import type { QueueLimits } from './queue-limits.js';
import type { Ref } from './system.js';
import type { HopName, Trace } from './trace.js';
import { type CountedFrame, type Counting, connectionOf, type Transport } from './transport.js';
import type { Confirmations } from './unseen.js';

const NONE: readonly Packet[] = [];

/** The clients of an endpoint that were there when another one, the newcomer, came. */
export interface Elders {
  /** Up to which of an elder's packets the newcomer has had none. */
  readonly numbers: Map<Client, number>;
  /** Packets of elders that the newcomer has been given nevertheless. */
  readonly given: WeakSet<Packet>;
}

/** How soon a client that polls asks again: browsers do after 200 to 300 ms. */
const NEXT_POLL_MS = 1000;

/** A client as adapters know it, to name it in what they tell its endpoint; its endpoint may live on another node. */
export interface NamedClient {
  readonly endpoint: Ref<EndpointMessage>;
  /** The address of the client's endpoint. */
  readonly address: Address;
  readonly name: string;
  readonly token: string;
}

export class Client implements NamedClient {
  transport: Transport | null = null;
  /** Since when the client has its present transport, or none, in milliseconds since the epoch. */
  since: number;
  /** How long the client was connected in all, up to `since`, in milliseconds. */
  connectedMs = 0;
  /** Since when the client is not connected, where its connection kept a position; null: it is connected, or its ticket is not kept. */
  keptSince: number | null = null;
  /** Whether the client has not been connected for longer than the idle time and its ticket is kept. */
  isAway = false;
  /** When the client came online, in milliseconds since the epoch. */
  cameAt: number;
  /** The stamp of when the client took its name, where the site gave it that; 0: the server made the name. */
  namedAt = 0;
  /** When ONLINE's answer told the client its buddies' presence, in milliseconds of `performance.now()`; infinity: not yet. */
  toldAt = Number.POSITIVE_INFINITY;
  /** The endpoint's confirmations, while it has other clients, or messages that none has confirmed; null: none are watched. */
  confirmations: Confirmations | null = null;
  /** Whether the client may have lost packets in a kill, and has not confirmed a position of the era after it yet. */
  mayMiss = false;
  /** Which packets of the clients that came before it this client has not had; null: it came first. */
  elders: Elders | null = null;
  private readonly metrics: DomainMetrics;
  readonly #queue: PacketQueue;
  /** A transport that was ended and has not given back yet what it could not get out; null: none. */
  #settling: Transport | null = null;
  #canTake = false;
  /** Whether the client's last connection was a poll. */
  #polls = false;
  #scheduled = false;
  #overflowed = false;
  /** What the next frame to a client that counts has to say beside its packets. */
  #opening: 'nothing' | 'position' | 'unknown' = 'nothing';

  constructor(
    readonly endpoint: Ref<EndpointMessage>,
    /** The address of the client's endpoint. */
    readonly address: Address,
    /** The client's name, which is the last part of its address. */
    readonly name: string,
    /** The secret part of the client's ticket; tickets.ts says what stands here after a restart until the ticket has been seen. */
    public token: string,
    /** The lane of the client's domain. */
    private readonly lane: Pick<Lane, 'add'>,
    domain: QueueKeeper,
    now: number,
  ) {
    this.since = now;
    this.cameAt = now;
    this.metrics = domain.metrics;
    this.#queue = new PacketQueue(domain, this);
  }

  /** Whether the client is connected, or between two polls. */
  isConnected(now: number): boolean {
    return this.transport !== null || (this.#polls && !this.isAway && now - this.since < NEXT_POLL_MS);
  }

  /** Restores the client's queue as it was before a restart of the server. */
  restore(state: QueueState, limits: QueueLimits): void {
    this.#reportOverflow(this.#queue.restore(state, limits));
  }

  /** The client's queue, for keeping.ts, which writes it before a restart. */
  get queue(): PacketQueue {
    return this.#queue;
  }

  /** Packets that are not confirmed. */
  get queued(): readonly Packet[] {
    return this.#queue.packets;
  }

  /** Packets that have been sent and are not confirmed. */
  get unconfirmed(): readonly Packet[] {
    return this.#queue.unconfirmed;
  }

  /** How many packets have been accepted for the client. */
  get accepted(): number {
    return this.#queue.accepted;
  }

  /** How many of the packets accepted for the client are confirmed, or have gone. */
  get confirmed(): number {
    return this.#queue.confirmed;
  }

  /** Packets that are not confirmed and were accepted up to a number. */
  queuedUpTo(number: number): readonly Packet[] {
    return this.#queue.upTo(number);
  }

  /** Whether the client has a connection that takes packets now. */
  get takes(): boolean {
    return this.#canTake;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  push(packet: Packet, limits: QueueLimits): void {
    // A presence that is older than ONLINE's answer is contained in that answer.
    if (packet.kind === 'presence' && packet.acceptedAt < this.toldAt && packet.topic === this.address) return;
    this.metrics.delivered[packet.kind] += 1;
    if (this.#canTake && this.#queue.hasUnsent && this.#queue.isOver(limits)) this.flush(performance.now());
    if (packet.trace !== null) packet.trace.hop('queued', packet, this.address, this.name);
    this.#reportOverflow(this.#queue.push(packet, limits));
    this.#schedule();
  }

  /** Takes over from an earlier transport, which ends; what that could not get out goes first. */
  attach(transport: Transport, reason: CloseReason, limits: QueueLimits, now: number): void {
    this.#countConnected(now);
    this.#replace(reason, limits);
    this.transport = transport;
    this.since = now;
    this.keptSince = null;
    this.#polls = transport.kind === 'jsonp';
    this.metrics.connections[transport.kind] += 1;
    this.#canTake = this.#settling === null;
    if (transport.counting) this.#resume(transport.counting);
    // MQTT clients acknowledge what they have; all that they have not acknowledged is sent again.
    else if (transport.acknowledges) this.#queue.rewind();
    this.#schedule();
  }

  /** The client says how far it has come: over a connection that it still has, or (null) by a call. */
  confirm(transport: Transport | null, { era, n }: Position): void {
    const { transport: current } = this;
    const isOfCurrent = transport ? current === transport : !current || !!current.counting;
    if (!isOfCurrent || era !== this.#queue.era) return;
    this.mayMiss = false;
    const packets = this.#queue.confirm(n);
    this.#leave(packets);
    current?.counting?.confirmed?.(packets);
  }

  /** The client of a transport that `acknowledges` has the packets, or will never have them, for the reason in `dropped`. */
  acknowledge(transport: Transport, packets: readonly Packet[], dropped: string | null): void {
    if (this.transport !== transport) return;
    const gone = this.#queue.acknowledge(packets);
    if (dropped === null) return this.#leave(gone);
    this.#traceAll('dropped', gone, dropped);
    this.confirmations?.confirmed(gone);
  }

  /** A transport has gone and gives back what it could not get out. False where the client has another transport, or none. */
  detach(transport: Transport, unsent: readonly Packet[], limits: QueueLimits, now: number): boolean {
    if (this.#settling === transport) this.#settled(unsent, limits);
    if (this.transport !== transport) return false;
    this.#countConnected(now);
    this.transport = null;
    this.metrics.connections[transport.kind] -= 1;
    this.#canTake = false;
    this.since = now;
    this.keptSince = transport.counting ? now : null;
    this.#traceAll('returned', unsent, `${transport.kind} has gone`);
    this.#takeBack(transport, unsent, limits);
    return true;
  }

  /** The client was closed before an earlier transport gave back what it could not get out. Answers those packets. */
  leftBehind(transport: Transport, unsent: readonly Packet[]): readonly Packet[] {
    if (this.#settling !== transport) return NONE;
    this.#settling = null;
    this.#traceAll('returned', unsent, `${transport.kind} has gone`);
    return unsent;
  }

  /** Notes that packets for this client may have been lost on their way to its queue. The client is told so: now, or when it connects. */
  doubt(): void {
    this.mayMiss = true;
    this.#queue.beginEra(newEra());
    if (this.transport?.counting) this.#opening = 'unknown';
    this.#schedule();
  }

  /** The transport can take more. */
  drained(transport: Transport): void {
    if (this.transport !== transport) return;
    this.#canTake = this.#settling === null;
    this.#schedule();
  }

  /** Ends the client's connection for good. Packets that are not confirmed stay in `queued` until `clear`. */
  close(reason: CloseReason, limits: QueueLimits): void {
    const { transport } = this;
    if (!transport) return;
    this.transport = null;
    this.metrics.connections[transport.kind] -= 1;
    this.#canTake = false;
    const unsent = transport.close(reason);
    this.#traceAll('returned', unsent, `${transport.kind} has ended`);
    this.#takeBack(transport, unsent, limits);
  }

  /** Takes a packet out of the queue that another client gets instead; it counts as missed by this client. */
  giveUp(packet: Packet): void {
    if (this.#queue.remove(packet)) this.#traceAll('returned', [packet], `${this.name} has no turn any more`);
  }

  clear(): void {
    this.#queue.clear();
  }

  /** Hands what has not been sent to the transport, as far as it takes it; `now` is of `performance.now()`. */
  flush(now: number): void {
    this.#scheduled = false;
    if (!this.#canTake || !this.transport) return;
    this.#dropExpired();
    const { counting } = this.transport;
    if (counting) return this.#flushCounted(counting, now);
    const packets = this.#queue.unsent;
    if (packets.length === 0) return;
    const taken = this.transport.deliver(packets);
    this.#sent(taken === packets.length ? packets : packets.slice(0, taken), now);
    this.#canTake = taken === packets.length;
    if (taken < packets.length) this.#traceAll('waiting', packets.slice(taken), 'the connection takes no more now');
    if (taken === 0) return;
    if (this.transport.acknowledges) return this.#queue.send(taken);
    this.#leave(this.#queue.take(taken), ', by being written');
  }

  #countConnected(now: number): void {
    if (this.isConnected(now)) this.connectedMs += now - this.since;
  }

  #dropExpired(): void {
    const expired = this.#queue.dropExpired();
    if (expired.length === 0) return;
    this.#traceAll('dropped', expired, 'expired');
    this.confirmations?.confirmed(expired);
  }

  /** Sends unsent packets to a client that counts, in whole frames; they stay in the queue until they are confirmed. */
  #flushCounted(counting: Counting, now: number): void {
    const opening = this.#opening;
    if (!this.#queue.hasUnsent && opening !== 'unknown') return;
    const batch = this.#queue.batch(counting.frameBytes ?? Number.POSITIVE_INFINITY);
    const { packets } = batch;
    const after = this.#queue.after(batch);
    const frame = opening === 'nothing' ? batch : this.#opened(batch, after, opening);
    this.#canTake = counting.send(frame, after, this.#queue.era);
    if (!this.#canTake) return this.#traceAll('waiting', packets, 'the connection takes no more now');
    this.#opening = 'nothing';
    this.#queue.sent(batch, after);
    this.#sent(packets, now);
    for (const packet of packets) packet.compact(this.address);
    if (this.#queue.hasUnsent) this.#flushCounted(counting, now);
  }

  /** The first frame of a connection, which has to state the client's position. */
  #opened(batch: Batch, after: number, opening: 'position' | 'unknown'): CountedFrame {
    const { packets, missed } = batch;
    if (opening === 'position') return { ...batch, position: this.#queue.position(after - packets.length - missed) };
    return { ...batch, missed: true, position: this.#queue.position(after - packets.length) };
  }

  #sent(packets: readonly Packet[], now: number): void {
    for (const packet of packets) {
      const { kind, acceptedAt, trace } = packet;
      this.metrics.sent[kind] += 1;
      this.metrics.volume.bytesOut += packet.bytes;
      this.metrics.delivery.observe(now - acceptedAt);
      if (trace !== null) this.#traceSent(trace, packet);
    }
  }

  /** Resumes the queue at the position that the client asks for. */
  #resume(counting: Counting): void {
    const queue = this.#queue;
    const { asked } = counting;
    queue.rewind();
    if (typeof asked === 'object' && asked.era === queue.era) {
      this.mayMiss = false;
      this.#leave(queue.confirm(asked.n));
      queue.reopen(asked.n);
      this.#opening = queue.confirmed === asked.n ? 'nothing' : 'position';
    } else this.#opening = typeof asked === 'object' || this.mayMiss ? 'unknown' : 'position';
    // Where packets may be missed the client keeps its own position until the frame that says so, in case only this answer arrives.
    const before = typeof asked === 'object' ? asked : 'first';
    counting.resumed(this.#opening === 'unknown' ? before : { era: queue.era, n: queue.confirmed });
  }

  /** Counts packets as confirmed. They are not traced for a webhook, which itself knows when its site has confirmed. */
  #leave(confirmed: readonly Packet[], how = ''): void {
    if (confirmed.length === 0) return;
    const isTraced = this.transport?.kind !== 'webhook';
    for (const packet of confirmed) {
      const { kind, trace } = packet;
      this.metrics.confirmed[kind] += 1;
      if (trace !== null && isTraced) trace.hop('confirmed', packet, this.address, `${this.name}${how}`);
    }
    this.confirmations?.confirmed(confirmed);
  }

  /** Takes back what an ended transport did not get out, or its client did not acknowledge, for the next transport. */
  #takeBack({ acknowledges }: Transport, unsent: readonly Packet[], limits: QueueLimits): void {
    if (acknowledges) this.#queue.rewind();
    this.#putBack(unsent, limits);
  }

  #putBack(unsent: readonly Packet[], limits: QueueLimits): void {
    if (unsent.length > 0) this.confirmations?.returned(unsent);
    this.#reportOverflow(this.#queue.putBack(unsent, limits));
  }

  /** Ends the transport that another takes the place of. */
  #replace(reason: CloseReason, limits: QueueLimits): void {
    const { transport } = this;
    if (transport?.counting || !transport?.settle?.(reason)) return this.close(reason, limits);
    this.#settling = transport;
    this.transport = null;
    this.metrics.connections[transport.kind] -= 1;
  }

  /** The earlier transport has given back what it could not get out, which goes first over the present one. */
  #settled(unsent: readonly Packet[], limits: QueueLimits): void {
    this.#settling = null;
    this.#canTake = this.transport !== null;
    this.#putBack(unsent, limits);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || !this.#canTake) return;
    if (!this.#queue.hasUnsent && this.#opening !== 'unknown') return;
    this.#scheduled = true;
    this.lane.add(this);
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
    if (dropped === 0) return;
    this.#traceAll('dropped', overflow, 'queueOverflow');
    this.transport?.dropped?.(overflow);
    if (this.#overflowed) return;
    this.#overflowed = true;
    const what = { event: 'queue overflow', endpoint: this.address, client: this.name, dropped };
    seldom.warn(`queue overflow ${this.address}`, what, 'a client does not take its packets; old ones go');
  }
}
