/**
 * Hands over the MQTT sessions of backends that outlive their connections, when this node shuts down in order: each to the node
 * that its client id chooses. It does for sessions what leaving.ts and adoption.ts do for endpoints.
 */
import type { SessionMover } from '../actors/cluster.js';
import type { Clock } from '../clock.js';
import type { ClusterMetrics } from '../metrics.js';
import type { ClusteredDomain } from './domain.js';
import type { LeavingNode } from './leaving.js';
import { ADOPT_MS, OtherNodes, PASSING_MS } from './other-nodes.js';
import type { Peer } from './peer.js';
import { Pieces } from './pieces.js';

/** How many sessions are on their way to other nodes at a time. */
const AT_ONCE = 8;
/** How many publications wait for one session while it is being sent; further ones are dropped, and counted. */
const MOST_FORWARDED = 10_000;

export interface SessionNode extends LeavingNode {
  readonly leaving: { readonly isActive: boolean };
}

export class MovingSessions {
  readonly #pieces = new Pieces();
  readonly #others: OtherNodes;
  /** Functions that cancel the timers of `#settleLate`. */
  readonly #cancels = new Set<() => void>();

  constructor(
    private readonly node: SessionNode,
    private readonly clock: Pick<Clock, 'after'>,
    private readonly metrics: ClusterMetrics,
  ) {
    this.#others = new OtherNodes(node, clock);
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

  async #move(cluster: ClusteredDomain, clientId: string): Promise<boolean> {
    const { mover } = cluster.sessions;
    const { mesh, rpc } = this.node;
    const { name } = cluster.domain;
    const peer = this.#others.chosenBy(clientId, this.#others.able);
    if (!peer || !mover) return false;
    // Publications that come before the session has been sent wait, so that they reach the other node behind it.
    let waiting: unknown[] | null = [];
    const pass = (item: unknown): void => mesh.send(peer, JSON.stringify(['F', name, clientId, item]));
    const forward = (item: unknown): void => {
      if (!waiting) pass(item);
      else if (waiting.length < MOST_FORWARDED) waiting.push(item);
      else cluster.domain.metrics.dropped.queueOverflow += 1;
    };
    const moved = await new Promise<unknown>((done) => mover.handOver(clientId, forward, done));
    if (moved === null) return false;
    const sent = (): void => {
      for (const item of waiting ?? []) pass(item);
      waiting = null;
    };
    const isTaken = (await this.#others.offer(peer, 'session', name, JSON.stringify(moved), sent)) === true;
    if (isTaken) await this.#others.allArrived();
    await new Promise<void>((done) => mover.handedOver(clientId, isTaken, done));
    if (isTaken) this.metrics.sessionsHandedOver += 1;
    else this.metrics.handoversRefused += 1;
    if (isTaken) rpc.call(peer, 'sessionPassed', [name, clientId], ADOPT_MS, () => undefined);
    return isTaken;
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
      this.#settleLate(mover, clientId);
      this.node.mesh.barrier(() => reply(true));
    });
  }

  /** After `PASSING_MS` a node counts as having forwarded everything, as it may have died before it could say so. */
  #settleLate(mover: SessionMover, clientId: string): void {
    const cancel = this.clock.after(PASSING_MS, () => {
      this.#cancels.delete(cancel);
      mover.passed(clientId);
    });
    this.#cancels.add(cancel);
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  #refuse(reply: (answer: unknown) => void): void {
    this.metrics.adoptionsRefused += 1;
    reply(null);
  }

  lost(peer: Peer): void {
    this.#pieces.lost(peer);
  }
}
