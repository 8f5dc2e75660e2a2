import type { Address } from '../../src/actors/address.js';
import { type MessageFields, Packet, type PresenceFields, type StatusFields } from '../../src/actors/packet.js';
import fc, { anyText } from './properties.js';

const topic = '/domain/a.example/uid/1' as Address;

/** Any Unicode that a message may hold, the odd ones often. */
export const text = fc.oneof(
  anyText,
  fc.constantFrom('', '"', '\\', '\u2028', '\u0000', '\ud83d\ude00', '</script>', '__proto__'),
);

export const message: fc.Arbitrary<Packet> = fc
  .record({
    from: text,
    to: text,
    nick: text,
    timestamp: text,
    type: fc.constantFrom<MessageFields['type']>('chat', 'grpchat', 'broadcast'),
    body: text,
    style: text,
  })
  .map((fields) => new Packet('message', fields, topic, null));

export const presence: fc.Arbitrary<Packet> = fc
  .record({
    from: text,
    to: text,
    nick: text,
    type: fc.constantFrom<PresenceFields['type']>('online', 'offline', 'show', 'join', 'leave'),
    show: text,
    status: text,
  })
  .map((fields) => new Packet('presence', fields, topic, null));

export const status: fc.Arbitrary<Packet> = fc
  .record<StatusFields>({ from: text, to: text, nick: text, show: text })
  .map((fields) => new Packet('status', fields, topic, null));

export const packet: fc.Arbitrary<Packet> = fc.oneof(message, presence, status);
