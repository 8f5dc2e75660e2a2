/**
 * On which node each MQTT session lives: client ids are one namespace over the whole cluster. Of two nodes that claim a
 * client id at the same time, the one that claimed it first has the session.
 */
import type { ClusterSessions } from '../actors/cluster.js';
import type { HybridClock } from './hybrid-clock.js';
import type { Items } from './items.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';

interface Claim {
  readonly peer: Peer;
  readonly stamp: number;
  /** The peer has begun to say everything again, and has not named it yet. */
  isStale: boolean;
}

export class Sessions implements ClusterSessions {
  /** Client ids of this node's sessions, with the stamps of its claims. */
  readonly #own = new Map<string, number>();
  readonly #others = new Map<string, Claim>();
  /** A session of this node lives on another one, which claimed it earlier. */
  onLost: ((clientId: string) => void) | null = null;

  constructor(
    private readonly items: Items,
    private readonly mesh: Pick<Mesh, 'broadcast' | 'barrier'>,
    private readonly stamps: Pick<HybridClock, 'next' | 'heard'>,
  ) {}

  /** The node where a session lives; null: this one, or nowhere. */
  home(clientId: string): Peer | null {
    const claim = this.#others.get(clientId);
    return claim?.peer.up ? claim.peer : null;
  }

  /** A session begins here; `done` is called when every node knows. */
  claim(clientId: string, done: () => void): void {
    const stamp = this.#own.get(clientId) ?? this.stamps.next();
    this.#own.set(clientId, stamp);
    this.mesh.broadcast(this.items.session(clientId, stamp));
    this.mesh.barrier(done);
  }

  /** A session has ended here, or goes on elsewhere. */
  release(clientId: string): void {
    if (this.#own.delete(clientId)) this.mesh.broadcast(this.items.session(clientId, 0));
  }

  /** Another node claims a session, or no longer has it (stamp 0). */
  told(peer: Peer, clientId: string, stamp: number): void {
    if (stamp === 0) {
      if (this.#others.get(clientId)?.peer === peer) this.#others.delete(clientId);
      return;
    }
    this.stamps.heard(stamp);
    const known = this.#others.get(clientId);
    if (known?.peer.up && known.peer !== peer && known.stamp < stamp) return;
    const own = this.#own.get(clientId);
    if (own !== undefined && own < stamp) return;
    this.#others.set(clientId, { peer, stamp, isStale: false });
    if (own === undefined) return;
    this.release(clientId);
    this.onLost?.(clientId);
  }

  *snapshot(): Iterable<string> {
    for (const [clientId, stamp] of this.#own) yield this.items.session(clientId, stamp);
  }

  /** A node begins to say which sessions live there. */
  expect(peer: Peer): void {
    for (const claim of this.#others.values()) if (claim.peer === peer) claim.isStale = true;
  }

  /** It has said everything: what it did not name does not live there. */
  settle(peer: Peer): void {
    this.#removeOf(peer, ({ isStale }) => isStale);
  }

  /** A node has gone. */
  drop(peer: Peer): void {
    this.#removeOf(peer, () => true);
  }

  #removeOf(peer: Peer, isGone: (claim: Claim) => boolean): void {
    for (const [clientId, claim] of this.#others) {
      if (claim.peer === peer && isGone(claim)) this.#others.delete(clientId);
    }
  }
}
