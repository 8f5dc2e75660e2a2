/** Puts the store of a cluster together from JetStream and this node's copy of the records in JetStream. */
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { JetStream } from '../cluster/jetstream.js';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import { removeLeft } from './folder.js';
import { openLmdb } from './lmdb.js';
import { ReplicatedStore } from './replicated.js';
import type { Store } from './store.js';

/** The folder of a node's copy of the records in JetStream: in the data folder, or without one in the system's temporary folder. */
function folderOf(data: string, node: string): string {
  if (data === 'none') {
    // Of containers that share the folder, one does not see the processes of another.
    const prefix = `nextalk-copy-${hostname()}-`;
    removeLeft(tmpdir(), prefix);
    return mkdtempSync(join(tmpdir(), prefix));
  }
  const folder = join(data, `copy-${node}`);
  rmSync(folder, { recursive: true, force: true });
  return folder;
}

/** Opens the store of a cluster on one of its nodes; resolves when the node's copy holds every record. */
export async function openReplicated({ data, cluster }: Config, node: string, metrics: Metrics): Promise<Store> {
  const folder = folderOf(data, node);
  const copy = openLmdb(folder, { isScratch: true });
  const { nats: urls, name, replicas } = cluster;
  const { conditions, jetstream: numbers } = metrics;
  const keeps = 'offline messages, history and what operators have made';
  const jetstream = new JetStream({ urls, cluster: name, node, replicas, keeps, conditions, metrics: numbers });
  const store = new ReplicatedStore(jetstream, copy, node, (writes, bytes) => {
    numbers.waiting = writes;
    numbers.waitingBytes = bytes;
  });
  store.onClosed = () => rmSync(folder, { recursive: true, force: true });
  await store.open();
  return store;
}
