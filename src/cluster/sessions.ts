/**
 * On which node each MQTT session lives: client ids are one namespace over the whole cluster. Of two nodes that claim a
 * client id at the same time, the one that claimed it first has the session.
 */
import type { ClusterSessions, FoundHome, SessionMover, SessionRecords } from '../actors/cluster.js';
import type { Deletion } from '../actors/deletions.js';
import type { Domain } from '../actors/domain.js';
import type { SessionDomain, SessionStore } from './adopted.js';
import type { HybridClock } from './hybrid-clock.js';
import type { Items } from './items.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';

interface Claim {
  readonly peer: Peer;
  readonly stamp: number;
  /** The snapshot that is coming in from the peer has not named the claim yet. */
  isStale: boolean;
  /** Whether the session is counted for the peer (`#counts`). */
  isCounted: boolean;
}

export class Sessions implements ClusterSessions {
  /** Client ids of this node's sessions, with the stamps of its claims. */
  readonly #own = new Map<string, number>();
  /**
   * Claims of other nodes, the earliest first. A later one counts when those before it have gone: a node may hear of a claim
   * before it hears that another node has released the session.
   */
  readonly #others = new Map<string, readonly Claim[]>();
  /**
   * How many sessions that are not here each node has: each session counts once, for a node that is heard of where one of those that claim
   * it is. Where all of them are lost, it counts for one of these.
   */
  readonly #counts = new Map<Peer, number>();
  /** A session of this node lives on another one, which claimed it earlier. */
  onLost: ((clientId: string) => void) | null = null;
  mover: SessionMover | null = null;
  /** Whether this node has taken over those sessions of nodes that it has never heard of which are its own by their client ids. */
  isSwept = false;
  readonly domain: SessionDomain;
  readonly records: SessionRecords | null;

  constructor(
    private readonly items: Items,
    private readonly mesh: Pick<Mesh, 'broadcast' | 'barrier'>,
    private readonly stamps: Pick<HybridClock, 'next' | 'heard'>,
    domain: Pick<Domain, 'name' | 'settings'>,
    /** null: sessions are lost with their node. */
    private readonly store: SessionStore | null,
  ) {
    this.domain = {
      name: domain.name,
      get settings() {
        return domain.settings;
      },
      stampOf: (clientId) => this.stampOf(clientId),
      keep: (clientId) => this.mover?.keep(clientId),
      lost: (clientId) => {
        this.release(clientId);
        this.onLost?.(clientId);
      },
      isAt: (clientId, node) => {
        const home = this.home(clientId);
        return home?.name === node && !home.leaving;
      },
    };
    this.records = store?.recordsOf(this.domain) ?? null;
  }

  /** The stamp of this node's claim; 0: it has not claimed the client id. */
  stampOf(clientId: string): number {
    return this.#own.get(clientId) ?? 0;
  }

  /** Whether a node that is not heard of has claimed a client id. */
  isOrphan(clientId: string): boolean {
    return this.#others.get(clientId)?.some(({ peer }) => !peer.up) === true;
  }

  /** The client ids that a node has claimed. */
  claimedBy(peer: Peer): string[] {
    const claimed = [...this.#others].filter(([, claims]) => claims.some((claim) => claim.peer === peer));
    return claimed.map(([clientId]) => clientId);
  }

  find(clientId: string, done: FoundHome): void {
    if (!this.store) return done(null);
    this.store.find(clientId, (found) => done(typeof found === 'string' ? found : (found?.peer ?? null)));
  }

  get mayBeLeft(): boolean {
    if (!this.store || this.domain.settings.durability === 'none') return false;
    if (!this.isSwept) return true;
    for (const peer of this.#counts.keys()) if (!peer.up) return true;
    return false;
  }

  #isLeft(clientId: string): boolean {
    return this.stampOf(clientId) === 0 && this.home(clientId) === null;
  }

  deleteLeft(deletion: Deletion, done: (isDone: boolean) => void): void {
    const { store, mover, domain } = this;
    if (!store || !mover || domain.settings.durability === 'none') return done(true);
    store.deleteLeft(
      (clientId) => this.#isLeft(clientId),
      (kept) => mover.deletedIn(kept, deletion),
      done,
    );
  }

  whenTaken(done: (isTaken: boolean) => void): void {
    if (this.store) this.store.whenTaken(done);
    else done(true);
  }

  /** A session of a node that is gone lives here now; `stamp`: earlier than the claim of that node. */
  adopt(clientId: string, stamp: number): void {
    this.#hold(clientId, stamp);
    this.mesh.broadcast(this.items.session(clientId, stamp));
  }

  /** The node where a session lives; null: this one, or nowhere. */
  home(clientId: string): Peer | null {
    return this.#others.get(clientId)?.find(({ peer }) => peer.up)?.peer ?? null;
  }

  /** A session begins here; `done` is called when every node knows. */
  claim(clientId: string, done: () => void): void {
    const stamp = this.#own.get(clientId) ?? this.stamps.next();
    this.#hold(clientId, stamp);
    this.mesh.broadcast(this.items.session(clientId, stamp));
    this.mesh.barrier(done);
  }

  /** A session has ended here, or goes on elsewhere. */
  release(clientId: string): void {
    if (!this.#own.delete(clientId)) return;
    this.#count(clientId);
    this.mesh.broadcast(this.items.session(clientId, 0));
  }

  #hold(clientId: string, stamp: number): void {
    this.#own.set(clientId, stamp);
    this.#count(clientId);
  }

  /** Another node claims a session, or no longer has it (stamp 0). */
  told(peer: Peer, clientId: string, stamp: number): void {
    this.#remove(clientId, (claim) => claim.peer === peer);
    if (stamp === 0) return;
    this.stamps.heard(stamp);
    const claims = [...(this.#others.get(clientId) ?? []), { peer, stamp, isStale: false, isCounted: false }];
    this.#others.set(
      clientId,
      claims.sort((a, b) => a.stamp - b.stamp),
    );
    this.#count(clientId);
    const own = this.#own.get(clientId);
    if (own === undefined || own < stamp) return;
    this.store?.forget(clientId);
    this.domain.lost(clientId);
  }

  *snapshot(): Iterable<string> {
    for (const [clientId, stamp] of this.#own) yield this.items.session(clientId, stamp);
  }

  /** The snapshot of a node begins, which names the sessions that live there. */
  expect(peer: Peer): void {
    for (const claims of this.#others.values()) {
      for (const claim of claims) if (claim.peer === peer) claim.isStale = true;
    }
  }

  /** The snapshot has ended: sessions that it did not name do not live there. */
  settle(peer: Peer): void {
    for (const clientId of this.#others.keys()) {
      this.#remove(clientId, (claim) => claim.peer === peer && claim.isStale);
    }
  }

  /** A node has gone for good. */
  drop(peer: Peer): void {
    for (const clientId of this.#others.keys()) this.#remove(clientId, (claim) => claim.peer === peer);
  }

  #remove(clientId: string, isGone: (claim: Claim) => boolean): void {
    const claims = this.#others.get(clientId);
    if (!claims?.some(isGone)) return;
    for (const claim of claims) if (isGone(claim)) this.#setCounted(claim, false);
    const rest = claims.filter((claim) => !isGone(claim));
    if (rest.length > 0) this.#others.set(clientId, rest);
    else this.#others.delete(clientId);
    this.#count(clientId);
  }

  #count(clientId: string): void {
    const claims = this.#others.get(clientId) ?? [];
    const counted = this.#own.has(clientId) ? null : (claims.find(({ peer }) => peer.up) ?? claims[0]);
    for (const claim of claims) this.#setCounted(claim, claim === counted);
  }

  #setCounted(claim: Claim, isCounted: boolean): void {
    if (claim.isCounted === isCounted) return;
    const { peer } = claim;
    claim.isCounted = isCounted;
    const count = (this.#counts.get(peer) ?? 0) + (isCounted ? 1 : -1);
    if (count > 0) this.#counts.set(peer, count);
    else this.#counts.delete(peer);
  }
}
