/**
 * What happens to the packets of one endpoint while somebody asks: each hop on their way, who they are from and to, and
 * never what they say. A domain has none, nearly always: then a hop costs a comparison with null. Bounded: the oldest
 * hops go.
 */
import type { Address } from './address.js';
import type { Packet } from './packet.js';

/** In the order of a packet's way; `dropped` ends it. Those without a packet are about the endpoint's clients. */
export type HopName =
  | 'accepted'
  | 'resolved'
  | 'delivered'
  | 'queued'
  | 'kept'
  | 'waiting'
  | 'sent'
  | 'returned'
  | 'acknowledged'
  | 'dropped'
  | 'online'
  | 'offline'
  | 'attached'
  | 'detached'
  | 'ended';

export interface Hop {
  /** Counts up from 1. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly hop: HopName;
  /** Which packet of this trace; 0: none. */
  readonly packet: number;
  /** `message`, `presence` or `status`, and its type where it has one; empty: no packet. */
  readonly kind: string;
  readonly from: string;
  readonly to: string;
  /** Client, transport, or why. */
  readonly detail: string;
}

const KEPT = 1000;

function kindOf({ kind, fields }: Packet): string {
  return 'type' in fields ? `${kind} ${fields.type}` : kind;
}

export class Trace {
  readonly #ring: Hop[] = [];
  readonly #packets = new WeakMap<Packet, number>();
  #seq = 0;
  #packetCount = 0;

  constructor(
    readonly endpoint: Address,
    /** The domain's address of everybody. */
    private readonly everyone: Address,
    /** The rooms it is in now. */
    private readonly rooms: () => readonly Address[],
  ) {}

  /** The domain routes a packet: follows it from here on, where the endpoint is concerned. */
  routed(packet: Packet, found: boolean): void {
    const { topic, sender } = packet;
    const concerns =
      topic === this.endpoint || sender === this.endpoint || topic === this.everyone || this.rooms().includes(topic);
    if (!concerns) return;
    packet.trace = this;
    this.#add('accepted', packet, '');
    this.#add('resolved', packet, found ? topic : 'nobody');
  }

  /** A hop of a followed packet at `receiver`; those at other members of a room are left out. */
  hop(hop: HopName, packet: Packet, receiver: Address, detail: string): void {
    const isDirect = packet.sender === this.endpoint && packet.topic === receiver;
    if (receiver === this.endpoint || isDirect) this.#add(hop, packet, detail);
  }

  /** Something happens to an endpoint's clients. */
  event(hop: HopName, endpoint: Address, detail: string): void {
    if (endpoint === this.endpoint) this.#push({ hop, packet: 0, kind: '', from: '', to: '', detail });
  }

  /** Those after `seq`, the oldest first. */
  after(seq: number): Hop[] {
    const oldest = this.#seq - this.#ring.length;
    const found: Hop[] = [];
    for (let i = Math.max(seq, oldest); i < this.#seq; i++) found.push(this.#ring[i % KEPT] as Hop);
    return found;
  }

  #add(hop: HopName, packet: Packet, detail: string): void {
    let number = this.#packets.get(packet);
    if (number === undefined) {
      this.#packetCount += 1;
      number = this.#packetCount;
      this.#packets.set(packet, number);
    }
    const { from, to } = packet.fields;
    this.#push({ hop, packet: number, kind: kindOf(packet), from, to, detail });
  }

  #push(hop: Omit<Hop, 'seq' | 'at'>): void {
    this.#ring[this.#seq % KEPT] = { seq: this.#seq + 1, at: Date.now(), ...hop };
    this.#seq += 1;
  }
}
