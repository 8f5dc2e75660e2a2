/**
 * The items of an outbox in order, each under a number of its own. With a store their texts are on disk, and here is what is
 * needed to find them. In the place of items that have gone may stand how many they were.
 *
 * Each change is a write or several, of which a process that is killed leaves a beginning on disk: they are made in an
 * order in which that loses nothing and says too much rather than too little of what has gone.
 */
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Kept } from './outbox.js';

/** About as many bytes as an item takes in memory beside its text. */
const ITEM_BYTES = 120;
/** Where the name of a node is in the key of one of its items: behind the domain and the queue. */
const OWN_PART = 2;
/** So many items that have left may stay in the list. */
const MUCH = 64;

export interface Waiting {
  readonly sequence: number;
  /** Null: on disk. */
  readonly text: string | null;
  readonly bytes: number;
  /** Since when, in milliseconds since the epoch. */
  readonly at: number;
  /** Milliseconds since the epoch after which nobody is to have it; null: never. */
  readonly expiresAt: number | null;
  /** How many items that have gone it stands for; 0: it is one. */
  readonly missed: number;
  readonly note: unknown;
}

/** Under which keys an outbox has its items: in the store of a cluster each node has some of its own. */
export function outboxKey(domain: string, queue: string, store: Store | null): Key {
  const key = [part(domain), queue] as const;
  return store && store.node !== null ? [...key, store.node] : key;
}

export class OutboxQueue {
  #list: Waiting[] = [];
  /** How many at the beginning of the list have left. */
  #left = 0;
  #next = 0;
  #items = 0;
  #bytes = 0;

  constructor(
    private readonly table: Table<Kept> | null,
    private readonly prefix: Key,
    private readonly changed: (items: number, bytes: number, inMemory: number) => void,
  ) {
    for (const [key, kept] of table?.entries(prefix) ?? []) {
      const sequence = Number(key.at(-1));
      const { at } = kept;
      const base = { sequence, text: null, at, note: null };
      if ('missed' in kept) this.#add({ ...base, bytes: 0, expiresAt: null, missed: kept.missed });
      else this.#add({ ...base, bytes: Buffer.byteLength(kept.json), expiresAt: kept.expiresAt ?? null, missed: 0 });
      this.#next = sequence + 1;
    }
  }

  /** Items and the places of those that have gone. */
  get length(): number {
    return this.#list.length - this.#left;
  }

  get items(): number {
    return this.#items;
  }

  /** Bytes of the items' texts. */
  get bytes(): number {
    return this.#bytes;
  }

  get first(): Waiting | undefined {
    return this.#list[this.#left];
  }

  push(text: string, at: number, expiresAt: number | null, note: unknown): void {
    const sequence = this.#next++;
    const kept: Kept = expiresAt === null ? { json: text, at } : { json: text, at, expiresAt };
    this.table?.put(this.#key(sequence), kept);
    const bytes = Buffer.byteLength(text);
    this.#add({ sequence, text: this.table ? null : text, bytes, at, expiresAt, missed: 0, note });
  }

  /**
   * In the store of a cluster each node has items of its own, under its name, which is the last part of the prefix. Takes those of nodes
   * for which `isLeft` among its own; answers whether there were any.
   */
  takeOver(isLeft: (node: string) => boolean): boolean {
    const { table, prefix } = this;
    const queue = prefix.slice(0, -1) as unknown as Key;
    if (!table || queue.length < OWN_PART) return false;
    const left = new Map<unknown, boolean>();
    let found = false;
    for (const [key, kept] of [...table.entries(queue)]) {
      const node = key[OWN_PART];
      if (!left.has(node)) left.set(node, isLeft(String(node)));
      if (!left.get(node)) continue;
      found = true;
      // First here, then no more there: it is told twice rather than never.
      if ('json' in kept) this.push(kept.json, kept.at, kept.expiresAt ?? null, null);
      else this.miss(0, kept.missed, kept.at);
      table.remove(key);
    }
    return found;
  }

  /** Forgets the first items as far as another node has taken them, which took this one for gone. */
  dropTaken(): void {
    for (let { first } = this; first && first.text === null && this.table; { first } = this) {
      if (this.table.get(this.#key(first.sequence)) !== undefined) return;
      this.shift();
    }
  }

  /** An item's text. */
  json({ text, sequence }: Waiting): string {
    if (text !== null) return text;
    const kept = this.table?.get(this.#key(sequence));
    return kept && 'json' in kept ? kept.json : '';
  }

  /** The first items, up to so many, and up to about so many bytes in all. */
  peek(most: number, bytes: number): Waiting[] {
    const found: Waiting[] = [];
    let taken = 0;
    for (let at = this.#left; at < this.#list.length && found.length < most; at++) {
      const item = this.#list[at] as Waiting;
      taken += item.bytes;
      if (found.length > 0 && taken > bytes) break;
      found.push(item);
    }
    return found;
  }

  shift(): Waiting | undefined {
    const item = this.first;
    if (!item) return undefined;
    this.#left += 1;
    this.#forget(item);
    this.table?.remove(this.#key(item.sequence));
    if (this.#left >= MUCH && this.#left * 2 >= this.#list.length) this.#compact();
    return item;
  }

  /** Takes out the item at a place, from 0. */
  remove(place: number): Waiting | undefined {
    if (place === 0) return this.shift();
    this.#compact();
    const [item] = this.#list.splice(place, 1);
    if (!item) return undefined;
    this.#forget(item);
    this.table?.remove(this.#key(item.sequence));
    return item;
  }

  /**
   * The first item at a place or behind goes, and is counted where it stood. Answers it; undefined: there is none.
   * Of two places beside each other one is left, which counts for both.
   */
  replace(place: number): Waiting | undefined {
    let at = this.#left + place;
    const before = this.#list[at];
    const isCounted = before !== undefined && before.missed > 0;
    if (isCounted) at += 1;
    const item = this.#list[at];
    if (!item) return undefined;
    if (item.missed > 0) {
      this.#merge(at - 1);
      return this.replace(place);
    }
    this.#forget(item);
    const missed = (isCounted ? before.missed : 0) + 1;
    const stand: Waiting = { ...item, text: null, bytes: 0, expiresAt: null, missed, note: null };
    this.#list[at] = stand;
    this.#count(stand, 1);
    this.table?.put(this.#key(item.sequence), { missed, at: item.at });
    if (isCounted) this.#drop(at - 1);
    return item;
  }

  /** So many items that were never taken have gone, at the end. */
  miss(underWay: number, count: number, at: number): void {
    const last = this.length > underWay ? this.#list.at(-1) : undefined;
    if (last && last.missed > 0) {
      const stand = { ...last, missed: last.missed + count };
      this.#list[this.#list.length - 1] = stand;
      this.table?.put(this.#key(last.sequence), { missed: stand.missed, at: last.at });
      return;
    }
    const sequence = this.#next++;
    this.table?.put(this.#key(sequence), { missed: count, at });
    this.#add({ sequence, text: null, bytes: 0, at, expiresAt: null, missed: count, note: null });
  }

  /** Forgets all; answers the items that are nowhere else. */
  close(): readonly Waiting[] {
    const items = this.#list.slice(this.#left);
    for (const item of items) this.#forget(item);
    this.#list = [];
    this.#left = 0;
    return this.table ? [] : items.filter(({ missed }) => missed === 0);
  }

  /** Two places beside each other become the second. */
  #merge(at: number): void {
    const [one, two] = [this.#list[at] as Waiting, this.#list[at + 1] as Waiting];
    const missed = one.missed + two.missed;
    this.#list[at + 1] = { ...two, missed };
    this.table?.put(this.#key(two.sequence), { missed, at: two.at });
    this.#drop(at);
  }

  /** Takes a place out of the list. */
  #drop(at: number): void {
    const place = this.#list[at] as Waiting;
    this.#forget(place);
    this.table?.remove(this.#key(place.sequence));
    // Those before are under way, and few.
    for (let n = at; n > this.#left; n--) this.#list[n] = this.#list[n - 1] as Waiting;
    this.#left += 1;
    if (this.#left >= MUCH && this.#left * 2 >= this.#list.length) this.#compact();
  }

  #compact(): void {
    this.#list = this.#list.slice(this.#left);
    this.#left = 0;
  }

  #add(item: Waiting): void {
    this.#list.push(item);
    this.#count(item, 1);
  }

  #forget(item: Waiting): void {
    this.#count(item, -1);
  }

  #count({ missed, bytes }: Waiting, by: 1 | -1): void {
    const items = missed > 0 ? 0 : by;
    this.#items += items;
    this.#bytes += by * bytes;
    this.changed(items, by * bytes, by * (ITEM_BYTES + (this.table ? 0 : bytes)));
  }

  #key(sequence: number): Key {
    return [...this.prefix, sequence];
  }
}
