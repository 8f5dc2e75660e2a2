/**
 * The bounded queue of packets that wait for a client. What overflows: statuses first, then presences, oldest first; if
 * messages alone overflow, the oldest. Counted in `metrics.dropped.queueOverflow`. A packet counts into the memory of its
 * domain once, however many queues have it.
 */
import type { DomainMetrics, PacketKind } from '../metrics.js';
import type { Memory } from './memory.js';
import type { Packet } from './packet.js';

export interface QueueLimits {
  /** Packets; 0 is no limit. */
  readonly queuePackets: number;
  /** Bytes; 0 is no limit. */
  readonly queueBytes: number;
}

/** The domain of a queue. */
export interface QueueKeeper {
  readonly metrics: DomainMetrics;
  readonly memory: Memory;
}

const FIRST_TO_GO: readonly PacketKind[] = ['status', 'presence', 'message'];
const NONE: Packet[] = [];

export class PacketQueue {
  /** Shared while empty: most queues are, most of the time. */
  #packets: Packet[] = NONE;
  #bytes = 0;

  constructor(
    private readonly keeper: QueueKeeper,
    /** Address of the endpoint. */
    private readonly owner: string,
  ) {}

  get packets(): readonly Packet[] {
    return this.#packets;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a packet at the end; answers the others that had to go. */
  push(packet: Packet, limits: QueueLimits): readonly Packet[] {
    if (this.#packets === NONE) this.#packets = [];
    this.#packets.push(packet);
    this.#count(packet, 1);
    return this.#trim(limits);
  }

  /** Puts packets back in front: a transport took them and could not get them out. */
  putBack(packets: readonly Packet[], limits: QueueLimits): readonly Packet[] {
    if (packets.length === 0) return NONE;
    this.#packets = [...packets, ...this.#packets];
    for (const packet of packets) this.#count(packet, 1);
    return this.#trim(limits);
  }

  /** Takes the first `count` packets out. */
  shift(count: number): void {
    for (let i = 0; i < count; i++) this.#count(this.#packets[i] as Packet, -1);
    if (count === this.#packets.length) this.#packets = NONE;
    else this.#packets.splice(0, count);
  }

  clear(): void {
    this.shift(this.#packets.length);
  }

  #count(packet: Packet, sign: 1 | -1): void {
    const { metrics, memory } = this.keeper;
    const bytes = sign * packet.bytes;
    this.#bytes += bytes;
    metrics.queuedPackets += sign;
    metrics.queuedBytes += bytes;
    if (sign > 0) memory.hold(packet);
    else memory.release(packet);
  }

  /** Whether it is over its bounds, or its domain over those of its memory; a single packet never is. */
  isOver({ queuePackets, queueBytes }: QueueLimits): boolean {
    const { length } = this.#packets;
    if (length <= 1) return false;
    if (queuePackets > 0 && length > queuePackets) return true;
    return (queueBytes > 0 && this.#bytes > queueBytes) || this.keeper.memory.isOver;
  }

  #trim(limits: QueueLimits): readonly Packet[] {
    if (!this.isOver(limits)) return NONE;
    const dropped: Packet[] = [];
    while (this.isOver(limits)) dropped.push(this.#dropOldest());
    return dropped;
  }

  #dropOldest(): Packet {
    let at = -1;
    for (let i = 0; at < 0; i++) at = this.#packets.findIndex(({ kind }) => kind === FIRST_TO_GO[i]);
    const [gone] = this.#packets.splice(at, 1) as [Packet];
    this.#count(gone, -1);
    this.keeper.metrics.drop('queueOverflow', this.owner);
    return gone;
  }
}
