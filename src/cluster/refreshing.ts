/**
 * Has records of endpoints written again that JetStream would forget before long (ticket-records.ts): an endpoint may be online for weeks
 * without a change, and be on a node that is killed then.
 */
import { type Clock, Timers } from '../clock.js';
import { inSlices } from '../slices.js';
import type { ClusteredDomain } from './domain.js';
import type { ClusterJournal } from './journal.js';
import type { TicketRecords } from './ticket-records.js';

/** How often records are looked through, and how many are written again at most then: those of one start fall due together. */
export const EVERY_MS = 10 * 60_000;
export const MOST = 1000;

export interface RefreshingOptions {
  readonly clock: Pick<Clock, 'after'>;
  readonly domains: ReadonlyMap<string, Pick<ClusteredDomain, 'tracker'>>;
  readonly records: Pick<TicketRecords, 'isWritten'>;
  /** By the names of their domains. */
  readonly journals: ReadonlyMap<string, Pick<ClusterJournal, 'writes' | 'changed'>>;
}

export class Refreshing {
  readonly #timers: Timers;

  constructor(private readonly options: RefreshingOptions) {
    this.#timers = new Timers(options.clock);
    this.#wait();
  }

  close(): void {
    this.#timers.close();
  }

  #wait(): void {
    this.#timers.after(EVERY_MS, () => inSlices(this.#refresh(), () => this.#wait()));
  }

  *#refresh(): Generator<void> {
    const { domains, records, journals } = this.options;
    let left = MOST;
    for (const [name, { tracker }] of domains) {
      const journal = journals.get(name);
      if (!journal?.writes) continue;
      for (const { address, actor, birth } of tracker.here()) {
        if (birth > 0 && !records.isWritten(name, address)) {
          journal.changed(address, actor);
          left -= 1;
        }
        if (left === 0) return;
        yield;
      }
    }
  }
}
