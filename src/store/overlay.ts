/** Lays pending writes over stored records: a table shows a write at once, although it is stored only later. */
import { beginsWith, compareKeys } from './keys.js';
import type { Key, Range } from './store.js';

export interface Pending<V> {
  readonly key: Key;
  /** undefined where the write removes the key. */
  readonly value: V | undefined;
}

/** The pending writes within a range of keys, in the range's order. Goes through all of `writes`. */
export function pendingIn<P extends Pending<unknown>>(
  writes: Iterable<P>,
  prefix: Key,
  { from, reverse = false }: Range,
): P[] {
  const direction = reverse ? -1 : 1;
  const isWithin = ({ key }: P): boolean =>
    beginsWith(key, prefix) &&
    (from === undefined || compareKeys([...prefix, key[prefix.length] as string], [...prefix, from]) * direction >= 0);
  return [...writes].filter(isWithin).sort((a, b) => compareKeys(a.key, b.key) * direction);
}

/** The stored records of a range, with its pending writes put in or in their place; `stored` and `pending` are in the range's order. */
export function* withPending<V>(
  stored: Iterable<readonly [Key, V]>,
  pending: readonly Pending<V>[],
  { reverse = false }: Range,
): Iterable<readonly [Key, V]> {
  const direction = reverse ? -1 : 1;
  const left = pending.values();
  const after = (): Pending<V> | undefined => left.next().value;
  let next = after();
  for (const record of stored) {
    for (; next && compareKeys(next.key, record[0]) * direction < 0; next = after()) yield* there(next);
    if (next && compareKeys(next.key, record[0]) === 0) {
      yield* there(next);
      next = after();
    } else yield record;
  }
  for (; next; next = after()) yield* there(next);
}

function* there<V>({ key, value }: Pending<V>): Iterable<readonly [Key, V]> {
  if (value !== undefined) yield [key, value];
}
