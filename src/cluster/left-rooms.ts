/** Which rooms the endpoints of this node have left, and when: another part of an endpoint may be in them still. */
import type { Address } from '../actors/address.js';
import { Left, type Moment } from '../actors/moments.js';

export class LeftRooms {
  readonly #left = new Map<Address, Left>();

  leave(address: Address, moments: readonly Moment[]): void {
    if (moments.length === 0) return;
    const left = this.#left.get(address) ?? new Left();
    this.#left.set(address, left);
    for (const [room, stamp] of moments) left.leave(room, stamp);
  }

  enter(address: Address, room: Address): void {
    this.#left.get(address)?.enter(room);
  }

  /** When an endpoint left a room; 0: it did not. */
  at(address: Address, room: Address): number {
    return this.#left.get(address)?.at(room) ?? 0;
  }

  moments(address: Address): readonly Moment[] {
    return this.#left.get(address)?.moments ?? [];
  }

  forget(address: Address): void {
    this.#left.delete(address);
  }
}
