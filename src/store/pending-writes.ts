/** The pending writes of a table: by subject, and by the first two parts of their keys, so that a range looks at no others. */
import type { Key } from './store.js';
import type { Write } from './writes.js';

type Group = Map<string, Write>;

export class PendingWrites {
  readonly #bySubject: Group = new Map();
  /** By the first part of the key, then by the second. */
  readonly #groups = new Map<string, Map<string | number, Group>>();

  get size(): number {
    return this.#bySubject.size;
  }

  get(subject: string): Write | undefined {
    return this.#bySubject.get(subject);
  }

  /** Adds a write in place of an earlier one of its key. */
  set(write: Write): void {
    const { subject, key } = write;
    const [first, second = ''] = key;
    this.#bySubject.set(subject, write);
    const groups = this.#groups.get(first) ?? new Map<string | number, Group>();
    this.#groups.set(first, groups);
    const group: Group = groups.get(second) ?? new Map();
    groups.set(second, group.set(subject, write));
  }

  delete({ subject, key }: Write): void {
    const [first, second = ''] = key;
    this.#bySubject.delete(subject);
    const groups = this.#groups.get(first);
    const group = groups?.get(second);
    group?.delete(subject);
    if (group?.size === 0) groups?.delete(second);
    if (groups?.size === 0) this.#groups.delete(first);
  }

  /** The first parts of the keys of all writes. */
  firsts(): Iterable<string> {
    return this.#groups.keys();
  }

  /** The writes whose keys have the first part of a prefix, and its second one where it has two. */
  *near([first, second]: Key): Iterable<Write> {
    const groups = this.#groups.get(first);
    if (second !== undefined) yield* groups?.get(second)?.values() ?? [];
    else for (const group of groups?.values() ?? []) yield* group.values();
  }
}
