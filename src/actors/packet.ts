/** Packets: values that travel to clients. Their fields are those of PROTOCOL.md section 5, and are never changed. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { PacketKind } from '../metrics.js';
import type { Address, Target } from './address.js';
import { newMessageId } from './message-id.js';
import type { Receipt } from './outcome.js';
import type { Trace } from './trace.js';

export type MessageType = 'chat' | 'grpchat' | 'broadcast';
export type PresenceType = 'online' | 'offline' | 'show' | 'join' | 'leave' | 'grponline' | 'grpoffline';

export interface MessageFields {
  readonly from: string;
  readonly to: string;
  readonly nick: string;
  readonly timestamp: string;
  readonly type: MessageType;
  readonly body: string;
  readonly style: string;
  /** Passed on as sent: section 10's closed list. */
  readonly avatar?: string;
  readonly to_name?: string;
  readonly to_avatar?: string;
  readonly to_other?: string;
  /** Any JSON value, as its text: written as the value that it is. Section 11. */
  readonly data?: string;
  /** Section 11; absent until the message is accepted. */
  readonly id?: string;
}

/** A name of a message that is unique within its endpoint, and the same on every node. Ids contain no line breaks. */
export function messageName({ from, to, id }: Pick<MessageFields, 'from' | 'to' | 'id'>): string {
  return `${from}\n${to}\n${id}`;
}

/**
 * A number of 48 bits for the name of a message, 0 for none, by which what waits on disk is found without being read. The hash is a
 * strong one, since users choose ids: of many messages with one number all would be read for each deletion.
 */
export function markOf(name: string): number {
  return name === '' ? 0 : createHash('sha256').update(name).digest().readUIntBE(0, 6) || 1;
}

export interface PresenceFields {
  readonly from: string;
  readonly to: string;
  readonly nick: string;
  readonly type: PresenceType;
  readonly show: string;
  readonly status: string;
}

export interface StatusFields {
  readonly from: string;
  readonly to: string;
  readonly nick: string;
  readonly show: string;
}

/** Names of the fields that a packet has, and may have. */
export interface PacketFields {
  readonly required: readonly string[];
  readonly optional: readonly string[];
}

/**
 * The fields of each kind of packet, in the order in which they are written. All of them are texts; a message's `data`, which may be any
 * value, stands before its `id`.
 */
export const PACKET_FIELDS = {
  message: {
    required: ['from', 'to', 'nick', 'timestamp', 'type', 'body', 'style'],
    optional: ['avatar', 'to_name', 'to_avatar', 'to_other', 'id'],
  },
  presence: { required: ['from', 'to', 'nick', 'type', 'show', 'status'], optional: [] },
  status: { required: ['from', 'to', 'nick', 'show'], optional: [] },
} as const satisfies Readonly<Record<PacketKind, PacketFields>>;

/** Bytes of a packet's JSON besides its longest texts; queues count with it. */
const OVERHEAD_BYTES = 160;

type FieldsOf<K extends PacketKind> = K extends 'message'
  ? MessageFields
  : K extends 'presence'
    ? PresenceFields
    : StatusFields;

/** Makes a packet's fields of its parsed JSON: `data`, which is any value in the JSON, is text in the fields. */
export function fieldsOf<T extends object>(read: T): T {
  return 'data' in read ? { ...read, data: JSON.stringify(read.data) } : read;
}

/** Bytes of what a packet says: of a presence, whose show is a word, those of that. */
function contentBytes(kind: PacketKind, fields: MessageFields | PresenceFields | StatusFields): number {
  if (kind === 'presence') return (fields as PresenceFields).show.length;
  if (kind === 'status') return Buffer.byteLength((fields as StatusFields).show);
  const { body, data } = fields as MessageFields;
  return Buffer.byteLength(body) + (data === undefined ? 0 : Buffer.byteLength(data));
}

/**
 * One packet, however many receive it. One that waits to be confirmed is a long-lived object, and V8's collector pays for every
 * object that it keeps: so the packet and the text of its frame are then all that is left.
 */
export class Packet<K extends PacketKind = PacketKind> {
  /** The packet's JSON, made by protocols/frame.ts on first use and shared by all receivers; null where `frame` holds it. */
  json: string | null = null;
  /** The frame that holds this message alone; null: none has been made. */
  frame: string | null = null;
  /** The trace that follows the packet; null, nearly always. */
  trace: Trace | null = null;
  /** Collects what becomes of the packet at each receiver, for a sender that asked for a receipt; null for nearly all packets. */
  receipt: Receipt | null = null;
  /** Whether a client has sent the packet itself, without its site. */
  fromClient = false;
  /** Milliseconds since the epoch after which nobody receives the packet; null, nearly always: it does not expire. */
  expiresAt: number | null = null;
  /** How many holders, mostly queues, refer to the packet; counted by actors/memory.ts. */
  holders = 0;
  /** About how many bytes the packet takes on the wire. */
  readonly bytes: number;
  /** Whole milliseconds, and microseconds beside them: V8 keeps a fraction as an object of its own. */
  readonly #acceptedMs: number;
  readonly #acceptedUs: number;
  #topic: Address;
  #fields: FieldsOf<K> | null;

  constructor(
    readonly kind: K,
    fields: FieldsOf<K>,
    topic: Address,
    /** The endpoint it comes from, which room packets leave out; null for the site itself. */
    readonly sender: Address | null,
    acceptedAt: number = performance.now(),
  ) {
    this.#topic = topic;
    this.#acceptedMs = Math.floor(acceptedAt);
    this.#acceptedUs = Math.ceil((acceptedAt - this.#acceptedMs) * 1000);
    this.#fields = fields;
    this.bytes =
      OVERHEAD_BYTES + contentBytes(kind, fields) + fields.nick.length + fields.from.length + fields.to.length;
  }

  /** The address of the endpoint or room whose queue topic the packet goes to. */
  get topic(): Address {
    return this.#topic;
  }

  /** When the server took or made the packet: milliseconds of `performance.now()`, rounded up to a microsecond. */
  get acceptedAt(): number {
    return this.#acceptedMs + this.#acceptedUs / 1000;
  }

  get fields(): FieldsOf<K> {
    this.#fields ??= fieldsOf(this.#parsed());
    return this.#fields;
  }

  #parsed(): FieldsOf<K> {
    if (this.frame === null) return JSON.parse(this.json as string) as FieldsOf<K>;
    return (JSON.parse(this.frame) as { messages: [FieldsOf<K>] }).messages[0];
  }

  /** Keeps only JSON, of which the fields are parsed when needed, as a packet that was sent may wait long. `receiver`: shares its address. */
  compact(receiver: Address): void {
    if (this.#fields === null || (this.json === null && this.frame === null)) return;
    this.#fields = null;
    if (this.#topic === receiver) this.#topic = receiver;
  }
}

export type UnsignedMessage = Omit<Unsigned<MessageFields>, 'id' | 'to' | 'data'> & {
  to: string;
  id?: string;
  data?: string;
};
type Unsigned<T> = Omit<T, 'from' | 'nick'> & { from: string; nick: string };

/**
 * A message or status on its way out. Its fields are nobody else's yet: `from`, and `nick` where it is empty, are filled
 * in when its sender is known.
 */
export type Outgoing = {
  /** null: everybody (a broadcast). */
  readonly target: Target | null;
  /** Milliseconds of `performance.now()`. */
  readonly acceptedAt: number;
  /** A client sends it itself, without its site. */
  readonly fromClient?: boolean;
  /** Milliseconds since the epoch after which nobody receives it; absent or null: never. */
  readonly expiresAt?: number | null;
  /** Is told what becomes of it; absent: nobody asks. */
  readonly receipt?: Receipt | null;
} & (
  | { readonly kind: 'message'; readonly fields: UnsignedMessage }
  | { readonly kind: 'status'; readonly fields: Unsigned<StatusFields> }
);

/** Completes it with its sender, and a message with its id; `nick` is the sender's own. */
export function complete(outgoing: Outgoing, from: string, nick: string, topic: Address, sender: Address): Packet {
  outgoing.fields.from = from;
  if (outgoing.fields.nick === '') outgoing.fields.nick = nick;
  const { kind, fields, acceptedAt } = outgoing;
  if (kind === 'status') return new Packet('status', fields, topic, sender, acceptedAt);
  fields.id ??= newMessageId();
  const packet = new Packet('message', fields, topic, sender, acceptedAt);
  packet.expiresAt = outgoing.expiresAt ?? null;
  packet.receipt = outgoing.receipt ?? null;
  return packet;
}

/** Whether a packet has waited longer than it may; `now` is milliseconds since the epoch. */
export function hasExpired({ expiresAt }: Packet, now: number): boolean {
  return expiresAt !== null && expiresAt <= now;
}
