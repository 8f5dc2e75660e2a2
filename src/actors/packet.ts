/** Packets: values that travel to clients. Their fields are those of PROTOCOL.md section 5, and are never changed. */
import type { PacketKind } from '../metrics.js';
import type { Address, Target } from './address.js';

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

/** Bytes of a packet's JSON besides its longest texts; queues count with it. */
const OVERHEAD_BYTES = 128;

/** One packet, however many receive it. */
export class Packet<K extends PacketKind = PacketKind> {
  /** Its JSON, made by protocols/frame.ts on first use and shared by all receivers. */
  json: string | null = null;
  /** About how many bytes it takes on the wire. */
  readonly bytes: number;

  constructor(
    readonly kind: K,
    readonly fields: K extends 'message' ? MessageFields : K extends 'presence' ? PresenceFields : StatusFields,
    /** Whose queue topic it goes to: an endpoint's, or a room's. */
    readonly topic: Address,
    /** The endpoint it comes from, which room packets leave out; null for the site itself. */
    readonly sender: Address | null,
  ) {
    const text = 'body' in fields ? fields.body : fields.show;
    this.bytes = OVERHEAD_BYTES + Buffer.byteLength(text) + fields.nick.length + fields.from.length + fields.to.length;
  }
}

/** A message or status on its way out, before it is known who it is from. */
export type Outgoing = {
  /** null: everybody (a broadcast). */
  readonly target: Target | null;
  /** null: the sender's own. */
  readonly nick: string | null;
} & (
  | { readonly kind: 'message'; readonly fields: Omit<MessageFields, 'from' | 'nick'> }
  | { readonly kind: 'status'; readonly fields: Omit<StatusFields, 'from' | 'nick'> }
);

/** Completes it with its sender; `nick` is the sender's own. */
export function complete(outgoing: Outgoing, from: string, nick: string, topic: Address, sender: Address): Packet {
  const who = { from, nick: outgoing.nick ?? nick };
  return outgoing.kind === 'message'
    ? new Packet('message', { ...outgoing.fields, ...who }, topic, sender)
    : new Packet('status', { ...outgoing.fields, ...who }, topic, sender);
}
