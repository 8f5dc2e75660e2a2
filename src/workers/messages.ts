/** Messages between the parent and its workers. They are structured clones: a Map arrives as a Map. */
import type { Measured } from '../admin/admin.js';
import type { Config } from '../config.js';

/** From the parent to a worker. */
export type Order =
  /** The first order: what to serve, under which name to log, and the names of the other workers. */
  | {
      readonly kind: 'start';
      readonly name: string;
      readonly config: Config;
      readonly siblings: ReadonlySet<string>;
      /** Whether the last reload was taken over. */
      readonly isReloaded: boolean;
    }
  | { readonly kind: 'reload'; readonly config: Config }
  | { readonly kind: 'refuseReload' }
  | { readonly kind: 'drain' };

/** From a worker to its parent. */
export type Report =
  /** The first report: the worker's program is loaded, and orders reach it from now on. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'started'; readonly ports: Ports }
  /** Sent each second, while the worker serves. */
  | { readonly kind: 'measured'; readonly measured: Measured }
  /** The worker cannot start, for this reason, in one line. */
  | { readonly kind: 'failed'; readonly problem: string };

/** The ports on which a worker listens; null: that port is off. */
export interface Ports {
  readonly port: number;
  readonly mqttPort: number | null;
  readonly mqttTlsPort: number | null;
  readonly adminPort: number | null;
}
