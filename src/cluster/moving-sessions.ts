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

/** How many batches of sessions are on their way to other nodes at a time, and how many sessions, and about how many characters, one has. */
const AT_ONCE = 8;
const TOGETHER = 50;
const BATCH_CHARACTERS = 256 * 1024;
/** How long a session that has come here may take to be kept before the node that it came from is answered all the same. */
const KEPT_MS = 2000;

/** A session that is to go to another node; `refused`: nodes that have not taken it. */
interface Going {
  readonly cluster: ClusteredDomain;
  readonly clientId: string;
  readonly refused: readonly Peer[];
}

/** Sessions of one domain that go to one node. */
interface Batch {
  readonly cluster: ClusteredDomain;
  readonly peer: Peer;
  readonly sessions: Going[];
}

/** A session that stands still here, what is published to it meanwhile, and its JSON. */
interface Frozen {
  readonly going: Going;
  readonly passing: Passing<unknown>;
  readonly text: string;
}

/** What has become of a batch. */
interface Offered {
  taken: number;
  readonly refused: Going[];
}

export interface SessionNode extends LeavingNode {
  readonly leaving: { readonly isActive: boolean };
}

export class MovingSessions {
  readonly #pieces = new Pieces();
  readonly #others: OtherNodes;
  readonly #timers: Timers;
  /** Sessions that are on their way to other nodes. */
  readonly #moving = new Set<Promise<unknown>>();

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
    const left = [...this.node.domains.values()].flatMap((cluster) =>
      (cluster.sessions.mover?.clientIds() ?? []).map((clientId): Going => ({ cluster, clientId, refused: [] })),
    );
    let count = 0;
    const work = async (): Promise<void> => {
      while (left.length > 0 && isInTime()) {
        const moved = this.#move(left.splice(-TOGETHER));
        this.#moving.add(moved);
        const taken = await moved;
        count += taken;
        this.#moving.delete(moved);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return count;
  }

  whenMoved(done: () => void): void {
    void Promise.all(this.#moving).then(done);
  }

  /** Offers sessions to the nodes that their client ids choose, and to the next ones where those refuse them. Resolves with how many were taken. */
  async #move(sessions: readonly Going[]): Promise<number> {
    let count = 0;
    for (let left = sessions; left.length > 0; ) {
      const batches = new Map<string, Batch>();
      for (const going of left) {
        const { cluster, clientId, refused } = going;
        const able = this.#others.able.filter((peer) => !refused.includes(peer));
        const peer = this.#others.chosenBy(clientId, able);
        if (!peer) continue;
        const key = `${peer.name}\n${cluster.domain.name}`;
        const batch = batches.get(key) ?? { cluster, peer, sessions: [] };
        batches.set(key, batch);
        batch.sessions.push(going);
      }
      const offered = await Promise.all([...batches.values()].map((batch) => this.#offerAll(batch)));
      count += offered.reduce((sum, { taken }) => sum + taken, 0);
      left = offered.flatMap(({ refused }) => refused);
    }
    return count;
  }

  /** Freezes the sessions of a batch one after the other, and sends those that go on, as many together as fit. */
  async #offerAll({ cluster, peer, sessions }: Batch): Promise<Offered> {
    const mover = cluster.sessions.mover as SessionMover;
    const offered: Offered = { taken: 0, refused: [] };
    let frozen: Frozen[] = [];
    let characters = 0;
    const send = async (): Promise<void> => {
      const some = frozen;
      frozen = [];
      characters = 0;
      if (some.length > 0) await this.#offer(cluster, mover, peer, some, offered);
    };
    for (const going of sessions) {
      const passing = this.#passing(cluster, peer, going.clientId);
      const forward = (item: unknown, bytes: number): void => {
        if (!passing.take(item, bytes)) cluster.domain.metrics.dropped.queueOverflow += 1;
      };
      const moved = await new Promise<unknown>((done) => mover.handOver(going.clientId, forward, done));
      // null: it ends with its connection.
      if (moved === null) continue;
      const text = JSON.stringify(moved);
      characters += text.length;
      frozen.push({ going, passing, text });
      if (characters >= BATCH_CHARACTERS) await send();
    }
    await send();
    return offered;
  }

  #passing({ domain }: ClusteredDomain, peer: Peer, clientId: string): Passing<unknown> {
    return new Passing((item) => this.node.mesh.send(peer, JSON.stringify(['F', domain.name, clientId, item])));
  }

  async #offer(
    cluster: ClusteredDomain,
    mover: SessionMover,
    peer: Peer,
    frozen: readonly Frozen[],
    offered: Offered,
  ): Promise<void> {
    const { name } = cluster.domain;
    const text = `[${frozen.map(({ text }) => text)}]`;
    const answer = await this.#others.offer(peer, 'sessions', name, text);
    const isTaken = frozen.map((_, at) => Array.isArray(answer) && answer[at] === 1);
    for (const [at, { passing }] of frozen.entries()) if (isTaken[at]) passing.taken();
    if (isTaken.includes(true)) await this.#others.allArrived();
    for (const [at, { going, passing }] of frozen.entries()) {
      const missed = isTaken[at] ? null : passing.items;
      await new Promise<void>((done) => mover.handedOver(going.clientId, missed, done));
      if (!isTaken[at]) offered.refused.push({ ...going, refused: [...going.refused, peer] });
    }
    const gone = frozen.filter((_, at) => isTaken[at]).map(({ going }) => going.clientId);
    offered.taken += gone.length;
    this.metrics.sessionsHandedOver += gone.length;
    this.metrics.handoversRefused += frozen.length - gone.length;
    if (gone.length > 0) this.node.rpc.call(peer, 'sessionsPassed', [name, gone], ADOPT_MS, () => undefined);
  }

  /**
   * Takes a piece of a batch of sessions from a node that ends. The answer to the last piece has a 1 for each session that is here now, as
   * every node then knows, and a 0 for each that is not; null where the batch is refused.
   */
  receive(
    peer: Peer,
    cluster: ClusteredDomain | undefined,
    fields: readonly unknown[],
    reply: (answer: unknown) => void,
  ): void {
    const taken = this.#pieces.take(peer, fields);
    if (taken === 'more') return reply('more');
    const mover = cluster?.sessions.mover;
    const sessions = taken && mover && !this.node.leaving.isActive ? listOf(taken.text) : null;
    if (!sessions || !mover) {
      this.metrics.adoptionsRefused += 1;
      return reply(null);
    }
    const answers = sessions.map(() => 0);
    let missing = sessions.length + 1;
    const done = (): void => {
      missing -= 1;
      if (missing === 0) this.node.mesh.barrier(() => reply(answers));
    };
    for (const [at, moved] of sessions.entries()) {
      mover.adopt(moved, (clientId) => {
        if (clientId === null) {
          this.metrics.adoptionsRefused += 1;
          return done();
        }
        answers[at] = 1;
        this.metrics.sessionsAdopted += 1;
        // After that the node counts as having forwarded everything, as it may have died before it could say so.
        this.#timers.after(PASSING_MS, () => mover.passed(clientId));
        this.#whenKept(cluster, clientId, done);
      });
    }
    done();
  }

  /** The node that ends removes what it has kept of the session as soon as it is answered. */
  #whenKept(cluster: ClusteredDomain, clientId: string, done: () => void): void {
    const { records } = cluster.sessions;
    if (!records) return done();
    let isOver = false;
    const end = (): void => {
      cancel();
      if (!isOver) done();
      isOver = true;
    };
    const cancel = this.#timers.after(KEPT_MS, end);
    records.committed(clientId, end);
  }

  close(): void {
    this.#timers.close();
  }

  lost(peer: Peer): void {
    this.#pieces.lost(peer);
  }
}

/** Reads a JSON list; null where the text is none. */
function listOf(text: string): readonly unknown[] | null {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list : null;
  } catch {
    return null;
  }
}
