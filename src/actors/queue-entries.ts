/** The entries of a client's queue, which are packets, and gaps where packets have gone; and the queue's owner. */
import type { Address } from './address.js';
import type { Packet } from './packet.js';
import type { CountedFrame } from './transport.js';

/** A run of consecutive numbers whose packets have gone. */
export interface Gap {
  readonly kind: null;
  readonly missed: number;
  /** How many of the packets that have gone were messages. */
  readonly lost: number;
}

export type Entry = Packet | Gap;

/** A queue as a restart leaves it. */
export interface QueueState {
  /** The entries that are not confirmed, in the order of their numbers. */
  readonly entries: readonly Entry[];
  /** How many of the entries, from the first on, have been sent. */
  readonly sent: number;
  /** The number of the packet that was accepted last. */
  readonly accepted: number;
  /** The era of the queue's numbers; absent: the server's era. */
  readonly era?: string;
  /** Whether the client alone knows how many packets had been accepted before these; absent: no. */
  readonly isOpen?: boolean;
}

/** The packets that go out in one frame. */
export interface Batch extends CountedFrame {
  readonly missed: number;
  /** How many entries of the queue the batch takes, gaps included. */
  readonly entries: number;
}

/** Members of a room have the same packets to be sent, one after another: the batch that was made last is kept. */
let lastBatch: Batch = { packets: [], missed: 0, lost: 0, position: null, entries: 0 };

/** The batch of all entries from one on, none of which is a gap. */
export function batchOf(entries: readonly Entry[], start: number): Batch {
  const count = entries.length - start;
  const { packets } = lastBatch;
  if (packets.length !== count || packets.some((packet, i) => packet !== entries[start + i])) {
    lastBatch = { packets: entries.slice(start) as Packet[], missed: 0, lost: 0, position: null, entries: count };
  }
  return lastBatch;
}

export function isPacket(entry: Entry): entry is Packet {
  return entry.kind !== null;
}

/** How many numbers an entry stands for. */
export function span(entry: Entry): number {
  return entry.kind === null ? entry.missed : 1;
}

/** The owner of a queue: a client, or an endpoint that has a queue beside those of its clients. */
export interface QueueOwner {
  /** The address of the endpoint. */
  readonly address: Address;
  /** The queue's name among those of the endpoint: a client's name, or a name defined in unconfirmed.ts. */
  readonly name: string;
}
