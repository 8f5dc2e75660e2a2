/**
 * The items of an outbox in order, each under a number of its own. With a store their texts are on disk, and only what finds
 * them is in memory. Items that have gone may leave an entry in their place that counts them.
 *
 * A change may take several writes, of which a killed process leaves only the first ones on disk: their order is such that then
 * no item is lost, and rather too many than too few items are counted as gone.
 */
import { damaged } from '../damaged.js';
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Kept } from './outbox.js';
import { markOf } from './packet.js';

/** About as many bytes as an item takes in memory beside its text, and one that carries a message takes besides. */
const ITEM_BYTES = 120;
const MESSAGE_BYTES = 100;
/** The place of the node's name in the key of an item in the store of a cluster: behind the domain and the queue. */
const OWN_PART = 2;
/** So many items that have left may stay at the beginning of the list before it is compacted. */
const MUCH = 64;

export interface Waiting {
  readonly sequence: number;
  /** The item's text; null: it is on disk. */
  readonly text: string | null;
  readonly bytes: number;
  /** When the item came, in milliseconds since the epoch. */
  readonly at: number;
  /** Milliseconds since the epoch after which the item is not sent any more; null: it does not expire. */
  readonly expiresAt: number | null;
  /** How many gone items this entry stands for; 0: it is an item itself. */
  readonly missed: number;
  /** The mark of the message that the item carries; 0: it carries none. */
  readonly mark: number;
  /** Whether its message was deleted while the item was under way: it is not sent again. */
  readonly isDeleted?: true;
  readonly note: unknown;
}

/** The beginning of the keys of an outbox's items; in the store of a cluster it ends with the node, since each has items of its own. */
export function outboxKey(domain: string, queue: string, store: Store | null): Key {
  const key = [part(domain), queue] as const;
  return store && store.node !== null ? [...key, store.node] : key;
}

function isKept(value: unknown): value is Kept {
  const { at, missed, json, mark } = Object(value) as Readonly<Record<string, unknown>>;
  const isItem = typeof json === 'string' && typeof mark === 'number';
  return typeof at === 'number' && (isItem || typeof missed === 'number');
}

export class OutboxQueue {
  #list: Waiting[] = [];
  /** The sequences of items, by the marks of the messages that they carry. */
  readonly #ofMessages = new Map<number, number[]>();
  /** How many entries at the beginning of the list have left. */
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
      this.#next = sequence + 1;
      if (!isKept(kept)) {
        damaged('webhook', key.join(' '));
        continue;
      }
      const { at } = kept;
      const base = { sequence, text: null, at, note: null };
      if ('missed' in kept) this.#add({ ...base, bytes: 0, expiresAt: null, missed: kept.missed, mark: 0 });
      else {
        const { json, expiresAt = null, mark } = kept;
        this.#add({ ...base, bytes: Buffer.byteLength(json), expiresAt, missed: 0, mark });
      }
    }
  }

  /** How many entries wait: items, and entries that stand for items that have gone. */
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

  push(text: string, at: number, expiresAt: number | null, name: string, note: unknown): void {
    this.#push(text, at, expiresAt, markOf(name), note);
  }

  #push(text: string, at: number, expiresAt: number | null, mark: number, note: unknown): void {
    const sequence = this.#write(text, at, expiresAt, mark);
    const bytes = Buffer.byteLength(text);
    this.#add({ sequence, text: this.table ? null : text, bytes, at, expiresAt, missed: 0, mark, note });
  }

  /** Writes an item to disk, where the next start finds it. `name`: of the message that it carries; empty: it carries none. */
  write(text: string, at: number, expiresAt: number | null, name: string): void {
    this.#write(text, at, expiresAt, markOf(name));
  }

  #write(text: string, at: number, expiresAt: number | null, mark: number): number {
    const sequence = this.#next++;
    const kept: Kept = expiresAt === null ? { json: text, at, mark } : { json: text, at, mark, expiresAt };
    this.table?.put(this.#key(sequence), kept);
    return sequence;
  }

  get isOnDisk(): boolean {
    return this.table !== null;
  }

  /**
   * Takes over the items of nodes for which `isLeft` answers true: in the store of a cluster each node has items of its own, under
   * its name, which is the last part of the prefix. Answers whether there were any.
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
      // Added under this node's name before it is removed under the other's: a kill in between sends it twice rather than never.
      if ('json' in kept) {
        this.#push(kept.json, kept.at, kept.expiresAt ?? null, kept.mark, null);
      } else this.miss(0, kept.missed, kept.at);
      table.remove(key);
    }
    return found;
  }

  /** Forgets the first items that another node has taken over because it believed that this node was gone. */
  dropTaken(): void {
    for (let { first } = this; first && first.text === null && this.table; { first } = this) {
      if (this.table.get(this.#key(first.sequence)) !== undefined) return;
      this.shift();
    }
  }

  /** The sequences of the items that carry the message of this name. */
  ofMessage(name: string): readonly number[] {
    return this.#ofMessages.get(markOf(name))?.slice() ?? [];
  }

  /** The sequences of all entries that wait now, in order; those that have left meanwhile are passed over. */
  *sequences(): Iterable<number> {
    const end = this.#next;
    for (let item = this.first; item && item.sequence < end; item = this.#list[this.#from(item.sequence + 1)]) {
      yield item.sequence;
    }
  }

  /** The place of an entry, counted from 0; -1: it has left. */
  placeOf(sequence: number): number {
    const at = this.#from(sequence);
    return this.#list[at]?.sequence === sequence ? at - this.#left : -1;
  }

  /** The entry at a place. */
  at(place: number): Waiting | undefined {
    return this.#list[this.#left + place];
  }

  /** The index in the list of the first entry whose sequence is not below `sequence`. */
  #from(sequence: number): number {
    let [low, high] = [this.#left, this.#list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[middle] as Waiting).sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Takes out the entry at any place. */
  removeAnywhere(place: number): Waiting | undefined {
    if (place < MUCH) return this.remove(place);
    const [item] = this.#list.splice(this.#left + place, 1);
    if (item) this.#leave(item);
    return item;
  }

  /** The message of an item that is under way was deleted: the item is not on disk any more, and stays until its POST is answered. */
  markDeleted(place: number): void {
    const item = this.at(place) as Waiting;
    this.#list[this.#left + place] = { ...item, isDeleted: true };
    this.table?.remove(this.#key(item.sequence));
  }

  /** Takes out those of the first `most` entries whose messages were deleted while they were under way. */
  takeDeleted(most: number): Waiting[] {
    const gone: Waiting[] = [];
    for (let place = 0; place < most - gone.length; ) {
      const item = this.at(place);
      if (!item) break;
      if (!item.isDeleted) place += 1;
      else gone.push(this.remove(place) as Waiting);
    }
    return gone;
  }

  /** An item's text. */
  json({ text, sequence }: Waiting): string {
    if (text !== null) return text;
    const kept = this.table?.get(this.#key(sequence));
    return kept && 'json' in kept ? kept.json : '';
  }

  /** The first entries, at most `most` of them and about `bytes` bytes in all. */
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
    return this.remove(0);
  }

  /** Takes out the entry at a place, counted from 0; the entries before it are to be few. */
  remove(place: number): Waiting | undefined {
    const item = this.#list[this.#left + place];
    if (item) this.#drop(this.#left + place);
    return item;
  }

  /**
   * Drops the first item at a place or behind it, and leaves an entry there that counts it. Answers the item; undefined: there is
   * none. Adjacent entries for items that have gone become one, which counts for both.
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
    const stand: Waiting = { ...item, text: null, bytes: 0, expiresAt: null, missed, mark: 0, note: null };
    this.#list[at] = stand;
    this.#count(stand, 1);
    this.table?.put(this.#key(item.sequence), { missed, at: item.at });
    if (isCounted) this.#drop(at - 1);
    return item;
  }

  /** Adds an entry at the end for `count` items that were never taken in, or counts them in the last entry unless it is under way. */
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
    this.#add({ sequence, text: null, bytes: 0, at, expiresAt: null, missed: count, mark: 0, note: null });
  }

  /** Forgets all entries in memory; answers the items that are not on disk. */
  close(): readonly Waiting[] {
    const items = this.#list.slice(this.#left);
    for (const item of items) this.#forget(item);
    this.#list = [];
    this.#left = 0;
    return this.table ? [] : items.filter(({ missed, isDeleted }) => missed === 0 && !isDeleted);
  }

  /** Merges two adjacent entries for items that have gone into the second. */
  #merge(at: number): void {
    const [one, two] = [this.#list[at] as Waiting, this.#list[at + 1] as Waiting];
    const missed = one.missed + two.missed;
    this.#list[at + 1] = { ...two, missed };
    this.table?.put(this.#key(two.sequence), { missed, at: two.at });
    this.#drop(at);
  }

  /** Takes the entry at an index out of the list. */
  #drop(at: number): void {
    this.#leave(this.#list[at] as Waiting);
    // The entries before it are under way and few, so they are moved rather than those behind.
    for (let n = at; n > this.#left; n--) this.#list[n] = this.#list[n - 1] as Waiting;
    this.#left += 1;
    if (this.#left >= MUCH && this.#left * 2 >= this.#list.length) this.#compact();
  }

  /** An entry that is taken out of the list is forgotten on disk, too. */
  #leave(item: Waiting): void {
    this.#forget(item);
    this.table?.remove(this.#key(item.sequence));
  }

  #compact(): void {
    this.#list = this.#list.slice(this.#left);
    this.#left = 0;
  }

  #add(item: Waiting): void {
    this.#list.push(item);
    this.#count(item, 1);
    if (item.mark === 0) return;
    const known = this.#ofMessages.get(item.mark);
    if (known) known.push(item.sequence);
    else this.#ofMessages.set(item.mark, [item.sequence]);
  }

  #forget(item: Waiting): void {
    const { mark, sequence } = item;
    this.#count(item, -1);
    const known = this.#ofMessages.get(mark);
    if (known) known.splice(known.indexOf(sequence), 1);
    if (known?.length === 0) this.#ofMessages.delete(mark);
  }

  #count({ missed, bytes, mark }: Waiting, by: 1 | -1): void {
    const items = missed > 0 ? 0 : by;
    const inMemory = ITEM_BYTES + (mark === 0 ? 0 : MESSAGE_BYTES) + (this.table ? 0 : bytes);
    this.#items += items;
    this.#bytes += by * bytes;
    this.changed(items, by * bytes, by * inMemory);
  }

  #key(sequence: number): Key {
    return [...this.prefix, sequence];
  }
}
