/**
 * One whole packet's bytes → what it says, or why it is refused. Every byte is read once, and strictly: mqtt-packet lets
 * pass much that the standard forbids, and its objects lose the order and repetitions of user properties
 * [MQTT-3.3.2-18].
 */
import type { Qos, SentPublish } from '../../actors/publication.js';
import { isTopic } from '../../actors/topic.js';
import { decodeConnect } from './decode-connect.js';
import { decodeSubscribe, decodeUnsubscribe } from './decode-subscribe.js';
import {
  type Ack,
  type AckName,
  type Disconnect,
  type Incoming,
  NEVER,
  type Publish,
  type Refused,
  refused,
  type Version,
} from './packets.js';
import { ALLOWED, MessageProperties, PROPERTY, readProperties } from './properties.js';
import { Reader } from './reader.js';
import { REASON } from './reason.js';
import { isTooDeep } from './topics.js';

const EMPTY = Buffer.alloc(0);

/** Packet types, section 2.1.2. */
const TYPE = Object.freeze({
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
});

/** Reason codes a client may send in PUBACK and PUBREC, section 3.4.2.1. */
const RECEIPT_REASONS: ReadonlySet<number> = new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
/** Reason codes a client may send in PUBREL and PUBCOMP, section 3.6.2.1. */
const RELEASE_REASONS: ReadonlySet<number> = new Set([0, 0x92]);
/** Reason codes a client may send in DISCONNECT, section 3.14.2.1. */
const DISCONNECT_REASONS: ReadonlySet<number> = new Set([
  0, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
]);

/** Types whose flags are all reserved, section 2.1.3; the flags of all others are checked with their packet. */
const UNFLAGGED: ReadonlySet<number> = new Set([4, 5, 7, 9, 11, 12, 13, 14]);

/** What a packet's first byte alone says is wrong; 0: nothing. `version` null: CONNECT is due [MQTT-3.1.0-1]. */
export function checkFirst(first: number, version: Version | null): number {
  const type = first >> 4;
  const flags = first & 0x0f;
  if (version === null) return type === TYPE.connect ? 0 : REASON.protocolError;
  // Type 0 is forbidden; AUTH is for those who began with a method, and 3.1.1 has neither [MQTT-4.12.0-6].
  if (type === 0 || (type === 15 && flags !== 0)) return REASON.protocolError;
  return UNFLAGGED.has(type) && flags !== 0 && version > 3 ? REASON.malformed : 0; // [MQTT-2.1.3-1]
}

/**
 * Decodes the packet between `start` and `end`; `body` is where its fixed header ends. `version` null: CONNECT is due. `known` is the
 * topic of an earlier PUBLISH: the same again is recognized by its bytes. Only what CONNECT says refers to `bytes` afterwards.
 */
export function decode(
  bytes: Buffer,
  start: number,
  body: number,
  end: number,
  version: Version | null,
  known = '',
): Incoming | Refused {
  const first = bytes[start] as number;
  const type = first >> 4;
  const flags = first & 0x0f;
  if (version === null) return decodeConnect(new Reader(bytes, body, end), flags);
  switch (type) {
    case TYPE.publish:
      return decodePublish(bytes, start, body, end, flags, version, known);
    case TYPE.puback:
    case TYPE.pubrec:
    case TYPE.pubrel:
    case TYPE.pubcomp:
      return decodeAck(bytes, body, end, type, flags, version);
    case TYPE.subscribe:
    case TYPE.unsubscribe:
      return decodeSubscriptions(new Reader(bytes, body, end), type, flags, version);
    case TYPE.pingreq:
      if ((flags !== 0 && version > 3) || body !== end) return refused(REASON.malformed, true);
      return { cmd: 'pingreq' };
    case TYPE.disconnect:
      return decodeDisconnect(bytes, body, end, flags, version);
    case TYPE.pingresp:
      return body === end ? refused(REASON.protocolError) : refused(REASON.malformed, true);
    default:
      // A second CONNECT [MQTT-3.1.0-2], what only servers send, and AUTH, which no client without a method may send [MQTT-4.12.0-6].
      return refused(REASON.protocolError);
  }
}

const NO_PROPERTIES = new MessageProperties(EMPTY, PROPERTY.topicAlias);

/** In characters. With a packet that is passed on its topic is in memory once more, which nobody counts: so it is a short one. */
const LONGEST_PASSED_ON = 256;

function decodePublish(
  bytes: Buffer,
  start: number,
  body: number,
  end: number,
  flags: number,
  version: Version,
  known: string,
): Publish | Refused {
  const qos = (flags >> 1) & 3;
  const dup = (flags & 8) !== 0;
  if (qos === 3) return refused(REASON.malformed); // [MQTT-3.3.1-4]
  if (dup && qos === 0) return refused(REASON.malformed); // [MQTT-3.3.1-2]
  const reader = new Reader(bytes, body, end);
  const isKnown = known !== '' && reader.skip(known);
  const topic = isKnown ? known : reader.name();
  const idAt = reader.at;
  const id = qos === 0 ? 0 : reader.short();
  if (reader.fault !== 0) return refused(reader.fault);
  if (qos > 0 && id === 0) return refused(REASON.protocolError); // [MQTT-2.2.1-3]
  let properties = NO_PROPERTIES;
  if (version === 5) {
    if (bytes[reader.at] === 0 && reader.at < end) {
      reader.at += 1;
    } else {
      properties = new MessageProperties(bytes, PROPERTY.topicAlias);
      readProperties(reader, ALLOWED.publish, properties);
      if (reader.fault !== 0) return refused(reader.fault);
    }
  }
  const { own: alias, expiryS } = properties;
  const isValid = isKnown || (topic === '' ? alias !== null : isTopic(topic) && !isTooDeep(topic));
  if (!isValid) return refused(REASON.malformed); // [MQTT-3.3.2-2]
  if (alias === 0) return refused(REASON.topicAliasInvalid); // [MQTT-3.3.2-8]
  const retain = (flags & 1) !== 0;
  // 3.1.1 does not say that a length takes no more bytes than it needs; receivers are sent no such packet.
  const isShortest = body - start === 2 || bytes[body - 1] !== 0;
  const isSame = isShortest && !dup && !retain && alias === null && expiryS === null;
  const sent: SentPublish | null =
    isSame && topic.length <= LONGEST_PASSED_ON
      ? { bytes: copy(bytes, start, end), isV5: version === 5, idAt: idAt - start }
      : null;
  const { at } = reader;
  return {
    cmd: 'publish',
    topic,
    payload: sent ? sent.bytes.subarray(at - start) : copy(bytes, at, end),
    qos: qos as Qos,
    dup,
    retain,
    id,
    alias: alias ?? 0,
    expiryS,
    properties: propertiesOf(properties, sent, at - start),
    sent,
  };
}

/** What is passed on of the properties, all of which stand before `end` in a packet that is itself passed on. */
function propertiesOf(properties: MessageProperties, sent: SentPublish | null, end: number): Buffer {
  if (properties === NO_PROPERTIES) return EMPTY;
  return sent ? sent.bytes.subarray(end - properties.bytesPassedOn, end) : properties.passedOn;
}

function copy(bytes: Buffer, start: number, end: number): Buffer {
  const copied = Buffer.allocUnsafe(end - start);
  bytes.copy(copied, 0, start, end);
  return copied;
}

/** By their types, which follow each other. */
const ACK_NAMES: readonly AckName[] = ['puback', 'pubrec', 'pubrel', 'pubcomp'];

function decodeAck(
  bytes: Buffer,
  body: number,
  end: number,
  type: number,
  flags: number,
  version: Version,
): Ack | Refused {
  const isRelease = type === TYPE.pubrel || type === TYPE.pubcomp;
  const wanted = type === TYPE.pubrel ? 2 : 0; // [MQTT-3.6.1-1]
  if (version > 3 ? flags !== wanted : (flags & 2) !== wanted) return refused(REASON.malformed); // [MQTT-2.1.3-1]
  const cmd = ACK_NAMES[type - TYPE.puback] as AckName;
  if (end - body === 2) {
    // Nearly all acknowledgements are their identifier and nothing else.
    const id = ((bytes[body] as number) << 8) | (bytes[body + 1] as number);
    return id === 0 ? refused(REASON.protocolError) : { cmd, id, reason: 0 }; // [MQTT-2.2.1-3]
  }
  const reader = new Reader(bytes, body, end);
  const id = reader.short();
  let reason = 0;
  if (version === 5 && reader.at < end) {
    reason = reader.byte();
    if (!(isRelease ? RELEASE_REASONS : RECEIPT_REASONS).has(reason)) return refused(REASON.protocolError);
    if (reader.at < end) readProperties(reader, ALLOWED.ack, {});
  }
  reader.finish();
  if (reader.fault !== 0) return refused(reader.fault);
  if (id === 0) return refused(REASON.protocolError); // [MQTT-2.2.1-3]
  return { cmd, id, reason };
}

function decodeSubscriptions(reader: Reader, type: number, flags: number, version: Version): Incoming | Refused {
  // [MQTT-3.8.1-1] [MQTT-3.10.1-1]; 3.1 has DUP here.
  if ((version > 3 ? flags : flags & 7) !== 2) return refused(REASON.malformed);
  return type === TYPE.subscribe ? decodeSubscribe(reader, version) : decodeUnsubscribe(reader, version);
}

function decodeDisconnect(
  bytes: Buffer,
  body: number,
  end: number,
  flags: number,
  version: Version,
): Disconnect | Refused {
  if (version > 3 && flags !== 0) return refused(REASON.malformed); // [MQTT-3.14.1-1]
  const reader = new Reader(bytes, body, end);
  let reason = 0;
  let sessionExpiryS: number | null = null;
  if (version === 5 && reader.at < end) {
    reason = reader.byte();
    if (!DISCONNECT_REASONS.has(reason)) return refused(REASON.malformed, true);
    if (reader.at < end) {
      readProperties(reader, ALLOWED.disconnect, {
        number(_id, value) {
          sessionExpiryS = value === NEVER ? Number.POSITIVE_INFINITY : value;
        },
      });
    }
  }
  reader.finish();
  return reader.fault === 0 ? { cmd: 'disconnect', reason, sessionExpiryS } : refused(reader.fault);
}
