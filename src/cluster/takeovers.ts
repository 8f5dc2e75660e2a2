/** The endpoints that this node is taking over at present, each with what waits for the end of that (orphans.ts). */
import { type Address, isOfDomain } from '../actors/address.js';
import { Fifo } from '../fifo.js';

/** How many may wait for one endpoint, and for all of them. */
export const MOST_WAITING = 2000;
export const MOST_WAITING_IN_ALL = 50_000;

/** What waits until an endpoint has been taken over; it is told whether it has to come again later. */
type Waiter = (isLater: boolean) => void;

export class Takeovers {
  readonly #open = new Map<Address, Fifo<Waiter>>();
  #waiting = 0;

  has(address: Address): boolean {
    return this.#open.has(address);
  }

  /** The endpoints of a domain. */
  of(domain: string): Address[] {
    return [...this.#open.keys()].filter((address) => isOfDomain(domain, address));
  }

  begin(address: Address): void {
    this.#open.set(address, new Fifo());
  }

  /**
   * Calls `waiter` when an endpoint is not being taken over any more. Returns false, and does not call it, where the endpoint is not being
   * taken over or too many wait.
   */
  wait(address: Address, waiter: Waiter): boolean {
    const waiting = this.#open.get(address);
    if (!waiting || waiting.length >= MOST_WAITING || this.#waiting >= MOST_WAITING_IN_ALL) return false;
    this.#waiting += 1;
    waiting.push((isLater) => {
      this.#waiting -= 1;
      waiter(isLater);
    });
    return true;
  }

  /** Where the first that waited begins the takeover anew, the others wait for its end in their turn. */
  end(address: Address, isLater: boolean): void {
    const waiting = this.#open.get(address);
    this.#open.delete(address);
    while (waiting && waiting.length > 0) {
      waiting.shift()?.(isLater);
      if (this.#open.has(address)) return void this.#open.set(address, waiting);
    }
  }
}
