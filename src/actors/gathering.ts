/**
 * Messages that a history has taken and not written to their conversations yet: their lines in one buffer outside of the heap,
 * whose collector would copy each of them twice, and for each conversation the places of its lines in that buffer.
 *
 * New lines are noted on disk as they are, in one record at a time, so that a server that was killed finds them again; a record
 * is removed when all its messages are in their conversations. Bounded: history-writes.ts closes and writes a batch that is large.
 */
import { BoundedMap } from '../bounded-map.js';
import { part } from '../store/keys.js';
import type { Store, Table } from '../store/store.js';
import { type Address, isRoom, parseTarget } from './address.js';
import type { MessageFields } from './packet.js';

/** A batch with so many messages and reads, or so many bytes, is written without waiting for its time. */
const MUCH = 20_000;
const MUCH_BYTES = 4_194_304;
const FIRST_BYTES = 4096;
/** A written batch's buffer of at most this size is kept for a later batch; a larger one only while messages wait. */
const SPARE_BYTES = 65_536;
/** The most bytes that one UTF-16 code unit takes in UTF-8. */
const UTF8_BYTES = 3;
const LINE_FEED = 10;
const SPACE = 32;
/** Digits of a sequence in base 36: every sequence is below 36 ** 11. */
const DIGITS = 11;
const LOWER_DIGITS = 5;
const LOWER = 36 ** LOWER_DIGITS;
const DIGIT_BYTES = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');

const KEYS = 1000;
/** So many ids of read messages are kept for each reader of a conversation, the latest; each costs a search when it is written. */
const MOST_READS = 4;

/** How many offsets `Lines.places` has for each message. */
export const PLACES = 3;

/** Messages in a buffer, a line each: the sequence in base 36, a space, the JSON. */
export interface Lines {
  readonly buffer: Buffer;
  readonly sequences: readonly number[];
  /** Three offsets in the buffer for each message: where its line begins, where its JSON begins, and where its line ends. */
  readonly places: readonly number[];
}

/** Gathered messages and reads of one conversation. */
export interface Gathered extends Lines {
  readonly key: string;
  /** The two endpoints, or the room alone. */
  readonly sides: readonly Address[];
  /** The endpoints that have written in the room; null where the conversation is between two endpoints. */
  readonly authors: ReadonlySet<Address> | null;
  /** For each reader the ids of the messages that it has reported as read last, at most `MOST_READS`. */
  readonly reads: ReadonlyMap<Address, readonly string[]>;
}

type Read = readonly [by: Address, to: Address, id: string];

/** A record on disk: lines and reads that came after those of the record before. */
interface Noted {
  readonly lines: Buffer;
  readonly reads: readonly Read[];
}

class Conversation implements Gathered {
  readonly sequences: number[] = [];
  readonly places: number[] = [];
  readonly reads = new Map<Address, string[]>();

  constructor(
    private readonly batch: Batch,
    readonly key: string,
    readonly sides: readonly Address[],
    readonly authors: Set<Address> | null,
  ) {}

  get buffer(): Buffer {
    return this.batch.buffer;
  }
}

/** Messages and reads that are gathered in one buffer and closed together. */
class Batch {
  readonly conversations = new Map<string, Conversation>();
  used = 0;
  count = 0;
  /** When the first entry came, in milliseconds since the epoch. */
  since = 0;
  /** How many bytes are noted on disk, the reads that are not noted yet, and the numbers of the batch's records on disk. */
  noted = 0;
  reads: Read[] = [];
  records: number[] = [];

  constructor(public buffer: Buffer) {}

  /** Answers the buffer, enlarged where it had no room for so many bytes more. */
  reserve(bytes: number): Buffer {
    const wanted = this.used + bytes;
    if (wanted > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 ** Math.ceil(Math.log2(wanted))));
      this.buffer.copy(larger, 0, 0, this.used);
      this.buffer = larger;
    }
    return this.buffer;
  }
}

const NO_BYTES = Buffer.alloc(0);

export class Gathering {
  #open = new Batch(NO_BYTES);
  /** The batch that takes no more messages and is being written; null: none is. */
  #closing: Batch | null = null;
  #spare: Buffer = NO_BYTES;
  /** The store's keys of conversations by their names, since hashing a name costs more than the rest of gathering a message. */
  readonly #keys = new BoundedMap<string, string>(() => KEYS);
  readonly #notes: Table<Noted>;
  readonly #part: string;
  #lastRecord = 0;

  constructor(
    private readonly domain: string,
    private readonly store: Store,
  ) {
    this.#notes = store.table('gathered');
    this.#part = part(domain);
  }

  get isEmpty(): boolean {
    return this.#closing === null && this.#open.conversations.size === 0;
  }

  get isClosing(): boolean {
    return this.#closing !== null;
  }

  get isMuch(): boolean {
    return this.#open.count >= MUCH || this.#open.used >= MUCH_BYTES;
  }

  /** When the first entry of the open batch came, in milliseconds since the epoch. */
  get since(): number {
    return this.#open.since;
  }

  message(sender: Address, to: Address, sequence: number, json: string, now: number): void {
    const gathered = this.#of(sender, to, now);
    const batch = this.#open;
    const buffer = batch.reserve(DIGITS + UTF8_BYTES * json.length + 2);
    const start = batch.used;
    const text = start + DIGITS + 1;
    writeSequence(buffer, start, sequence);
    buffer[text - 1] = SPACE;
    const end = text + buffer.write(json, text);
    buffer[end] = LINE_FEED;
    batch.used = end + 1;
    batch.count += 1;
    gathered.sequences.push(sequence);
    gathered.places.push(start, text, end + 1);
    gathered.authors?.add(sender);
  }

  /** Notes that the endpoint `by` has read up to the message with this id. */
  read(by: Address, to: Address, id: string, now: number): void {
    const { reads } = this.#of(by, to, now);
    const ids = reads.get(by) ?? [];
    if (ids.length === 0) reads.set(by, ids);
    ids.push(id);
    if (ids.length > MOST_READS) ids.shift();
    else this.#open.count += 1;
    this.#open.reads.push([by, to, id]);
    if (this.#open.reads.length > MUCH) this.#open.reads.shift();
  }

  /** Notes on disk what has come since the last call; where the disk has no room for it, it is never noted. */
  note(hasRoom: (bytes: number) => boolean): void {
    const batch = this.#open;
    const { buffer, noted, used, reads } = batch;
    if (noted === used && reads.length === 0) return;
    batch.noted = used;
    batch.reads = [];
    if (!hasRoom(used - noted)) return;
    this.#lastRecord += 1;
    batch.records.push(this.#lastRecord);
    // Not copied: the buffer is used again only after the store has committed this record.
    this.#notes.put([this.#part, this.#lastRecord], { lines: buffer.subarray(noted, used), reads });
  }

  /** Closes the open batch, so that it is written; does nothing while an earlier closed batch is not written to its end. */
  close(): void {
    if (this.#closing || this.#open.conversations.size === 0) return;
    this.#closing = this.#open;
    this.#open = new Batch(this.#spare);
    this.#spare = NO_BYTES;
  }

  /** Takes up to `most` conversations out of the closed batch, those that have waited longest. */
  take(most: number): Gathered[] {
    const taken: Gathered[] = [];
    const { conversations } = this.#closing ?? {};
    for (const [name, gathered] of conversations ?? []) {
      if (taken.length >= most) break;
      conversations?.delete(name);
      taken.push(gathered);
    }
    return taken;
  }

  /** Takes what is gathered of one conversation out of both batches, in the order of its messages. */
  takeOf(user: Address, other: Address): Gathered[] {
    const name = conversationOf(this.domain, user, other);
    return this.#takeFrom((conversations) => (conversations.has(name) ? [name] : []));
  }

  /** Takes what is gathered of an endpoint's conversations and of the given rooms out of both batches. */
  takeOfAll(user: Address, rooms: ReadonlySet<Address>): Gathered[] {
    const isWanted = ({ sides }: Conversation): boolean =>
      sides.length > 1 ? sides.includes(user) : rooms.has(sides[0] as Address);
    return this.#takeFrom((conversations) => {
      const found: string[] = [];
      for (const [name, gathered] of conversations) if (isWanted(gathered)) found.push(name);
      return found;
    });
  }

  /** Called when all taken conversations have been written: removes the notes of batches that have nothing left. */
  written(): void {
    const closing = this.#closing;
    if (closing?.conversations.size === 0) {
      this.#closing = null;
      this.#forget(closing);
    }
    const open = this.#open;
    if (open.conversations.size > 0 || (open.used === 0 && open.records.length === 0)) return;
    this.#forget(open);
    this.#open = new Batch(NO_BYTES);
  }

  /**
   * Gathers again what was noted on disk before the server was killed, except messages that are in their conversations already.
   * `latest` gives the last sequence that a conversation has. Answers the highest sequence that was noted.
   */
  restore(latest: (key: string) => number, now: number): number {
    let last = 0;
    const records: number[] = [];
    for (const [[, number], { lines, reads }] of this.#notes.entries(this.#part)) {
      this.#lastRecord = Number(number);
      records.push(this.#lastRecord);
      for (const line of lines.toString().split('\n')) last = Math.max(last, this.#restoreLine(line, latest, now));
      for (const [by, to, id] of reads) this.read(by, to, id, now);
    }
    const batch = this.#open;
    batch.records = records;
    batch.noted = batch.used;
    batch.reads = [];
    this.written();
    return last;
  }

  #restoreLine(line: string, latest: (key: string) => number, now: number): number {
    const space = line.indexOf(' ');
    if (space < 0) return 0;
    const sequence = Number.parseInt(line.slice(0, space), 36);
    const json = line.slice(space + 1);
    const { from, to, type } = JSON.parse(json) as MessageFields;
    const sender = parseTarget(this.domain, from)?.address;
    const receiver = parseTarget(this.domain, to, type === 'grpchat' ? 'gid' : 'uid')?.address;
    if (!sender || !receiver) return sequence;
    if (sequence > latest(keyOf(this.domain, sender, receiver))) this.message(sender, receiver, sequence, json, now);
    return sequence;
  }

  #takeFrom(names: (conversations: ReadonlyMap<string, Conversation>) => string[]): Gathered[] {
    const taken: Gathered[] = [];
    for (const { conversations } of this.#closing ? [this.#closing, this.#open] : [this.#open]) {
      for (const name of names(conversations)) {
        taken.push(conversations.get(name) as Conversation);
        conversations.delete(name);
      }
    }
    return taken;
  }

  #forget({ records, buffer }: Batch): void {
    for (const number of records) this.#notes.remove([this.#part, number]);
    this.store.committed(() => {
      if (!this.isEmpty || buffer.length <= SPARE_BYTES) this.#spare = buffer;
      else this.#spare = NO_BYTES;
    });
  }

  #of(sender: Address, to: Address, now: number): Conversation {
    const name = conversationOf(this.domain, sender, to);
    const batch = this.#open;
    const known = batch.conversations.get(name);
    if (known) return known;
    if (batch.conversations.size === 0) batch.since = now;
    const isOfRoom = isRoom(this.domain, to);
    const sides = isOfRoom ? [to] : [sender, to];
    const gathered = new Conversation(batch, this.#keyOf(name), sides, isOfRoom ? new Set() : null);
    batch.conversations.set(name, gathered);
    return gathered;
  }

  #keyOf(name: string): string {
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = part(name);
      this.#keys.set(name, key);
    }
    return key;
  }
}

/** Writes a sequence in base 36, as two halves that are small integers: having the engine make a string of it costs 1 µs. */
function writeSequence(buffer: Buffer, at: number, sequence: number): void {
  const higher = Math.floor(sequence / LOWER);
  writeDigits(buffer, at + DIGITS - LOWER_DIGITS, LOWER_DIGITS, sequence - higher * LOWER);
  writeDigits(buffer, at, DIGITS - LOWER_DIGITS, higher);
}

function writeDigits(buffer: Buffer, at: number, count: number, value: number): void {
  let left = value;
  for (let place = at + count - 1; place >= at; place--) {
    buffer[place] = DIGIT_BYTES[left % 36] as number;
    left = Math.trunc(left / 36);
  }
}

/** How many bytes the lines of the messages take. */
export function bytesOf({ places }: Lines): number {
  let bytes = 0;
  for (let at = 0; at < places.length; at += PLACES) bytes += (places[at + 2] as number) - (places[at] as number);
  return bytes;
}

/** The key of a conversation in the store; its two endpoints may be given in either order. */
export function keyOf(domain: string, user: Address, other: Address): string {
  return part(conversationOf(domain, user, other));
}

/** The name of a conversation: the room's address, or the addresses of both endpoints, in the same order for both. */
function conversationOf(domain: string, user: Address, other: Address): string {
  if (isRoom(domain, other)) return other;
  return user < other ? `${user},${other}` : `${other},${user}`;
}
