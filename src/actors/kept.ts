/**
 * What is on disk of a domain for the next start of the server: the shapes of records, and packets and queues in them.
 * PROTOCOL.md section 20. A change of a shape counts `KEPT_VERSION` up: records of another version are not read.
 */
import type { PacketKind } from '../metrics.js';
import type { Address } from './address.js';
import type { Client } from './client.js';
import { Packet } from './packet.js';
import type { Show } from './presence.js';
import type { PacketQueue } from './queue.js';
import type { QueueState } from './queue-entries.js';

export const KEPT_VERSION = 1;

/** Of a client: who may come back as it. */
export interface KeptClient {
  /** SHA-256 of its token, base64url. */
  readonly hash: string;
  readonly name: string;
  /** Its site gave it the name. */
  readonly isNamed: boolean;
  /** Its ticket was kept for longer than the idle time. */
  readonly isAway: boolean;
  /** Of one that another node hands over: the stamp of when it took its name. */
  readonly namedAt?: number;
}

/** An endpoint that is online or away, written as it changes. Key: its domain's part, node and id. */
export interface KeptEndpoint {
  readonly nick: string;
  readonly show: Show;
  readonly status: string;
  /** `{node}/{id}`. */
  readonly buddies: readonly string[];
  readonly rooms: readonly string[];
  /** Offline to all others. */
  readonly isAway: boolean;
  /** None: its grace had begun. */
  readonly clients: readonly KeptClient[];
}

/** The number of a packet, or a gap: numbers that have gone, and how many of them were messages. */
export type KeptEntry = number | readonly [missed: number, lost: number];

export interface KeptQueue {
  readonly accepted: number;
  /** Entries that have been sent. */
  readonly sent: number;
  readonly entries: readonly KeptEntry[];
  /** The era of its numbers; absent: that of the server that wrote it. */
  readonly era?: string;
}

export interface KeptClientQueue extends KeptQueue {
  readonly name: string;
  /** What it has not had of clients that were there before it, by their names; null: it came first. */
  readonly elders: readonly (readonly [name: string, number: number])[] | null;
  /** Numbers of packets among those that it has been given all the same. */
  readonly given: readonly number[];
  /** How long it had been connected in all, in ms; null: its last connection kept no position. */
  readonly connectedMs: number | null;
  /** A kill before may have cost it packets, and it does not know yet; absent: no. */
  readonly mayMiss?: boolean;
  /** What its protocol keeps of it; null: nothing. */
  readonly session: unknown;
}

/** What a protocol keeps of a client beside its queue, as plain data: packets by the numbers that they are kept under. */
export interface SessionKeeper {
  /** null: nothing. */
  save(client: Client, numberOf: (packet: Packet) => number): unknown;
  restore(client: Client, kept: unknown, packetOf: (number: number) => Packet | null): void;
}

/** What waits at an endpoint, written at an orderly end. */
export interface KeptQueues {
  readonly node: string;
  readonly id: string;
  readonly clients: readonly KeptClientQueue[];
  /** Numbers of the messages that none of its clients has confirmed. */
  readonly unseen: readonly number[];
  /** Numbers of those of its messages of which the site knows that nobody was there for them; absent: none. */
  readonly told?: readonly number[];
  /** Of a service that delivers in turns: sender, and the name of the client it stays with. */
  readonly turns: readonly (readonly [sender: string, client: string])[];
}

/** A packet; or a message that the offline store has, by its number there. */
export type KeptPacket =
  | {
      readonly kind: PacketKind;
      readonly fields: Packet['fields'];
      readonly topic: Address;
      readonly sender: Address | null;
      readonly fromClient: boolean;
      /** Milliseconds since the epoch; null: never. */
      readonly expiresAt: number | null;
      /** Of a message that was on disk before the server ended: its number there (unconfirmed.ts). */
      readonly number?: number;
    }
  | { readonly kind: 'offline'; readonly address: Address; readonly sequence: number };

export function keptPacket({ kind, fields, topic, sender, fromClient, expiresAt }: Packet): KeptPacket {
  return { kind, fields, topic, sender, fromClient, expiresAt };
}

/** The packet of a record; one of the offline store is read from there, and null where that has it no more. */
export function packetOf(
  kept: KeptPacket,
  readOffline: (address: Address, sequence: number) => Packet | null,
): Packet | null {
  if (kept.kind === 'offline') return readOffline(kept.address, kept.sequence);
  const packet = new Packet(kept.kind, kept.fields, kept.topic, kept.sender);
  packet.fromClient = kept.fromClient;
  packet.expiresAt = kept.expiresAt;
  return packet;
}

export function keptQueue({ state }: PacketQueue, numberOf: (packet: Packet) => number): KeptQueue {
  const { accepted, sent, entries, era } = state;
  return {
    accepted,
    sent,
    ...(era === undefined ? {} : { era }),
    entries: entries.map((entry) => (entry.kind === null ? [entry.missed, entry.lost] : numberOf(entry))),
  };
}

/** A packet that is not there any more leaves a gap. */
export function queueState(
  { accepted, sent, entries, era }: KeptQueue,
  packetOf: (number: number) => Packet | null,
): QueueState {
  return {
    accepted,
    sent,
    ...(era === undefined ? {} : { era }),
    entries: entries.map((entry) => {
      if (typeof entry !== 'number') return { kind: null, missed: entry[0], lost: entry[1] };
      return packetOf(entry) ?? { kind: null, missed: 1, lost: 1 };
    }),
  };
}

export function isKeptEndpoint(value: unknown): value is KeptEndpoint {
  const { nick, show, status, buddies, rooms, clients } = (value ?? {}) as Partial<Record<keyof KeptEndpoint, unknown>>;
  const texts = [nick, show, status].every((text) => typeof text === 'string');
  return texts && [buddies, rooms, clients].every(Array.isArray);
}

export function isKeptQueues(value: unknown): value is KeptQueues {
  const { clients, unseen, turns, told = [] } = (value ?? {}) as Partial<Record<keyof KeptQueues, unknown>>;
  if (![unseen, turns, told].every(Array.isArray) || !Array.isArray(clients)) return false;
  return clients.every((client: Partial<Record<keyof KeptClientQueue, unknown>> | null) => {
    const { name, entries, given, accepted, sent } = client ?? {};
    const numbers = Number.isSafeInteger(accepted) && Number.isSafeInteger(sent);
    return typeof name === 'string' && numbers && Array.isArray(entries) && Array.isArray(given);
  });
}
