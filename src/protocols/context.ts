/** What every adapter of one server is given. */
import type { Domain, Runtime } from '../actors/domain.js';
import type { ClusterNode } from '../cluster/node.js';
import type { Config } from '../config.js';
import type { ApiKeys } from './api-keys.js';
import type { ConnectionCounts } from './connection-counts.js';
import type { Strangers } from './strangers.js';

export interface Context {
  /** As last loaded: SIGHUP replaces it. */
  readonly config: () => Config;
  readonly domains: ReadonlyMap<string, Domain>;
  readonly runtime: Runtime;
  /** This node of a cluster; null: there is one node. */
  readonly node: ClusterNode | null;
  readonly connections: ConnectionCounts;
  readonly strangers: Strangers;
  readonly apiKeys: ApiKeys;
  /** True once the server lets no new clients in. */
  readonly isDraining: () => boolean;
}
