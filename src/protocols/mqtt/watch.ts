/** Packets of endpoints and rooms, as those who watch addresses by MQTT receive them: PROTOCOL.md section 8. */
import type { Packet } from '../../actors/packet.js';
import { Publication } from '../../actors/publication.js';
import { encodeFrame } from '../frame.js';

const NO_PROPERTIES = Buffer.alloc(0);

let last: { readonly packet: Packet; readonly publication: Publication } | null = null;

/** One frame of one packet, QoS 1, on the packet's topic; made once for all who watch. */
export function publicationOf(packet: Packet): Publication {
  if (last?.packet === packet) return last.publication;
  const publication = new Publication({
    topic: packet.topic,
    payload: encodeFrame([packet]).bytes,
    qos: 1,
    retain: false,
    properties: NO_PROPERTIES,
    expiresAt: Number.POSITIVE_INFINITY,
    publisher: null,
  });
  last = { packet, publication };
  return publication;
}
