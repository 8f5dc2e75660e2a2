/**
 * When the endpoints of a node that is gone count as offline: at the end of the grace, in which their clients can come to other nodes
 * (PROTOCOL.md section 20). A node may have more endpoints to take over than it gets done within the grace: as long as one says that it
 * is busy, no endpoint of the node that is gone counts as offline, so that a client that came in time does not seem to leave.
 */
import type { Timers } from '../clock.js';
import type { Peer } from './peer.js';
import type { Rpc } from './rpc.js';

/** How often the nodes are asked, and until when at most: a node that is gone is forgotten later than that. */
const LOOK_MS = 1000;
const LONGEST_MS = 5 * 60_000;

export interface GraceOptions {
  readonly graceMs: number;
  /** How long a node may take to answer: one that takes longer is gone itself. */
  readonly leaseMs: number;
  readonly timers: Timers;
  /** The time in milliseconds. */
  readonly now: () => number;
  readonly rpc: Pick<Rpc, 'callAll'>;
  readonly peers: ReadonlyMap<string, Peer>;
  /** Whether this node has more to take over. */
  readonly isBusy: () => boolean;
}

type Absent = Pick<Peer, 'up' | 'hiddenAt'>;

export class Grace {
  constructor(private readonly options: GraceOptions) {}

  /**
   * Calls `done` when the grace of a peer that is gone from now on is over, or the peer is there again; not where it was there again and is
   * gone again, which begins another grace.
   */
  after(peer: Absent, done: () => void): void {
    const { timers, graceMs, now } = this.options;
    const { hiddenAt } = peer;
    timers.after(graceMs, () => {
      this.#look(peer, now() + LONGEST_MS, () => {
        if (peer.up || peer.hiddenAt === hiddenAt) done();
      });
    });
  }

  #look(peer: Absent, until: number, done: () => void): void {
    const { timers, rpc, peers, leaseMs, isBusy, now } = this.options;
    if (peer.up || now() >= until) return done();
    rpc.callAll(peers.values(), 'takingOver', [], leaseMs, (answers) => {
      if (isBusy() || answers.includes(true)) timers.after(LOOK_MS, () => this.#look(peer, until, done));
      else done();
    });
  }
}
