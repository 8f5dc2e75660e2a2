/**
 * Reads a history: pages of messages and of conversations. In the store of a cluster each node has a part of its own, with the
 * messages that were dispatched there; all parts are read together, in the order of sequences.
 */
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import { type Address, shortId } from './address.js';
import { Conversations, type Head, hasId, isFrom, type Message, type Page, pageOf } from './conversation.js';
import { keyOf } from './gathering.js';
import { Participants } from './participants.js';

/** So many characters of messages are looked at for a page of conversations, which ends there, or in search of a read message. */
export const LOOKED_AT = 4_194_304;

/** Which messages of a conversation, or which conversations, to read. `before` and `after` are positions from a page's `next`. */
export interface Asked {
  readonly before: number | null;
  readonly after: number | null;
  readonly limit: number;
}

/** One conversation in a list of an endpoint's conversations. */
export interface Summary {
  /** The other endpoint, or the room. */
  readonly other: Address;
  /** The JSON of the conversation's latest message. */
  readonly last: string;
  /** How many messages of others came after the last one that the endpoint has read. */
  readonly unread: number;
}

/** One node's part of a domain's history. */
export class HistoryPart {
  readonly conversations: Conversations;
  readonly participants: Participants;

  constructor(
    store: Store,
    readonly prefix: Key,
    isOthers: boolean,
  ) {
    this.conversations = new Conversations(store, prefix, isOthers);
    this.participants = new Participants(store, prefix);
  }
}

/** One conversation together with its heads in all parts that have messages of it. */
interface Whole {
  readonly key: string;
  readonly heads: readonly (readonly [HistoryPart, Head])[];
  /** The sequence of the latest message. */
  readonly latest: number;
}

export class HistoryReading {
  readonly #reads: Table<number>;

  constructor(
    store: Store,
    /** Name of the domain. */
    private readonly name: string,
    private readonly parts: () => readonly HistoryPart[],
  ) {
    this.#reads = store.table('reads');
  }

  /** The messages of a conversation, each as its JSON, the oldest first. */
  messages(user: Address, other: Address, { before, after, limit }: Asked, oldest: number): Page<string> {
    const whole = wholeOf(keyOf(this.name, user, other), this.parts());
    const below = before ?? Number.POSITIVE_INFINITY;
    if (after === null) {
      const { items, next } = pageOf(backwards(whole, oldest, below), limit);
      return { items: items.map(({ json }) => json).reverse(), next };
    }
    const found = pageOf(forwards(whole, Math.max(after, oldest - 1)), limit, below);
    return { items: found.items.map(({ json }) => json), next: found.next };
  }

  /** The conversations of an endpoint and of the rooms that it is in, the newest first; `after` is ignored. */
  conversations(user: Address, rooms: readonly Address[], { before, limit }: Asked, oldest: number): Page<Summary> {
    const below = before ?? Number.POSITIVE_INFINITY;
    const keys = new Set(rooms.map((room) => part(room)));
    const parts = this.parts();
    // With several parts all are needed: a conversation may have a later message in another part and so belong to an earlier page.
    const count = parts.length > 1 ? Number.POSITIVE_INFINITY : limit + 1;
    for (const { participants, conversations } of parts) {
      const find = (key: string) => conversations.head(key);
      for (const { key } of participants.latest(user, { below, oldest, count }, find)) keys.add(key);
    }
    const wholes = [...keys].map((key) => wholeOf(key, parts));
    const all = wholes.filter(({ latest }) => latest < below && latest >= oldest);
    all.sort((a, b) => b.latest - a.latest);
    const looked = { characters: 0 };
    const items: Summary[] = [];
    let shown = 0;
    let last: number | null = null;
    for (const whole of all) {
      const isFull = shown >= limit || looked.characters >= LOOKED_AT;
      // Two nodes may give the same sequence in one millisecond: the next page begins behind all conversations that have it.
      if (isFull && whole.latest !== last) return { items, next: last };
      last = whole.latest;
      shown += 1;
      const summary = this.#summary(user, whole, parts, oldest, looked);
      if (summary) items.push(summary);
    }
    return { items, next: null };
  }

  /** The newest message with an id, preferably by `author`, or, where that is null, by another than `reader`; in `most` characters. */
  find(key: string, id: string, author: string | null, reader = '', most = Number.POSITIVE_INFINITY): Message | null {
    let other: Message | null = null;
    let looked = 0;
    for (const message of backwards(wholeOf(key, this.parts()), 0, Number.POSITIVE_INFINITY)) {
      looked += message.json.length;
      if (looked > most) break;
      if (!hasId(message, id)) continue;
      if (author === null ? !isFrom(message, reader) : isFrom(message, author)) return message;
      other ??= message;
    }
    return other;
  }

  #summary(
    user: Address,
    whole: Whole,
    parts: readonly HistoryPart[],
    oldest: number,
    looked: { characters: number },
  ): Summary | null {
    const own = shortId(this.name, user);
    const read = this.#readUpTo(user, whole, parts);
    let last: Message | null = null;
    let unread = 0;
    for (const message of backwards(whole, oldest, Number.POSITIVE_INFINITY)) {
      last ??= message;
      looked.characters += message.json.length;
      if (message.sequence <= read) break;
      if (!isFrom(message, own)) unread += 1;
    }
    const sides = whole.heads[0]?.[1].sides ?? [];
    const other = (sides.length === 1 ? sides[0] : (sides.find((address) => address !== user) ?? user)) as Address;
    return last && { other, last: last.json, unread };
  }

  /** The sequence up to which an endpoint has read a conversation: the highest that any node has. */
  #readUpTo(user: Address, { key, heads }: Whole, parts: readonly HistoryPart[]): number {
    let read = 0;
    for (const { prefix } of parts) read = Math.max(read, this.#reads.get([...prefix, key, part(user)]) ?? 0);
    for (const [, { sides, read: own }] of heads) read = Math.max(read, own[sides.indexOf(user)] ?? 0);
    return read;
  }
}

function wholeOf(key: string, parts: readonly HistoryPart[]): Whole {
  const heads = parts.flatMap((part) => {
    const head = part.conversations.head(key);
    return head ? [[part, head] as const] : [];
  });
  return { key, heads, latest: heads.reduce((latest, [, head]) => Math.max(latest, head.latest), -1) };
}

function backwards({ key, heads }: Whole, since: number, below: number): Iterable<Message> {
  const all = heads.map(([{ conversations }, head]) => conversations.backwards(key, head, since, below));
  return merged(all, (a, b) => a.sequence > b.sequence);
}

function forwards({ key, heads }: Whole, above: number): Iterable<Message> {
  const all = heads.map(([{ conversations }, head]) => conversations.forwards(key, head, above));
  return merged(all, (a, b) => a.sequence < b.sequence);
}

/** Merges several sorted lists of messages into a single sorted one. */
function* merged(all: readonly Iterable<Message>[], isBefore: (a: Message, b: Message) => boolean): Iterable<Message> {
  const [only] = all;
  if (only && all.length === 1) return yield* only;
  const left = all.map((one) => one[Symbol.iterator]());
  const next = left.map((one) => one.next().value as Message | undefined);
  for (;;) {
    let first = -1;
    for (const [at, message] of next.entries()) {
      if (message && (first < 0 || isBefore(message, next[first] as Message))) first = at;
    }
    if (first < 0) return;
    yield next[first] as Message;
    next[first] = left[first]?.next().value as Message | undefined;
  }
}
