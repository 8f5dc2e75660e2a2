/**
 * Which rooms of a domain are the largest, without looking at all of them: rooms lie in groups of similar size, from a
 * power of two to the next, and change their group seldom. Written by the rooms' own actors, in a cluster by the replica,
 * where a room has its members on all nodes; read by all.
 */
import type { DomainMetrics } from '../metrics.js';
import type { Address } from './address.js';

export interface RoomSize {
  readonly address: Address;
  readonly members: number;
}

/** One room's own entry. */
export interface SizedRoom {
  readonly address: Address;
  size: number;
}

/** Of a group that is not wanted whole, only so many are looked at: then the smallest of the answer are any of theirs. */
const LOOKED_AT = 10_000;

function groupOf(members: number): number {
  return 32 - Math.clz32(members);
}

export class RoomSizes {
  /** By the bits of the number of members. */
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
    found.sort((a, b) => b.size - a.size);
    return found.slice(0, count).map(({ address, size }) => ({ address, members: size }));
  }
}
