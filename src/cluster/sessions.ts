/**
 * On which node each MQTT session lives: client ids are one namespace over the whole cluster. Of two nodes that claim one
 * at the same time the earlier has it.
 */
import type { ClusteredDomain } from './domain.js';
import type { Peer } from './peer.js';

interface Claim {
  readonly peer: Peer;
  readonly stamp: number;
}

export class Sessions {
  /** This node's, with the stamps of its claims. */
  readonly #own = new Map<string, number>();
  readonly #others = new Map<string, Claim>();
  /** A session of this node lives on another one, which claimed it earlier. */
  onLost: ((clientId: string) => void) | null = null;

  constructor(private readonly cluster: ClusteredDomain) {}

  /** The node where a session lives; null: this one, or nowhere. */
  home(clientId: string): Peer | null {
    const claim = this.#others.get(clientId);
    return claim?.peer.up ? claim.peer : null;
  }

  /** A session begins here; `done` is called when every node knows. */
  claim(clientId: string, done: () => void): void {
    const stamp = this.#own.get(clientId) ?? this.cluster.node.stamp();
    this.#own.set(clientId, stamp);
    this.cluster.node.mesh.broadcast(this.#item(clientId, stamp));
    this.cluster.settled(done);
  }

  /** It has ended here, or goes on elsewhere. */
  release(clientId: string): void {
    if (this.#own.delete(clientId)) this.cluster.node.mesh.broadcast(this.#item(clientId, 0));
  }

  /** Another node claims a session, or has it no more (stamp 0). */
  told(peer: Peer, clientId: string, stamp: number): void {
    if (stamp === 0) {
      if (this.#others.get(clientId)?.peer === peer) this.#others.delete(clientId);
      return;
    }
    this.cluster.node.heardStamp(stamp);
    const known = this.#others.get(clientId);
    if (known?.peer.up && known.peer !== peer && known.stamp < stamp) return;
    const own = this.#own.get(clientId);
    if (own !== undefined && own < stamp) return;
    this.#others.set(clientId, { peer, stamp });
    if (own === undefined) return;
    this.release(clientId);
    this.onLost?.(clientId);
  }

  *snapshot(): Iterable<string> {
    for (const [clientId, stamp] of this.#own) yield this.#item(clientId, stamp);
  }

  drop(peer: Peer): void {
    for (const [clientId, claim] of this.#others) if (claim.peer === peer) this.#others.delete(clientId);
  }

  #item(clientId: string, stamp: number): string {
    return JSON.stringify(['S', this.cluster.domain.name, clientId, stamp]);
  }
}
