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
import { formatAsked, type Position } from './position.js';
import { PacketQueue, type QueueKeeper, type QueueLimits } from './queue.js';
import type { QueueState } from './queue-entries.js';
import type { Ref } from './system.js';
import type { HopName, Trace } from './trace.js';
import { type Counting, connectionOf, type Transport } from './transport.js';
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

export class Client {
  transport: Transport | null = null;
  /** Since when it has its transport or has none: milliseconds since the epoch. */
  since: number;
  /** How long it was connected in all, up to `since`, in milliseconds. */
  connectedMs = 0;
  /** Since when it is not connected, where its connection kept a position; null: connected, or its ticket is not kept. */
  keptSince: number | null = null;
  /** Not connected for longer than the idle time, while its ticket is kept. */
  isAway = false;
  /** When it came online, in milliseconds since the epoch. */
  readonly cameAt: number;
  /** The stamp of when it took its name, which the site gave it; 0: its name is of the server's making. */
  namedAt = 0;
  /** When ONLINE's answer said how its buddies are, in milliseconds of `performance.now()`; not yet: infinity. */
  toldAt = Number.POSITIVE_INFINITY;
  /** While its endpoint has other clients, or keeps messages that none of its clients has confirmed. */
  confirmations: Confirmations | null = null;
  /** A kill may have cost it packets, and it has not said yet that it counts in the era since. */
  mayMiss = false;
  /** What it has not had of other clients' packets; null: it came first. */
  elders: Elders | null = null;
  private readonly metrics: DomainMetrics;
  readonly #queue: PacketQueue;
  /** Ended, and has not said yet what it could not get out. */
  #settling: Transport | null = null;
  #canTake = false;
  /** It polled last. */
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
    /** The secret part of its ticket; of a client that was restored, and whose ticket has not been seen since, as tickets.ts has it. */
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

  /** Whether it is connected, or between two polls. */
  isConnected(now: number): boolean {
    return this.transport !== null || (this.#polls && !this.isAway && now - this.since < NEXT_POLL_MS);
  }

  /** Goes on from where it was before a restart of the server. */
  restore(state: QueueState, limits: QueueLimits): void {
    this.#reportOverflow(this.#queue.restore(state, limits));
  }

  /** For keeping.ts, which writes it before a restart. */
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

  /** Whether it has a connection that takes what is pushed. */
  get takes(): boolean {
    return this.#canTake;
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
    // What MQTT confirms is what its client acknowledges: it has the rest again.
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

  /** The client of a transport that `acknowledges` has these, or will never have them, `dropped` says why. */
  acknowledge(transport: Transport, packets: readonly Packet[], dropped: string | null): void {
    if (this.transport !== transport) return;
    const gone = this.#queue.acknowledge(packets);
    if (dropped === null) return this.#leave(gone);
    this.#traceAll('dropped', gone, dropped);
    this.confirmations?.confirmed(gone);
  }

  /** The transport has gone and gives back what it could not get out. False where it was not this client's any more. */
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

  /** Ends its connection for good. What is not confirmed is in `queued` until `clear`. */
  close(reason: CloseReason, limits: QueueLimits): void {
    this.#end(reason, limits);
  }

  /** Another client has this packet of its queue in its place: it has missed it. */
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

  /** To a client that counts: a frame as a whole, which stays until it is confirmed. */
  #flushCounted(counting: Counting, now: number): void {
    const opening = this.#opening;
    if (!this.#queue.hasUnsent && opening !== 'unknown') return;
    const batch = this.#queue.batch(counting.frameBytes ?? Number.POSITIVE_INFINITY);
    const { packets, missed, lost, before, after } = batch;
    const isUnknown = opening === 'unknown';
    const start = isUnknown ? before + missed : before;
    const frame = {
      packets,
      missed: isUnknown ? (true as const) : missed,
      lost,
      position: opening === 'nothing' ? null : this.#queue.position(start),
      after: { era: this.#queue.era, n: after },
    };
    this.#canTake = counting.send(frame);
    if (!this.#canTake) return this.#traceAll('waiting', packets, 'the connection takes no more now');
    this.#opening = 'nothing';
    this.#queue.sent(batch);
    this.#sent(packets, now);
    for (const packet of packets) packet.compact();
    if (this.#queue.hasUnsent) this.#flushCounted(counting, now);
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

  /** Goes on from where the client says that it is. */
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
    // Where it was until it has the frame that says more: an answer that reaches it alone must not hide that something is missed.
    const before = typeof asked === 'object' ? formatAsked(asked) : '0';
    counting.resumed(this.#opening === 'unknown' ? before : queue.position(queue.confirmed));
  }

  /** These are confirmed. Of a webhook it is its site that confirms, and the webhook that knows. */
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

  /** Whatever comes next has what an ended transport did not get out, or its client did not acknowledge. */
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
    if (transport?.counting || !transport?.settle?.(reason)) return this.#end(reason, limits);
    this.#settling = transport;
    this.transport = null;
    this.metrics.connections[transport.kind] -= 1;
  }

  /** What the one before could not get out goes first. */
  #settled(unsent: readonly Packet[], limits: QueueLimits): void {
    this.#settling = null;
    this.#canTake = this.transport !== null;
    this.#putBack(unsent, limits);
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
    this.#takeBack(transport, unsent, limits);
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
    this.#traceAll('dropped', overflow, 'queueOverflow');
    this.transport?.dropped?.(overflow);
    if (dropped === 0 || this.#overflowed) return;
    this.#overflowed = true;
    const what = { event: 'queue overflow', endpoint: this.address, client: this.name, dropped };
    seldom.warn(`queue overflow ${this.address}`, what, 'a client does not take its packets; old ones go');
  }
}
