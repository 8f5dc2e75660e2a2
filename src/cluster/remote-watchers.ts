/** Endpoints of other nodes that list endpoints of this node: an endpoint hears of those that list it, even if it does not list them. */
import type { Address } from '../actors/address.js';
import { EMPTY, type SmallSet, withItem } from '../actors/small-set.js';
import type { Tracker } from '../actors/tracker.js';

export class RemoteWatchers {
  /** Endpoint on another node → endpoints of this node that it lists. */
  readonly #watched = new Map<Address, SmallSet<Address>>();

  constructor(private readonly domain: { readonly tracker: Pick<Tracker, 'records'> }) {}

  /** Another node says that an endpoint of it lists these endpoints of this node. */
  told(address: Address, buddies: readonly Address[]): void {
    const { records } = this.domain.tracker;
    let known: SmallSet<Address> = this.by(address);
    for (const buddy of buddies) known = withItem(known, records.get(buddy)?.address ?? buddy);
    this.#watched.set(records.get(address)?.address ?? address, known);
  }

  /** The endpoints of this node that an endpoint elsewhere lists. */
  by(address: Address): SmallSet<Address> {
    return this.#watched.get(address) ?? EMPTY;
  }

  forget(address: Address): void {
    this.#watched.delete(address);
  }
}
