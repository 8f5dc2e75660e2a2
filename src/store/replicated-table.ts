/**
 * A table of a cluster's store: this node's copy of the records in JetStream, and over it this node's own writes that have not
 * come back from JetStream yet. When two nodes write the same key at once, the write that JetStream stores later wins on both
 * nodes: a node shows its own write until that comes back, and writes of others that arrive before it are older.
 */
import { pendingIn, withPending } from './overlay.js';
import { PendingWrites } from './pending-writes.js';
import type { Key, Range, Table, TableName } from './store.js';
import { subjectOf } from './wire.js';
import type { Write } from './writes.js';

type Watcher<V> = (key: Key, value: V | undefined) => void;

export class ReplicatedTable<V> implements Table<V> {
  /** This node's writes that have not come back from JetStream: the latest of each key. */
  readonly #pending = new PendingWrites();
  /** Those who watch the table, by the first part of the keys that they watch. */
  readonly #watchers = new Map<string, Set<Watcher<V>>>();

  constructor(
    private readonly name: TableName,
    private readonly copy: Table<V>,
    private readonly write: (table: TableName, subject: string, key: Key, value: unknown) => Write,
    /** Called when a write is not pending any more and its memory is free. */
    private readonly done: (write: Write) => void,
  ) {}

  put(key: Key, value: V): void {
    this.#write(key, value);
  }

  remove(key: Key): void {
    // Every node removes a record whose time is over: the removal is written only where the key still has a value.
    if (this.get(key) !== undefined) this.#write(key, undefined);
  }

  get(key: Key): V | undefined {
    if (this.#pending.size > 0) {
      const pending = this.#pending.get(subjectOf(this.name, key));
      if (pending) return pending.value as V | undefined;
    }
    return this.copy.get(key);
  }

  entries(prefix: string | Key, range: Range = {}): Iterable<readonly [Key, V]> {
    const parts: Key = typeof prefix === 'string' ? [prefix] : prefix;
    const near = this.#pending.near(parts) as Iterable<Write & { readonly value: V | undefined }>;
    return withPending(this.copy.entries(parts, range), pendingIn(near, parts, range), range);
  }

  /** Those of this node's copy, and those of its pending writes. */
  firsts(): Iterable<string> {
    return new Set([...this.copy.firsts(), ...this.#pending.firsts()]);
  }

  /** The records of this node's copy, without its pending writes, from a second part of the key on. */
  copied(first: string, from?: string | number): Iterable<readonly [Key, V]> {
    return this.copy.entries(first, from === undefined ? {} : { from });
  }

  watch(first: string, changed: Watcher<V>): () => void {
    const watchers = this.#watchers.get(first) ?? new Set();
    this.#watchers.set(first, watchers.add(changed));
    return () => {
      watchers.delete(changed);
      if (watchers.size === 0 && this.#watchers.get(first) === watchers) this.#watchers.delete(first);
    };
  }

  #tell(key: Key, value: V | undefined): void {
    for (const watcher of this.#watchers.get(key[0]) ?? []) watcher(key, value);
  }

  isLatest({ subject, number }: Write): boolean {
    return this.#pending.get(subject)?.number === number;
  }

  /** A write of this node, its `number`th, has come back from JetStream. */
  confirmed(subject: string, number: number, key: Key, value: V | undefined): void {
    this.#copy(key, value);
    const pending = this.#pending.get(subject);
    if (pending?.number === number) this.forget(pending);
  }

  /** A write of another node, stored by JetStream under `sequence`, has come. */
  told(subject: string, key: Key, value: V | undefined, sequence: number): void {
    this.#copy(key, value);
    const pending = this.#pending.get(subject);
    if (pending) {
      pending.heard = sequence;
      return this.#compare(pending);
    }
    this.#tell(key, value);
  }

  /** JetStream has acknowledged a write of this node. */
  acknowledged(write: Write): void {
    if (this.#pending.get(write.subject) === write) this.#compare(write);
  }

  /** Forgets a write of this node that another node's later write has replaced in JetStream: it may never come back. */
  #compare(write: Write): void {
    if (write.sequence === 0 || write.heard < write.sequence) return;
    this.forget(write);
    this.#tell(write.key, this.copy.get(write.key));
  }

  /** From now on the table shows its copy's value in place of this write. */
  forget(write: Write): void {
    if (this.#pending.get(write.subject) !== write) return;
    this.#pending.delete(write);
    this.done(write);
  }

  #copy(key: Key, value: V | undefined): void {
    if (value === undefined) this.copy.remove(key);
    else this.copy.put(key, value);
  }

  #write(key: Key, value: V | undefined): void {
    const subject = subjectOf(this.name, key);
    const before = this.#pending.get(subject);
    const write = this.write(this.name, subject, key, value);
    this.#pending.set(write);
    if (before) this.done(before);
  }
}
