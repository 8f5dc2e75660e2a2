/**
 * What the server sends → bytes. mqtt-packet writes CONNACK, SUBACK and UNSUBACK. PUBLISH and the acknowledgements are
 * written here: a publication is encoded once for all who receive it the same way, and its properties go out as they
 * came in, order and repetitions kept [MQTT-3.3.2-18].
 */
import { generate, type IConnackPacket, writeToStream } from 'mqtt-packet';
import type { Publication, Qos } from '../../actors/publication.js';
import type { AckName, Version } from './packets.js';
import { REASON, returnCode } from './reason.js';

// mqtt-packet's table of all 65,536 numbers would take 6 MiB and 25 ms of each process, and a connection has few packets written by it.
writeToStream.cacheNumbers = false;

export const PINGRESP = Buffer.from([0xd0, 0x00]);

export type ConnackProperties = NonNullable<IConnackPacket['properties']>;

/** CONNACK that accepts. */
export function encodeConnack(version: Version, sessionPresent: boolean, properties: ConnackProperties): Buffer {
  const present = version > 3 && sessionPresent;
  return generate(
    { cmd: 'connack', reasonCode: 0, returnCode: 0, sessionPresent: present, properties },
    { protocolVersion: version },
  );
}

/** CONNACK that refuses, in 5.0 with a text for people; null where the version has no code for it and the connection just ends. */
export function encodeRefusal(version: Version, reason: number, text = ''): Buffer | null {
  // Whoever speaks another version is told so in the form of 5.0, its section 3.1.2.2.
  if (version === 5 || reason === REASON.unsupportedVersion) {
    const properties = text === '' ? EMPTY : reasonString(text);
    return Buffer.concat([Buffer.from([0x20, 3 + properties.length, 0, reason, properties.length]), properties]);
  }
  const code = returnCode(reason);
  return code === null ? null : Buffer.from([0x20, 2, 0, code]);
}

export function encodeSuback(version: Version, id: number, granted: readonly number[]): Buffer {
  return generate({ cmd: 'suback', messageId: id, granted: [...granted] }, { protocolVersion: version });
}

export function encodeUnsuback(version: Version, id: number, granted: readonly number[]): Buffer {
  return generate({ cmd: 'unsuback', messageId: id, granted: [...granted] }, { protocolVersion: version });
}

const ACK_BYTES: Readonly<Record<AckName, number>> = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 };

/** User properties of an acknowledgement, in their order. */
export type Said = readonly (readonly [name: string, value: string])[];

/** PUBACK, PUBREC, PUBREL or PUBCOMP. Only 5.0 carries a reason other than success, a text for people beside it, and what else is said. */
export function encodeAck(version: Version, cmd: AckName, id: number, reason = 0, text = '', said?: Said): Buffer {
  const first = ACK_BYTES[cmd];
  if (version < 5 || (reason === 0 && !said)) return encodeShortAck(first, id);
  if (text === '' && !said) return Buffer.from([first, 3, id >> 8, id & 0xff, reason]);
  const properties = Buffer.concat([text === '' ? EMPTY : reasonString(text), ...(said ?? []).map(userProperty)]);
  return Buffer.concat([
    Buffer.from([first, 4 + properties.length, id >> 8, id & 0xff, reason, properties.length]),
    properties,
  ]);
}

function encodeShortAck(first: number, id: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes[0] = first;
  bytes[1] = 2;
  writeShort(bytes, 2, id);
  return bytes;
}

const EMPTY = Buffer.alloc(0);

/** Reason strings are the server's own and short, as are user properties: every length here is one byte. */
function reasonString(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x1f]), string(text)]);
}

function userProperty([name, value]: Said[number]): Buffer {
  return Buffer.concat([Buffer.from([0x26]), string(name), string(value)]);
}

function string(text: string): Buffer {
  return Buffer.concat([Buffer.from([0, Buffer.byteLength(text)]), Buffer.from(text)]);
}

/** DISCONNECT, which only 5.0 lets a server send. */
export function encodeDisconnect(reason: number): Buffer {
  return Buffer.from([0xe0, 1, reason]);
}

/** The form in which one receiver gets a publication. */
export interface PublishOptions {
  readonly version: Version;
  readonly qos: Qos;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Packet identifier; 0 at QoS 0. */
  readonly id: number;
  /** Topic alias; 0: none. */
  readonly alias: number;
  /** The alias stands for the topic, which is left out. */
  readonly omitTopic: boolean;
  /** Subscription identifiers. */
  readonly identifiers: readonly number[];
  /** Milliseconds since the epoch, for what is left of the publication's expiry; where it has none, any number. */
  readonly now: number;
}

function varintBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

function writeVarint(into: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    into[at++] = rest > 0 ? low | 0x80 : low;
  } while (rest > 0);
  return at;
}

function writeShort(into: Buffer, at: number, value: number): number {
  into[at] = value >> 8;
  into[at + 1] = value & 0xff;
  return at + 2;
}

/** Bytes of the properties, their length left out. */
function propertiesBytes(publication: Publication, { alias, identifiers }: PublishOptions): number {
  let bytes = publication.properties.length;
  if (publication.expiresAt !== Number.POSITIVE_INFINITY) bytes += 5;
  if (alias > 0) bytes += 3;
  for (const identifier of identifiers) bytes += 1 + varintBytes(identifier);
  return bytes;
}

function writeProperties(into: Buffer, start: number, publication: Publication, options: PublishOptions): number {
  let at = start + publication.properties.copy(into, start);
  if (publication.expiresAt !== Number.POSITIVE_INFINITY) {
    into[at++] = 0x02;
    // The seconds that are left, at least one: what has expired is not sent [MQTT-3.3.2-6].
    at = into.writeUInt32BE(Math.max(1, Math.ceil((publication.expiresAt - options.now) / 1000)), at);
  }
  if (options.alias > 0) {
    into[at++] = 0x23;
    at = writeShort(into, at, options.alias);
  }
  for (const identifier of options.identifiers) {
    into[at++] = 0x0b;
    at = writeVarint(into, at, identifier);
  }
  return at;
}

/** Writes a PUBLISH. */
function build(publication: Publication, options: PublishOptions): Buffer {
  const { payload } = publication;
  const { version, qos, omitTopic } = options;
  const topicBytes = omitTopic ? 0 : Buffer.byteLength(publication.topic);
  let length = 2 + topicBytes + (qos > 0 ? 2 : 0) + payload.length;
  const properties = version === 5 ? propertiesBytes(publication, options) : 0;
  if (version === 5) length += varintBytes(properties) + properties;
  const into = Buffer.allocUnsafe(1 + varintBytes(length) + length);
  into[0] = 0x30 | (options.dup ? 8 : 0) | (qos << 1) | (options.retain ? 1 : 0);
  let at = writeVarint(into, 1, length);
  at = writeShort(into, at, topicBytes);
  if (topicBytes > 0) at += into.write(publication.topic, at);
  if (qos > 0) at = writeShort(into, at, options.id);
  if (version === 5) {
    at = writeVarint(into, at, properties);
    at = writeProperties(into, at, publication, options);
  }
  payload.copy(into, at);
  return into;
}

function isShared({ qos, alias, identifiers }: PublishOptions, publication: Publication): boolean {
  return qos === 0 && alias === 0 && identifiers.length === 0 && publication.expiresAt === Number.POSITIVE_INFINITY;
}

/**
 * The bytes that the publisher sent, where a receiver is to get the same: at QoS 0 each, at QoS 1 and 2 the first, as its packet identifier
 * is written into them. Null: it gets others.
 */
function takeSent(publication: Publication, { version, qos, dup, retain, id, alias, identifiers }: PublishOptions) {
  const { sent } = publication;
  if (sent === null || sent.isV5 !== (version === 5) || qos !== publication.qos) return null;
  if (dup || retain || alias > 0 || identifiers.length > 0) return null;
  if (qos > 0) {
    publication.sent = null;
    writeShort(sent.bytes, sent.idAt, id);
  }
  return sent.bytes;
}

/** PUBLISH. At QoS 0 all receivers of a version share one buffer, which nobody changes. */
export function encodePublish(publication: Publication, options: PublishOptions): Buffer {
  const sent = takeSent(publication, options);
  if (sent !== null) return sent;
  if (!isShared(options, publication)) return build(publication, options);
  const slot = (options.version === 5 ? 2 : 0) | (options.retain ? 1 : 0);
  publication.encoded ??= [];
  const bytes = publication.encoded[slot] ?? build(publication, options);
  publication.encoded[slot] = bytes;
  return bytes;
}
