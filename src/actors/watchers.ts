/** Which endpoints of this node list which buddies. Written by tracker.ts. */
import type { Address } from './address.js';
import type { EndpointRecord } from './endpoint-record.js';
import { lookup } from './lists.js';
import { EMPTY, type SmallSet, sizeOf, withItem, withoutItem } from './small-set.js';

export const NO_BUDDIES: readonly Address[] = [];

interface Watched {
  /** The one copy of the address that all lists refer to: a copy in each list was a kilobyte for 50 buddies. */
  readonly address: Address;
  by: SmallSet<EndpointRecord>;
}

export class Watchers {
  readonly #watched = new Map<Address, Watched>();

  /** An endpoint lists further buddies; answers the new ones. */
  add(record: EndpointRecord, buddies: readonly Address[]): readonly Address[] {
    const has = lookup(record.watching);
    const added = [...new Set(buddies)].filter((buddy) => buddy !== record.address && !has(buddy));
    if (added.length === 0) return NO_BUDDIES;
    for (const [at, buddy] of added.entries()) {
      const watched = this.#watch(buddy);
      watched.by = withItem(watched.by, record);
      added[at] = watched.address;
    }
    // A copy is as long as it needs to be; a filtered list keeps room for more.
    record.watching = record.watching.concat(added);
    return added;
  }

  /** An endpoint lists nobody any more. */
  remove(record: EndpointRecord): void {
    for (const buddy of record.watching) {
      const watched = this.#watched.get(buddy);
      if (!watched) continue;
      watched.by = withoutItem(watched.by, record);
      if (sizeOf(watched.by) === 0) this.#watched.delete(buddy);
    }
    record.watching = NO_BUDDIES;
  }

  of(buddy: Address): SmallSet<EndpointRecord> {
    return this.#watched.get(buddy)?.by ?? EMPTY;
  }

  #watch(buddy: Address): Watched {
    let watched = this.#watched.get(buddy);
    if (!watched) {
      watched = { address: buddy, by: EMPTY };
      this.#watched.set(buddy, watched);
    }
    return watched;
  }
}
