import { encodeProperties, type Properties, Reader, text, u16, variable } from './properties.js';

/** 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type Version = 3 | 4 | 5;

export type Qos = 0 | 1 | 2;

export interface Will {
  readonly topic: string | Buffer;
  readonly payload?: string;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly properties?: Properties;
}

export interface Connect {
  readonly clientId?: string | Buffer;
  /** Clean session, or clean start: yes unless told otherwise. */
  readonly clean?: boolean;
  /** Seconds. */
  readonly keepAlive?: number;
  readonly will?: Will;
  readonly username?: string | Buffer;
  readonly password?: string | Buffer;
  readonly properties?: Properties;
}

/** A packet as the broker sent it. */
export interface Packet {
  readonly type: string;
  readonly raw: string;
  readonly id?: number;
  readonly sessionPresent?: boolean;
  readonly codes?: readonly number[];
  readonly topic?: string;
  readonly payload?: string;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly properties?: Properties;
}

export interface Publish {
  readonly qos?: number;
  readonly id?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly properties?: Properties;
}

export interface Filter {
  readonly filter: string | Buffer;
  readonly qos?: number;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly retainHandling?: number;
}

const types = [
  'reserved0',
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
  'auth',
];

export const hex = (digits: string): Buffer => Buffer.from(digits.replace(/\s/g, ''), 'hex');

/** Puts the fixed header in front of a packet's parts. */
export function packet(first: number, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([Buffer.from([first]), variable(body.length), body]);
}

function propertiesOf(version: Version, properties?: Properties): Buffer {
  return version === 5 ? encodeProperties(properties) : Buffer.alloc(0);
}

export function connectFlags(connect: Connect): number {
  const { will } = connect;
  return (
    (connect.clean === false ? 0 : 2) |
    (will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 32 : 0) : 0) |
    (connect.password === undefined ? 0 : 64) |
    (connect.username === undefined ? 0 : 128)
  );
}

export function connect(version: Version, options: Connect = {}): Buffer {
  const { will } = options;
  const name = version === 3 ? 'MQIsdp' : 'MQTT';
  const parts = [text(name), Buffer.from([version, connectFlags(options)]), u16(options.keepAlive ?? 0)];
  parts.push(propertiesOf(version, options.properties), text(options.clientId ?? ''));
  if (will) parts.push(propertiesOf(version, will.properties), text(will.topic), text(will.payload ?? ''));
  if (options.username !== undefined) parts.push(text(options.username));
  if (options.password !== undefined) parts.push(text(options.password));
  return packet(0x10, ...parts);
}

export function publish(
  version: Version,
  topic: string | Buffer,
  payload: string | Buffer,
  with_: Publish = {},
): Buffer {
  const { qos = 0, id = 1, retain = false, dup = false, properties } = with_;
  const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  return packet(first, text(topic), qos > 0 ? u16(id) : '', propertiesOf(version, properties), payload);
}

export function subscribe(version: Version, id: number, filters: readonly Filter[], properties?: Properties): Buffer {
  const parts = filters.flatMap(({ filter, qos = 0, noLocal, retainAsPublished, retainHandling = 0 }) => {
    const options = qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | (retainHandling << 4);
    return [text(filter), Buffer.from([options])];
  });
  return packet(0x82, u16(id), propertiesOf(version, properties), ...parts);
}

export function unsubscribe(version: Version, id: number, ...filters: (string | Buffer)[]): Buffer {
  return packet(0xa2, u16(id), propertiesOf(version), ...filters.map(text));
}

/** PUBACK 4, PUBREC 5, PUBREL 6, PUBCOMP 7, in the short form unless a reason code is given. */
export function acknowledge(type: 4 | 5 | 6 | 7, id: number, code?: number): Buffer {
  const first = (type << 4) | (type === 6 ? 2 : 0);
  return packet(first, u16(id), code === undefined ? '' : Buffer.from([code]));
}

export const puback = (id: number, code?: number): Buffer => acknowledge(4, id, code);
export const pubrec = (id: number, code?: number): Buffer => acknowledge(5, id, code);
export const pubrel = (id: number, code?: number): Buffer => acknowledge(6, id, code);
export const pubcomp = (id: number, code?: number): Buffer => acknowledge(7, id, code);
export const pingreq = hex('c000');

export function disconnect(code?: number, properties?: Properties): Buffer {
  if (code === undefined) return hex('e000');
  return packet(0xe0, Buffer.from([code]), properties ? encodeProperties(properties) : '');
}

function acknowledgement(type: number, reader: Reader, version: Version): Partial<Packet> {
  const id = reader.u16();
  if (version < 5) return { id };
  const codes = [reader.left > 0 ? reader.byte() : 0];
  return { id, codes, properties: reader.left > 0 ? reader.properties(type) : {} };
}

function published(first: number, reader: Reader, version: Version): Partial<Packet> {
  const qos = (first >> 1) & 3;
  const topic = reader.text();
  const id = qos > 0 ? reader.u16() : undefined;
  if (qos === 3 || id === 0) throw new Error(`PUBLISH with QoS ${qos} and packet id ${id}`);
  if (qos === 0 && first & 8) throw new Error('PUBLISH with QoS 0 and DUP');
  if (/[+#]/.test(topic)) throw new Error(`PUBLISH to ${topic}`);
  const properties = version === 5 ? { properties: reader.properties(3) } : {};
  if (topic === '' && properties.properties?.topicAlias === undefined) throw new Error('PUBLISH without a topic');
  const payload = reader.take(reader.left).toString();
  return {
    topic,
    payload,
    qos,
    retain: (first & 1) === 1,
    dup: (first & 8) === 8,
    ...(id ? { id } : {}),
    ...properties,
  };
}

function listed(type: number, reader: Reader, version: Version): Partial<Packet> {
  const id = reader.u16();
  const properties = version === 5 ? { properties: reader.properties(type) } : {};
  return { id, ...properties, codes: [...reader.take(reader.left)] };
}

function fields(type: number, first: number, reader: Reader, version: Version): Partial<Packet> {
  if (type === 3) return published(first, reader, version);
  if ((first & 15) !== (type === 6 ? 2 : 0)) throw new Error(`flags ${first & 15} in ${types[type]}`);
  if (type === 2) {
    const flags = reader.byte();
    if (flags > 1) throw new Error(`CONNACK flags ${flags}`);
    const codes = [reader.byte()];
    // Code 1 refuses a version, in the words of older ones: 5.0 has no such code.
    const isOlder = version < 5 || (codes[0] === 1 && reader.left === 0);
    return { sessionPresent: flags === 1, codes, ...(isOlder ? {} : { properties: reader.properties(2) }) };
  }
  if (type >= 4 && type <= 7) return acknowledgement(type, reader, version);
  if (type === 9 || (type === 11 && version === 5)) return listed(type, reader, version);
  if (type === 11) return { id: reader.u16() };
  if (type === 13) return {};
  if ((type === 14 || type === 15) && version === 5) {
    const codes = [reader.left > 0 ? reader.byte() : 0];
    return { codes, properties: reader.left > 0 ? reader.properties(type) : {} };
  }
  throw new Error(`a server never sends ${types[type]}`);
}

/** Reads one packet as strictly as the standard has it; throws on what a server may not send. */
export function decode(bytes: Buffer, version: Version): Packet {
  const reader = new Reader(bytes);
  const first = reader.byte();
  if (reader.variable() !== reader.left) throw new Error('a packet of another length than it says');
  const found = fields(first >> 4, first, reader, version);
  if (reader.left > 0) throw new Error(`${reader.left} bytes after ${types[first >> 4]}`);
  return { type: types[first >> 4] ?? '', raw: bytes.toString('hex'), ...found };
}

/** The length of the first packet in these bytes, or 0 while it is not complete. */
export function lengthOf(bytes: Buffer): number {
  let length = 0;
  for (let at = 1; at < 5 && at < bytes.length; at++) {
    const byte = bytes.readUInt8(at);
    length += (byte & 127) * 128 ** (at - 1);
    if (byte < 128) return at + 1 + length <= bytes.length ? at + 1 + length : 0;
  }
  if (bytes.length >= 5) throw new Error('a remaining length of more than four bytes');
  return 0;
}
