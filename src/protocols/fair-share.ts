/**
 * Fair queueing between domains for what comes in: calls and publishes. In each turn of the event loop a domain has so many
 * done at once; what is more waits in a queue of the domain's own and is done after the others, one domain after another. So
 * a flood of one site costs another one the few calls that are done before its own, not all of them.
 *
 * A domain that is alone never waits: its queue would only cost. What a domain has waiting is done in the order in which it
 * came, and what comes later waits behind it.
 */
import type { Domain } from '../actors/domain.js';
import type { System } from '../actors/system.js';
import { Fifo } from '../fifo.js';

/** Done at once for one domain in a turn. */
const AT_ONCE = 4;
/** Done in a turn of what waits, of all domains together. */
const FROM_QUEUES = 8;
/** A domain is alone when no other has come for so many turns in which something came. */
const ALONE_TURNS = 1000;
/** The most that wait of one domain; what is more is refused. */
const MOST = 10_000;

interface Share {
  /** The turn in which `done` counts. */
  turn: number;
  done: number;
  readonly waiting: Fifo<() => void>;
}

type Turns = Pick<System, 'wake' | 'endOfTurn'>;

export class FairShare {
  readonly #shares = new WeakMap<Domain, Share>();
  /** Domains of which something waits, the next to be served first. */
  #queue: Domain[] = [];
  #turn = 0;
  #last: Domain | null = null;
  #lastShare: Share | null = null;
  /** The turn in which another domain than the last one came. */
  #otherTurn = Number.NEGATIVE_INFINITY;
  #isAwake = false;
  readonly #endTurn = (): void => this.#endOfTurn();

  constructor(private readonly system: Turns) {
    system.endOfTurn.add(this.#endTurn);
  }

  /** Whether as much of a domain waits as may. */
  isFull(domain: Domain): boolean {
    return this.waiting(domain) >= MOST;
  }

  /** How much of a domain waits. */
  waiting(domain: Domain): number {
    return this.#shares.get(domain)?.waiting.length ?? 0;
  }

  /** Does a domain's task, now or when it is the domain's turn. Answers whether it was done now. */
  pass(domain: Domain, task: () => void): boolean {
    const isNow = this.isTurnOf(domain);
    if (isNow) task();
    else this.wait(domain, task);
    return isNow;
  }

  /** Whether what has come of a domain is to be done at once; else it has to wait. Asked once for each that comes. */
  isTurnOf(domain: Domain): boolean {
    if (!this.#isAwake) {
      this.#isAwake = true;
      this.system.wake();
    }
    const share = this.#shareOf(domain);
    if (share.turn !== this.#turn) {
      share.turn = this.#turn;
      share.done = 0;
    }
    share.done += 1;
    if (share.waiting.length > 0) return false;
    return share.done <= AT_ONCE || this.#turn - this.#otherTurn > ALONE_TURNS;
  }

  /** Does a task that has to wait when it is the domain's turn. */
  wait(domain: Domain, task: () => void): void {
    const share = this.#shareOf(domain);
    if (share.waiting.length === 0) this.#queue.push(domain);
    share.waiting.push(task);
    domain.metrics.deferred += 1;
  }

  /** The share of the domain that has come now. */
  #shareOf(domain: Domain): Share {
    if (domain === this.#last && this.#lastShare) return this.#lastShare;
    if (this.#last !== null) this.#otherTurn = this.#turn;
    let share = this.#shares.get(domain);
    if (!share) {
      share = { turn: 0, done: 0, waiting: new Fifo() };
      this.#shares.set(domain, share);
    }
    this.#last = domain;
    this.#lastShare = share;
    return share;
  }

  close(): void {
    this.system.endOfTurn.delete(this.#endTurn);
    this.#queue = [];
  }

  #endOfTurn(): void {
    if (!this.#isAwake) return;
    this.#isAwake = false;
    this.#turn += 1;
    for (let served = 0; served < FROM_QUEUES && this.#queue.length > 0; served++) this.#serve();
    if (this.#queue.length === 0) return;
    this.#isAwake = true;
    this.system.wake();
  }

  /** Does the first task of the domain whose turn it is, and puts the domain behind the others. */
  #serve(): void {
    const domain = this.#queue.shift();
    const share = domain && this.#shares.get(domain);
    if (!domain || !share) return;
    const task = share.waiting.shift();
    if (share.waiting.length > 0) this.#queue.push(domain);
    task?.();
  }
}
