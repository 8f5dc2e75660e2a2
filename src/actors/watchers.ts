/** Which endpoints of this node list which buddies. Written by tracker.ts. */
import type { Address } from './address.js';
import type { EndpointRecord } from './endpoint-record.js';
import { lookup } from './lists.js';
import { EMPTY, type SmallSet, sizeOf, withItem, withoutItem } from './small-set.js';

export const NO_BUDDIES: readonly Address[] = [];

export class Watchers {
  /** Buddy → endpoints that list it. */
  readonly #watchers = new Map<Address, SmallSet<EndpointRecord>>();

  /** An endpoint lists further buddies; answers the new ones. */
  add(record: EndpointRecord, buddies: readonly Address[]): readonly Address[] {
    const has = lookup(record.watching);
    const added = [...new Set(buddies)].filter((buddy) => buddy !== record.address && !has(buddy));
    if (added.length === 0) return NO_BUDDIES;
    for (const buddy of added) this.#watchers.set(buddy, withItem(this.of(buddy), record));
    record.watching = record.watching.length === 0 ? added : [...record.watching, ...added];
    return added;
  }

  /** An endpoint lists nobody any more. */
  remove(record: EndpointRecord): void {
    for (const buddy of record.watching) {
      const left = withoutItem(this.of(buddy), record);
      if (sizeOf(left) === 0) this.#watchers.delete(buddy);
      else this.#watchers.set(buddy, left);
    }
    record.watching = NO_BUDDIES;
  }

  of(buddy: Address): SmallSet<EndpointRecord> {
    return this.#watchers.get(buddy) ?? EMPTY;
  }
}
