/**
 * Which rooms of a domain are the largest, without looking at all of them: rooms lie in groups of similar size, from a
 * power of two to the next, and change their group seldom. Written by the rooms' own actors, read by all.
 */
import type { Address } from './address.js';

export interface RoomSize {
  readonly address: Address;
  readonly members: number;
}

/** One room's own entry. */
export interface SizedRoom {
  readonly address: Address;
  members: number;
}

/** Of a group that is not wanted whole, only so many are looked at: then the smallest of the answer are any of theirs. */
const LOOKED_AT = 10_000;

function groupOf(members: number): number {
  return 32 - Math.clz32(members);
}

export class RoomSizes {
  /** By the bits of the number of members. */
  readonly #groups: Set<SizedRoom>[] = Array.from({ length: 33 }, () => new Set());

  change(room: SizedRoom, members: number): void {
    const [before, after] = [groupOf(room.members), groupOf(members)];
    room.members = members;
    if (before === after) return;
    this.#groups[before]?.delete(room);
    if (members > 0) this.#groups[after]?.add(room);
  }

  /** The largest, in order. */
  largest(count: number): RoomSize[] {
    const found: SizedRoom[] = [];
    for (let group = this.#groups.length - 1; group > 0 && found.length < count; group--) {
      let looked = 0;
      for (const room of this.#groups[group] ?? []) {
        if (++looked > LOOKED_AT) break;
        found.push(room);
      }
    }
    found.sort((a, b) => b.members - a.members);
    return found.slice(0, count).map(({ address, members }) => ({ address, members }));
  }
}
