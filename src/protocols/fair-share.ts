/**
 * Fair queueing between domains for their tasks: the calls and publishes that come in. While several domains are busy, each has a few
 * tasks done at once in a turn of the event loop; its further tasks wait in a queue of its own. The queues are served in rotation, a
 * task of each at a time, as many in a turn as its time allows. So one site's flood delays another site by a short turn only.
 *
 * A task's cost counts in two ways. The time that the task itself takes is measured: a turn begins no further task once its time is
 * over. The work that the task causes, such as messages to a thousand members and writes to their connections, waits in the domain's
 * lane (actors/lane.ts), and while much waits there, no further task of the domain is begun.
 *
 * A domain never waits while it is alone: a queue would only cost time. The waiting tasks of a domain are done in the order in which
 * they came, and later tasks wait behind them.
 */
import type { Domain } from '../actors/domain.js';
import type { System } from '../actors/system.js';
import { Fifo } from '../fifo.js';

/** In one turn at most `AT_ONCE` tasks of a domain are done at once, and none is begun after `AT_ONCE_MS` of them. */
const AT_ONCE = 4;
const AT_ONCE_MS = 0.2;
/** In one turn at most `FROM_QUEUES` waiting tasks of all domains are begun, none after `FROM_QUEUES_MS`, but always at least one. */
const FROM_QUEUES = 8;
const FROM_QUEUES_MS = 0.2;
/** While a domain's lane has so many messages pending, no further task of the domain is begun. */
const BUSY = 64;
/** A domain is alone when no task of another domain has come in this many turns; turns in which no task came do not count. */
const ALONE_TURNS = 1000;
/** How many tasks of one domain may wait, and about how many bytes they may hold; more are refused. */
const MOST = 10_000;
const MOST_BYTES = 64 * 1024 * 1024;

interface Share {
  /** The turn for which `done`, the tasks done at once, and `spentMs`, the time that they took, count. */
  turn: number;
  done: number;
  spentMs: number;
  /** Tasks in parts that have begun: they go on before a waiting task begins, so that they soon free the memory that they hold. */
  readonly begun: Fifo<() => void>;
  readonly waiting: Fifo<() => void>;
  /** Bytes that the waiting tasks hold, such as the bodies of their requests. */
  bytes: number;
}

type Turns = Pick<System, 'wake' | 'endOfTurn' | 'isCrowded'>;

export class FairShare {
  readonly #shares = new WeakMap<Domain, Share>();
  /** Domains that have tasks waiting; the first in the list is served next. */
  #queue: Domain[] = [];
  #turn = 0;
  #last: Domain | null = null;
  #lastShare: Share | null = null;
  /** The last turn in which a task came of another domain than the task before it. */
  #otherTurn = Number.NEGATIVE_INFINITY;
  #isAwake = false;
  /** The share whose task was the last to be done at once in this turn, and since when it runs; null where none was. */
  #running: Share | null = null;
  #runningSinceMs = 0;
  #isEnding = false;

  constructor(
    private readonly system: Turns,
    /** The time in milliseconds, from any beginning. */
    private readonly now: () => number = () => performance.now(),
  ) {
    system.endOfTurn.add(() => this.#endOfTurn());
  }

  /** Whether so many tasks of a domain wait, or such large ones, that another one has to be refused. */
  isFull(domain: Domain): boolean {
    const share = this.#shares.get(domain);
    return share !== undefined && (lengthOf(share) >= MOST || share.bytes >= MOST_BYTES);
  }

  /** How many tasks of a domain wait. */
  waiting(domain: Domain): number {
    const share = this.#shares.get(domain);
    return share ? lengthOf(share) : 0;
  }

  /** Does a domain's task, now or when it is the domain's turn; `bytes`: about what it holds. Answers whether it was done now. */
  pass(domain: Domain, task: () => void, bytes = 0): boolean {
    const isNow = this.isTurnOf(domain);
    if (isNow) task();
    else this.wait(domain, task, bytes);
    return isNow;
  }

  /** Whether a task of a domain is to be done at once; false: the caller has it `wait`. Asked once for each task that comes. */
  isTurnOf(domain: Domain): boolean {
    this.#stayAwake();
    const share = this.#shareOf(domain);
    if (!this.isCrowded) return lengthOf(share) === 0;
    const now = this.now();
    // The task that was begun last in this turn has taken the time from its beginning up to now.
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

  /** Whether a small task of a domain may be done without being counted, since the domain is the only busy one and none of its tasks wait. */
  isAlone(domain: Domain): boolean {
    return domain === this.#last && this.#lastShare !== null && lengthOf(this.#lastShare) === 0 && !this.isCrowded;
  }

  /** Whether more than one domain is busy; always false while the server ends. */
  get isCrowded(): boolean {
    return !this.#isEnding && this.#turn - this.#otherTurn <= ALONE_TURNS;
  }

  /** The server ends: from now on tasks are not held back, so that all that wait are done as soon as possible, in long turns. */
  end(): void {
    this.#isEnding = true;
    this.system.isCrowded = false;
  }

  /** Puts a task into the domain's queue, to be done when it is the domain's turn; `bytes`: about what it holds. */
  wait(domain: Domain, task: () => void, bytes = 0): void {
    domain.metrics.deferred += 1;
    if (bytes === 0) return this.#add(domain, 'waiting', task);
    const share = this.#shareOf(domain);
    share.bytes += bytes;
    this.#add(domain, 'waiting', () => {
      share.bytes -= bytes;
      task();
    });
  }

  /** Does the next part of a task in parts when it is the domain's turn again, and never before the network's events were handled. */
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

  /** The share of a domain of which a task has come; notes whether it is another domain than that of the task before. */
  #shareOf(domain: Domain): Share {
    if (domain === this.#last && this.#lastShare) return this.#lastShare;
    if (this.#last !== null) this.#otherTurn = this.#turn;
    let share = this.#shares.get(domain);
    if (!share) {
      share = { turn: -1, done: 0, spentMs: 0, begun: new Fifo(), waiting: new Fifo(), bytes: 0 };
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
    if (this.#queue.length === 0) return;
    this.#serveSome();
    if (this.#queue.length > 0) this.#stayAwake();
  }

  /** Does waiting tasks, one of each domain in rotation; domains whose lanes are full are passed over. */
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

  /** Does the first task of the next domain and puts the domain behind the others. False where the domain's lane is full. */
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
