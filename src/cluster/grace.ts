/**
 * When the endpoints of a node that is gone count as offline: at the end of the grace, in which their clients can come to other nodes
 * (PROTOCOL.md section 20). Whoever has come in time stays online also where nodes have more to take over than they get done by then:
 * as long as a node says so, the endpoints of the node that is gone wait.
 */
import type { Timers } from '../clock.js';
import type { Peer } from './peer.js';
import type { Rpc } from './rpc.js';

/** How often the nodes are asked, and for how long at most: a node that is gone is forgotten later than that. */
const LOOK_MS = 1000;
const LONGEST_MS = 5 * 60_000;

export interface GraceOptions {
  readonly graceMs: number;
  /** How long a node may take to answer: one that takes longer is gone itself. */
  readonly leaseMs: number;
  readonly timers: Timers;
  readonly rpc: Pick<Rpc, 'callAll'>;
  readonly peers: ReadonlyMap<string, Peer>;
  /** Whether this node has more to take over. */
  readonly isBusy: () => boolean;
}

export class Grace {
  constructor(private readonly options: GraceOptions) {}

  /** Calls `done` when the grace of a node that is gone from now on is over. */
  after(done: () => void): void {
    const { timers, graceMs } = this.options;
    timers.after(graceMs, () => this.#look(done, LONGEST_MS / LOOK_MS));
  }

  #look(done: () => void, looks: number): void {
    const { timers, rpc, peers, leaseMs, isBusy } = this.options;
    if (looks <= 0) return done();
    rpc.callAll(peers.values(), 'takingOver', [], leaseMs, (answers) => {
      // A node of an earlier version answers null.
      if (isBusy() || answers.includes(true)) timers.after(LOOK_MS, () => this.#look(done, looks - 1));
      else done();
    });
  }
}
