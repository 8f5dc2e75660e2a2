/**
 * The bounded queue of a client: packets are accepted, sent, and leave when they are confirmed. PROTOCOL.md section 12.
 *
 * Packets are numbered from 1 as they are accepted. No number is kept: a packet's is that of the last one accepted less
 * what stands behind it. What overflows leaves a gap in its place, which counts the numbers that have gone: statuses go
 * first, then presences, then messages, of each kind the oldest, so what was sent before what was not. Counted in
 * `metrics.dropped.queueOverflow`; so does what expires before it is sent, counted as `expired`. A packet counts into the
 * memory of its domain once, however many queues have it.
 */
import type { Clock } from '../clock.js';
import type { DomainMetrics, PacketKind } from '../metrics.js';
import type { MessageKeeper } from './cluster.js';
import type { Memory } from './memory.js';
import { hasExpired, type Packet } from './packet.js';
import { formatPosition } from './position.js';
import { type Batch, batchOf, type Entry, isPacket, type QueueOwner, type QueueState, span } from './queue-entries.js';
import { exceededBound, type QueueLimits } from './queue-limits.js';

/** The domain of a queue. */
export interface QueueKeeper {
  readonly metrics: DomainMetrics;
  readonly memory: Memory;
  /** Has messages on disk while they stand in a queue; null or absent: nothing is kept. */
  readonly held?: Pick<MessageKeeper, 'hold' | 'release'> | null;
  readonly runtime: { readonly clock: Pick<Clock, 'now'>; readonly era: string };
}

const FIRST_TO_GO: readonly PacketKind[] = ['status', 'presence', 'message'];
/** How many gaps a queue keeps apart. More gaps are merged, and a client that resumes within a merged gap is told of too many lost messages. */
const RUNS = 64;
const NONE: Entry[] = [];
const NO_PACKETS: Packet[] = [];

export class PacketQueue {
  /** Entries that are not confirmed, in the order of their numbers. The empty array is shared, as most queues are empty mostly. */
  #entries: Entry[] = NONE;
  /** How many entries are gaps. */
  #gaps = 0;
  /** How many entries, from the first on, have been sent. */
  #sent = 0;
  #bytes = 0;
  #accepted = 0;
  /** The number of the last packet that a client that counts was sent. */
  #lastSent = 0;
  /** How many packets may expire. */
  #expiring = 0;
  #era: string | null = null;
  /** Whether the client alone knows its number, from which these go on: all that it had before is confirmed. */
  isOpen = false;

  constructor(
    private readonly keeper: QueueKeeper,
    private readonly owner: QueueOwner,
  ) {}

  /** All packets that are not confirmed. */
  get packets(): readonly Packet[] {
    return this.#packetsFrom(0);
  }

  /** Packets that have not been sent. */
  get unsent(): readonly Packet[] {
    return this.#packetsFrom(this.#sent);
  }

  get length(): number {
    return this.#entries.length - this.#gaps;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The number of the packet that was accepted last. */
  get accepted(): number {
    return this.#accepted;
  }

  /** All up to this number are confirmed. */
  get confirmed(): number {
    return this.#accepted - this.#spanFrom(0);
  }

  /** The era of the queue's numbers: the server's, or another one where the queue has come from another node. */
  get era(): string {
    return this.#era ?? this.keeper.runtime.era;
  }

  /**
   * Begins another era of the queue's numbers. A client that comes with a position of the era before may have missed packets.
   * `isOpen`: the era is one of another node, and its numbers begin at the position that the client brings, which has had all up to there.
   */
  beginEra(era: string, isOpen = false): void {
    this.#era = era;
    this.isOpen = isOpen;
  }

  position(n: number): string {
    return formatPosition(n, this.era);
  }

  get state(): QueueState {
    const state = { entries: this.#entries, sent: this.#sent, accepted: this.#accepted, era: this.era };
    return this.isOpen ? { ...state, isOpen: true } : state;
  }

  /** The client says up to which number it has had all packets (null: it has not counted). Answers by how much the numbers grow. */
  placeAt(number: number | null): number {
    const by = this.isOpen && number !== null ? Math.max(0, number - this.confirmed) : 0;
    this.isOpen = false;
    this.#accepted += by;
    return by;
  }

  /** An empty queue goes on from where another was; answers the packets that are beyond its bounds. */
  restore({ entries, sent, accepted, era, isOpen = false }: QueueState, limits: QueueLimits): readonly Packet[] {
    this.#accepted = accepted;
    this.isOpen = isOpen;
    if (era !== undefined && era !== this.era) this.#era = era;
    if (entries.length === 0) return NO_PACKETS;
    this.#entries = [...entries];
    this.#sent = sent;
    const packets = entries.filter(isPacket);
    this.#gaps = entries.length - packets.length;
    this.#lastSent = accepted - this.#spanFrom(sent);
    this.keeper.metrics.unconfirmedPackets += this.#packetsIn(0, sent);
    for (const packet of packets) this.#count(packet, 1);
    return this.#trim(limits);
  }

  /** Packets that have been sent and are not confirmed. */
  get unconfirmed(): readonly Packet[] {
    return this.#entries.slice(0, this.#sent).filter(isPacket);
  }

  /** Whether something has not been sent, be it a gap. */
  get hasUnsent(): boolean {
    return this.#sent < this.#entries.length;
  }

  /** Accepts a packet; answers the others that had to go. */
  push(packet: Packet, limits: QueueLimits, before?: Packet): readonly Packet[] {
    // A list that begins with its first entry has room for that one alone, where an empty one gets room for 17.
    if (this.#entries === NONE) this.#entries = [packet];
    else this.#entries.push(packet);
    this.#accepted += 1;
    this.#count(packet, 1, before);
    return this.#trim(limits);
  }

  /** Puts packets that counted as confirmed back at the front, since a connection took them and could not get them out. */
  putBack(packets: readonly Packet[], limits: QueueLimits): readonly Packet[] {
    if (packets.length === 0) return NO_PACKETS;
    this.rewind();
    const next = this.#entries.find(({ kind }) => kind === 'message') as Packet | undefined;
    this.#entries = [...packets, ...this.#entries];
    for (const packet of packets.toReversed()) this.#count(packet, 1, next);
    return this.#trim(limits);
  }

  /** Takes the first `count` unsent packets, and all before them, out as sent and confirmed. Answers all packets that leave. */
  take(count: number): readonly Packet[] {
    if (count === 0) return NO_PACKETS;
    let end = this.#sent;
    for (let left = count; left > 0; end++) if (isPacket(this.#entries[end] as Entry)) left -= 1;
    return this.#shift(end);
  }

  /** Marks the first `count` unsent packets as sent; they stay until they are confirmed. */
  send(count: number): void {
    let end = this.#sent;
    for (let left = count; left > 0; end++) if (isPacket(this.#entries[end] as Entry)) left -= 1;
    this.#setSent(end);
  }

  /** Confirms single packets, where earlier ones may still be unconfirmed. Answers those that were in the queue. */
  acknowledge(packets: readonly Packet[]): readonly Packet[] {
    const found: Packet[] = [];
    for (const packet of packets) {
      const at = this.#entries.indexOf(packet);
      if (at < 0) continue;
      found.push(packet);
      if (at === 0) this.#shift(1);
      else this.#leaveGap(at, packet, 0);
    }
    let end = 0;
    while (end < this.#sent && !isPacket(this.#entries[end] as Entry)) end += 1;
    if (end > 0) this.#shift(end);
    return found;
  }

  /** The next unsent packets for a client that counts: about `mostBytes` bytes at most, but one packet at least. */
  batch(mostBytes: number): Batch {
    if (this.#gaps === 0 && mostBytes === Number.POSITIVE_INFINITY) return batchOf(this.#entries, this.#sent);
    const packets: Packet[] = [];
    let [missed, lost, bytes] = [0, 0, 0];
    let end = this.#sent;
    for (; end < this.#entries.length; end++) {
      const entry = this.#entries[end] as Entry;
      if (isPacket(entry)) {
        bytes += entry.bytes;
        if (bytes > mostBytes && packets.length > 0) break;
        packets.push(entry);
      } else {
        missed += entry.missed;
        lost += entry.lost;
      }
    }
    return { packets, missed, lost, position: null, entries: end - this.#sent };
  }

  /** The number of the last packet of the next batch. */
  after({ entries }: Batch): number {
    return this.#accepted - this.#spanFrom(this.#sent + entries);
  }

  /** The next batch has been sent. */
  sent(batch: Batch, after = this.after(batch)): void {
    this.#lastSent = Math.max(this.#lastSent, after);
    this.#setSent(this.#sent + batch.entries);
  }

  /** Marks all packets as unsent, since another connection takes over. */
  rewind(): void {
    this.#setSent(0);
  }

  /** Confirms all packets up to a number, but none that the client was never sent; answers the packets that leave. */
  confirm(number: number): readonly Packet[] {
    let end = 0;
    let left = Math.min(number, this.#lastSent) - this.confirmed;
    if (left <= 0) return NO_PACKETS;
    if (this.#gaps === 0) return this.#shift(left);
    for (; left > 0 && end < this.#entries.length; end++) {
      const entry = this.#entries[end] as Entry;
      const numbers = span(entry);
      if (entry.kind === null && numbers > left) {
        const missed = numbers - left;
        this.#entries[end] = { kind: null, missed, lost: Math.min(entry.lost, missed) };
        break;
      }
      left -= numbers;
    }
    return this.#shift(end);
  }

  /** The client resumes before the confirmed number: the numbers between count as missed, as if all had been messages. */
  reopen(number: number): void {
    const missed = this.confirmed - number;
    if (missed <= 0) return;
    this.#entries = [{ kind: null, missed, lost: missed }, ...this.#entries];
    this.#gaps += 1;
    this.#join(0);
  }

  /** Packets up to a number, that one included. */
  upTo(number: number): readonly Packet[] {
    const found: Packet[] = [];
    let at = this.confirmed;
    for (const entry of this.#entries) {
      at += span(entry);
      if (at > number) break;
      if (isPacket(entry)) found.push(entry);
    }
    return found;
  }

  /** Replaces a packet in the queue by a gap, which counts as a lost message where `lost` is 1; answers whether it was in the queue. */
  remove(packet: Packet, lost = packet.kind === 'message' ? 1 : 0): boolean {
    const at = this.#entries.indexOf(packet);
    if (at >= 0) this.#leaveGap(at, packet, lost);
    return at >= 0;
  }

  /** Replaces unsent packets that have expired by gaps; answers those packets. */
  dropExpired(): readonly Packet[] {
    if (this.#expiring === 0) return NO_PACKETS;
    const now = this.keeper.runtime.clock.now();
    const expired: Packet[] = [];
    for (let at = this.#entries.length - 1; at >= this.#sent; at--) {
      const entry = this.#entries[at] as Entry;
      if (!isPacket(entry) || !hasExpired(entry, now)) continue;
      this.#leaveGap(at, entry);
      this.keeper.metrics.drop('expired', this.owner.address);
      expired.push(entry);
    }
    return expired.reverse();
  }

  clear(): void {
    this.#shift(this.#entries.length);
  }

  #packetsFrom(start: number): readonly Packet[] {
    if (this.#gaps > 0) return this.#entries.slice(start).filter(isPacket);
    return (start === 0 ? this.#entries : this.#entries.slice(start)) as Packet[];
  }

  #spanFrom(start: number): number {
    if (this.#gaps === 0) return this.#entries.length - start;
    let total = 0;
    for (let i = start; i < this.#entries.length; i++) total += span(this.#entries[i] as Entry);
    return total;
  }

  /** How many packets there are from one entry to before another. */
  #packetsIn(from: number, to: number): number {
    if (this.#gaps === 0) return to - from;
    let found = 0;
    for (let at = from; at < to; at++) if (isPacket(this.#entries[at] as Entry)) found += 1;
    return found;
  }

  /** Takes the first `count` entries out; answers the packets among them. */
  #shift(count: number): readonly Packet[] {
    if (this.#sent > 0) this.keeper.metrics.unconfirmedPackets -= this.#packetsIn(0, Math.min(count, this.#sent));
    const isAll = count === this.#entries.length;
    const gone = isAll ? this.#entries : this.#entries.splice(0, count);
    if (isAll) this.#entries = NONE;
    this.#sent = Math.max(0, this.#sent - count);
    const packets = this.#gaps > 0 ? gone.filter(isPacket) : (gone as Packet[]);
    this.#gaps -= gone.length - packets.length;
    for (const packet of packets) this.#count(packet, -1);
    return packets;
  }

  #count(packet: Packet, sign: 1 | -1, before?: Packet): void {
    const { metrics, memory, held } = this.keeper;
    if (held && packet.kind === 'message') {
      if (sign > 0) held.hold(this.owner.address, this.owner.name, packet, before);
      else held.release(this.owner.address, this.owner.name, packet);
    }
    const bytes = sign * packet.bytes;
    this.#bytes += bytes;
    if (packet.expiresAt !== null) this.#expiring += sign;
    metrics.queuedPackets += sign;
    metrics.queuedBytes += bytes;
    if (sign > 0) memory.hold(packet);
    else memory.release(packet);
  }

  /** Whether the queue exceeds its bounds, or its domain that of its memory; a queue of one packet never does. */
  isOver(limits: QueueLimits): boolean {
    return this.length > 1 && (this.#bound(limits) !== null || this.keeper.memory.isOver);
  }

  #bound(limits: QueueLimits): keyof QueueLimits | null {
    return exceededBound(this.length, this.#bytes, limits);
  }

  #trim(limits: QueueLimits): readonly Packet[] {
    if (!this.isOver(limits)) return NO_PACKETS;
    const dropped: Packet[] = [];
    while (this.isOver(limits)) {
      this.keeper.metrics.exceed(this.#bound(limits) ?? 'bytesPerDomain');
      dropped.push(this.#dropOldest());
    }
    return dropped;
  }

  #dropOldest(): Packet {
    let at = -1;
    for (let i = 0; at < 0; i++) at = this.#entries.findIndex(({ kind }) => kind === FIRST_TO_GO[i]);
    const gone = this.#entries[at] as Packet;
    this.#leaveGap(at, gone);
    this.keeper.metrics.drop('queueOverflow', this.owner.address);
    return gone;
  }

  /** Sets how many entries are sent, and joins the gaps at the old border, or a full queue would grow by a gap for each dropped packet. */
  #setSent(count: number): void {
    const before = this.#sent;
    this.#sent = count;
    const { metrics } = this.keeper;
    if (count > before) metrics.unconfirmedPackets += this.#packetsIn(before, count);
    else if (count < before) metrics.unconfirmedPackets -= this.#packetsIn(count, before);
    if (before > 0 && this.#gaps > 1) this.#join(before - 1);
  }

  /** Replaces a packet by a gap and joins that with neighbouring gaps, except a sent gap with an unsent one. */
  #leaveGap(at: number, gone: Packet, lost = gone.kind === 'message' ? 1 : 0): void {
    this.#count(gone, -1);
    if (at < this.#sent) this.keeper.metrics.unconfirmedPackets -= 1;
    this.#entries[at] = { kind: null, missed: 1, lost };
    this.#gaps += 1;
    if (at + 1 !== this.#sent) this.#join(at);
    if (at > 0 && at !== this.#sent) this.#join(at - 1);
  }

  /** Joins an entry and the next one, where both are gaps and were all messages or none, or where there are more than `RUNS` gaps. */
  #join(at: number): void {
    const [one, next] = [this.#entries[at], this.#entries[at + 1]];
    if (one?.kind !== null || next?.kind !== null) return;
    const [missed, lost] = [one.missed + next.missed, one.lost + next.lost];
    if (lost > 0 && lost < missed && this.#gaps <= RUNS) return;
    this.#entries.splice(at, 2, { kind: null, missed, lost });
    this.#gaps -= 1;
    if (at < this.#sent) this.#sent -= 1;
  }
}
