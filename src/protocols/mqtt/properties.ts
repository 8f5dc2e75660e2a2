/** Properties of MQTT 5, section 2.2.2: which there are, what they hold, and in which packet a client may send them. */

import { Reader } from './reader.js';
import { REASON } from './reason.js';

export const PROPERTY = Object.freeze({
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiry: 0x11,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblem: 0x17,
  willDelay: 0x18,
  requestResponse: 0x19,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
});

type Kind = 'byte' | 'short' | 'long' | 'varint' | 'text' | 'binary' | 'pair';

const KINDS: ReadonlyMap<number, Kind> = new Map([
  [PROPERTY.payloadFormat, 'byte'],
  [PROPERTY.messageExpiry, 'long'],
  [PROPERTY.contentType, 'text'],
  [PROPERTY.responseTopic, 'text'],
  [PROPERTY.correlationData, 'binary'],
  [PROPERTY.subscriptionIdentifier, 'varint'],
  [PROPERTY.sessionExpiry, 'long'],
  [0x12, 'text'],
  [0x13, 'short'],
  [PROPERTY.authenticationMethod, 'text'],
  [PROPERTY.authenticationData, 'binary'],
  [PROPERTY.requestProblem, 'byte'],
  [PROPERTY.willDelay, 'long'],
  [PROPERTY.requestResponse, 'byte'],
  [0x1a, 'text'],
  [PROPERTY.serverReference, 'text'],
  [PROPERTY.reasonString, 'text'],
  [PROPERTY.receiveMaximum, 'short'],
  [PROPERTY.topicAliasMaximum, 'short'],
  [PROPERTY.topicAlias, 'short'],
  [0x24, 'byte'],
  [0x25, 'byte'],
  [PROPERTY.userProperty, 'pair'],
  [PROPERTY.maximumPacketSize, 'long'],
  [0x28, 'byte'],
  [0x29, 'byte'],
  [0x2a, 'byte'],
]);

const APPLICATION = [
  PROPERTY.payloadFormat,
  PROPERTY.messageExpiry,
  PROPERTY.contentType,
  PROPERTY.responseTopic,
  PROPERTY.correlationData,
  PROPERTY.userProperty,
];

/** What a client may send in each packet that has properties. */
export const ALLOWED = Object.freeze({
  connect: new Set([
    PROPERTY.sessionExpiry,
    PROPERTY.authenticationMethod,
    PROPERTY.authenticationData,
    PROPERTY.requestProblem,
    PROPERTY.requestResponse,
    PROPERTY.receiveMaximum,
    PROPERTY.topicAliasMaximum,
    PROPERTY.userProperty,
    PROPERTY.maximumPacketSize,
  ]),
  will: new Set([...APPLICATION, PROPERTY.willDelay]),
  publish: new Set([...APPLICATION, PROPERTY.topicAlias]),
  ack: new Set([PROPERTY.reasonString, PROPERTY.userProperty]),
  subscribe: new Set([PROPERTY.subscriptionIdentifier, PROPERTY.userProperty]),
  unsubscribe: new Set([PROPERTY.userProperty]),
  disconnect: new Set([PROPERTY.sessionExpiry, PROPERTY.serverReference, PROPERTY.reasonString, PROPERTY.userProperty]),
});

/** Values that are a protocol error although they fit their type. */
function isRefused(id: number, value: number): boolean {
  switch (id) {
    case PROPERTY.payloadFormat:
    case PROPERTY.requestProblem:
    case PROPERTY.requestResponse:
      return value > 1;
    case PROPERTY.receiveMaximum:
    case PROPERTY.maximumPacketSize:
      return value === 0;
    default:
      return false;
  }
}

/** Gets each property that is read: those that are numbers or texts by their value, all by where they stand. */
export interface Visit {
  number?(id: number, value: number): void;
  text?(id: number, value: string): void;
  /** Where the property, its identifier included, stands in the packet. */
  span?(id: number, start: number, end: number): void;
}

/** What a message says besides topic and payload: its expiry, one number that is the server's alone, and what is passed on. */
export class MessageProperties implements Visit {
  expiryS: number | null = null;
  /** A topic alias or the delay of a will; null: not given. */
  own: number | null = null;
  readonly #spans: Buffer[] = [];

  constructor(
    private readonly bytes: Buffer,
    private readonly ownId: number,
  ) {}

  number(id: number, value: number): void {
    if (id === PROPERTY.messageExpiry) this.expiryS = value;
    if (id === this.ownId) this.own = value;
  }

  span(id: number, start: number, end: number): void {
    if (id !== PROPERTY.messageExpiry && id !== this.ownId) this.#spans.push(this.bytes.subarray(start, end));
  }

  get bytesPassedOn(): number {
    return this.#spans.reduce((sum, { length }) => sum + length, 0);
  }

  /** The properties that are passed on, encoded: a copy. */
  get passedOn(): Buffer {
    return Buffer.concat(this.#spans);
  }
}

/** Reads one property; answers whether its value is a protocol error although it fits its type. */
function readOne(reader: Reader, id: number, kind: Kind, visit: Visit): boolean {
  switch (kind) {
    case 'byte':
    case 'short':
    case 'long':
    case 'varint': {
      const value = reader[kind]();
      if (reader.fault === 0) visit.number?.(id, value);
      return isRefused(id, value);
    }
    case 'text': {
      const text = reader.text();
      if (reader.fault === 0) visit.text?.(id, text);
      // A response topic is a topic name [MQTT-3.3.2-13] [MQTT-3.3.2-14].
      return id === PROPERTY.responseTopic && (text === '' || /[+#]/.test(text));
    }
    case 'binary':
      reader.binary();
      return false;
    case 'pair':
      reader.text();
      reader.text();
      return false;
  }
}

/**
 * The values of user properties by name, among properties that have been read before: of several of one name the last
 * counts, as in a form.
 */
export function userPropertiesOf(properties: Buffer): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const reader = new Reader(properties, 0, properties.length);
  while (reader.at < reader.end && reader.fault === 0) {
    const id = reader.byte();
    if (id === PROPERTY.userProperty) found.set(reader.text(), reader.text());
    else readOne(reader, id, KINDS.get(id) ?? 'byte', {});
  }
  return found;
}

/**
 * Properties that one packet may have, user properties among them. Each takes microseconds to read, and a CONNECT of
 * 256 KiB could hold 52,000 before anybody has looked at its password.
 */
const MAX_PROPERTIES = 256;

/**
 * Reads a packet's properties and visits each. More of them than the bound are refused (0x97). What does not parse is
 * malformed (0x81); what parses and comes twice, a protocol error (0x82). A property that this packet may not have is a
 * protocol error, unless `misplaced` says otherwise.
 */
export function readProperties(
  reader: Reader,
  allowed: ReadonlySet<number>,
  visit: Visit,
  misplaced: number = REASON.protocolError,
): void {
  const length = reader.varint();
  const packetEnd = reader.end;
  const end = reader.at + length;
  if (reader.fault !== 0 || end > packetEnd) return reader.fail(REASON.malformed);
  reader.end = end;
  let seen = 0n;
  let refused = 0;
  for (let count = 1; reader.at < end && reader.fault === 0; count++) {
    if (count > MAX_PROPERTIES) return reader.fail(REASON.quotaExceeded);
    const start = reader.at;
    const id = reader.byte();
    const kind = KINDS.get(id);
    if (kind === undefined) {
      reader.fail(REASON.malformed);
      break;
    }
    const bit = 1n << BigInt(id);
    const isTwice = id !== PROPERTY.userProperty && (seen & bit) !== 0n;
    seen |= bit;
    const isWrong = readOne(reader, id, kind, visit) || isTwice;
    if (!allowed.has(id)) refused ||= misplaced;
    else if (isWrong) refused ||= REASON.protocolError;
    if (reader.fault === 0) visit.span?.(id, start, reader.at);
  }
  reader.end = packetEnd;
  if (reader.fault !== 0) return;
  reader.at = end;
  if (refused !== 0) reader.fail(refused);
}
