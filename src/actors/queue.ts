/**
 * The bounded queue of packets that wait for a client. What overflows: statuses first, then presences, oldest first; if
 * messages alone overflow, the oldest (issue of the first release, "Limits"). Counted in `metrics.dropped.queueOverflow`.
 */
import type { DomainMetrics, PacketKind } from '../metrics.js';
import type { Packet } from './packet.js';

export interface QueueLimits {
  /** Packets; 0 is no limit. */
  readonly queuePackets: number;
  /** Bytes; 0 is no limit. */
  readonly queueBytes: number;
}

const FIRST_TO_GO: readonly PacketKind[] = ['status', 'presence', 'message'];
const NONE: Packet[] = [];

export class PacketQueue {
  /** Shared while empty: most queues are, most of the time. */
  #packets: Packet[] = NONE;
  #bytes = 0;

  constructor(
    private readonly metrics: DomainMetrics,
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
    this.#count(1, packet.bytes);
    return this.#trim(limits);
  }

  /** Puts packets back in front: a transport took them and could not get them out. */
  putBack(packets: readonly Packet[], limits: QueueLimits): readonly Packet[] {
    if (packets.length === 0) return NONE;
    this.#packets = [...packets, ...this.#packets];
    for (const packet of packets) this.#count(1, packet.bytes);
    return this.#trim(limits);
  }

  /** Takes the first `count` packets out. */
  shift(count: number): void {
    for (let i = 0; i < count; i++) this.#count(-1, -(this.#packets[i] as Packet).bytes);
    if (count === this.#packets.length) this.#packets = NONE;
    else this.#packets.splice(0, count);
  }

  clear(): void {
    this.shift(this.#packets.length);
  }

  #count(packets: number, bytes: number): void {
    this.#bytes += bytes;
    this.metrics.queuedPackets += packets;
    this.metrics.queuedBytes += bytes;
  }

  /** Whether it is over its bounds; a single packet never is. */
  isOver({ queuePackets, queueBytes }: QueueLimits): boolean {
    const { length } = this.#packets;
    return length > 1 && ((queuePackets > 0 && length > queuePackets) || (queueBytes > 0 && this.#bytes > queueBytes));
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
    this.#count(-1, -gone.bytes);
    this.metrics.drop('queueOverflow', this.owner);
    return gone;
  }
}
