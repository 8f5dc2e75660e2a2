/**
 * Hands over the MQTT sessions of backends that outlive their connections, when this node shuts down in order: each to the node
 * that its client id chooses. It does for sessions what leaving.ts and adoption.ts do for endpoints.
 */
import type { SessionMover } from '../actors/cluster.js';
import { type Clock, Timers } from '../clock.js';
import type { ClusterMetrics } from '../metrics.js';
import type { ClusteredDomain } from './domain.js';
import type { LeavingNode } from './leaving.js';
import { ADOPT_MS, OtherNodes, PASSING_MS } from './other-nodes.js';
import { Passing } from './passing.js';
import type { Peer } from './peer.js';
import { Pieces } from './pieces.js';

/** How many sessions are on their way to other nodes at a time. */
const AT_ONCE = 8;

export interface SessionNode extends LeavingNode {
  readonly leaving: { readonly isActive: boolean };
}

export class MovingSessions {
  readonly #pieces = new Pieces();
  readonly #others: OtherNodes;
  readonly #timers: Timers;

  constructor(
    private readonly node: SessionNode,
    clock: Pick<Clock, 'after'>,
    private readonly metrics: ClusterMetrics,
  ) {
    this.#others = new OtherNodes(node, clock);
    this.#timers = new Timers(clock);
  }

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

  /** Offers a session to the node that its client id chooses, and to the next ones where that refuses it. Resolves with whether one has taken it. */
  async #move(cluster: ClusteredDomain, clientId: string): Promise<boolean> {
    const { mover } = cluster.sessions;
    for (let able = this.#others.able; mover; ) {
      const peer = this.#others.chosenBy(clientId, able);
      const answer = peer && (await this.#offer(cluster, mover, clientId, peer));
      if (answer !== 'refused') return answer === 'taken';
      able = this.#others.able.filter((other) => other !== peer && able.includes(other));
    }
    return false;
  }

  /** null: there is nothing to move. */
  async #offer(
    cluster: ClusteredDomain,
    mover: SessionMover,
    clientId: string,
    peer: Peer,
  ): Promise<'taken' | 'refused' | null> {
    const { name } = cluster.domain;
    const passing = new Passing<unknown>((item) =>
      this.node.mesh.send(peer, JSON.stringify(['F', name, clientId, item])),
    );
    const forward = (item: unknown, bytes: number): void => {
      if (!passing.take(item, bytes)) cluster.domain.metrics.dropped.queueOverflow += 1;
    };
    const moved = await new Promise<unknown>((done) => mover.handOver(clientId, forward, done));
    if (moved === null) return null;
    const sent = (): void => passing.sent();
    const isTaken = (await this.#others.offer(peer, 'session', name, JSON.stringify(moved), sent)) === true;
    if (isTaken) await this.#others.allArrived();
    const missed = isTaken ? null : passing.items;
    await new Promise<void>((done) => mover.handedOver(clientId, missed, done));
    if (isTaken) this.metrics.sessionsHandedOver += 1;
    else this.metrics.handoversRefused += 1;
    if (isTaken) this.node.rpc.call(peer, 'sessionPassed', [name, clientId], ADOPT_MS, () => undefined);
    return isTaken ? 'taken' : 'refused';
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
    mover.adopt(moved, (clientId) => {
      if (clientId === null) return this.#refuse(reply);
      this.metrics.sessionsAdopted += 1;
      // After that the node counts as having forwarded everything, as it may have died before it could say so.
      this.#timers.after(PASSING_MS, () => mover.passed(clientId));
      this.node.mesh.barrier(() => reply(true));
    });
  }

  close(): void {
    this.#timers.close();
  }

  #refuse(reply: (answer: unknown) => void): void {
    this.metrics.adoptionsRefused += 1;
    reply(null);
  }

  lost(peer: Peer): void {
    this.#pieces.lost(peer);
  }
}
