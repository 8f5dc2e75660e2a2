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
  | 'relayed'
  | 'received'
  | 'resolved'
  | 'delivered'
  | 'queued'
  | 'kept'
  | 'waiting'
  | 'sent'
  | 'returned'
  | 'confirmed'
  | 'dropped'
  | 'online'
  | 'offline'
  | 'attached'
  | 'detached'
  | 'away'
  | 'handedOver'
  | 'adopted'
  | 'ended';

export interface Hop {
  /** The number of the hop, from 1. */
  readonly seq: number;
  /** When the hop was made, in milliseconds since the epoch. */
  readonly at: number;
  readonly hop: HopName;
  /** The number of the packet among those that `origin` follows; 0: the hop is about no packet. */
  readonly packet: number;
  /** The node that was the first to follow the packet; empty: this one. */
  readonly origin: string;
  /** `message`, `presence` or `status`, and the packet's type where it has one; empty: the hop is about no packet. */
  readonly kind: string;
  readonly from: string;
  readonly to: string;
  /** The client, the transport, or the reason. */
  readonly detail: string;
}

const KEPT = 1000;

/** How nodes name a packet to each other: the node that follows it, and its number there. */
export type Followed = readonly [origin: string, packet: number];

function kindOf({ kind, fields }: Packet): string {
  return 'type' in fields ? `${kind} ${fields.type}` : kind;
}

export class Trace {
  readonly #ring: Hop[] = [];
  readonly #packets = new WeakMap<Packet, Followed>();
  #seq = 0;
  #packetCount = 0;

  constructor(
    readonly endpoint: Address,
    /** The topic of the domain's broadcasts. */
    private readonly everyone: Address,
    /** The rooms that the endpoint is in now. */
    private readonly rooms: () => readonly Address[],
  ) {}

  /** The domain routes a packet, which is followed from here on where it concerns the endpoint. */
  routed(packet: Packet, found: boolean): void {
    if (this.#follows(packet)) this.#add('resolved', packet, found ? packet.topic : 'nobody');
  }

  /** A packet goes on to another node. */
  relayed(packet: Packet, to: string): void {
    if (this.#follows(packet)) this.#add('relayed', packet, `to ${to}`);
  }

  /** A packet has come from another node, which may have told its name for the packet. */
  received(packet: Packet, from: string, followed: Followed | null): void {
    if (!this.#concerns(packet)) return;
    packet.trace = this;
    if (followed) this.#packets.set(packet, followed);
    this.#add('received', packet, `from ${from}`);
  }

  /** The name of a followed packet for other nodes; `own` is this node's name. */
  nameOf(packet: Packet, own: string): Followed {
    const [origin, number] = this.#followed(packet);
    return [origin === '' ? own : origin, number];
  }

  #concerns({ topic, sender }: Packet): boolean {
    const { endpoint, everyone } = this;
    return topic === endpoint || sender === endpoint || topic === everyone || this.rooms().includes(topic);
  }

  /** Whether a packet concerns the endpoint; if so, it is followed from now on at the latest. */
  #follows(packet: Packet): boolean {
    if (packet.trace === this) return true;
    if (!this.#concerns(packet)) return false;
    packet.trace = this;
    this.#add('accepted', packet, '');
    return true;
  }

  /** Writes down a hop of a followed packet at `receiver`; hops at other members of a room are left out. */
  hop(hop: HopName, packet: Packet, receiver: Address, detail: string): void {
    const isDirect = packet.sender === this.endpoint && packet.topic === receiver;
    if (receiver === this.endpoint || isDirect) this.#add(hop, packet, detail);
  }

  /** Writes down what happens to the endpoint's clients. */
  event(hop: HopName, endpoint: Address, detail: string): void {
    if (endpoint !== this.endpoint) return;
    this.#push({ hop, packet: 0, origin: '', kind: '', from: '', to: '', detail });
  }

  /** The hops after `seq`, the oldest first. */
  after(seq: number): Hop[] {
    const oldest = this.#seq - this.#ring.length;
    const found: Hop[] = [];
    for (let i = Math.max(seq, oldest); i < this.#seq; i++) found.push(this.#ring[i % KEPT] as Hop);
    return found;
  }

  #add(hop: HopName, packet: Packet, detail: string): void {
    const [origin, number] = this.#followed(packet);
    const { from, to } = packet.fields;
    this.#push({ hop, packet: number, origin, kind: kindOf(packet), from, to, detail });
  }

  #followed(packet: Packet): Followed {
    const known = this.#packets.get(packet);
    if (known) return known;
    this.#packetCount += 1;
    const followed: Followed = ['', this.#packetCount];
    this.#packets.set(packet, followed);
    return followed;
  }

  #push(hop: Omit<Hop, 'seq' | 'at'>): void {
    this.#ring[this.#seq % KEPT] = { seq: this.#seq + 1, at: Date.now(), ...hop };
    this.#seq += 1;
  }
}
