/**
 * Conversations as the history keeps them in the store: each has a head, with its latest messages, and chunks of older messages,
 * numbered consecutively. A message is added to the head, whose messages become a chunk when they are many. The oldest messages
 * are forgotten by moving the head's `since`, so that no chunk is rewritten for that; a chunk is removed when none of its messages
 * is left. A chunk is found by binary search.
 */
import { BoundedMap } from '../bounded-map.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Address } from './address.js';
import { type Lines, PLACES } from './gathering.js';

/**
 * Sequences number the messages of a domain in the order in which they are taken, and tell when that was: a millisecond has
 * room for so many.
 */
export const SEQUENCES_PER_MS = 1024;

/** Messages as UTF-8, a line each: the sequence in base 36, a space, the JSON. */
type Text = Buffer;

interface Chunk {
  /** The sequence with which the chunk began, whether or not that message is still there. */
  readonly start: number;
  readonly lines: Text;
}

export interface Head {
  /** The two endpoints, or the room alone. */
  readonly sides: readonly Address[];
  /** The numbers of the conversation's first and last chunk; where there are no chunks, `last` is below `first`. */
  readonly first: number;
  readonly last: number;
  /** The messages that are in no chunk yet. */
  readonly lines: Text;
  /** Messages with a lower sequence are forgotten. */
  readonly since: number;
  /** The sequence of the latest message. */
  readonly latest: number;
  readonly count: number;
  /** Bytes of the JSON of its messages. */
  readonly bytes: number;
  /** The period under which participants.ts lists the conversation. */
  readonly period: number;
  /** For each endpoint the sequence up to which it has read; a room's members have theirs in a table. */
  readonly read: readonly number[];
}

/** A message as it is kept. */
export interface Message {
  readonly sequence: number;
  readonly json: string;
}

/** A changed head, null where no message is left, and how many messages and bytes the change removed. */
export interface Change {
  readonly head: Head | null;
  readonly messages: number;
  readonly bytes: number;
}

/** A head's messages become a chunk at the first size; messages that are appended at once are split at the second. */
const CHUNK_BYTES = 2048;
const LARGEST_BYTES = 16_384;
const NOTHING = Buffer.alloc(0);
/** So many heads, those written last, are cached, as most are soon written again. */
const HEADS = 1000;
/** A page ends before the message with which it would be longer. */
const PAGE_CHARACTERS = 262_144;

export class Conversations {
  readonly #heads: Table<Head>;
  readonly #chunks: Table<Chunk>;
  readonly #latest = new BoundedMap<string, Head>(() => HEADS);

  constructor(
    store: Store,
    /** The beginning of all keys: the domain's part, and in the store of a cluster the node's name. */
    private readonly prefix: Key,
    /** Whether another node writes these conversations: then heads are not cached. */
    private readonly isOthers = false,
  ) {
    this.#heads = store.table('conversations');
    this.#chunks = store.table('messages');
  }

  head(key: string): Head | undefined {
    return (this.isOthers ? undefined : this.#latest.get(key)) ?? this.#heads.get([...this.prefix, key]);
  }

  /** Writes the head of a conversation, or removes it where `head` is null. */
  put(key: string, head: Head | null): void {
    if (head) {
      this.#latest.set(key, head);
      this.#heads.put([...this.prefix, key], head);
    } else {
      this.#latest.delete(key);
      this.#heads.remove([...this.prefix, key]);
    }
  }

  /** Appends messages to a conversation (`head` null: a new one); the caller writes the head that is answered. */
  append(key: string, head: Head | null, sides: readonly Address[], { buffer, sequences, places }: Lines): Head {
    const old = head ?? emptyHead(sides);
    let { last, bytes } = old;
    let pieces = old.lines.length > 0 ? [old.lines] : [];
    let size = old.lines.length;
    let start = size > 0 ? startOf(old.lines) : 0;
    const putChunk = (): void => {
      last += 1;
      this.#chunks.put([...this.prefix, key, last], { start, lines: Buffer.concat(pieces, size) });
      pieces = [];
      size = 0;
    };
    for (const [at, sequence] of sequences.entries()) {
      const [from, json, to] = places.slice(PLACES * at, PLACES * (at + 1)) as [number, number, number];
      if (size >= LARGEST_BYTES) putChunk();
      if (size === 0) start = sequence;
      pieces.push(buffer.subarray(from, to));
      size += to - from;
      bytes += to - json - 1;
    }
    if (size >= CHUNK_BYTES) putChunk();
    const latest = sequences.at(-1) as number;
    const lines = size > 0 ? Buffer.concat(pieces, size) : NOTHING;
    return { ...old, last, lines, latest, count: old.count + sequences.length, bytes };
  }

  /** Forgets the oldest messages: all beyond `most`, and those with a sequence below `below`. */
  trim(key: string, head: Head, most: number, below = 0): Change {
    let { first, count, bytes, since } = head;
    const isGone = ({ sequence, json }: Message): boolean => {
      if (sequence < since) return true;
      if (count <= most && sequence >= below) return false;
      count -= 1;
      bytes -= Buffer.byteLength(json);
      since = sequence + 1;
      return true;
    };
    for (; first <= head.last; first++) {
      if (!messagesOf(this.#chunk(key, first)?.lines ?? NOTHING).every(isGone)) break;
      this.#chunks.remove([...this.prefix, key, first]);
    }
    if (first > head.last) messagesOf(head.lines).every(isGone);
    return changed(head, { ...head, first, since, count, bytes });
  }

  /** Forgets the messages for which `isGone` answers true, in the head and in all chunks. */
  filter(key: string, head: Head, isGone: (message: Message) => boolean): Change {
    let { count, bytes } = head;
    let latest = 0;
    const left = (lines: Text): Text => {
      const kept = messagesOf(lines).reduce((text, message) => {
        const { sequence, json } = message;
        if (sequence < head.since) return text;
        if (isGone(message)) {
          count -= 1;
          bytes -= Buffer.byteLength(json);
          return text;
        }
        latest = sequence;
        return `${text}${sequence.toString(36)} ${json}\n`;
      }, '');
      return Buffer.from(kept);
    };
    for (let number = head.first; number <= head.last; number++) {
      const chunk = this.#chunk(key, number);
      if (!chunk) continue;
      const lines = left(chunk.lines);
      if (lines.length < chunk.lines.length) this.#chunks.put([...this.prefix, key, number], { ...chunk, lines });
    }
    const lines = left(head.lines);
    return changed(head, { ...head, lines, latest, count, bytes });
  }

  /** Removes all chunks of a conversation; the caller removes the head. */
  removeChunks(key: string, { first, last }: Head): void {
    for (let number = first; number <= last; number++) this.#chunks.remove([...this.prefix, key, number]);
  }

  /** Messages from the newest to the oldest, those with a sequence from `since` on and below `below`. */
  *backwards(key: string, head: Head, since: number, below = Number.POSITIVE_INFINITY): Iterable<Message> {
    const floor = Math.max(head.since, since);
    if (head.latest < floor) return;
    const isAsked = ({ sequence }: Message): boolean => sequence >= floor && sequence < below;
    yield* messagesOf(head.lines).reverse().filter(isAsked);
    const last = below > head.latest ? head.last : this.#holding(key, head, below);
    for (let number = last; number >= head.first; number--) {
      const chunk = this.#chunk(key, number);
      if (!chunk) continue;
      yield* messagesOf(chunk.lines).reverse().filter(isAsked);
      if (chunk.start < floor) return;
    }
  }

  /** Messages from the oldest to the newest, those with a sequence above `above`. */
  *forwards(key: string, head: Head, above: number): Iterable<Message> {
    const floor = Math.max(head.since, above + 1);
    if (head.latest < floor) return;
    const isAsked = ({ sequence }: Message): boolean => sequence >= floor;
    for (let number = this.#holding(key, head, floor); number <= head.last; number++) {
      yield* messagesOf(this.#chunk(key, number)?.lines ?? NOTHING).filter(isAsked);
    }
    yield* messagesOf(head.lines).filter(isAsked);
  }

  #chunk(key: string, number: number): Chunk | undefined {
    return this.#chunks.get([...this.prefix, key, number]);
  }

  /** The number of the last chunk that begins at a sequence or before it; the first, where none does. */
  #holding(key: string, { first, last }: Head, sequence: number): number {
    let [low, high] = [first, last];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#chunk(key, middle)?.start ?? 0) <= sequence) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function emptyHead(sides: readonly Address[]): Head {
  const read = sides.map(() => 0);
  return { sides, first: 0, last: -1, lines: NOTHING, since: 0, latest: 0, count: 0, bytes: 0, period: -1, read };
}

function startOf(lines: Text): number {
  return Number.parseInt(lines.toString('latin1', 0, lines.indexOf(' ')), 36);
}

function messagesOf(lines: Text): Message[] {
  const text = lines.toString();
  const messages: Message[] = [];
  for (let start = 0; start < text.length; ) {
    const space = text.indexOf(' ', start);
    const end = text.indexOf('\n', space);
    messages.push({ sequence: Number.parseInt(text.slice(start, space), 36), json: text.slice(space + 1, end) });
    start = end + 1;
  }
  return messages;
}

function changed(before: Head, after: Head): Change {
  const messages = before.count - after.count;
  return { head: after.count > 0 ? after : null, messages, bytes: before.bytes - after.bytes };
}

/** Whether a message is from the sender with this short id, by the beginning of its JSON, which is the sender. */
export function isFrom({ json }: Message, from: string): boolean {
  return json.startsWith(`{"from":${JSON.stringify(from)},`);
}

/** Whether a message has this id. Most messages are ruled out without being parsed. */
export function hasId({ json }: Message, id: string): boolean {
  return json.includes(`"id":${JSON.stringify(id)}`) && (JSON.parse(json) as { id?: unknown }).id === id;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** The position from which more can be read in the same direction; null: there is no more. */
  readonly next: number | null;
}

/** Takes messages as long as they are below a sequence and the page has room for them. */
export function pageOf(messages: Iterable<Message>, limit: number, below = Number.POSITIVE_INFINITY): Page<Message> {
  const items: Message[] = [];
  let characters = 0;
  for (const message of messages) {
    if (message.sequence >= below) break;
    characters += message.json.length;
    const isFull = items.length >= limit || (items.length > 0 && characters > PAGE_CHARACTERS);
    // Two nodes may give the same sequence in one millisecond: the next page begins behind all messages that have it.
    if (isFull && message.sequence !== items.at(-1)?.sequence) return { items, next: items.at(-1)?.sequence ?? null };
    items.push(message);
  }
  return { items, next: null };
}
