/** Which endpoints of this node list which buddies. Written by tracker.ts. */
import type { Address } from './address.js';
import type { EndpointRecord } from './endpoint-record.js';
import { EMPTY, hasItem, type SmallSet, sizeOf, withItem, withoutItem } from './small-set.js';

export const NO_BUDDIES: readonly Address[] = [];

/** An address that is listed, and the endpoints of this node that list it. */
export interface Watched {
  /** The one copy of the address that all lists refer to: a copy in each list was a kilobyte for 50 buddies. */
  readonly address: Address;
  watchers: SmallSet<EndpointRecord>;
}

export class Watchers {
  /** Listed addresses that have no record; all others have their watchers in it. */
  readonly #unrecorded = new Map<Address, Watched>();

  constructor(private readonly records: { get(address: Address): EndpointRecord | undefined }) {}

  /** An endpoint lists further buddies; answers the new ones. */
  add(record: EndpointRecord, buddies: readonly Address[]): readonly Address[] {
    const added: Address[] = [];
    for (const buddy of buddies) {
      if (buddy === record.address) continue;
      const watched = this.#find(buddy) ?? this.#begin(buddy);
      if (hasItem(watched.watchers, record)) continue;
      watched.watchers = withItem(watched.watchers, record);
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
      const watched = this.#find(buddy);
      if (!watched) continue;
      watched.watchers = withoutItem(watched.watchers, record);
      if (sizeOf(watched.watchers) === 0) this.#unrecorded.delete(buddy);
    }
    if (record.watching.length > 0) record.watching = NO_BUDDIES;
  }

  /** The address and the watchers that a new record of an address begins with. */
  recorded(address: Address): Watched {
    const watched = this.#unrecorded.get(address) ?? { address, watchers: EMPTY };
    this.#unrecorded.delete(address);
    return watched;
  }

  /** A record is no more; those that list its address still do. */
  unrecorded({ address, watchers }: EndpointRecord): void {
    if (sizeOf(watchers) > 0) this.#unrecorded.set(address, { address, watchers });
  }

  of(buddy: Address): SmallSet<EndpointRecord> {
    return this.#find(buddy)?.watchers ?? EMPTY;
  }

  #find(buddy: Address): Watched | undefined {
    return this.records.get(buddy) ?? this.#unrecorded.get(buddy);
  }

  #begin(address: Address): Watched {
    const watched = { address, watchers: EMPTY };
    this.#unrecorded.set(address, watched);
    return watched;
  }
}
