/**
 * The records that a domain has on disk for the next start of the server, and the packets and queues in them.
 * PROTOCOL.md section 20. A change of a shape counts `KEPT_VERSION` up: records of another version are not read.
 */
import { damaged } from '../damaged.js';
import { PACKET_KINDS, type PacketKind } from '../metrics.js';
import type { Key } from '../store/store.js';
import type { Address } from './address.js';
import type { Client } from './client.js';
import { PACKET_FIELDS, Packet } from './packet.js';
import type { Show } from './presence.js';
import type { PacketQueue } from './queue.js';
import type { QueueState } from './queue-entries.js';

export const KEPT_VERSION = 1;

/** The record of a client, by which the owner of its ticket may come back. */
export interface KeptClient {
  /** SHA-256 of the client's token, base64url. */
  readonly hash: string;
  readonly name: string;
  /** Whether the site gave the client its name. */
  readonly isNamed: boolean;
  /** Whether the client is away: its ticket was kept for longer than the idle time. */
  readonly isAway: boolean;
  /** When the client came online, in milliseconds since the epoch; absent: not before the record was written. */
  readonly cameAt?: number;
  /** The stamp of when the client took its name; only in a record that another node hands over. */
  readonly namedAt?: number;
  /** The number of the first message of those that a cluster keeps (`MessageKeeper`) that may be for the client; absent: all may be. */
  readonly from?: number;
  /** What the client's protocol keeps of it without its queue (`SessionKeeper.brief`); absent: nothing. */
  readonly session?: unknown;
  /** The era of the client's positions; absent: that of the server that wrote the record. */
  readonly era?: string;
}

/** The record of an endpoint that is online or away, written as it changes. Key: the domain's part, node and id. */
export interface KeptEndpoint {
  readonly nick: string;
  readonly show: Show;
  readonly status: string;
  /** `{node}/{id}`. */
  readonly buddies: readonly string[];
  readonly rooms: readonly string[];
  /** Whether the endpoint is away, which others see as offline. */
  readonly isAway: boolean;
  /** The endpoint's clients; empty where its grace had begun. */
  readonly clients: readonly KeptClient[];
}

/** A packet's number; or a gap: how many packets have gone, and how many of those were messages. */
export type KeptEntry = number | readonly [missed: number, lost: number];

export interface KeptQueue {
  readonly accepted: number;
  /** How many of the entries, from the first on, have been sent. */
  readonly sent: number;
  readonly entries: readonly KeptEntry[];
  /** The era of the queue's numbers; absent: that of the server that wrote the record. */
  readonly era?: string;
  /** Whether the client alone knows how many packets had been accepted before these; absent: no. */
  readonly isOpen?: boolean;
}

export interface KeptClientQueue extends KeptQueue {
  readonly name: string;
  /** Up to which packets of the clients that came before this one it has had none, by their names; null: it came first. */
  readonly elders: readonly (readonly [name: string, number: number])[] | null;
  /** Numbers of packets up to those bounds that the client has been given nevertheless. */
  readonly given: readonly number[];
  /** How long the client had been connected in all, in ms; null: its last connection kept no position. */
  readonly connectedMs: number | null;
  /** Whether the client may have lost packets in an earlier kill and has not been told yet; absent: no. */
  readonly mayMiss?: boolean;
  /** The state that the client's protocol keeps of it (`SessionKeeper`); null: none. */
  readonly session: unknown;
}

/** Turns the state that a protocol has of a client, beside its queue, into plain data and back; packets appear as their numbers. */
export interface SessionKeeper {
  /** Answers the state of a client as plain data; null: there is none. */
  save(client: Client, numberOf: (packet: Packet) => number): unknown;
  /** As `save`, but without packets, for a record that is written as the client changes. */
  brief(client: Client): unknown;
  restore(client: Client, kept: unknown, packetOf: (number: number) => Packet | null): void;
}

/** The queues of an endpoint and its clients, written when the server ends in order. */
export interface KeptQueues {
  readonly node: string;
  readonly id: string;
  readonly clients: readonly KeptClientQueue[];
  /** Numbers of the messages that no client has confirmed and that wait for the next client. */
  readonly unseen: readonly number[];
  /** Numbers of messages of which the site was told that the endpoint was not there for them; absent: none. */
  readonly told?: readonly number[];
  /** For a service that delivers in turns: each sender and the name of the client that its messages go to. */
  readonly turns: readonly (readonly [sender: string, client: string])[];
}

/** The record of a packet; a message that is in the offline store has only its place there. */
export type KeptPacket =
  | {
      readonly kind: PacketKind;
      readonly fields: Packet['fields'];
      readonly topic: Address;
      readonly sender: Address | null;
      readonly fromClient: boolean;
      /** When the packet expires, in milliseconds since the epoch; null: never. */
      readonly expiresAt: number | null;
      /** The number that the message had in unconfirmed.ts, where it was on disk before the server ended. */
      readonly number?: number;
    }
  | { readonly kind: 'offline'; readonly address: Address; readonly sequence: number };

export function keptPacket({ kind, fields, topic, sender, fromClient, expiresAt }: Packet): KeptPacket {
  return { kind, fields, topic, sender, fromClient, expiresAt };
}

/** The packet of a record; a message of the offline store is read from there. null: it is not there any more, or the record is damaged. */
export function packetOf(
  kept: KeptPacket,
  key: Key,
  readOffline: (address: Address, sequence: number) => Packet | null,
): Packet | null {
  if (!isKeptPacket(kept)) return damaged('packet', key.join(' '));
  if (kept.kind === 'offline') return readOffline(kept.address, kept.sequence);
  const packet = new Packet(kept.kind, kept.fields, kept.topic, kept.sender);
  packet.fromClient = kept.fromClient;
  packet.expiresAt = kept.expiresAt;
  return packet;
}

export function keptQueue({ state }: PacketQueue, numberOf: (packet: Packet) => number): KeptQueue {
  const { accepted, sent, entries, era, isOpen } = state;
  return {
    accepted,
    sent,
    ...(era === undefined ? {} : { era }),
    ...(isOpen ? { isOpen } : {}),
    entries: entries.map((entry) => (entry.kind === null ? [entry.missed, entry.lost] : numberOf(entry))),
  };
}

/** The queue of a record; a packet that is no longer kept becomes a gap of one message. */
export function queueState(
  { accepted, sent, entries, era, isOpen }: KeptQueue,
  packetOf: (number: number) => Packet | null,
): QueueState {
  return {
    accepted,
    sent,
    ...(era === undefined ? {} : { era }),
    ...(isOpen === true ? { isOpen } : {}),
    entries: entries.map((entry) => {
      if (typeof entry !== 'number') return { kind: null, missed: entry[0], lost: entry[1] };
      return packetOf(entry) ?? { kind: null, missed: 1, lost: 1 };
    }),
  };
}

type Unknown<T> = Partial<Record<keyof T, unknown>>;

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number';
}

function isListOf(value: unknown, isOne: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne);
}

function isKeptClient(value: unknown): boolean {
  const { hash, name, from = 0, era = '' } = (value ?? {}) as Unknown<KeptClient>;
  return isText(hash) && isText(name) && isNumber(from) && isText(era);
}

export function isKeptEndpoint(value: unknown): value is KeptEndpoint {
  const { nick, show, status, buddies, rooms, clients } = (value ?? {}) as Unknown<KeptEndpoint>;
  const hasTexts = [nick, show, status].every(isText) && isListOf(buddies, isText) && isListOf(rooms, isText);
  return hasTexts && isListOf(clients, isKeptClient);
}

function isKeptClientQueue(value: unknown): boolean {
  const { name, entries, given, elders, accepted, sent } = (value ?? {}) as Unknown<KeptClientQueue>;
  const numbers = Number.isSafeInteger(accepted) && Number.isSafeInteger(sent) && isListOf(given, isNumber);
  const isEntry = (entry: unknown): boolean => isNumber(entry) || isListOf(entry, isNumber);
  return isText(name) && numbers && isListOf(entries, isEntry) && (elders === null || isListOf(elders, Array.isArray));
}

export function isKeptQueues(value: unknown): value is KeptQueues {
  const { node, id, clients, unseen, turns, told = [] } = (value ?? {}) as Unknown<KeptQueues>;
  const isKnown = isListOf(unseen, isNumber) && isListOf(told, isNumber) && isListOf(turns, Array.isArray);
  return isText(node) && isText(id) && isKnown && isListOf(clients, isKeptClientQueue);
}

export function isKeptPacket(value: unknown): value is KeptPacket {
  const kept = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (kept.kind === 'offline') return isText(kept.address) && isNumber(kept.sequence);
  const kind = PACKET_KINDS.find((known) => known === kept.kind);
  const fields = (kept.fields ?? {}) as Readonly<Record<string, unknown>>;
  if (kind === undefined || !isText(kept.topic) || !(kept.sender === null || isText(kept.sender))) return false;
  return PACKET_FIELDS[kind].required.every((name) => isText(fields[name]));
}
