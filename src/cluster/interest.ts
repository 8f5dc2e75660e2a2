/**
 * Who subscribed to what by MQTT, as far as other nodes need to know: each node tells the filters that it has any
 * subscription to, once however many there are.
 */
import { TopicTree } from '../actors/topic-tree.js';
import type { ClusteredDomain } from './domain.js';
import type { Peer } from './peer.js';

export class Interest {
  /** Filter → how many subscriptions this node has to it. */
  readonly #own = new Map<string, number>();
  readonly #tree = new TopicTree<Peer>();
  readonly #filters = new Map<Peer, Set<string>>();
  /** What a peer had before it began to say everything again. */
  readonly #stale = new Map<Peer, Set<string>>();

  constructor(private readonly cluster: ClusteredDomain) {}

  /** No other node subscribed to anything. */
  get isEmpty(): boolean {
    return this.#tree.size === 0;
  }

  get own(): Iterable<string> {
    return this.#own.keys();
  }

  /** Nodes within their lease that subscribed to the topic. */
  peers(topic: string): ReadonlySet<Peer> {
    const found = new Set<Peer>();
    this.#tree.match(topic, (peer) => {
      if (peer.up) found.add(peer);
    });
    return found;
  }

  /** This node has one subscription more, or less. */
  count(filter: string, by: 1 | -1): void {
    const before = this.#own.get(filter) ?? 0;
    const after = before + by;
    if (after > 0) this.#own.set(filter, after);
    else this.#own.delete(filter);
    if ((before === 0) !== (after === 0)) this.cluster.node.mesh.broadcast(this.item(filter, after > 0));
  }

  item(filter: string, isWanted: boolean): string {
    return JSON.stringify(['i', this.cluster.domain.name, filter, isWanted]);
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

  expect(peer: Peer): void {
    this.#stale.set(peer, new Set(this.#filters.get(peer)));
  }

  settle(peer: Peer): void {
    for (const filter of this.#stale.get(peer) ?? []) this.told(peer, filter, false);
    this.#stale.delete(peer);
  }

  drop(peer: Peer): void {
    for (const filter of this.#filters.get(peer) ?? []) this.#tree.remove(filter, peer);
    this.#filters.delete(peer);
    this.#stale.delete(peer);
  }
}
