/** Opens what must outlive the process. A server that keeps nothing does not even load the native library. */
import type { Store } from './store.js';

/** Null for `none`. Rejects with an Error whose message is made for the operator. */
export async function openStore(data: string): Promise<Store | null> {
  if (data === 'none') return null;
  const { openLmdb } = await import('./lmdb.js');
  return openLmdb(data);
}
