/** The properties of MQTT 5.0, section 2.2.2.2, read and written without the broker's codec; binary data as hex digits. */
export interface Properties {
  payloadFormat?: number;
  messageExpiry?: number;
  contentType?: string;
  responseTopic?: string;
  correlation?: string;
  subscriptionIds?: number[];
  sessionExpiry?: number;
  assignedClientId?: string;
  serverKeepAlive?: number;
  authMethod?: string;
  authData?: string;
  requestProblem?: number;
  willDelay?: number;
  requestResponse?: number;
  responseInformation?: string;
  serverReference?: string;
  reason?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  user?: [string, string][];
  maximumPacketSize?: number;
  wildcardAvailable?: number;
  subscriptionIdsAvailable?: number;
  sharedAvailable?: number;
}

type Kind = 'byte' | 'two' | 'four' | 'variable' | 'text' | 'binary' | 'pair';

interface Property {
  readonly id: number;
  readonly name: keyof Properties;
  readonly kind: Kind;
  /** First nibbles of the packets that may carry it; 0 stands for the will in CONNECT. */
  readonly packets: string;
}

const table: readonly Property[] = [
  { id: 1, name: 'payloadFormat', kind: 'byte', packets: '30' },
  { id: 2, name: 'messageExpiry', kind: 'four', packets: '30' },
  { id: 3, name: 'contentType', kind: 'text', packets: '30' },
  { id: 8, name: 'responseTopic', kind: 'text', packets: '30' },
  { id: 9, name: 'correlation', kind: 'binary', packets: '30' },
  { id: 11, name: 'subscriptionIds', kind: 'variable', packets: '38' },
  { id: 17, name: 'sessionExpiry', kind: 'four', packets: '12e' },
  { id: 18, name: 'assignedClientId', kind: 'text', packets: '2' },
  { id: 19, name: 'serverKeepAlive', kind: 'two', packets: '2' },
  { id: 21, name: 'authMethod', kind: 'text', packets: '12f' },
  { id: 22, name: 'authData', kind: 'binary', packets: '12f' },
  { id: 23, name: 'requestProblem', kind: 'byte', packets: '1' },
  { id: 24, name: 'willDelay', kind: 'four', packets: '0' },
  { id: 25, name: 'requestResponse', kind: 'byte', packets: '1' },
  { id: 26, name: 'responseInformation', kind: 'text', packets: '2' },
  { id: 28, name: 'serverReference', kind: 'text', packets: '2e' },
  { id: 31, name: 'reason', kind: 'text', packets: '245679bef' },
  { id: 33, name: 'receiveMaximum', kind: 'two', packets: '12' },
  { id: 34, name: 'topicAliasMaximum', kind: 'two', packets: '12' },
  { id: 35, name: 'topicAlias', kind: 'two', packets: '3' },
  { id: 36, name: 'maximumQos', kind: 'byte', packets: '2' },
  { id: 37, name: 'retainAvailable', kind: 'byte', packets: '2' },
  { id: 38, name: 'user', kind: 'pair', packets: '0123456789abef' },
  { id: 39, name: 'maximumPacketSize', kind: 'four', packets: '12' },
  { id: 40, name: 'wildcardAvailable', kind: 'byte', packets: '2' },
  { id: 41, name: 'subscriptionIdsAvailable', kind: 'byte', packets: '2' },
  { id: 42, name: 'sharedAvailable', kind: 'byte', packets: '2' },
];

const byId = new Map(table.map((property) => [property.id, property]));

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

export function variable(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** A string, or raw bytes where a test needs a string that is none, after its length. */
export function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([u16(bytes.length), bytes]);
}

function encodeOne(kind: Kind, value: unknown): Buffer {
  if (kind === 'byte') return Buffer.from([value as number]);
  if (kind === 'two') return u16(value as number);
  if (kind === 'variable') return variable(value as number);
  if (kind === 'text') return text(value as string);
  if (kind === 'binary') return text(Buffer.from(value as string, 'hex'));
  if (kind === 'pair') return Buffer.concat((value as [string, string]).map(text));
  const four = Buffer.alloc(4);
  four.writeUInt32BE(value as number);
  return four;
}

export function encodeProperties(properties: Properties = {}): Buffer {
  const parts: Buffer[] = [];
  for (const { id, name, kind } of table) {
    const value = properties[name];
    if (value === undefined) continue;
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const one of values) parts.push(Buffer.from([id]), encodeOne(kind, one));
  }
  const body = Buffer.concat(parts);
  return Buffer.concat([variable(body.length), body]);
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads a packet's fields in order; throws on anything that the standard does not let a server send. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Error(`a field of ${length} bytes, where ${this.left} are left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  text(): string {
    const value = strict.decode(this.take(this.u16()));
    if (value.includes('\0')) throw new Error('U+0000 in a string');
    return value;
  }

  variable(): number {
    let value = 0;
    for (let shift = 0; shift < 4; shift++) {
      const byte = this.byte();
      value += (byte & 127) * 128 ** shift;
      if (byte >= 128) continue;
      if (byte === 0 && shift > 0) throw new Error('a variable byte integer that is longer than needed');
      return value;
    }
    throw new Error('a variable byte integer of more than four bytes');
  }

  properties(packet: number): Properties {
    const within = new Reader(this.take(this.variable()));
    const found: Record<string, unknown> = {};
    while (within.left > 0) within.#property(packet, found);
    return found as Properties;
  }

  #property(packet: number, found: Record<string, unknown>): void {
    const id = this.variable();
    const property = byId.get(id);
    if (!property?.packets.includes(packet.toString(16))) throw new Error(`property ${id} in a packet ${packet}`);
    const value = this.#value(property.kind);
    const repeats = property.name === 'user' || (property.name === 'subscriptionIds' && packet === 3);
    if (repeats) found[property.name] = [...((found[property.name] as unknown[]) ?? []), value];
    else if (found[property.name] === undefined) found[property.name] = value;
    else throw new Error(`${property.name} twice`);
  }

  #value(kind: Kind): unknown {
    if (kind === 'byte') return this.byte();
    if (kind === 'two') return this.u16();
    if (kind === 'four') return this.take(4).readUInt32BE();
    if (kind === 'variable') return this.variable();
    if (kind === 'text') return this.text();
    if (kind === 'binary') return this.take(this.u16()).toString('hex');
    return [this.text(), this.text()];
  }
}
