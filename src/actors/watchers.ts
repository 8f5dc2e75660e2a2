/** Which endpoints of this node list which buddies. Written by tracker.ts. */
import type { Address } from './address.js';
import type { EndpointRecord } from './endpoint-record.js';
import { EMPTY, hasItem, type SmallSet, sizeOf, withItem, withoutItem } from './small-set.js';

export const NO_BUDDIES: readonly Address[] = [];

interface Watched {
  /** The one copy of the address that all lists refer to: a copy in each list was a kilobyte for 50 buddies. */
  readonly address: Address;
  by: SmallSet<EndpointRecord>;
}

export class Watchers {
  readonly #watched = new Map<Address, Watched>();

  constructor(
    /** An address as its endpoint's record has it; where there is no record, the one given. */
    private readonly recorded: (buddy: Address) => Address,
  ) {}

  /** An endpoint lists further buddies; answers the new ones. */
  add(record: EndpointRecord, buddies: readonly Address[]): readonly Address[] {
    const added: Address[] = [];
    for (const buddy of buddies) {
      if (buddy === record.address) continue;
      const watched = this.#watch(buddy);
      if (hasItem(watched.by, record)) continue;
      watched.by = withItem(watched.by, record);
      added.push(watched.address);
    }
    if (added.length === 0) return NO_BUDDIES;
    // A copy is as long as it needs to be; a list that has grown keeps room for more.
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

  /** An address as the lists have it; where nobody lists it, the one given. */
  named(address: Address): Address {
    return this.#watched.get(address)?.address ?? address;
  }

  of(buddy: Address): SmallSet<EndpointRecord> {
    return this.#watched.get(buddy)?.by ?? EMPTY;
  }

  #watch(buddy: Address): Watched {
    let watched = this.#watched.get(buddy);
    if (!watched) {
      const address = this.recorded(buddy);
      watched = { address, by: EMPTY };
      this.#watched.set(address, watched);
    }
    return watched;
  }
}
