/**
 * Keeps the order of a sender's packets while the id of one of its messages is looked up on another node: packets that the
 * sender sends meanwhile wait behind that message. Other senders do not wait, and without a lookup nothing is stored here.
 */
import type { Address } from './address.js';

/** So many packets of one sender wait at most; further ones are sent at once, and may overtake those that wait. */
export const MOST_HELD = 10_000;

/** A place in a sender's order; `go` sends what is at that place, and is null until the lookup has been answered. */
interface Place {
  go: (() => void) | null;
}

export class SendOrder {
  readonly #held = new Map<Address, Place[]>();

  /** How many senders have packets that wait. */
  get size(): number {
    return this.#held.size;
  }

  /** Whether nothing of anybody waits: then what is sent now needs no place. */
  get isFree(): boolean {
    return this.#held.size === 0;
  }

  /** Calls `go` after all that the sender sent before: at once where nothing of the sender waits. */
  send(sender: Address, go: () => void): void {
    const places = this.#held.size === 0 ? undefined : this.#held.get(sender);
    if (!places || places.length >= MOST_HELD) go();
    else places.push({ go });
  }

  /** Reserves a place: later packets of the sender wait until the returned function was called, once, and its `go` has run. */
  hold(sender: Address): (go: () => void) => void {
    const places = this.#held.get(sender) ?? [];
    if (places.length >= MOST_HELD) return (go) => go();
    const place: Place = { go: null };
    places.push(place);
    this.#held.set(sender, places);
    return (go) => {
      place.go = go;
      this.#release(sender, places);
    };
  }

  #release(sender: Address, places: Place[]): void {
    // The place is removed before `go` runs, since `go` may cause further calls of this function.
    for (let go = places[0]?.go; go; go = places[0]?.go) {
      places.shift();
      go();
    }
    if (places.length === 0 && this.#held.get(sender) === places) this.#held.delete(sender);
  }
}
