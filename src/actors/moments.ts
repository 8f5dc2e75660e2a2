/**
 * Rooms of an endpoint, each with the moment (stamp) at which it was entered or left: what was done later wins, on whichever
 * side of a gap that was.
 */
import { BoundedMap } from '../bounded-map.js';
import type { Address } from './address.js';

/** A room, and when it was entered or left. */
export type Moment = readonly [room: Address, stamp: number];

/** Rooms left that are remembered of one endpoint; the one left longest ago is forgotten first. */
const REMEMBERED_LEAVES = 64;

/** The rooms that an endpoint has left, with stamps. */
export class Left {
  readonly #stamps = new BoundedMap<Address, number>(() => REMEMBERED_LEAVES);

  /** When it was left last; 0: not that it is known. */
  at(room: Address): number {
    return this.#stamps.get(room) ?? 0;
  }

  leave(room: Address, stamp: number): void {
    this.#stamps.set(room, stamp);
  }

  enter(room: Address): void {
    this.#stamps.delete(room);
  }

  get moments(): readonly Moment[] {
    return [...this.#stamps];
  }
}
