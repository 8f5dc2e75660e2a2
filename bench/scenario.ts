/** What a scenario is, and what it is given. */
import type { OpenPairs } from './rigs/pairs.js';

/**
 * What can be measured: this server, the same with a data folder and with a history besides, an older build of it, and its
 * peers.
 */
export type TargetName =
  | 'nextalk'
  | 'data'
  | 'history'
  | 'before'
  | 'uws'
  | 'ws'
  | 'socketio'
  | 'nchan'
  | 'mosquitto'
  | 'aedes'
  | 'none';

/** What the conductor tells a load generator about the server it started. */
export interface Job {
  readonly scenario: string;
  readonly target: TargetName;
  /** HTTP and WebSocket; for a broker, MQTT over TCP. */
  readonly port: number;
  /** MQTT over TCP, 0 where there is none. */
  readonly mqttPort: number;
  /** The server's processes, whose CPU and memory count. */
  readonly pids: readonly number[];
  readonly quick: boolean;
  /** The server speaks TLS on its port. */
  readonly tls: boolean;
  /** Our WebSockets keep a position, and confirm. */
  readonly positions: boolean;
  /** Messages a second to offer, where a scenario measures at a fixed load. */
  readonly offered: number;
}

/** How servers that are up at the same time take turns. */
export interface Turns {
  readonly windows: number;
  readonly windowMs: number;
}

/** What a load generator does: one server's job, or those of servers that take turns. */
export interface Work {
  readonly jobs: readonly Job[];
  readonly turns?: Turns;
}

/** One number of one run. `mode` tells rows of one scenario apart: `1`, `burst`, `1k`. */
export interface Figure {
  readonly mode: string;
  readonly metric: Metric;
  readonly value: number;
}

/** The closed list of what is measured; `results.ts` says how each is written and which way is better. */
export type Metric =
  | 'rate'
  | 'cost'
  | 'server'
  | 'generator'
  | 'others'
  | 'idle'
  | 'p50'
  | 'p99'
  | 'p999'
  | 'memory'
  | 'uncollected'
  | 'seconds'
  | 'late';

export interface Context extends Job {
  /** Ends the server and starts a new one on the same ports. */
  restart(): Promise<Context>;
}

/** Messages a second, or a share of what the slowest server takes; neither: as many as the senders' connections bring. */
export interface PairedLoad {
  readonly mode: string;
  readonly rate?: number;
  readonly share?: number;
}

/** What is measured of servers that take turns: pairs of a sender and a receiver, under each load. */
export interface Paired {
  readonly targets: readonly TargetName[];
  readonly pairs: number;
  readonly open: OpenPairs;
  readonly loads: readonly PairedLoad[];
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** In the order of the table. The first is ours. */
  readonly targets: readonly TargetName[];
  /** Servers can be told to collect garbage, because resident memory is measured. */
  readonly collects?: boolean;
  /** Over TLS. */
  readonly tls?: boolean;
  /** Further flags for our server. */
  readonly flags?: readonly string[];
  /** Offers this share of what the slowest target reaches in another scenario. */
  readonly offers?: { readonly share: number; readonly of: string; readonly mode: string };
  /** Can be measured in turns (`--paired`). */
  readonly paired?: Paired;
  /** Runs in the load generator. Every wait in it is bounded by the conductor's limit for a run. */
  run(context: Context): Promise<Figure[]>;
}
