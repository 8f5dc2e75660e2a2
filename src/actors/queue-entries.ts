/** What stands in a client's queue: packets, and gaps where packets have gone. And whose it is. */
import type { Address } from './address.js';
import type { Packet } from './packet.js';

/** Numbers that follow each other and whose packets have gone. */
export interface Gap {
  readonly kind: null;
  readonly missed: number;
  /** How many of them were messages. */
  readonly lost: number;
}

export type Entry = Packet | Gap;

/** A queue as a restart leaves it. */
export interface QueueState {
  /** Not confirmed, in the order of their numbers. */
  readonly entries: readonly Entry[];
  /** How many of the entries, from the first on, have been sent. */
  readonly sent: number;
  /** The number of the packet that was accepted last. */
  readonly accepted: number;
  /** The era of its numbers; absent: the server's. */
  readonly era?: string;
}

/** What goes out in one frame. */
export interface Batch {
  readonly packets: readonly Packet[];
  /** Numbers up to its end that are not in it. */
  readonly missed: number;
  /** How many of these were messages. */
  readonly lost: number;
  /** The number after which it begins, and its last one. */
  readonly before: number;
  readonly after: number;
  /** Entries of the queue. */
  readonly entries: number;
}

export function isPacket(entry: Entry): entry is Packet {
  return entry.kind !== null;
}

/** How many numbers it stands for. */
export function span(entry: Entry): number {
  return entry.kind === null ? entry.missed : 1;
}

/** Whose a queue is: a client, or an endpoint that has a queue besides. */
export interface QueueOwner {
  /** Of the endpoint. */
  readonly address: Address;
  /** Which of its queues: a client's name, or one of unconfirmed.ts. */
  readonly name: string;
}
