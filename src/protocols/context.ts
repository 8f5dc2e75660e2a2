/** What every adapter of one server is given. */
import type { Domain, Runtime } from '../actors/domain.js';
import type { ClusterNode } from '../cluster/node.js';
import type { Config } from '../config.js';
import type { SharedState } from '../directory/shared-state.js';
import type { Usage } from '../usage/usage.js';
import type { ApiKeys } from './api-keys.js';
import type { ComingAgain } from './coming-again.js';
import type { ConnectionCounts } from './connection-counts.js';
import type { FairShare } from './fair-share.js';
import type { Gate } from './gate.js';
import type { Strangers } from './strangers.js';

/** The domains that are served, and which of them can be changed at run time. */
export interface Served {
  /** Whether the configuration has a domain. */
  isFixed(name: string): boolean;
  /** Whether what a removed domain had kept is still being removed. */
  isLeaving(name: string): boolean;
  /** All domains that are served, asked for or not; in no order. */
  names(): Iterable<string>;
  /** Called with each domain that is served from now on. */
  readonly onAdded: Set<(domain: Domain) => void>;
}

/** What became of a reload: what changed and what needs a restart, or why all stays as it was. */
export type ReloadAnswer =
  | { readonly changes: readonly string[]; readonly needRestart: readonly string[] }
  | { readonly errors: readonly string[] };

export interface Context {
  /** The configuration as last loaded: a reload replaces it. */
  readonly config: () => Config;
  /** The served domains by name: `get` makes a domain on first use, and iterating goes through those made so far only. */
  readonly domains: ReadonlyMap<string, Domain>;
  readonly served: Served;
  /** The state that is changed at run time and holds on all nodes. */
  readonly state: SharedState;
  readonly runtime: Runtime;
  /** This node of a cluster; null: there is one node. */
  readonly node: ClusterNode | null;
  readonly connections: ConnectionCounts;
  readonly strangers: Strangers;
  readonly comingAgain: ComingAgain;
  readonly apiKeys: ApiKeys;
  readonly usage: Usage;
  /** Has the calls of one domain wait where they would delay other domains. */
  readonly fair: FairShare;
  /** Reloads the configuration; null: there is no file to read. */
  readonly reload: () => ReloadAnswer | null;
  /** Opens once the server has read the state from which it goes on. */
  readonly gate: Gate;
  /** True once the server lets no new clients in. */
  readonly isDraining: () => boolean;
}
