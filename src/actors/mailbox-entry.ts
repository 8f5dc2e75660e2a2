/** A message of the offline store: as it is kept, and what is in memory of it. */
import type { Key } from '../store/store.js';
import type { Address } from './address.js';
import type { MessageFields } from './packet.js';

export interface Kept {
  readonly to: Address;
  readonly fields: MessageFields;
  readonly sender: Address | null;
  readonly bytes: number;
  /** Since when, in milliseconds since the epoch. */
  readonly at: number;
  /** A client has sent it itself; absent where its site has. */
  readonly fromClient?: true;
  /** Milliseconds since the epoch after which nobody receives it; absent: never. */
  readonly expiresAt?: number;
  /** In the store of a cluster: its place among the messages that its node has kept. */
  readonly order?: number;
}

/** One message, without its text. */
export interface Entry {
  /** Its number on this node. */
  readonly sequence: number;
  readonly key: Key;
  readonly order: number;
  readonly bytes: number;
  readonly at: number;
  /** The endpoint whose client sent it; null: its site did. */
  readonly client: Address | null;
  /** Milliseconds since the epoch after which nobody receives it; null: never. */
  readonly expiresAt: number | null;
  /** Of the message's id: where these differ the message needs not be read to be another. */
  readonly hash: number;
  readonly isOfRoom: boolean;
}

export function entryOf(
  sequence: number,
  key: Key,
  { bytes, at, sender, fromClient, expiresAt, fields, order = sequence }: Kept,
): Entry {
  return {
    sequence,
    key,
    order,
    bytes,
    at,
    client: fromClient ? sender : null,
    expiresAt: expiresAt ?? null,
    hash: hashOf(fields.id ?? ''),
    isOfRoom: fields.type === 'grpchat',
  };
}

/** A number of 30 bits for an id. */
export function hashOf(id: string): number {
  let hash = 0;
  for (let at = 0; at < id.length; at++) hash = (hash * 31 + id.charCodeAt(at)) & 0x3fffffff;
  return hash;
}
