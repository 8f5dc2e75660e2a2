/** Packets of endpoints and rooms as MQTT clients receive them: frames of QoS 1 on the packets' topic. PROTOCOL.md section 8. */
import type { Packet } from '../../actors/packet.js';
import { Publication } from '../../actors/publication.js';
import { encodeFrame } from '../frame.js';

const NO_PROPERTIES = Buffer.alloc(0);

/** One frame of packets of one topic; there is at least one. */
export function publicationOf(packets: readonly Packet[]): Publication {
  const { topic, expiresAt } = packets[0] as Packet;
  return new Publication({
    topic,
    payload: encodeFrame(packets).bytes,
    qos: 1,
    retain: false,
    properties: NO_PROPERTIES,
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    publisher: null,
  });
}

let last: { readonly packet: Packet; readonly publication: Publication } | null = null;

/** A frame of one packet, made once for all backends that watch the packet's address. */
export function sharedPublicationOf(packet: Packet): Publication {
  if (last?.packet === packet) return last.publication;
  const publication = publicationOf([packet]);
  last = { packet, publication };
  return publication;
}
