/**
 * Hands over the MQTT sessions of backends that outlive their connections, when this node shuts down in order: each to the node
 * that its client id chooses. It does for sessions what leaving.ts and adoption.ts do for endpoints.
 */
import type { ClusterMetrics } from '../metrics.js';
import type { ClusteredDomain } from './domain.js';
import type { LeavingNode } from './leaving.js';
import type { Peer } from './peer.js';
import { Pieces, piecesOf } from './pieces.js';
import { weightOf } from './rendezvous.js';

/** How many sessions are on their way to other nodes at a time. */
const AT_ONCE = 8;
const ADOPT_MS = 5000;
const ARRIVED_MS = 1000;

export interface SessionNode extends LeavingNode {
  readonly leaving: { readonly isActive: boolean };
}

export class MovingSessions {
  readonly #pieces = new Pieces();
  #lastId = 0;

  constructor(
    private readonly node: SessionNode,
    private readonly metrics: ClusterMetrics,
  ) {}

  /** Hands over all sessions, begun while `isInTime` answers true. Resolves with how many sessions other nodes have taken. */
  async handOver(isInTime: () => boolean): Promise<number> {
    const sessions = [...this.node.domains.values()].flatMap((cluster) =>
      (cluster.sessions.mover?.clientIds() ?? []).map((clientId) => ({ cluster, clientId })),
    );
    let count = 0;
    const work = async (): Promise<void> => {
      for (let next = sessions.pop(); next && isInTime(); next = sessions.pop()) {
        if (await this.#move(next.cluster, next.clientId)) count += 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return count;
  }

  #adopterOf(clientId: string): Peer | null {
    const able = [...this.node.mesh.peers.values()].filter(({ up, leaving, suspect }) => up && !leaving && !suspect);
    return able.sort((a, b) => (weightOf(a.name, clientId) < weightOf(b.name, clientId) ? 1 : -1))[0] ?? null;
  }

  async #move(cluster: ClusteredDomain, clientId: string): Promise<boolean> {
    const { mover } = cluster.sessions;
    const { mesh, rpc } = this.node;
    const { name } = cluster.domain;
    const peer = this.#adopterOf(clientId);
    if (!peer || !mover) return false;
    // Publications that come before the session has been sent wait, so that they reach the other node behind it.
    let waiting: unknown[] | null = [];
    const pass = (item: unknown): void => mesh.send(peer, JSON.stringify(['F', name, clientId, item]));
    const forward = (item: unknown): void => void (waiting ? waiting.push(item) : pass(item));
    const moved = await new Promise<unknown>((done) => mover.handOver(clientId, forward, done));
    if (moved === null) return false;
    const answer = this.#offer(peer, name, JSON.stringify(moved));
    for (const item of waiting) pass(item);
    waiting = null;
    const isTaken = (await answer) === true;
    if (isTaken) await this.#allArrived();
    await new Promise<void>((done) => mover.handedOver(clientId, isTaken, done));
    if (isTaken) this.metrics.sessionsHandedOver += 1;
    else this.metrics.handoversRefused += 1;
    if (isTaken) rpc.call(peer, 'sessionPassed', [name, clientId], ADOPT_MS, () => undefined);
    return isTaken;
  }

  #offer(peer: Peer, domain: string, text: string): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    const pieces = piecesOf(text);
    let answer: Promise<unknown> = Promise.resolve(null);
    for (const [at, piece] of pieces.entries()) {
      answer = this.#ask(peer, 'session', [domain, id, at, pieces.length, piece], ADOPT_MS);
    }
    return answer;
  }

  #ask(peer: Peer, kind: string, fields: readonly unknown[], ms: number): Promise<unknown> {
    return new Promise((resolve) => this.node.rpc.call(peer, kind, fields, ms, resolve));
  }

  async #allArrived(): Promise<void> {
    const nodes = [...this.node.mesh.peers.values()].filter(({ up, suspect }) => up && !suspect);
    await Promise.all(nodes.map((peer) => this.#ask(peer, 'arrived', [], ARRIVED_MS)));
  }

  /** Takes a piece of a session from a node that ends; the last piece is answered when every node knows that the session is here. */
  receive(
    peer: Peer,
    cluster: ClusteredDomain | undefined,
    fields: readonly unknown[],
    reply: (answer: unknown) => void,
  ): void {
    const taken = this.#pieces.take(peer, fields);
    if (taken === 'more') return reply('more');
    const mover = cluster?.sessions.mover;
    if (!taken || !mover || this.node.leaving.isActive) return this.#refuse(reply);
    let moved: unknown;
    try {
      moved = JSON.parse(taken.text);
    } catch {
      return this.#refuse(reply);
    }
    mover.adopt(moved, (isTaken) => {
      if (!isTaken) return this.#refuse(reply);
      this.metrics.sessionsAdopted += 1;
      this.node.mesh.barrier(() => reply(true));
    });
  }

  #refuse(reply: (answer: unknown) => void): void {
    this.metrics.adoptionsRefused += 1;
    reply(null);
  }

  lost(peer: Peer): void {
    this.#pieces.lost(peer);
  }
}
