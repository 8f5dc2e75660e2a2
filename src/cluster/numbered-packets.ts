/** Packets in a text for another node, or for a later start of this one: each is there once, and queues name it by its number. */
import type { Packet } from '../actors/packet.js';
import { packet as isWirePacket } from './validators.js';
import { packetOf, type ToWire, type WirePacket } from './wire.js';

/** The packets of a text, while it is put together. */
export class NumberedPackets {
  readonly #numbers = new Map<Packet, number>();
  readonly #packets: string[] = [];
  /** How many characters the packets have up to now, about. */
  characters = 0;

  constructor(private readonly wire: ToWire) {}

  readonly numberOf = (packet: Packet): number => {
    const known = this.#numbers.get(packet);
    if (known !== undefined) return known;
    const number = this.#packets.length;
    this.#numbers.set(packet, number);
    const text = `[${this.wire(packet)},${packet.fromClient ? 1 : 0}]`;
    this.#packets.push(text);
    this.characters += text.length;
    return number;
  };

  toString(): string {
    return `[${this.#packets}]`;
  }
}

/**
 * The packets of such a text, by their numbers, null for each that is malformed; null where the text has none. `at`: the time in
 * milliseconds since the epoch from which what is left to packets that expire counts.
 */
export function numberedPackets(value: unknown, domain: string, at: number): readonly (Packet | null)[] | null {
  if (!Array.isArray(value)) return null;
  return value.map((one) => (Array.isArray(one) ? packetFrom(one, domain, at) : null));
}

/** A packet of which it is known whether a client has sent it; null where it is malformed. `at` as above. */
export function packetFrom([wire, fromClient]: readonly unknown[], domain: string, at: number): Packet | null {
  if (!isWirePacket(wire, domain)) return null;
  const packet = packetOf(wire as WirePacket, at);
  packet.fromClient = fromClient === 1;
  return packet;
}
