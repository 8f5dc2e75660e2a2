/**
 * The latest measurements of each worker, which it sends to its parent every second. A worker that has ended, or has
 * sent nothing for a while, does not count.
 */
import type { Measured } from '../admin/admin.js';
import type { Interval } from '../admin/measures.js';
import type { NodeView } from '../admin/stats.js';

/** A worker of which three heartbeats are missing does not count. */
const silentMs = 3500;

export interface Heartbeat extends Interval {
  readonly node: NodeView;
  /** When the heartbeat came, in milliseconds of `performance.now()`. */
  readonly at: number;
}

export class Heartbeats {
  readonly #latest = new Map<string, Heartbeat>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  take(worker: string, { measures, node }: Measured): void {
    const known = this.#latest.get(worker);
    // The first heartbeat of a new process: what it has counted so far is no change since the one before.
    const before = known?.node.pid === node.pid ? known.now : measures;
    this.#latest.set(worker, { before, now: measures, node, at: this.now() });
  }

  forget(worker: string): void {
    this.#latest.delete(worker);
  }

  /** The latest heartbeat of a worker; null where the worker does not count. */
  of(worker: string): Heartbeat | null {
    const heartbeat = this.#latest.get(worker);
    return heartbeat && this.now() - heartbeat.at <= silentMs ? heartbeat : null;
  }

  /** The latest heartbeats of those workers that count. */
  all(workers: readonly string[]): Heartbeat[] {
    return workers.map((worker) => this.of(worker)).filter((heartbeat) => heartbeat !== null);
  }
}
