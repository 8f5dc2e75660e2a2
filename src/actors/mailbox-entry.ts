/** A message of the offline store: its record on disk (`Kept`) and its entry in memory (`Entry`). */
import type { Key } from '../store/store.js';
import type { Address } from './address.js';
import type { MessageFields } from './packet.js';

export interface Kept {
  readonly to: Address;
  readonly fields: MessageFields;
  readonly sender: Address | null;
  readonly bytes: number;
  /** When the message was kept first, in milliseconds since the epoch. */
  readonly at: number;
  /** Set where a client has sent the message; absent where the site has. */
  readonly fromClient?: true;
  /** Milliseconds since the epoch after which nobody receives the message; absent: it does not expire. */
  readonly expiresAt?: number;
  /** The message's mark (`markOf`). */
  readonly mark: number;
  /** In the store of a cluster: a number by which the messages of an endpoint are ordered, derived from the time. */
  readonly order?: number;
}

/** An offline message in memory, without its text. */
export interface Entry {
  /** The entry's number, which is unique on this node. */
  readonly sequence: number;
  readonly key: Key;
  readonly order: number;
  readonly bytes: number;
  readonly at: number;
  /** The endpoint whose client sent the message; null: the site did. */
  readonly client: Address | null;
  /** Milliseconds since the epoch after which nobody receives the message; null: it does not expire. */
  readonly expiresAt: number | null;
  /** The message's mark, by which nearly all others are ruled out without being read from disk. */
  readonly mark: number;
  readonly isOfRoom: boolean;
}

export function isKept(value: unknown): value is Kept {
  const { to, fields, mark } = Object(value) as Partial<Kept>;
  return typeof to === 'string' && typeof fields === 'object' && fields !== null && typeof mark === 'number';
}

export function entryOf(
  sequence: number,
  key: Key,
  { bytes, at, sender, fromClient, expiresAt, fields, mark, order = sequence }: Kept,
): Entry {
  return {
    sequence,
    key,
    order,
    bytes,
    at,
    client: fromClient ? sender : null,
    expiresAt: expiresAt ?? null,
    mark,
    isOfRoom: fields.type === 'grpchat',
  };
}
