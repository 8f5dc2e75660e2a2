/** Packets as items of a stream between nodes, and back. */
import type { Address } from '../actors/address.js';
import { type MessageFields, Packet, type PresenceFields, type StatusFields } from '../actors/packet.js';
import type { Followed } from '../actors/trace.js';
import type { PacketKind } from '../metrics.js';

/** A packet as an item carries it: kind, topic, sender, fields; and how it is called where somebody follows it. */
export type WirePacket = readonly [
  kind: PacketKind,
  topic: Address,
  sender: Address | null,
  fields: MessageFields | PresenceFields | StatusFields,
  followed?: Followed,
];

/** The packet's own JSON is used again; `encode` makes it where nobody has yet. `node` is the name of this one. */
export function wireOf(packet: Packet, encode: (packet: Packet) => string, node: string): string {
  const sender = packet.sender === null ? 'null' : JSON.stringify(packet.sender);
  const followed = packet.trace === null ? '' : `,${JSON.stringify(packet.trace.nameOf(packet, node))}`;
  return `["${packet.kind}",${JSON.stringify(packet.topic)},${sender},${encode(packet)}${followed}]`;
}

export function packetOf([kind, topic, sender, fields]: WirePacket): Packet {
  return new Packet(kind, fields as MessageFields & PresenceFields & StatusFields, topic, sender);
}
