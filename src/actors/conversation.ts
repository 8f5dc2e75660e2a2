/**
 * Conversations as the history keeps them in the store: of each a head, and its messages in chunks that are numbered one
 * after another. Messages are appended to the last chunk, and the oldest are forgotten by moving the head's `since`: a chunk
 * is never written again for that, and removed when nothing of it is left. Nothing is searched for by scanning.
 *
 * What is read from the store is never changed: it may be on its way to the disk.
 */
import type { Store, Table } from '../store/store.js';
import type { Address } from './address.js';

/**
 * Sequences number the messages of a domain in the order in which they are taken, and tell when that was: a millisecond has
 * room for so many.
 */
export const SEQUENCES_PER_MS = 1024;

/** One message of a chunk: its sequence, who wrote it (a short id), its own id, and the bytes of its JSON. */
type Entry = readonly [sequence: number, from: string, id: string, bytes: number];

export interface Chunk {
  /** The sequence with which the chunk began, whether or not that message is still there. */
  readonly start: number;
  readonly entries: readonly Entry[];
  /** The JSON of its messages, one after another. */
  readonly json: Buffer;
}

export interface Head {
  /** The two endpoints, or the room alone. */
  readonly sides: readonly Address[];
  /** Numbers of its chunks. */
  readonly first: number;
  readonly last: number;
  /** Messages with a lower sequence are forgotten. */
  readonly since: number;
  /** The sequence of the latest message. */
  readonly latest: number;
  readonly count: number;
  /** Bytes of the JSON of its messages. */
  readonly bytes: number;
  /** The period in which lists have it; of actors/history.ts. */
  readonly period: number;
  /** For each endpoint the sequence up to which it has read; a room's members have theirs in a table. */
  readonly read: readonly number[];
}

/** A message to keep. */
export interface Kept {
  readonly sequence: number;
  readonly from: string;
  readonly id: string;
  readonly json: Buffer;
}

/** A change of a conversation, and what that has taken away; `head` null: nothing is left. */
export interface Change {
  readonly head: Head | null;
  readonly messages: number;
  readonly bytes: number;
}

/** A chunk that is smaller is written again with what comes; beyond, another one begins. */
const GROWING_BYTES = 2048;
/** What comes at once is one chunk up to this. */
const LARGEST_BYTES = 16_384;

/** A page ends before the message with which it would be longer. */
const PAGE_BYTES = 262_144;

export class Conversations {
  readonly #heads: Table<Head>;
  readonly #chunks: Table<Chunk>;

  constructor(
    store: Store,
    /** The domain's part of keys. */
    private readonly domain: string,
  ) {
    this.#heads = store.table('conversations');
    this.#chunks = store.table('messages');
  }

  head(key: string): Head | undefined {
    return this.#heads.get([this.domain, key]);
  }

  /** Writes a head, or removes what has no messages any more. */
  put(key: string, head: Head | null): void {
    if (head) this.#heads.put([this.domain, key], head);
    else this.#heads.remove([this.domain, key]);
  }

  /** Writes messages behind those of `head`, null: none; the caller writes the head that is answered. */
  append(key: string, head: Head | null, sides: readonly Address[], messages: readonly Kept[]): Head {
    const first = messages[0] as Kept;
    const old: Head = head ?? {
      sides,
      first: 0,
      last: -1,
      since: 0,
      latest: 0,
      count: 0,
      bytes: 0,
      period: -1,
      read: sides.map(() => 0),
    };
    let last = old.last;
    let tail = last >= 0 ? this.#chunk(key, last) : undefined;
    if (!tail || tail.json.length >= GROWING_BYTES) {
      last += 1;
      tail = { start: first.sequence, entries: [], json: Buffer.alloc(0) };
    }
    let bytes = 0;
    let growing = { start: tail.start, entries: [...tail.entries], parts: [tail.json], bytes: tail.json.length };
    for (const { sequence, from, id, json } of messages) {
      if (growing.bytes >= LARGEST_BYTES) {
        this.#write(key, last, growing);
        last += 1;
        growing = { start: sequence, entries: [], parts: [], bytes: 0 };
      }
      growing.entries.push([sequence, from, id, json.length]);
      growing.parts.push(json);
      growing.bytes += json.length;
      bytes += json.length;
    }
    this.#write(key, last, growing);
    const { sequence: latest } = messages.at(-1) as Kept;
    return { ...old, last, latest, count: old.count + messages.length, bytes: old.bytes + bytes };
  }

  /** Forgets the oldest messages: all beyond `most`, and those with a sequence below `since`. */
  trim(key: string, head: Head, most: number, since = 0): Change {
    let { first, count, bytes } = head;
    let floor = head.since;
    for (; first <= head.last; first++) {
      const isWhole = (this.#chunk(key, first)?.entries ?? []).every(([sequence, , , size]) => {
        if (sequence < floor) return true;
        if (count <= most && sequence >= since) return false;
        count -= 1;
        bytes -= size;
        floor = sequence + 1;
        return true;
      });
      if (!isWhole) break;
      this.#chunks.remove([this.domain, key, first]);
    }
    return changed(head, { ...head, first, since: floor, count, bytes });
  }

  /** Forgets the messages for which `isGone`, wherever they are. */
  filter(key: string, head: Head, isGone: (message: Message) => boolean): Change {
    let { count, bytes } = head;
    let latest = 0;
    for (let number = head.first; number <= head.last; number++) {
      const chunk = this.#chunk(key, number);
      if (!chunk) continue;
      const entries: Entry[] = [];
      const parts: Buffer[] = [];
      for (const message of messagesOf(chunk)) {
        const { sequence, from, id, end, start } = message;
        if (sequence < head.since) continue;
        if (isGone(message)) {
          count -= 1;
          bytes -= end - start;
          continue;
        }
        latest = sequence;
        entries.push([sequence, from, id, end - start]);
        parts.push(chunk.json.subarray(start, end));
      }
      if (entries.length === chunk.entries.length) continue;
      const left = { start: chunk.start, entries, json: Buffer.concat(parts) };
      this.#chunks.put([this.domain, key, number], left);
    }
    return changed(head, { ...head, latest, count, bytes });
  }

  /** Removes all its messages; the caller removes the head. */
  removeMessages(key: string, { first, last }: Head): void {
    for (let number = first; number <= last; number++) this.#chunks.remove([this.domain, key, number]);
  }

  /** Messages from the newest to the oldest, those with a sequence from `since` on and below `below`. */
  *backwards(key: string, head: Head, since: number, below = Number.POSITIVE_INFINITY): Iterable<Message> {
    const floor = Math.max(head.since, since);
    if (head.latest < floor) return;
    const last = below > head.latest ? head.last : this.#holding(key, head, below);
    for (let number = last; number >= head.first; number--) {
      const chunk = this.#chunk(key, number);
      if (!chunk) continue;
      for (const message of messagesOf(chunk).reverse()) {
        if (message.sequence >= below) continue;
        if (message.sequence < floor) return;
        yield message;
      }
      if (chunk.start < floor) return;
    }
  }

  /** Messages from the oldest to the newest, those with a sequence above `above`. */
  *forwards(key: string, head: Head, above: number): Iterable<Message> {
    const floor = Math.max(head.since, above + 1);
    if (head.latest < floor) return;
    for (let number = this.#holding(key, head, floor); number <= head.last; number++) {
      const chunk = this.#chunk(key, number);
      if (!chunk) continue;
      for (const message of messagesOf(chunk)) if (message.sequence >= floor) yield message;
    }
  }

  #chunk(key: string, number: number): Chunk | undefined {
    return this.#chunks.get([this.domain, key, number]);
  }

  #write(key: string, number: number, growing: { start: number; entries: Entry[]; parts: Buffer[] }): void {
    const { start, entries, parts } = growing;
    this.#chunks.put([this.domain, key, number], { start, entries, json: Buffer.concat(parts) });
  }

  /** The number of the last chunk that begins at a sequence or before it. */
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

/** A message as it is kept. */
export interface Message {
  readonly sequence: number;
  readonly from: string;
  readonly id: string;
  /** Where its JSON is in its chunk. */
  readonly start: number;
  readonly end: number;
  readonly chunk: Chunk;
}

export function jsonOf({ chunk, start, end }: Message): string {
  return chunk.json.toString('utf8', start, end);
}

function messagesOf(chunk: Chunk): Message[] {
  let end = 0;
  return chunk.entries.map(([sequence, from, id, bytes]) => {
    const start = end;
    end += bytes;
    return { sequence, from, id, start, end, chunk };
  });
}

function changed(before: Head, after: Head): Change {
  const messages = before.count - after.count;
  return { head: after.count > 0 ? after : null, messages, bytes: before.bytes - after.bytes };
}

export interface Page<T> {
  readonly items: readonly T[];
  /** The position from which more can be read in the same direction; null: there is no more. */
  readonly next: number | null;
}

/** Takes messages as long as they are below a sequence and the page has room for them. */
export function pageOf(messages: Iterable<Message>, limit: number, below = Number.POSITIVE_INFINITY): Page<Message> {
  const items: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (message.sequence >= below) break;
    bytes += message.end - message.start;
    const isFull = items.length === limit || (items.length > 0 && bytes > PAGE_BYTES);
    if (isFull) return { items, next: items.at(-1)?.sequence ?? null };
    items.push(message);
  }
  return { items, next: null };
}
