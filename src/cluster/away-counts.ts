/** How many clients of a domain are away on each other node: `limits.awayPerDomain` counts them all. */
import type { Items } from './items.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';

/** Other nodes are told of a change of at least this part of the limit, since an item for each client would be too many. */
const GRAIN = 1 / 100;

export class AwayCounts {
  readonly #counts = new Map<Peer, number>();
  #own = 0;
  #told = 0;

  constructor(
    private readonly items: Items,
    private readonly mesh: Pick<Mesh, 'broadcast'>,
  ) {}

  /** How many clients of the domain are away on the other nodes that are within their lease. */
  get elsewhere(): number {
    let sum = 0;
    for (const [peer, count] of this.#counts) if (peer.up) sum += count;
    return sum;
  }

  /** Sets how many clients of the domain are away on this node, and tells other nodes where that has changed enough. */
  change(count: number, limit: number): void {
    this.#own = count;
    if (Math.abs(count - this.#told) < Math.max(1, limit * GRAIN)) return;
    this.#told = count;
    this.mesh.broadcast(this.items.awayCount(count));
  }

  told(peer: Peer, count: number): void {
    this.#counts.set(peer, count);
  }

  drop(peer: Peer): void {
    this.#counts.delete(peer);
  }

  snapshot(): string {
    return this.items.awayCount(this.#own);
  }
}
