/** Opens what must outlive the process. A server that keeps nothing does not even load the native library. */
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { Store } from './store.js';

/**
 * `node`: the name of this node of a cluster, null for a server on its own. Answers null where the server keeps nothing. Waits
 * for JetStream where the cluster's store is in it. Rejects with an Error whose message is made for the operator.
 */
export async function openStore(config: Config, node: string | null, metrics: Metrics): Promise<Store | null> {
  const { data, cluster } = config;
  if (node !== null) {
    if (cluster.store === 'none') return null;
    const { openReplicated } = await import('./open-replicated.js');
    return openReplicated(config, node, metrics);
  }
  if (data === 'none') return null;
  const [{ openLmdb }, { sayUnread }] = await Promise.all([import('./lmdb.js'), import('./folder.js')]);
  sayUnread(data, 'jetstream');
  return openLmdb(data);
}
