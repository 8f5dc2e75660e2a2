/**
 * One whole packet's bytes → what it says, or why it is refused. mqtt-packet parses CONNECT, SUBSCRIBE and UNSUBSCRIBE,
 * after check.ts. PUBLISH, the acknowledgements and DISCONNECT are read here: they are small, nearly all of the traffic,
 * and user properties must keep their order and repetitions [MQTT-3.3.2-18], which mqtt-packet's objects lose.
 */
import { type IConnectPacket, type ISubscribePacket, type IUnsubscribePacket, type Packet, parser } from 'mqtt-packet';
import type { Qos } from '../../actors/publication.js';
import { isTopic } from '../../actors/topic.js';
import { checkConnect, checkSubscribe, checkUnsubscribe, isTooDeep } from './check.js';
import type { Ack, AckName, Connect, Disconnect, Incoming, Publish, Refused, Version, Will } from './packets.js';
import { ALLOWED, PROPERTY, readProperties } from './properties.js';
import { Reader } from './reader.js';
import { REASON } from './reason.js';

const EMPTY = Buffer.alloc(0);
const NEVER = 0xffffffff;
const RECEIVE_MAXIMUM = 65_535;

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
/** In PUBREL and PUBCOMP, section 3.6.2.1. */
const RELEASE_REASONS: ReadonlySet<number> = new Set([0, 0x92]);
/** In DISCONNECT, section 3.14.2.1. */
const DISCONNECT_REASONS: ReadonlySet<number> = new Set([
  0, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
]);

function refused(reason: number, silent = false): Refused {
  return { cmd: 'refused', reason, silent };
}

/** mqtt-packet's parser for each version; they only ever see whole packets, one at a time. */
class Parser {
  #packet: Packet | null = null;
  readonly #parser: ReturnType<typeof parser>;

  constructor(protocolVersion?: Version) {
    this.#parser = parser({ protocolVersion });
    this.#parser.on('packet', (packet) => {
      this.#packet = packet;
    });
    this.#parser.on('error', () => {
      this.#packet = null;
    });
  }

  parse(bytes: Buffer): Packet | null {
    this.#packet = null;
    this.#parser.parse(bytes);
    return this.#packet;
  }
}

const connects = new Parser();
const parsers: Readonly<Record<Version, Parser>> = { 3: new Parser(3), 4: new Parser(4), 5: new Parser(5) };

/** A copy whose first byte has the flags that mqtt-packet wants to see; 3.1 says nothing about some. */
function normalized(bytes: Buffer, start: number, end: number, firstByte: number): Buffer {
  const copy = Buffer.from(bytes.subarray(start, end));
  copy[0] = firstByte;
  return copy;
}

/** Types whose flags are all reserved, section 2.1.3; the others are looked at with their packet. */
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

/** Decodes the packet between `start` and `end`; `body` is where its fixed header ends. `version` null: CONNECT is due. */
export function decode(
  bytes: Buffer,
  start: number,
  body: number,
  end: number,
  version: Version | null,
): Incoming | Refused {
  const first = bytes[start] as number;
  const type = first >> 4;
  const flags = first & 0x0f;
  if (version === null) return decodeConnect(bytes, start, body, end);
  switch (type) {
    case TYPE.publish:
      return decodePublish(bytes, body, end, flags, version);
    case TYPE.puback:
    case TYPE.pubrec:
    case TYPE.pubrel:
    case TYPE.pubcomp:
      return decodeAck(bytes, body, end, type, flags, version);
    case TYPE.subscribe:
    case TYPE.unsubscribe:
      return decodeSubscriptions(bytes, start, body, end, type, version);
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

function decodeConnect(bytes: Buffer, start: number, body: number, end: number): Connect | Refused {
  const findings = checkConnect(new Reader(bytes, body, end), (bytes[start] as number) & 0x0f);
  if (findings.reason !== 0) {
    return refused(findings.reason, findings.silent);
  }
  const copy = normalized(bytes, start, end, 0x10);
  // The reserved flag means nothing in 3.1: the byte after the protocol's name and level.
  const flagsAt = body - start + 2 + bytes.readUInt16BE(body) + 1;
  copy[flagsAt] = (copy[flagsAt] as number) & 0xfe;
  const packet = connects.parse(copy);
  if (packet?.cmd !== 'connect') return refused(REASON.malformed, findings.version < 5);
  return connectOf(packet, findings.version, willOf(packet, bytes, findings.willSpans));
}

function connectOf(packet: IConnectPacket, version: Version, will: Will | null): Connect {
  const properties = packet.properties ?? {};
  const expiry = properties.sessionExpiryInterval;
  return {
    cmd: 'connect',
    version,
    clean: packet.clean ?? true,
    keepAliveS: packet.keepalive ?? 0,
    clientId: packet.clientId,
    username: packet.username ?? null,
    password: packet.password ?? null,
    will,
    sessionExpiryS: expiry === undefined ? null : expiry === NEVER ? Number.POSITIVE_INFINITY : expiry,
    receiveMaximum: properties.receiveMaximum ?? RECEIVE_MAXIMUM,
    maximumPacketSize: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    requestResponse: properties.requestResponseInformation ?? false,
    requestProblem: properties.requestProblemInformation ?? true,
    authenticationMethod: properties.authenticationMethod ?? null,
  };
}

function willOf(
  packet: IConnectPacket,
  bytes: Buffer,
  spans: readonly { readonly id: number; readonly start: number; readonly end: number }[],
): Will | null {
  const { will } = packet;
  if (!will) return null;
  const passedOn = spans.filter(({ id }) => id !== PROPERTY.willDelay && id !== PROPERTY.messageExpiry);
  return {
    topic: will.topic,
    payload: Buffer.from(will.payload),
    qos: will.qos ?? 0,
    retain: will.retain ?? false,
    properties: Buffer.concat(passedOn.map(({ start, end }) => bytes.subarray(start, end))),
    expiryS: will.properties?.messageExpiryInterval ?? null,
    delayS: will.properties?.willDelayInterval ?? 0,
  };
}

/** Expiry, alias and the properties that are passed on, of one PUBLISH. */
class PublishProperties {
  expiryS: number | null = null;
  /** -1: none; 0 is one that is not allowed. */
  alias = -1;
  #spans: Buffer[] = [];

  constructor(private readonly bytes: Buffer) {}

  number(id: number, value: number): void {
    if (id === PROPERTY.messageExpiry) this.expiryS = value;
    if (id === PROPERTY.topicAlias) this.alias = value;
  }

  span(id: number, start: number, end: number): void {
    if (id !== PROPERTY.messageExpiry && id !== PROPERTY.topicAlias) this.#spans.push(this.bytes.subarray(start, end));
  }

  get passedOn(): Buffer {
    return this.#spans.length === 1 ? (this.#spans[0] as Buffer) : Buffer.concat(this.#spans);
  }
}

const NO_PROPERTIES = new PublishProperties(EMPTY);

function decodePublish(bytes: Buffer, body: number, end: number, flags: number, version: Version): Publish | Refused {
  const qos = (flags >> 1) & 3;
  const dup = (flags & 8) !== 0;
  if (qos === 3) return refused(REASON.malformed); // [MQTT-3.3.1-4]
  if (dup && qos === 0) return refused(REASON.malformed); // [MQTT-3.3.1-2]
  const reader = new Reader(bytes, body, end);
  const topic = reader.name();
  const id = qos === 0 ? 0 : reader.short();
  if (reader.fault !== 0) return refused(reader.fault);
  if (qos > 0 && id === 0) return refused(REASON.protocolError); // [MQTT-2.2.1-3]
  let properties = NO_PROPERTIES;
  if (version === 5) {
    if (bytes[reader.at] === 0 && reader.at < end) {
      reader.at += 1;
    } else {
      properties = new PublishProperties(bytes);
      readProperties(reader, ALLOWED.publish, properties);
      if (reader.fault !== 0) return refused(reader.fault);
    }
  }
  if (topic === '' ? properties.alias < 0 : !isTopic(topic) || isTooDeep(topic)) return refused(REASON.malformed); // [MQTT-3.3.2-2]
  if (properties.alias === 0) return refused(REASON.topicAliasInvalid); // [MQTT-3.3.2-8]
  return {
    cmd: 'publish',
    topic,
    payload: bytes.subarray(reader.at, end),
    qos: qos as Qos,
    dup,
    retain: (flags & 1) !== 0,
    id,
    alias: Math.max(properties.alias, 0),
    expiryS: properties.expiryS,
    properties: properties === NO_PROPERTIES ? EMPTY : properties.passedOn,
  };
}

const ACK_NAMES: ReadonlyMap<number, AckName> = new Map([
  [TYPE.puback, 'puback'],
  [TYPE.pubrec, 'pubrec'],
  [TYPE.pubrel, 'pubrel'],
  [TYPE.pubcomp, 'pubcomp'],
]);

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
  return { cmd: ACK_NAMES.get(type) as AckName, id, reason };
}

function decodeSubscriptions(
  bytes: Buffer,
  start: number,
  body: number,
  end: number,
  type: number,
  version: Version,
): Incoming | Refused {
  const flags = (bytes[start] as number) & 0x0f;
  // [MQTT-3.8.1-1] [MQTT-3.10.1-1]; 3.1 has DUP here.
  if ((version > 3 ? flags : flags & 7) !== 2) return refused(REASON.malformed);
  const isSubscribe = type === TYPE.subscribe;
  const fault = (isSubscribe ? checkSubscribe : checkUnsubscribe)(new Reader(bytes, body, end), version);
  if (fault !== 0) return refused(fault);
  const packet = parsers[version].parse(normalized(bytes, start, end, (type << 4) | 2));
  if (packet?.cmd === 'subscribe') return subscribeOf(packet);
  if (packet?.cmd === 'unsubscribe') return unsubscribeOf(packet);
  return refused(REASON.malformed);
}

function subscribeOf({ messageId, subscriptions, properties }: ISubscribePacket): Incoming {
  return {
    cmd: 'subscribe',
    id: messageId ?? 0,
    identifier: properties?.subscriptionIdentifier ?? 0,
    wanted: subscriptions.map(({ topic, qos, nl, rap, rh }) => ({
      filter: topic,
      qos,
      noLocal: nl ?? false,
      retainAsPublished: rap ?? false,
      retainHandling: rh ?? 0,
    })),
  };
}

function unsubscribeOf({ messageId, unsubscriptions }: IUnsubscribePacket): Incoming {
  return { cmd: 'unsubscribe', id: messageId ?? 0, filters: unsubscriptions };
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
