/** Packets and publications as items of a stream between nodes, and back. */
import type { Address } from '../actors/address.js';
import { fieldsOf, type MessageFields, Packet, type PresenceFields, type StatusFields } from '../actors/packet.js';
import { Publication, type Qos } from '../actors/publication.js';
import type { Followed } from '../actors/trace.js';
import type { PacketKind } from '../metrics.js';

/** A packet as an item carries it. `followed`: how the packet is called where somebody follows it; null or absent: nobody does. */
export type WirePacket = readonly [
  kind: PacketKind,
  topic: Address,
  sender: Address | null,
  fields: MessageFields | PresenceFields | StatusFields,
  followed?: Followed | null,
  /** In how many milliseconds the packet expires; absent: never. */
  expiresInMs?: number,
];

/** Encodes a packet as JSON, in the form in which nodes send it to each other. */
export type ToWire = (packet: Packet) => string;

/**
 * The JSON of a WirePacket. `encode` answers the packet's own JSON, which is made once. `node`: the name of this node; `now`: its
 * time in milliseconds since the epoch. An item has the time that is left to a packet, since the clocks of nodes differ.
 */
export function wireOf(packet: Packet, encode: (packet: Packet) => string, node: string, now: number): string {
  const sender = packet.sender === null ? 'null' : JSON.stringify(packet.sender);
  const { trace, expiresAt } = packet;
  const followed = trace === null ? 'null' : JSON.stringify(trace.nameOf(packet, node));
  const expiry = expiresAt === null ? '' : `,${expiresAt - now}`;
  const rest = trace === null && expiry === '' ? '' : `,${followed}${expiry}`;
  return `["${packet.kind}",${JSON.stringify(packet.topic)},${sender},${encode(packet)}${rest}]`;
}

export function packetOf([kind, topic, sender, fields, , expiresInMs]: WirePacket, now: number): Packet {
  const packet = new Packet(kind, fieldsOf(fields) as MessageFields & PresenceFields & StatusFields, topic, sender);
  if (expiresInMs !== undefined) packet.expiresAt = now + expiresInMs;
  return packet;
}

/** A publication as an item carries it; payload and properties are Base64. */
export type WirePublication = readonly [
  topic: string,
  qos: Qos,
  retain: 0 | 1,
  /** In how many milliseconds the publication expires; null: never. */
  expiresInMs: number | null,
  payload: string,
  properties: string,
];

export function wirePublicationOf(publication: Publication, now: number): WirePublication {
  const { topic, qos, retain, expiresAt, payload, properties } = publication;
  const expiresInMs = Number.isFinite(expiresAt) ? expiresAt - now : null;
  return [topic, qos, retain ? 1 : 0, expiresInMs, payload.toString('base64'), properties.toString('base64')];
}

export function publicationOf(wire: WirePublication, now: number): Publication {
  const [topic, qos, retain, expiresInMs, payload, properties] = wire;
  return new Publication({
    topic,
    payload: Buffer.from(payload, 'base64'),
    qos,
    retain: retain === 1,
    properties: Buffer.from(properties, 'base64'),
    expiresAt: expiresInMs === null ? Number.POSITIVE_INFINITY : now + expiresInMs,
    publisher: null,
  });
}
