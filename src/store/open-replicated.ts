/** Puts the store of a cluster together: JetStream, and this node's copy of what it has. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JetStream } from '../cluster/jetstream.js';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import { openLmdb } from './lmdb.js';
import { ReplicatedStore } from './replicated.js';
import type { Store } from './store.js';

/** Where a node has its copy of what JetStream has: in the data folder, or where the system has what passes. */
function folderOf(data: string, node: string): string {
  if (data === 'none') return mkdtempSync(join(tmpdir(), 'nextalk-copy-'));
  const folder = join(data, `copy-${node}`);
  rmSync(folder, { recursive: true, force: true });
  return folder;
}

/** Opens the store of a cluster for one of its nodes; resolves when the node has all of it. */
export async function openReplicated({ data, cluster }: Config, node: string, metrics: Metrics): Promise<Store> {
  const folder = folderOf(data, node);
  const copy = openLmdb(folder, { isScratch: true });
  const { nats: urls, name, replicas } = cluster;
  const { conditions, jetstream: numbers } = metrics;
  const jetstream = new JetStream({ urls, cluster: name, node, replicas, conditions, metrics: numbers });
  const store = new ReplicatedStore(jetstream, copy, node, (writes, bytes) => {
    numbers.waiting = writes;
    numbers.waitingBytes = bytes;
  });
  store.onClosed = () => rmSync(folder, { recursive: true, force: true });
  await store.open();
  return store;
}
