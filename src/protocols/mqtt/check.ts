/**
 * What mqtt-packet lets pass: these walk a packet's bytes before it is parsed, and answer 0 or the reason code of what
 * is wrong with it.
 */
import { isFilter, isTopic } from '../../actors/topic.js';
import type { Version } from './packets.js';
import { ALLOWED, PROPERTY, readProperties, type Visit } from './properties.js';
import type { Reader } from './reader.js';
import { REASON } from './reason.js';

const NO_VISIT: Visit = {};
const SHARE = '$share/';
/** Separators of a topic or filter: every level is a step of a lookup, and a node of a tree. */
const MAX_SEPARATORS = 200;

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

export interface ConnectFindings {
  /** 0: nothing wrong. */
  reason: number;
  /** The connection is closed without a word. */
  silent: boolean;
  version: Version;
  /** Where the will's properties stand, their length left out; equal: none. */
  willSpans: { readonly id: number; readonly start: number; readonly end: number }[];
}

/** Whether it has more levels than this server takes; to who sends it that is malformed. */
export function isTooDeep(topic: string): boolean {
  if (topic.length <= MAX_SEPARATORS) return false;
  let separators = 0;
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) separators += 1;
  return separators > MAX_SEPARATORS;
}

function versionOf(name: string, level: number): Version | null {
  if (name === 'MQIsdp') return level === 3 ? 3 : null;
  return level === 4 || level === 5 ? level : null;
}

function areFlagsValid(flags: number, version: Version): boolean {
  if (version > 3 && (flags & FLAG.reserved) !== 0) return false; // [MQTT-3.1.2-3]
  const qos = (flags & FLAG.willQos) >> 3;
  if (qos === 3) return false; // [MQTT-3.1.2-12] of 5.0, [MQTT-3.1.2-14] of 3.1.1
  if ((flags & FLAG.will) === 0 && (flags & (FLAG.willQos | FLAG.willRetain)) !== 0) return false; // [MQTT-3.1.2-11]
  // 5.0 allows a password alone; 3.1.1 does not [MQTT-3.1.2-22].
  return version === 5 || (flags & FLAG.password) === 0 || (flags & FLAG.username) !== 0;
}

/** Answers whether a fault of it is answered, in 5.0; as of user name and password, what cannot be read of it is not. */
function checkWill(reader: Reader, findings: ConnectFindings): boolean {
  if (findings.version === 5) {
    readProperties(reader, ALLOWED.will, { span: (id, start, end) => findings.willSpans.push({ id, start, end }) });
  }
  if (reader.fault !== 0) return true;
  const topic = reader.name();
  if (reader.fault === 0 && topic === '') {
    reader.fail(REASON.protocolError); // [MQTT-4.7.3-1]
    return true;
  }
  if (!isTopic(topic) || isTooDeep(topic)) reader.fail(REASON.malformed);
  reader.binary();
  return false;
}

/** CONNECT. Of its mistakes, those of the protocol's name and of 3.1.1 are not answered, sections 3.1.2.1 and 4.8. */
export function checkConnect(reader: Reader, headerFlags: number): ConnectFindings {
  const findings: ConnectFindings = { reason: 0, silent: false, version: 4, willSpans: [] };
  const refuse = (reason: number, silent: boolean) => Object.assign(findings, { reason, silent });
  const name = reader.text();
  if (name !== 'MQTT' && name !== 'MQIsdp') return refuse(REASON.malformed, true); // [MQTT-3.1.2-1]
  const version = versionOf(name, reader.byte());
  if (reader.fault !== 0) return refuse(reader.fault, true);
  if (version === null) return refuse(REASON.unsupportedVersion, false); // [MQTT-3.1.2-2]
  findings.version = version;
  const isSilent = version < 5;
  if (version > 3 && headerFlags !== 0) return refuse(REASON.malformed, isSilent); // [MQTT-2.1.3-1]
  const flags = reader.byte();
  if (reader.fault === 0 && !areFlagsValid(flags, version)) return refuse(REASON.malformed, isSilent);
  reader.short();
  let hasMethod = false;
  let hasData = false;
  if (version === 5) {
    readProperties(reader, ALLOWED.connect, {
      span(id) {
        hasMethod ||= id === PROPERTY.authenticationMethod;
        hasData ||= id === PROPERTY.authenticationData;
      },
    });
  }
  if (reader.fault !== 0) return refuse(reader.fault, isSilent);
  if (hasData && !hasMethod) return refuse(REASON.protocolError, false);
  const isCut = reader.at + 2 > reader.end || reader.at + 2 + reader.bytes.readUInt16BE(reader.at) > reader.end;
  reader.name();
  // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  if (reader.fault !== 0) return refuse(isCut ? REASON.malformed : REASON.clientIdNotValid, isSilent);
  const isAnswered = (flags & FLAG.will) === 0 || checkWill(reader, findings);
  if (reader.fault !== 0) return refuse(reader.fault, isSilent || !isAnswered);
  if ((flags & FLAG.username) !== 0) reader.name(); // [MQTT-3.1.3-11]
  if ((flags & FLAG.password) !== 0) reader.binary();
  if (reader.fault !== 0) return refuse(reader.fault, true);
  reader.finish();
  return reader.fault === 0 ? findings : refuse(reader.fault, isSilent);
}

function checkIdentifier(reader: Reader): void {
  if (reader.short() === 0) reader.fail(REASON.malformed); // [MQTT-2.2.1-3]
}

/** A filter as SUBSCRIBE and UNSUBSCRIBE name it; a share's name is checked too [MQTT-4.8.2-1] [MQTT-4.8.2-2]. */
function checkFilter(reader: Reader): string {
  const filter = reader.name();
  if (reader.fault !== 0) return '';
  if (!isFilter(filter) || isTooDeep(filter))
    reader.fail(REASON.malformed); // [MQTT-4.7.1-1] [MQTT-4.7.3-1]
  else if (filter.startsWith(SHARE) && parseShare(filter) === null) reader.fail(REASON.protocolError);
  return filter;
}

function isZeroIdentifier(id: number, value: number): boolean {
  return id === PROPERTY.subscriptionIdentifier && value === 0;
}

/** SUBSCRIBE: options fit the version [MQTT-3.8.3-5], there is at least one filter [MQTT-3.8.3-2]. */
export function checkSubscribe(reader: Reader, version: Version): number {
  checkIdentifier(reader);
  if (version === 5) {
    const visit: Visit = {
      number: (id, value) => (isZeroIdentifier(id, value) ? reader.fail(REASON.malformed) : undefined),
    };
    readProperties(reader, ALLOWED.subscribe, visit, REASON.malformed);
  }
  if (reader.at === reader.end) reader.fail(REASON.malformed);
  while (reader.at < reader.end) {
    const filter = checkFilter(reader);
    const options = reader.byte();
    if (reader.fault !== 0) break;
    const isMalformed = version === 5 ? (options & 0xc0) !== 0 || (options & 0x30) === 0x30 : (options & 0xfc) !== 0;
    if (isMalformed || (options & 3) === 3)
      reader.fail(REASON.malformed); // [MQTT-3.8.3-4]
    else if (version === 5 && (options & 4) !== 0 && filter.startsWith(SHARE)) reader.fail(REASON.protocolError);
  }
  return reader.fault;
}

/** UNSUBSCRIBE: at least one filter [MQTT-3.10.3-2]. */
export function checkUnsubscribe(reader: Reader, version: Version): number {
  checkIdentifier(reader);
  if (version === 5) readProperties(reader, ALLOWED.unsubscribe, NO_VISIT, REASON.malformed);
  if (reader.at === reader.end) reader.fail(REASON.malformed);
  while (reader.at < reader.end) checkFilter(reader);
  return reader.fault;
}

export interface Share {
  readonly group: string;
  readonly filter: string;
}

/** Reads `$share/{name}/{filter}`; null where name or filter is missing or the name has a wildcard. */
export function parseShare(text: string): Share | null {
  const slash = text.indexOf('/', SHARE.length);
  if (slash < 0) return null;
  const group = text.slice(SHARE.length, slash);
  const filter = text.slice(slash + 1);
  return group === '' || filter === '' || /[+#]/.test(group) ? null : { group, filter };
}

export function isShare(filter: string): boolean {
  return filter.startsWith(SHARE);
}
