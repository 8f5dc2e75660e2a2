/**
 * Indexes of a history: the conversations in which an endpoint takes part, and the conversations that have messages of a time.
 * Time is cut into periods, so that a conversation costs a few records in each period, however many messages it has.
 */
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Address } from './address.js';
import { type Head, SEQUENCES_PER_MS } from './conversation.js';

const PERIOD_MS = 15 * 60 * 1000;
const PERIOD_SEQUENCES = PERIOD_MS * SEQUENCES_PER_MS;
/** How many conversations, and how many rooms, are forgotten in one turn. */
const SOME = 20;

/** The period of a sequence. */
export function periodOf(sequence: number): number {
  return Math.floor(sequence / PERIOD_SEQUENCES);
}

/** The first sequence of a period. */
export function startOf(period: number): number {
  return period * PERIOD_SEQUENCES;
}

export interface Listed {
  readonly key: string;
  readonly head: Head;
}

export class Participants {
  /** Key: prefix, endpoint, period, conversation. Conversations between two endpoints, under the period of their latest message. */
  readonly #conversations: Table<1>;
  /** Key: prefix, endpoint, room. The latest period in which the endpoint has written in the room. */
  readonly #authors: Table<number>;
  /** Key: prefix, period, conversation: it has messages of that period. With an endpoint added: who has written in the room. */
  readonly #ages: Table<1>;

  constructor(
    store: Store,
    /** The beginning of all keys (prefix): the domain's part, and in the store of a cluster the node's name. */
    private readonly prefix: Key,
  ) {
    this.#conversations = store.table('participants');
    this.#authors = store.table('authors');
    this.#ages = store.table('ages');
  }

  /** The parts of a key behind the prefix. */
  #behind(key: readonly (string | number)[]): readonly (string | number | undefined)[] {
    return key.slice(this.prefix.length);
  }

  /** The latest message of a conversation is now of `period`, and was of `before`; null: the conversation is new. */
  move(key: string, sides: readonly Address[], before: number | null, period: number): void {
    this.#ages.put([...this.prefix, period, key], 1);
    if (sides.length < 2) return;
    for (const side of new Set(sides)) {
      const user = part(side);
      if (before !== null) this.#conversations.remove([...this.prefix, user, before, key]);
      this.#conversations.put([...this.prefix, user, period, key], 1);
    }
  }

  /** Notes that an endpoint has written in a room in a period. */
  wrote(author: Address, key: string, period: number): void {
    const user = part(author);
    if (this.#authors.get([...this.prefix, user, key]) === period) return;
    this.#authors.put([...this.prefix, user, key], period);
    this.#ages.put([...this.prefix, period, key, user], 1);
  }

  /** Removes a conversation of which no message is left from the lists of its endpoints. */
  remove(key: string, { sides, period }: Head): void {
    if (sides.length < 2) return;
    for (const side of new Set(sides)) this.#conversations.remove([...this.prefix, part(side), period, key]);
  }

  forgetAuthor(author: Address, key: string): void {
    this.#authors.remove([...this.prefix, part(author), key]);
  }

  /** An endpoint's conversations whose latest message is within bounds, the newest first: at least `count`, or all. */
  latest(
    user: Address,
    { below, oldest, count }: { readonly below: number; readonly oldest: number; readonly count: number },
    find: (key: string) => Head | undefined,
  ): Listed[] {
    const found: Listed[] = [];
    const from = below === Number.POSITIVE_INFINITY ? {} : { from: periodOf(below) };
    let current = -1;
    for (const [own] of this.#conversations.entries([...this.prefix, part(user)], { ...from, reverse: true })) {
      const [, period, key] = this.#behind(own);
      // Conversations of one period come in no order, so a period is always read to its end.
      if (period !== current && (found.length >= count || Number(period) < periodOf(oldest))) break;
      current = Number(period);
      const head = find(String(key));
      if (head && head.latest < below && head.latest >= oldest) found.push({ key: String(key), head });
    }
    return found;
  }

  /** Up to `SOME` of an endpoint's conversations, and up to `SOME` of the rooms in which it has written. */
  some(user: Address): { readonly conversations: readonly string[]; readonly rooms: readonly string[] } {
    const own: Key = [...this.prefix, part(user)];
    return {
      conversations: first(this.#conversations.entries(own), SOME).map((found) => String(this.#behind(found)[2])),
      rooms: first(this.#authors.entries(own), SOME).map((found) => String(this.#behind(found)[1])),
    };
  }

  /** Up to `count` conversations with messages of periods before `before`, the oldest period first. */
  due(before: number, count: number): { readonly key: string; readonly period: number }[] {
    const due: { key: string; period: number }[] = [];
    for (const [age] of this.#ages.entries(this.prefix)) {
      const [period, key, user] = this.#behind(age);
      if (Number(period) >= before || due.length >= count) break;
      if (user === undefined) due.push({ key: String(key), period: Number(period) });
    }
    return due;
  }

  /** A conversation has no messages of a period any more. */
  done(key: string, period: number): void {
    for (const [age] of [...this.#ages.entries([...this.prefix, period, key])]) {
      const [, , user] = this.#behind(age);
      this.#ages.remove(age);
      if (user === undefined) continue;
      const author: Key = [...this.prefix, String(user), key];
      if (this.#authors.get(author) === period) this.#authors.remove(author);
    }
  }
}

function first(entries: Iterable<readonly [key: readonly (string | number)[], value: unknown]>, count: number) {
  const keys: (readonly (string | number)[])[] = [];
  for (const [key] of entries) {
    keys.push(key);
    if (keys.length === count) break;
  }
  return keys;
}
