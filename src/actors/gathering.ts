/**
 * What a history has taken and not written to its conversations yet: the lines of messages in one piece of memory outside of
 * the heap, whose collector would carry each of them twice, and for each conversation where its own are.
 *
 * What has come since is noted on disk as it is, in one record, so that a server that is killed finds it again; the records
 * go when all that they hold is in its conversations. Bounded: whoever adds closes what is much, and has it written.
 */
import { BoundedMap } from '../bounded-map.js';
import { part } from '../store/keys.js';
import type { Store, Table } from '../store/store.js';
import { type Address, isRoom, parseTarget } from './address.js';
import type { MessageFields } from './packet.js';

/** So much is written at once, however short the time. */
const MUCH = 20_000;
const MUCH_BYTES = 4_194_304;
const FIRST_BYTES = 4096;
/** A piece of memory that is kept for what comes next, also where nothing waits. */
const SPARE_BYTES = 65_536;
/** UTF-8 takes so many bytes for a unit of UTF-16 at most. */
const UTF8_BYTES = 3;
const LINE_FEED = 10;
const SPACE = 32;
/** Of a sequence: 36 ** 11 is beyond all of them. */
const DIGITS = 11;
const LOWER_DIGITS = 5;
const LOWER = 36 ** LOWER_DIGITS;
const DIGIT_BYTES = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');

const KEYS = 1000;
/** What one says to have read of a conversation at once; each is searched for. */
const MOST_READS = 4;

/** Of each message. */
export const PLACES = 3;

/** Where messages stand in a piece of memory, a line each: the sequence in base 36, a space, the JSON. */
export interface Lines {
  readonly buffer: Buffer;
  readonly sequences: readonly number[];
  /** Of each message, one after another: where its line begins, where its JSON begins, and where its line ends. */
  readonly places: readonly number[];
}

/** What has been taken of one conversation. */
export interface Gathered extends Lines {
  readonly key: string;
  /** The two endpoints, or the room alone. */
  readonly sides: readonly Address[];
  /** Who has written in a room; null: it is none. */
  readonly authors: ReadonlySet<Address> | null;
  /** By who has read: the ids that were said last. */
  readonly reads: ReadonlyMap<Address, readonly string[]>;
}

type Read = readonly [by: Address, to: Address, id: string];

/** What is on disk of what has come. */
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

/** What is written together. */
class Batch {
  readonly conversations = new Map<string, Conversation>();
  used = 0;
  count = 0;
  /** Since when it has something, in milliseconds since the epoch. */
  since = 0;
  /** Bytes and reads that are noted, and the numbers of the records in which they are. */
  noted = 0;
  reads: Read[] = [];
  records: number[] = [];

  constructor(public buffer: Buffer) {}

  /** Room for so many bytes more. */
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
  /** Takes nothing more, and is being written. */
  #closing: Batch | null = null;
  #spare: Buffer = NO_BYTES;
  /** Keys of conversations by their names: to hash costs more than all else that is done for a message here. */
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

  /** Since when the first of what is not closed has been here; milliseconds since the epoch. */
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

  /** `by` says to have read up to the message of this id. */
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

  /** Notes what has come since the last time, as far as there is room on the disk. */
  note(hasRoom: (bytes: number) => boolean): void {
    const batch = this.#open;
    const { buffer, noted, used, reads } = batch;
    if (noted === used && reads.length === 0) return;
    batch.noted = used;
    batch.reads = [];
    if (!hasRoom(used - noted)) return;
    this.#lastRecord += 1;
    batch.records.push(this.#lastRecord);
    // No copy: memory is not used again before this is on disk.
    this.#notes.put([this.#part, this.#lastRecord], { lines: buffer.subarray(noted, used), reads });
  }

  /** What has come is to be written, and takes nothing more; what was closed before has been written. */
  close(): void {
    if (this.#closing || this.#open.conversations.size === 0) return;
    this.#closing = this.#open;
    this.#open = new Batch(this.#spare);
    this.#spare = NO_BYTES;
  }

  /** Of what is closed: the conversations that have waited longest, at most so many. */
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

  /** What has come of one conversation, in its order. */
  takeOf(user: Address, other: Address): Gathered[] {
    const name = conversationOf(this.domain, user, other);
    return this.#takeFrom((conversations) => (conversations.has(name) ? [name] : []));
  }

  /** What has come of an endpoint's conversations and of rooms. */
  takeOfAll(user: Address, rooms: ReadonlySet<Address>): Gathered[] {
    const isWanted = ({ sides }: Conversation): boolean =>
      sides.length > 1 ? sides.includes(user) : rooms.has(sides[0] as Address);
    return this.#takeFrom((conversations) => {
      const found: string[] = [];
      for (const [name, gathered] of conversations) if (isWanted(gathered)) found.push(name);
      return found;
    });
  }

  /** All that was taken has been written: what was noted of it is needed no more. */
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
   * Takes what was noted when the server was killed, but for what is in its conversation; `latest` is the last sequence of one.
   * Answers the last sequence of all.
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

/** In base 36, in two halves that are small integers: to have the engine make a text of it costs a microsecond. */
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

/** Bytes of the lines of messages. */
export function bytesOf({ places }: Lines): number {
  let bytes = 0;
  for (let at = 0; at < places.length; at += PLACES) bytes += (places[at + 2] as number) - (places[at] as number);
  return bytes;
}

/** The key under which the store has a conversation, whoever of the two asks. */
export function keyOf(domain: string, user: Address, other: Address): string {
  return part(conversationOf(domain, user, other));
}

/** What names a conversation, whoever of the two asks. */
function conversationOf(domain: string, user: Address, other: Address): string {
  if (isRoom(domain, other)) return other;
  return user < other ? `${user},${other}` : `${other},${user}`;
}
