/** The body of CONNECT → what it says, or why it is refused: MQTT 5 section 3.1. */
import type { Qos } from '../../actors/publication.js';
import { isTopic } from '../../actors/topic.js';
import { type Connect, NEVER, type Refused, refused, type Version, type Will } from './packets.js';
import { ALLOWED, MessageProperties, PROPERTY, readProperties, type Visit } from './properties.js';
import type { Reader } from './reader.js';
import { REASON } from './reason.js';
import { isTooDeep } from './topics.js';

const RECEIVE_MAXIMUM = 65_535;

/** Flags of CONNECT, section 3.1.2.3. */
const FLAG = Object.freeze({
  reserved: 0x01,
  clean: 0x02,
  will: 0x04,
  willQos: 0x18,
  willRetain: 0x20,
  password: 0x40,
  username: 0x80,
});

function versionOf(name: string, level: number): Version | null {
  if (name === 'MQIsdp') return level === 3 ? 3 : null;
  return level === 4 || level === 5 ? level : null;
}

function qosOf(flags: number): number {
  return (flags & FLAG.willQos) >> 3;
}

/** The reserved flag means nothing in 3.1. */
function areFlagsValid(flags: number, version: Version): boolean {
  if (version > 3 && (flags & FLAG.reserved) !== 0) return false; // [MQTT-3.1.2-3]
  if (qosOf(flags) === 3) return false; // [MQTT-3.1.2-12] of 5.0, [MQTT-3.1.2-14] of 3.1.1
  if ((flags & FLAG.will) === 0 && (flags & (FLAG.willQos | FLAG.willRetain)) !== 0) return false; // [MQTT-3.1.2-11]
  // 5.0 allows a password alone; 3.1.1 does not [MQTT-3.1.2-22].
  return version === 5 || (flags & FLAG.password) === 0 || (flags & FLAG.username) !== 0;
}

/** Properties of CONNECT; what is not given is as section 3.1.2.11 has it. */
class ConnectProperties implements Visit {
  sessionExpiryS: number | null = null;
  receiveMaximum = RECEIVE_MAXIMUM;
  maximumPacketSize = Number.POSITIVE_INFINITY;
  topicAliasMaximum = 0;
  requestResponse = false;
  requestProblem = true;
  authenticationMethod: string | null = null;
  hasAuthenticationData = false;

  number(id: number, value: number): void {
    if (id === PROPERTY.sessionExpiry) this.sessionExpiryS = value === NEVER ? Number.POSITIVE_INFINITY : value;
    else if (id === PROPERTY.receiveMaximum) this.receiveMaximum = value;
    else if (id === PROPERTY.maximumPacketSize) this.maximumPacketSize = value;
    else if (id === PROPERTY.topicAliasMaximum) this.topicAliasMaximum = value;
    else if (id === PROPERTY.requestResponse) this.requestResponse = value === 1;
    else if (id === PROPERTY.requestProblem) this.requestProblem = value === 1;
  }

  text(id: number, value: string): void {
    if (id === PROPERTY.authenticationMethod) this.authenticationMethod = value;
  }

  span(id: number): void {
    this.hasAuthenticationData ||= id === PROPERTY.authenticationData;
  }
}

/** The will, or why it is refused. A fault in the topic's text or behind it is answered in no version. */
function readWill(reader: Reader, flags: number, version: Version): Will | Refused {
  const given = new MessageProperties(reader.bytes, PROPERTY.willDelay);
  if (version === 5) readProperties(reader, ALLOWED.will, given);
  if (reader.fault !== 0) return refused(reader.fault, version < 5);
  const topic = reader.name();
  if (reader.fault === 0 && topic === '') return refused(REASON.protocolError, version < 5); // [MQTT-4.7.3-1]
  if (!isTopic(topic) || isTooDeep(topic)) reader.fail(REASON.malformed);
  // Copies: the will lives as long as its session.
  const payload = Buffer.from(reader.binary());
  const properties = given.passedOn;
  if (reader.fault !== 0) return refused(reader.fault, true);
  const { own: delayS, expiryS } = given;
  const qos = qosOf(flags) as Qos;
  return { topic, payload, qos, retain: (flags & FLAG.willRetain) !== 0, properties, expiryS, delayS: delayS ?? 0 };
}

/** Reads CONNECT. Faults in the protocol's name, and all of 3.1.1, are not answered: sections 3.1.2.1 and 4.8. */
export function decodeConnect(reader: Reader, headerFlags: number): Connect | Refused {
  const name = reader.text();
  if (name !== 'MQTT' && name !== 'MQIsdp') return refused(REASON.malformed, true); // [MQTT-3.1.2-1]
  const version = versionOf(name, reader.byte());
  if (reader.fault !== 0) return refused(reader.fault, true);
  if (version === null) return refused(REASON.unsupportedVersion); // [MQTT-3.1.2-2]
  const isSilent = version < 5;
  if (version > 3 && headerFlags !== 0) return refused(REASON.malformed, isSilent); // [MQTT-2.1.3-1]
  const flags = reader.byte();
  if (reader.fault === 0 && !areFlagsValid(flags, version)) return refused(REASON.malformed, isSilent);
  const keepAliveS = reader.short();
  const { hasAuthenticationData, ...properties } = readConnectProperties(reader, version);
  if (reader.fault !== 0) return refused(reader.fault, isSilent);
  if (hasAuthenticationData && properties.authenticationMethod === null) return refused(REASON.protocolError);
  const isCut = reader.at + 2 > reader.end || reader.at + 2 + reader.bytes.readUInt16BE(reader.at) > reader.end;
  const clientId = reader.name();
  // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  if (reader.fault !== 0) return refused(isCut ? REASON.malformed : REASON.clientIdNotValid, isSilent);
  const will = (flags & FLAG.will) === 0 ? null : readWill(reader, flags, version);
  if (will && 'cmd' in will) return will;
  const username = (flags & FLAG.username) === 0 ? null : reader.name(); // [MQTT-3.1.3-11]
  const password = (flags & FLAG.password) === 0 ? null : reader.binary();
  if (reader.fault !== 0) return refused(reader.fault, true);
  reader.finish();
  if (reader.fault !== 0) return refused(reader.fault, isSilent);
  const clean = (flags & FLAG.clean) !== 0;
  return { cmd: 'connect', version, clean, keepAliveS, clientId, username, password, will, ...properties };
}

function readConnectProperties(reader: Reader, version: Version): ConnectProperties {
  const properties = new ConnectProperties();
  if (version === 5) readProperties(reader, ALLOWED.connect, properties);
  return properties;
}
