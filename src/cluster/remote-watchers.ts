/** Endpoints of other nodes that list endpoints of this node: an endpoint hears of those that list it, even if it does not list them. */
import type { Address } from '../actors/address.js';
import type { Tracker } from '../actors/tracker.js';

const NOBODY: ReadonlySet<Address> = new Set();

export class RemoteWatchers {
  /** Endpoint on another node → endpoints of this node that it lists. */
  readonly #watched = new Map<Address, Set<Address>>();

  constructor(private readonly domain: { readonly tracker: Pick<Tracker, 'records'> }) {}

  /** Another node says that an endpoint of it lists these endpoints of this node. */
  told(address: Address, buddies: readonly Address[]): void {
    const { records } = this.domain.tracker;
    let known = this.#watched.get(address);
    if (!known) {
      known = new Set();
      this.#watched.set(records.get(address)?.address ?? address, known);
    }
    for (const buddy of buddies) known.add(records.get(buddy)?.address ?? buddy);
  }

  /** The endpoints of this node that an endpoint elsewhere lists. */
  by(address: Address): ReadonlySet<Address> {
    return this.#watched.get(address) ?? NOBODY;
  }

  forget(address: Address): void {
    this.#watched.delete(address);
  }
}
