/**
 * Sets that are small nearly always. One is a list as long as it needs to be, which is replaced when it changes (a list
 * that grows in place keeps room for 16 more, a Set takes 200 bytes), and a Set from 65 items on.
 */
export type SmallSet<T> = readonly T[] | Set<T>;

/** Above this many items a set is a Set: entering or leaving a list of n is a copy of n. */
const LIST_LIMIT = 64;

/** The empty set, shared. */
export const EMPTY: readonly never[] = [];

export function sizeOf(set: SmallSet<unknown>): number {
  return set instanceof Set ? set.size : set.length;
}

export function hasItem<T>(set: SmallSet<T>, item: T): boolean {
  return set instanceof Set ? set.has(item) : set.includes(item);
}

/** Answers the set with the item in it: another one, or the one given. */
export function withItem<T>(set: SmallSet<T>, item: T): SmallSet<T> {
  if (set instanceof Set) return set.add(item);
  if (set.includes(item)) return set;
  const more = set.concat([item]);
  return more.length > LIST_LIMIT ? new Set(more) : more;
}

/** Answers the set without the item: another one, or the one given. */
export function withoutItem<T>(set: SmallSet<T>, item: T): SmallSet<T> {
  if (set instanceof Set) {
    set.delete(item);
    return set;
  }
  const at = set.indexOf(item);
  return at < 0 ? set : set.toSpliced(at, 1);
}
