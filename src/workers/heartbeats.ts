/**
 * What the workers measure, as far as it has come: each tells its parent every second. One that has not for a while, or
 * has ended, does not count.
 */
import type { Measured } from '../admin/admin.js';
import type { Interval } from '../admin/measures.js';
import type { NodeView } from '../admin/stats.js';

/** Three are missing. */
const silentMs = 3500;

export interface Heartbeat extends Interval {
  readonly node: NodeView;
  /** When it came: milliseconds of `performance.now()`. */
  readonly at: number;
}

export class Heartbeats {
  readonly #latest = new Map<string, Heartbeat>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  take(worker: string, { measures, node }: Measured): void {
    const known = this.#latest.get(worker);
    // Of another process nothing is known yet: what it has counted so far is no change.
    const before = known?.node.pid === node.pid ? known.now : measures;
    this.#latest.set(worker, { before, now: measures, node, at: this.now() });
  }

  forget(worker: string): void {
    this.#latest.delete(worker);
  }

  /** null: it does not count. */
  of(worker: string): Heartbeat | null {
    const heartbeat = this.#latest.get(worker);
    return heartbeat && this.now() - heartbeat.at <= silentMs ? heartbeat : null;
  }

  /** Those that count. */
  all(workers: readonly string[]): Heartbeat[] {
    return workers.map((worker) => this.of(worker)).filter((heartbeat) => heartbeat !== null);
  }
}
