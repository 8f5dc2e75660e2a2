/** Endpoints of other nodes that list endpoints of this node: an endpoint hears of those that list it, even if it does not list them. */
import type { Address } from '../actors/address.js';
import { EMPTY, hasItem, type SmallSet, sizeOf, withItem } from '../actors/small-set.js';
import type { Tracker } from '../actors/tracker.js';

/** So many endpoints may be about to come; of those before more come, other nodes are told once more than they need. */
const MOST_COMING = 10_000;

export class RemoteWatchers {
  /** Endpoint on another node → endpoints of this node that it lists and that do not list it. */
  readonly #watched = new Map<Address, SmallSet<Address>>();
  /** Endpoints that are about to come on another node → endpoints of this node that they list there. */
  readonly #coming = new Map<Address, SmallSet<Address>>();

  constructor(private readonly domain: { readonly tracker: Pick<Tracker, 'records' | 'watchers'> }) {}

  /**
   * Another node says that an endpoint of it lists these endpoints of this node. Those that list it too are known as its watchers, nearly
   * always all of them: they list it until they go offline here, and who comes online here again is told of again.
   */
  told(address: Address, buddies: readonly Address[]): void {
    const { tracker } = this.domain;
    const { records } = tracker;
    const watchers = tracker.watchers(address);
    if (!records.has(address)) this.#comes(address, buddies);
    let known: SmallSet<Address> = this.by(address);
    for (const buddy of buddies) {
      const record = records.get(buddy);
      if (!record || !hasItem(watchers, record)) known = withItem(known, record?.address ?? buddy);
    }
    if (sizeOf(known) > 0) this.#watched.set(records.get(address)?.address ?? address, known);
  }

  #comes(address: Address, buddies: readonly Address[]): void {
    if (this.#coming.size >= MOST_COMING) this.#coming.clear();
    let listed = this.#coming.get(address) ?? EMPTY;
    for (const buddy of buddies) listed = withItem(listed, buddy);
    this.#coming.set(address, listed);
  }

  /** The endpoints of this node that an endpoint elsewhere lists, but for those that list it too. */
  by(address: Address): SmallSet<Address> {
    return this.#watched.get(address) ?? EMPTY;
  }

  forget(address: Address): void {
    this.#watched.delete(address);
  }

  /** The endpoints of this node that one which comes on another node has been said to list there; they are forgotten. */
  takeListed(address: Address): SmallSet<Address> {
    const listed = this.#coming.get(address) ?? EMPTY;
    this.#coming.delete(address);
    return listed;
  }

  /** A node may have missed something, or is gone: who was about to come may come with another list. */
  doubt(): void {
    this.#coming.clear();
  }
}
