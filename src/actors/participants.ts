/**
 * In which conversations of a history an endpoint takes part, and which conversations have messages of which time. Time is
 * cut into periods, so that a conversation that goes on costs a few records in each, however many its messages are.
 */
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Address } from './address.js';
import { type Head, SEQUENCES_PER_MS } from './conversation.js';

const PERIOD_MS = 15 * 60 * 1000;
const PERIOD_SEQUENCES = PERIOD_MS * SEQUENCES_PER_MS;
/** Conversations that are forgotten in one turn. */
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
  /** Domain, endpoint, period, conversation: those between two endpoints, in the period of their latest message. */
  readonly #conversations: Table<1>;
  /** Domain, endpoint, room: the latest period in which the endpoint has written there. */
  readonly #authors: Table<number>;
  /** Domain, period, conversation: there are messages of that time. With an endpoint behind: it has written there. */
  readonly #ages: Table<1>;

  constructor(
    store: Store,
    /** What keys begin with: the domain's part, and in the store of a cluster the node's name. */
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

  /** The latest message of a conversation is of another period than before; null: it is the first. */
  move(key: string, sides: readonly Address[], before: number | null, period: number): void {
    this.#ages.put([...this.prefix, period, key], 1);
    if (sides.length < 2) return;
    for (const side of new Set(sides)) {
      const user = part(side);
      if (before !== null) this.#conversations.remove([...this.prefix, user, before, key]);
      this.#conversations.put([...this.prefix, user, period, key], 1);
    }
  }

  /** Somebody has written in a room. */
  wrote(author: Address, key: string, period: number): void {
    const user = part(author);
    if (this.#authors.get([...this.prefix, user, key]) === period) return;
    this.#authors.put([...this.prefix, user, key], period);
    this.#ages.put([...this.prefix, period, key, user], 1);
  }

  /** Nothing of a conversation is left. */
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
      // Within a period they come in no order: it is read to its end.
      if (period !== current && (found.length >= count || Number(period) < periodOf(oldest))) break;
      current = Number(period);
      const head = find(String(key));
      if (head && head.latest < below && head.latest >= oldest) found.push({ key: String(key), head });
    }
    return found;
  }

  /** Some of the conversations of an endpoint, and of the rooms in which it has written. */
  some(user: Address): { readonly conversations: readonly string[]; readonly rooms: readonly string[] } {
    const own: Key = [...this.prefix, part(user)];
    return {
      conversations: first(this.#conversations.entries(own), SOME).map((found) => String(this.#behind(found)[2])),
      rooms: first(this.#authors.entries(own), SOME).map((found) => String(this.#behind(found)[1])),
    };
  }

  /** Conversations with messages of periods before one, the oldest first. */
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
