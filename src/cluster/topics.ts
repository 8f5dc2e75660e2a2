/**
 * MQTT's free topics across nodes: a publication goes to the nodes that subscribed, to each once; what is retained is
 * kept by every node, the later publication of a topic wherever it was made; one member of a shared subscription has
 * it, wherever that is connected. The broker of a domain (protocols/mqtt) stands behind `TopicsBroker`.
 */

import type { ClusterTopics, ShareCount, TopicsBroker } from '../actors/cluster.js';
import { Publication, type Qos } from '../actors/publication.js';
import { TopicTree } from '../actors/topic-tree.js';
import type { ClusteredDomain } from './domain.js';
import type { Peer } from './peer.js';

/** Topics whose retained publication has been removed, remembered so that it does not come back. */
const REMEMBERED_REMOVALS = 10_000;

export type WirePublication = readonly [
  topic: string,
  qos: Qos,
  retain: 0 | 1,
  /** null: never. */
  expiresInMs: number | null,
  payload: string,
  properties: string,
];

interface Kept {
  readonly stamp: number;
  /** null: removed. */
  readonly publication: Publication | null;
}

interface Share {
  readonly filter: string;
  readonly peers: Map<Peer, ShareCount>;
}

export class Topics implements ClusterTopics {
  #broker: TopicsBroker | null = null;
  readonly #kept = new Map<string, Kept>();
  #removals = 0;
  /** Shared subscriptions by name: this node's own, and others'. */
  readonly #own = new Map<string, ShareCount & { readonly filter: string }>();
  readonly #shares = new Map<string, Share>();
  readonly #tree = new TopicTree<string>();
  #turn = 0;

  constructor(private readonly cluster: ClusteredDomain) {}

  attach(broker: TopicsBroker): void {
    this.#broker = broker;
    for (const [topic, { publication }] of this.#kept) {
      if (publication && !broker.keep(publication)) this.#kept.delete(topic);
    }
  }

  subscribe(filters: readonly string[], done: () => void): void {
    for (const filter of filters) this.cluster.interest.count(filter, 1);
    if (filters.length === 0) done();
    else this.cluster.settled(done);
  }

  unsubscribe(filters: readonly string[]): void {
    for (const filter of filters) this.cluster.interest.count(filter, -1);
  }

  publish(publication: Publication): number {
    const { interest, node } = this.cluster;
    const stamp = publication.retain ? node.stamp() : 0;
    if (publication.retain) this.#keep(publication, stamp);
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
    const { node, domain } = this.cluster;
    const wire = JSON.stringify(this.#wire(publication));
    for (const peer of node.mesh.peers.values()) {
      if (stamp === 0 && !nodes?.has(peer)) continue;
      node.mesh.send(peer, `["t",${JSON.stringify(domain.name)},${stamp},${nodes?.has(peer) ? 1 : 0},${wire}]`);
    }
  }

  /** A publication of another node; `stamp` 0: not to be kept. */
  received(stamp: number, isWanted: boolean, wire: WirePublication): void {
    const publication = this.#publication(wire);
    if (stamp > 0) {
      this.cluster.node.heardStamp(stamp);
      this.#keep(publication, stamp);
    }
    if (isWanted) this.#broker?.deliver(publication);
  }

  #keep(publication: Publication, stamp: number): void {
    const { topic } = publication;
    const known = this.#kept.get(topic);
    if (known && known.stamp >= stamp) return;
    const isRemoval = publication.payload.length === 0;
    if (known?.publication === null) this.#removals -= 1;
    this.#kept.delete(topic);
    const isKept = this.#broker?.keep(publication) ?? true;
    // What the broker has no room for is not held here either.
    if (isRemoval || isKept) this.#kept.set(topic, { stamp, publication: isRemoval ? null : publication.own() });
    if (isRemoval) this.#removals += 1;
    if (this.#removals > REMEMBERED_REMOVALS) this.#forgetRemovals();
  }

  /** The older half of them. */
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
    this.cluster.node.mesh.broadcast(this.#shareItem(name, filter, count));
  }

  #shareItem(name: string, filter: string, count: ShareCount | null): string {
    const { connected, total } = count ?? { connected: 0, total: 0 };
    return JSON.stringify(['h', this.cluster.domain.name, name, filter, connected, total]);
  }

  /** Another node has so many members of a shared subscription. */
  shareTold(peer: Peer, name: string, filter: string, connected: number, total: number): void {
    let share = this.#shares.get(name);
    if (!share) {
      share = { filter, peers: new Map() };
      this.#shares.set(name, share);
      this.#tree.insert(filter, name);
    }
    if (total > 0) share.peers.set(peer, { connected, total });
    else share.peers.delete(peer);
    if (share.peers.size > 0) return;
    this.#shares.delete(name);
    this.#tree.remove(share.filter, name);
  }

  pass(name: string, publication: Publication): boolean {
    const chosen = this.#choose(name);
    if (!chosen) return false;
    const { node, domain } = this.cluster;
    node.mesh.send(chosen, JSON.stringify(['H', domain.name, name, this.#wire(publication)]));
    return true;
  }

  /** Another node has chosen this one for a publication. */
  passed(name: string, wire: WirePublication): void {
    this.#broker?.assign(name, this.#publication(wire));
  }

  /** The node whose turn it is, each as often as it has members, connected ones if there are any; null: this one. */
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
    for (const [name, { filter, connected, total }] of this.#own) {
      yield this.#shareItem(name, filter, { connected, total });
    }
    for (const [topic, { stamp, publication }] of this.#kept) {
      const wire = publication ? this.#wire(publication) : [topic, 0, 1, null, '', ''];
      yield JSON.stringify(['t', this.cluster.domain.name, stamp, 0, wire]);
    }
  }

  /** A node has gone, or begins to say everything again. */
  drop(peer: Peer): void {
    for (const [name, { filter, peers }] of [...this.#shares]) {
      if (peers.has(peer)) this.shareTold(peer, name, filter, 0, 0);
    }
  }

  #wire({ topic, qos, retain, expiresAt, payload, properties }: Publication): WirePublication {
    const expiresInMs = Number.isFinite(expiresAt) ? expiresAt - this.cluster.domain.runtime.clock.now() : null;
    return [topic, qos, retain ? 1 : 0, expiresInMs, payload.toString('base64'), properties.toString('base64')];
  }

  #publication([topic, qos, retain, expiresInMs, payload, properties]: WirePublication): Publication {
    const { clock } = this.cluster.domain.runtime;
    return new Publication({
      topic,
      payload: Buffer.from(payload, 'base64'),
      qos,
      retain: retain === 1,
      properties: Buffer.from(properties, 'base64'),
      expiresAt: expiresInMs === null ? Number.POSITIVE_INFINITY : clock.now() + expiresInMs,
      publisher: null,
    });
  }
}
