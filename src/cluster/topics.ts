/**
 * MQTT's free topics across nodes: a publication goes to the nodes that subscribed, to each once; what is retained is
 * kept by every node, the later publication of a topic wherever it was made; of a shared subscription one
 * member gets a publication, wherever that member is connected. The broker of a domain (protocols/mqtt) stands behind `TopicsBroker`.
 */

import type { ClusterTopics, ShareCount, TopicsBroker } from '../actors/cluster.js';
import type { Publication } from '../actors/publication.js';
import { TopicTree } from '../actors/topic-tree.js';
import type { HybridClock } from './hybrid-clock.js';
import type { Interest } from './interest.js';
import type { Items } from './items.js';
import type { LocalNode } from './local-node.js';
import type { Peer } from './peer.js';
import { publicationOf, type WirePublication, wirePublicationOf } from './wire.js';

/** Topics whose retained publication has been removed, remembered so that it does not come back. */
const REMEMBERED_REMOVALS = 10_000;

const NO_MEMBERS: ShareCount = { connected: 0, total: 0 };

interface Kept {
  readonly stamp: number;
  /** The retained publication of the topic; null: it has been removed. */
  readonly publication: Publication | null;
}

interface Share {
  readonly filter: string;
  readonly peers: Map<Peer, PeerShare>;
}

interface PeerShare extends ShareCount {
  /** The snapshot that is coming in from the peer has not named the members yet. */
  isStale: boolean;
}

export interface TopicsOptions {
  readonly items: Items;
  readonly mesh: Pick<LocalNode['mesh'], 'peers' | 'send' | 'broadcast'>;
  readonly stamps: Pick<HybridClock, 'next' | 'heard'>;
  readonly interest: Pick<Interest, 'isEmpty' | 'peers' | 'count'>;
  /** Calls `done` when every node knows what this one has told so far. */
  readonly settled: (done: () => void) => void;
  readonly now: () => number;
}

export class Topics implements ClusterTopics {
  #broker: TopicsBroker | null = null;
  readonly #kept = new Map<string, Kept>();
  #removals = 0;
  /** Shared subscriptions by name: those with members on this node, then those with members on other nodes. */
  readonly #own = new Map<string, ShareCount & { readonly filter: string }>();
  readonly #shares = new Map<string, Share>();
  readonly #tree = new TopicTree<string>();
  #turn = 0;

  constructor(private readonly options: TopicsOptions) {}

  attach(broker: TopicsBroker): void {
    this.#broker = broker;
    for (const [topic, { publication }] of this.#kept) {
      if (publication && !broker.keep(publication, false)) this.#kept.delete(topic);
    }
  }

  subscribe(filters: readonly string[], done: () => void): void {
    for (const filter of filters) this.options.interest.count(filter, 1);
    if (filters.length === 0) done();
    else this.options.settled(done);
  }

  unsubscribe(filters: readonly string[]): void {
    for (const filter of filters) this.options.interest.count(filter, -1);
  }

  publish(publication: Publication): number {
    const { interest, stamps } = this.options;
    const stamp = publication.retain ? stamps.next() : 0;
    if (publication.retain) this.#keep(publication, stamp, true);
    const nodes = interest.isEmpty ? null : interest.peers(publication.topic);
    let heard = nodes?.size ?? 0;
    if (heard > 0 || publication.retain) this.#send(publication, stamp, nodes);
    if (this.#shares.size > 0) {
      this.#tree.match(publication.topic, (name) => {
        // The node's own members have been told, and their group has chosen.
        if (!this.#own.has(name) && this.pass(name, publication)) heard += 1;
      });
    }
    return heard;
  }

  #send(publication: Publication, stamp: number, nodes: ReadonlySet<Peer> | null): void {
    const { mesh, items } = this.options;
    const wire = this.#wire(publication);
    for (const peer of mesh.peers.values()) {
      const isWanted = nodes?.has(peer) ?? false;
      if (stamp > 0 || isWanted) mesh.send(peer, items.published(stamp, isWanted, wire));
    }
  }

  /** A publication of another node; `stamp` 0: not to be kept. */
  received(stamp: number, isWanted: boolean, wire: WirePublication): void {
    const publication = publicationOf(wire, this.options.now());
    if (stamp > 0) {
      this.options.stamps.heard(stamp);
      this.#keep(publication, stamp, false);
    }
    if (isWanted) this.#broker?.deliver(publication);
  }

  #keep(publication: Publication, stamp: number, isOwn: boolean): void {
    const { topic } = publication;
    const known = this.#kept.get(topic);
    if (known && known.stamp >= stamp) return;
    const isRemoval = publication.payload.length === 0;
    if (known?.publication === null) this.#removals -= 1;
    this.#kept.delete(topic);
    const isKept = this.#broker?.keep(publication, isOwn) ?? true;
    // What the broker has no room for is not held here either.
    if (isRemoval || isKept) this.#kept.set(topic, { stamp, publication: isRemoval ? null : publication });
    if (isRemoval) this.#removals += 1;
    if (this.#removals > REMEMBERED_REMOVALS) this.#forgetRemovals();
  }

  /** Forgets the older half of the removals. */
  #forgetRemovals(): void {
    for (const [topic, { publication }] of this.#kept) {
      if (this.#removals <= REMEMBERED_REMOVALS / 2) return;
      if (publication !== null) continue;
      this.#kept.delete(topic);
      this.#removals -= 1;
    }
  }

  shareChanged(name: string, filter: string, count: ShareCount | null): void {
    if (count) this.#own.set(name, { ...count, filter });
    else this.#own.delete(name);
    const { mesh, items } = this.options;
    mesh.broadcast(items.share(name, filter, count ?? NO_MEMBERS));
  }

  /** Another node tells how many members of a shared subscription it has. */
  shareTold(peer: Peer, name: string, filter: string, connected: number, total: number): void {
    let share = this.#shares.get(name);
    if (!share) {
      share = { filter, peers: new Map() };
      this.#shares.set(name, share);
      this.#tree.insert(filter, name);
    }
    if (total > 0) share.peers.set(peer, { connected, total, isStale: false });
    else share.peers.delete(peer);
    if (share.peers.size > 0) return;
    this.#shares.delete(name);
    this.#tree.remove(share.filter, name);
  }

  pass(name: string, publication: Publication): boolean {
    const chosen = this.#choose(name);
    if (!chosen) return false;
    const { mesh, items } = this.options;
    mesh.send(chosen, items.assigned(name, this.#wire(publication)));
    return true;
  }

  /** Another node has chosen this one to give a publication to a member of a shared subscription. */
  passed(name: string, wire: WirePublication): void {
    this.#broker?.assign(name, publicationOf(wire, this.options.now()));
  }

  /**
   * The node that gets the next publication, in turn, each as often as it has connected members, or members where none is
   * connected on any node; null: this one.
   */
  #choose(name: string): Peer | null {
    const own = this.#own.get(name);
    const others = [...(this.#shares.get(name)?.peers ?? [])].filter(([peer]) => peer.up);
    const counts: (readonly [Peer | null, ShareCount])[] = own ? [[null, own], ...others] : others;
    const isAnyConnected = counts.some(([, { connected }]) => connected > 0);
    const weights = counts.map(([peer, { connected, total }]) => [peer, isAnyConnected ? connected : total] as const);
    const sum = weights.reduce((all, [, weight]) => all + weight, 0);
    if (sum === 0) return null;
    this.#turn += 1;
    let rest = this.#turn % sum;
    for (const [peer, weight] of weights) {
      if (rest < weight) return peer;
      rest -= weight;
    }
    return null;
  }

  *snapshot(): Iterable<string> {
    const { items } = this.options;
    for (const [name, share] of this.#own) yield items.share(name, share.filter, share);
    for (const [topic, { stamp, publication }] of this.#kept) {
      const removal: WirePublication = [topic, 0, 1, null, '', ''];
      yield items.published(stamp, false, publication ? this.#wire(publication) : removal);
    }
  }

  /** The snapshot of a node begins, which names its members of shared subscriptions. */
  expect(peer: Peer): void {
    for (const { peers } of this.#shares.values()) {
      const share = peers.get(peer);
      if (share) share.isStale = true;
    }
  }

  /** The snapshot has ended: members that it did not name have gone. */
  settle(peer: Peer): void {
    this.#removeOf(peer, ({ isStale }) => isStale);
  }

  /** A node has gone for good. */
  drop(peer: Peer): void {
    this.#removeOf(peer, () => true);
  }

  #removeOf(peer: Peer, isGone: (share: PeerShare) => boolean): void {
    for (const [name, { filter, peers }] of [...this.#shares]) {
      const share = peers.get(peer);
      if (share && isGone(share)) this.shareTold(peer, name, filter, 0, 0);
    }
  }

  #wire(publication: Publication): WirePublication {
    return wirePublicationOf(publication, this.options.now());
  }
}
