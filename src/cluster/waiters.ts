/** Endpoints for which something is under way, each with the callbacks that wait for its end. */
import type { Address } from '../actors/address.js';

/** How many callbacks wait at most; further ones are called at once. */
export const MOST_WAITERS = 10_000;

export class Waiters {
  readonly #waiting = new Map<Address, (() => void)[]>();
  #count = 0;

  get size(): number {
    return this.#waiting.size;
  }

  get addresses(): Address[] {
    return [...this.#waiting.keys()];
  }

  has(address: Address): boolean {
    return this.#waiting.has(address);
  }

  begin(address: Address): void {
    if (!this.#waiting.has(address)) this.#waiting.set(address, []);
  }

  /** Calls `done` at the end; at once where nothing is under way. */
  wait(address: Address, done: () => void): void {
    const waiting = this.#waiting.get(address);
    if (!waiting || this.#count >= MOST_WAITERS) return done();
    this.#count += 1;
    waiting.push(done);
  }

  end(address: Address): void {
    const waiting = this.#waiting.get(address) ?? [];
    this.#waiting.delete(address);
    this.#count -= waiting.length;
    for (const done of waiting) done();
  }
}
