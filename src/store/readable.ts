/** Values of LMDB as they are read one by one: one that cannot be decoded costs itself alone. */
import { damaged } from '../damaged.js';

/** The values that `records` can decode. `kind`, `key`: what the log says of the others. */
export function* readable<V>(records: Iterable<V>, kind: string, key: string): Iterable<V> {
  const iterator = records[Symbol.iterator]();
  const next = () => decoded(() => iterator.next(), kind, key);
  try {
    for (let step = next(); !step?.done; step = next()) if (step) yield step.value;
  } finally {
    iterator.return?.();
  }
}

/** What `read` returns; undefined where that cannot be decoded. */
export function decoded<V>(read: () => V, kind: string, key: string): V | undefined {
  try {
    return read();
  } catch (error) {
    // Where LMDB itself fails, which it says by a code, there is nothing more to be read.
    if ((error as { readonly code?: unknown }).code !== undefined) throw error;
    damaged(kind, key);
    return undefined;
  }
}
