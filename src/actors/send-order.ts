/**
 * Keeps the order of what a sender sends while the id of one of its messages is looked up on another node: what is sent
 * meanwhile waits behind that message. Nothing waits for anybody else's, and where nothing is looked up nothing is kept.
 */
import type { Address } from './address.js';

/** Sendings of one sender that wait; beyond, they go at once, and may overtake. */
export const MOST_HELD = 10_000;

/** A place in a sender's order; `go` null: what goes here is not known yet. */
interface Place {
  go: (() => void) | null;
}

export class SendOrder {
  readonly #held = new Map<Address, Place[]>();

  /** Senders of whom something waits. */
  get size(): number {
    return this.#held.size;
  }

  /** Calls `go` in its turn: at once where nothing of the sender waits. */
  send(sender: Address, go: () => void): void {
    const places = this.#held.size === 0 ? undefined : this.#held.get(sender);
    if (!places || places.length >= MOST_HELD) go();
    else places.push({ go });
  }

  /** Keeps a place: what the sender sends from now on waits until the answer has been called, once, and has had its turn. */
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
    // A place leaves before its turn: what is sent because of it may release places too.
    for (let go = places[0]?.go; go; go = places[0]?.go) {
      places.shift();
      go();
    }
    if (places.length === 0 && this.#held.get(sender) === places) this.#held.delete(sender);
  }
}
