/**
 * Which rooms of a domain are the largest, without looking at all of them: rooms lie in groups of similar size, from a
 * power of two to the next, and change their group seldom. Members on all nodes count. Written by rooms.ts, read by all.
 */
import type { DomainMetrics } from '../metrics.js';
import type { Address } from './address.js';

export interface RoomSize {
  readonly address: Address;
  readonly members: number;
}

/** The entry of one room. */
export interface SizedRoom {
  readonly address: Address;
  size: number;
}

/** So many rooms of one group are looked at: in a larger group the smallest of the answer may be any of its rooms. */
const LOOKED_AT = 10_000;

function groupOf(members: number): number {
  return 32 - Math.clz32(members);
}

export class RoomSizes {
  /** The rooms of each group, by the number of bits of their number of members. */
  readonly #groups: Set<SizedRoom>[] = Array.from({ length: 33 }, () => new Set());

  constructor(private readonly metrics: Pick<DomainMetrics, 'rooms'>) {}

  change(room: SizedRoom, size: number): void {
    const [before, after] = [groupOf(room.size), groupOf(size)];
    room.size = size;
    if (before === after) return;
    if (before === 0) this.metrics.rooms += 1;
    else this.#groups[before]?.delete(room);
    if (after === 0) this.metrics.rooms -= 1;
    else this.#groups[after]?.add(room);
  }

  /** The largest rooms, in order. */
  largest(count: number): RoomSize[] {
    const found: SizedRoom[] = [];
    for (let group = this.#groups.length - 1; group > 0 && found.length < count; group--) {
      let looked = 0;
      for (const room of this.#groups[group] ?? []) {
        if (++looked > LOOKED_AT) break;
        found.push(room);
      }
    }
    found.sort((a, b) => b.size - a.size);
    return found.slice(0, count).map(({ address, size }) => ({ address, members: size }));
  }
}
