/** Packets as items of a stream between nodes, and back. */
import type { Address } from '../actors/address.js';
import { type MessageFields, Packet, type PresenceFields, type StatusFields } from '../actors/packet.js';
import type { PacketKind } from '../metrics.js';

/** A packet as an item carries it: kind, topic, sender, fields. */
export type WirePacket = readonly [
  kind: PacketKind,
  topic: Address,
  sender: Address | null,
  fields: MessageFields | PresenceFields | StatusFields,
];

/** The packet's own JSON is used again; `encode` makes it where nobody has yet. */
export function wireOf(packet: Packet, encode: (packet: Packet) => string): string {
  const sender = packet.sender === null ? 'null' : JSON.stringify(packet.sender);
  return `["${packet.kind}",${JSON.stringify(packet.topic)},${sender},${encode(packet)}]`;
}

export function packetOf([kind, topic, sender, fields]: WirePacket): Packet {
  return new Packet(kind, fields as MessageFields & PresenceFields & StatusFields, topic, sender);
}
