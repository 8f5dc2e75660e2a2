/**
 * Which nodes have MQTT subscriptions to which topic filters. A node tells the others each filter that its sessions have
 * subscribed to, once for all of its subscriptions to that filter.
 */
import { TopicTree } from '../actors/topic-tree.js';
import type { Items } from './items.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';

export class Interest {
  /** Filter → how many subscriptions this node has to it. */
  readonly #own = new Map<string, number>();
  readonly #tree = new TopicTree<Peer>();
  readonly #filters = new Map<Peer, Set<string>>();
  /** Filters of a peer that its snapshot, which is coming in, has not named yet. */
  readonly #stale = new Map<Peer, Set<string>>();

  constructor(
    private readonly items: Items,
    private readonly mesh: Pick<Mesh, 'broadcast'>,
  ) {}

  /** No other node has a subscription. */
  get isEmpty(): boolean {
    return this.#tree.size === 0;
  }

  /** Nodes within their lease that have a subscription to the topic. */
  peers(topic: string): ReadonlySet<Peer> {
    const found = new Set<Peer>();
    this.#tree.match(topic, (peer) => {
      if (peer.up) found.add(peer);
    });
    return found;
  }

  /** This node has one subscription more to a filter, or one less. */
  count(filter: string, by: 1 | -1): void {
    const before = this.#own.get(filter) ?? 0;
    const after = before + by;
    if (after > 0) this.#own.set(filter, after);
    else this.#own.delete(filter);
    if ((before === 0) !== (after === 0)) this.mesh.broadcast(this.items.interest(filter, after > 0));
  }

  *snapshot(): Iterable<string> {
    for (const filter of this.#own.keys()) yield this.items.interest(filter, true);
  }

  /** A peer has subscriptions to a filter, or none any more. */
  told(peer: Peer, filter: string, isWanted: boolean): void {
    let filters = this.#filters.get(peer);
    if (!filters) {
      filters = new Set();
      this.#filters.set(peer, filters);
    }
    this.#stale.get(peer)?.delete(filter);
    if (isWanted) {
      filters.add(filter);
      this.#tree.insert(filter, peer);
    } else {
      filters.delete(filter);
      this.#tree.remove(filter, peer);
    }
  }

  /** A peer's snapshot begins. */
  expect(peer: Peer): void {
    this.#stale.set(peer, new Set(this.#filters.get(peer)));
  }

  /** A peer's snapshot has ended: the peer has no subscription to a filter that the snapshot did not name. */
  settle(peer: Peer): void {
    for (const filter of this.#stale.get(peer) ?? []) this.told(peer, filter, false);
    this.#stale.delete(peer);
  }

  /** A peer has gone for good. */
  drop(peer: Peer): void {
    for (const filter of this.#filters.get(peer) ?? []) this.#tree.remove(filter, peer);
    this.#filters.delete(peer);
    this.#stale.delete(peer);
  }
}
