/**
 * Which endpoints of a domain have ever been online: messages that clients send are kept for them alone, so that nobody
 * fills the offline store with messages to ids that do not exist. Users and services are remembered on disk, as many as
 * the site has; visitors, who are new with each browser, in memory, the latest so many.
 */
import { BoundedMap } from '../bounded-map.js';
import { part } from '../store/keys.js';
import type { Store, Table } from '../store/store.js';
import type { Address } from './address.js';

const VISITORS = 100_000;

export class Seen {
  readonly #table: Table<1>;
  readonly #visitors = new BoundedMap<Address, true>(() => VISITORS);

  constructor(
    store: Store,
    /** The domain's part of keys. */
    private readonly domain: string,
  ) {
    this.#table = store.table('seen');
  }

  has(address: Address): boolean {
    return this.#visitors.has(address) || this.#table.get([this.domain, part(address)]) === 1;
  }

  add(address: Address, isVisitor: boolean): void {
    if (!isVisitor) {
      if (!this.has(address)) this.#table.put([this.domain, part(address)], 1);
      return;
    }
    this.#visitors.set(address, true);
  }
}
