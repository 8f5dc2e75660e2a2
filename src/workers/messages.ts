/** What the parent and its workers tell each other. Structured clones: a Map arrives as a Map. */
import type { Measured } from '../admin/admin.js';
import type { Config } from '../config.js';

/** From the parent to a worker. */
export type Order =
  /** The first one: what to serve, under which name it logs, and the names of the other workers. */
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
  /** The first one: its program is loaded, and it hears orders from now on. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'started'; readonly ports: Ports }
  /** Each second, while it serves. */
  | { readonly kind: 'measured'; readonly measured: Measured }
  /** It cannot start: why, in one line. */
  | { readonly kind: 'failed'; readonly problem: string };

/** Where a worker listens; null: off. */
export interface Ports {
  readonly port: number;
  readonly mqttPort: number | null;
  readonly mqttTlsPort: number | null;
  readonly adminPort: number | null;
}
