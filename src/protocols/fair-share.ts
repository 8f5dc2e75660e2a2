/**
 * Fair queueing between domains for what comes in: calls and publishes. While several domains are busy, each has a little done at once
 * in a turn of the event loop; what is more waits in a queue of the domain's own and is done after the others, one domain after
 * another, as much in a turn as its time allows. So a flood of one site costs another one a short turn, not all that was before it.
 *
 * What a task costs counts, in two ways. How long it takes itself is measured: a turn begins no further task once its time is over.
 * What it makes others do, messages to a thousand members and writes to their connections, waits in the domain's lane
 * (actors/lane.ts), and while much waits there nothing more of the domain is begun.
 *
 * A domain that is alone never waits: its queue would only cost. What a domain has waiting is done in the order in which it
 * came, and what comes later waits behind it.
 */
import type { Domain } from '../actors/domain.js';
import type { System } from '../actors/system.js';
import { Fifo } from '../fifo.js';

/** Done at once for one domain in a turn: so many, and none after so long. */
const AT_ONCE = 4;
const AT_ONCE_MS = 0.2;
/** Begun in a turn of what waits, of all domains together: so many, and none after so long, but one always. */
const FROM_QUEUES = 8;
const FROM_QUEUES_MS = 0.2;
/** While so much waits in its lane, nothing more of a domain is begun. */
const BUSY = 64;
/** A domain is alone when no other has come for so many turns in which something came. */
const ALONE_TURNS = 1000;
/** The most that wait of one domain; what is more is refused. */
const MOST = 10_000;

interface Share {
  /** The turn in which `done` and `spentMs`, the time that they took, count. */
  turn: number;
  done: number;
  spentMs: number;
  /** Tasks that have been begun, and go on before another one is: what they hold is let go of soon. */
  readonly begun: Fifo<() => void>;
  readonly waiting: Fifo<() => void>;
}

type Turns = Pick<System, 'wake' | 'endOfTurn' | 'isCrowded'>;

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
  /** Whose task was begun last in this turn, and when; null: nobody's. */
  #running: Share | null = null;
  #runningSinceMs = 0;
  #isEnding = false;

  constructor(
    private readonly system: Turns,
    /** Milliseconds. */
    private readonly now: () => number = () => performance.now(),
  ) {
    system.endOfTurn.add(() => this.#endOfTurn());
  }

  /** Whether as much of a domain waits as may. */
  isFull(domain: Domain): boolean {
    return this.waiting(domain) >= MOST;
  }

  /** How much of a domain waits. */
  waiting(domain: Domain): number {
    const share = this.#shares.get(domain);
    return share ? lengthOf(share) : 0;
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
    this.#stayAwake();
    const share = this.#shareOf(domain);
    if (!this.isCrowded) return lengthOf(share) === 0;
    const now = this.now();
    // What was begun last has taken the time up to now.
    if (this.#running) this.#running.spentMs += now - this.#runningSinceMs;
    this.#running = null;
    if (share.turn !== this.#turn) Object.assign(share, { turn: this.#turn, done: 0, spentMs: 0 });
    if (lengthOf(share) > 0 || domain.lane.pending >= BUSY) return false;
    if (share.done >= AT_ONCE || share.spentMs >= AT_ONCE_MS) return false;
    share.done += 1;
    this.#running = share;
    this.#runningSinceMs = now;
    return true;
  }

  /** Whether more than one domain is busy. */
  get isCrowded(): boolean {
    return !this.#isEnding && this.#turn - this.#otherTurn <= ALONE_TURNS;
  }

  /** The server ends: whoever waits is seen to as soon as may be, in long turns. */
  end(): void {
    this.#isEnding = true;
    this.system.isCrowded = false;
  }

  /** Does a task that has to wait when it is the domain's turn. */
  wait(domain: Domain, task: () => void): void {
    domain.metrics.deferred += 1;
    this.#add(domain, 'waiting', task);
  }

  /** Goes on with a task that is done in parts: when it is the domain's turn again, after what the network has brought. */
  goOn(domain: Domain, task: () => void): void {
    if (this.isCrowded) this.#add(domain, 'begun', task);
    else setImmediate(task);
  }

  #add(domain: Domain, to: 'begun' | 'waiting', task: () => void): void {
    const share = this.#shareOf(domain);
    if (lengthOf(share) === 0) this.#queue.push(domain);
    share[to].push(task);
    this.#stayAwake();
  }

  #stayAwake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.system.wake();
  }

  /** The share of the domain that has come now. */
  #shareOf(domain: Domain): Share {
    if (domain === this.#last && this.#lastShare) return this.#lastShare;
    if (this.#last !== null) this.#otherTurn = this.#turn;
    let share = this.#shares.get(domain);
    if (!share) {
      share = { turn: -1, done: 0, spentMs: 0, begun: new Fifo(), waiting: new Fifo() };
      this.#shares.set(domain, share);
    }
    this.#last = domain;
    this.#lastShare = share;
    return share;
  }

  #endOfTurn(): void {
    if (!this.#isAwake) return;
    this.#isAwake = false;
    this.#running = null;
    this.#turn += 1;
    this.system.isCrowded = this.isCrowded;
    this.#serveSome();
    if (this.#queue.length > 0) this.#stayAwake();
  }

  /** Domains in turns, those passed over whose lanes are full. */
  #serveSome(): void {
    const until = this.now() + FROM_QUEUES_MS;
    let passed = 0;
    for (let served = 0; served < FROM_QUEUES && passed < this.#queue.length; ) {
      const isServed = this.#serve();
      passed = isServed ? 0 : passed + 1;
      if (!isServed) continue;
      served += 1;
      if (this.now() >= until) return;
    }
  }

  /** Does the first task of the domain whose turn it is, and puts the domain behind the others. False: its lane is full. */
  #serve(): boolean {
    const domain = this.#queue.shift();
    const share = domain && this.#shares.get(domain);
    if (!domain || !share) return true;
    if (domain.lane.pending >= BUSY) {
      this.#queue.push(domain);
      return false;
    }
    const task = share.begun.shift() ?? share.waiting.shift();
    if (lengthOf(share) > 0) this.#queue.push(domain);
    task?.();
    return true;
  }
}

function lengthOf({ begun, waiting }: Share): number {
  return begun.length + waiting.length;
}
