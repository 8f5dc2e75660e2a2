/**
 * The actor system: the only file that knows nact. An actor is a behaviour and a state with a mailbox of its own.
 *
 * nact supervises: each group of actors is an actor of nact's, and it judges what becomes of one that crashes. Messages
 * travel through queues of (actor, message) pairs, one for each domain, called its lane, which are emptied once a turn of the event
 * loop: first in, first out over all actors of a domain, so what one actor tells another arrives in order. Lanes of several busy
 * domains take turns, a few messages each. A message through nact's own mailbox costs 2.5 µs and through a lane
 * 0.06 µs, which decides what a room of a thousand costs; an actor of nact's own takes 1.5 KiB and 5 µs to spawn,
 * which decides what a user costs. So nact is the tree that actors hang in, by their groups, and its crash policy judges
 * them; their mailboxes are here.
 */
import { performance } from 'node:perf_hooks';
import { type ActorName, type ActorSystemRef, dispatch, type Ref as NactRef, spawn, start, stop } from 'nact';
import { log } from '../log.js';
import type { Metrics } from '../metrics.js';
import { type AnyCell, Cell, type TurnQueue } from './cell.js';
import { Lane } from './lane.js';

/** Handles one message; answers the state to go on with. Never awaits: it sends itself the result of what takes time. */
export type Receive<S, M> = (state: S, message: M, self: Ref<M>) => S;

export interface Behaviour<S, M> {
  readonly receive: Receive<S, M>;
  /** What a crash on this message calls for: go on with the state as it was, or stop since it cannot be trusted. */
  onCrash?(state: S, message: M): 'resume' | 'stop';
  /** Runs after each message: true stops the actor. Asked only while nothing waits in its mailbox. */
  isDone?(state: S): boolean;
  /** Runs once, when the actor has been stopped. */
  afterStop?(state: S): void;
  /** Takes a message that came after the stop, whose sender may wait for an answer. Never runs before `tell` returns. */
  onDeadLetter?(message: M, state: S): void;
}

/** An actor's address inside the process. */
export interface Ref<M> {
  /** Puts a message into the actor's mailbox. */
  readonly tell: (message: M) => void;
  /**
   * Has the actor handle a message before this returns, where nothing of its domain waits and no other domain is busy; else tells it.
   * For what mostly causes no write: a turn of its own would cost more than the message.
   */
  readonly tellAtOnce: (message: M) => void;
  readonly stop: () => void;
  /** How many messages wait in the actor's mailbox. */
  readonly pending: number;
  readonly stopped: boolean;
}

/** A parent of actors, which receives nothing but their faults: what a message costs an actor grows with its children. */
export interface Group {
  /** The group in nact, which judges what becomes of an actor that crashes. */
  readonly judge: () => NactRef<Envelope>;
  readonly queue: TurnQueue;
  readonly lane: ActorLane;
}

/** The queue in which the messages and writes of one domain wait for their turn. */
export type ActorLane = Lane<AnyCell>;

export interface System {
  /** A group whose actors share a lane; without `lane`, the lane of all actors that belong to no domain. */
  group(name: string, lane?: ActorLane): Group;
  lane(): ActorLane;
  spawn<S, M>(group: Group, behaviour: Behaviour<S, M>, state: S): Ref<M>;
  /** Tasks that run at the start of every turn that the event loop begins, when it has looked at the network since the last one. */
  readonly startOfTurn: Set<() => void>;
  /** Tasks that run at the end of every turn, when the mailboxes are empty or the turn has reached its bounds. */
  readonly endOfTurn: Set<() => void>;
  /** Whether several domains are busy: then turns are short, so that a message to one domain waits little for another domain. */
  isCrowded: boolean;
  /** Requests a turn even though no actor has been sent a message. */
  wake(): void;
  /** For how long the event loop has slept since the start of the process, in milliseconds. */
  sleptMs(): number;
  /** What a connection has sent is about to be handled: turns that are requested meanwhile wait for `endRead`. Never called by an actor. */
  beginRead(): void;
  /**
   * A read of the network is handled, and what it needed is in the processor's caches. Where it is the first since the event loop has slept
   * that asks for a turn, as one that comes alone is, its turn is run now: one of its own costs more than what it does. Where many messages
   * wait for the only domain that is busy they are handled before their turn. Answers whether either has been, and none waits any more.
   */
  endRead(): boolean;
  close(): void;
}

/** How many messages a turn handles, and for how long, before it lets the event loop look at the network again. */
const TURN_MESSAGES = 100_000;
const TURN_MS = 50;
/**
 * So many messages of a lane wait for its next turn at most; the rest are handled in the same turn, however long that takes.
 * Otherwise a client that sends faster than its messages are handled would fill the memory.
 */
const MOST_WAITING = 100_000;
/** How long a turn handles messages where several domains are busy, and how long it writes to clients after that. */
const CROWDED_MS = 0.25;
/** How many messages of a lane are handled, or where crowded clients written, before the clock is read and the next lane follows. */
const SLICE = 1000;
const CROWDED_SLICE = 1;
/** A packet's way from its sender's actor to its receiver's: before so many rounds are over the clock is read only where much is handled. */
const HOPS = 2;

/** Between two reads of the network messages are handled where at least so many wait: what is handled together goes out in one write. */
const EARLY = 32;
const hasMessages = ({ messages }: ActorLane): boolean => messages > 0;

/** What goes through nact: the error that a message has raised, for a group to judge. */
export class Envelope {
  constructor(
    readonly cell: AnyCell,
    readonly message: unknown,
    readonly error: unknown,
  ) {}
}

/** nact allows `[a-z0-9-$_.+!*'(),]` in names; other bytes, and the escape itself, become `!` and two hex digits. */
export function encodeName(name: string): ActorName {
  if (/^[a-z0-9_.-]+$/.test(name)) return name;
  return Array.from(Buffer.from(name, 'utf8'), (byte) => {
    const char = String.fromCharCode(byte);
    return /[a-z0-9_.-]/.test(char) ? char : `!${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}

function kindOf(message: unknown): string {
  return typeof message === 'object' && message !== null && 'kind' in message ? String(message.kind) : typeof message;
}

const { nodeTiming } = performance;

export interface SystemOptions {
  readonly metrics: Metrics;
  /** For how long the event loop has slept since the start of the process, in milliseconds. */
  readonly sleptMs?: () => number;
}

class TurnSystem implements System, TurnQueue {
  readonly startOfTurn = new Set<() => void>();
  readonly endOfTurn = new Set<() => void>();
  readonly #root: ActorSystemRef = start();
  readonly #metrics: Metrics;
  readonly sleptMs: () => number;
  /** nact's actors of groups in which an actor has crashed, by group name; a domain that is made again uses the same ones. */
  readonly #judges = new Map<string, NactRef<Envelope>>();
  isCrowded = false;
  /** Lanes with something to do, the next one first. */
  #lanes: ActorLane[] = [];
  /** The lane whose clients were written last in a turn that ended before all were written. */
  #writtenLast: ActorLane | null = null;
  readonly #activate = (lane: ActorLane): void => {
    lane.isActive = true;
    this.#lanes.push(lane);
    this.wake();
  };
  readonly #lane: ActorLane = this.lane();
  #turn: NodeJS.Immediate | null = null;
  /** For how long messages have been handled before this turn; Infinity: they are to wait for it. */
  #earlyMs = 0;
  /** Whether an actor is handling a message. */
  #isHandling = false;
  #isReading = false;
  /** Whether a turn was requested during the read. */
  #isWoken = false;
  /** For how long the event loop had slept when that was asked last. */
  #knownSleptMs = -1;

  constructor({ metrics, sleptMs = () => nodeTiming.idleTime }: SystemOptions) {
    this.#metrics = metrics;
    this.sleptMs = sleptMs;
  }

  group(name: string, lane = this.#lane): Group {
    return { judge: () => this.#judgeOf(name), queue: this, lane };
  }

  lane(): ActorLane {
    return new Lane(this.#activate);
  }

  /** The group in nact, spawned when one of its actors crashes for the first time: a server may have many groups. */
  #judgeOf(name: string): NactRef<Envelope> {
    let found = this.#judges.get(name);
    if (!found) {
      const properties = { onCrash: this.#onCrash } as object;
      found = spawn(this.#root, judge, encodeName(name), properties) as NactRef<Envelope>;
      this.#judges.set(name, found);
    }
    return found;
  }

  spawn<S, M>(group: Group, behaviour: Behaviour<S, M>, state: S): Ref<M> {
    this.#metrics.actors += 1;
    return new Cell(behaviour, state, group);
  }

  tell(cell: AnyCell, message: unknown): void {
    if (cell.stopped) return this.#isDead(cell, message);
    cell.pending += 1;
    cell.group.lane.tell(cell, message);
  }

  tellAtOnce(cell: AnyCell, message: unknown): void {
    const waits = this.#isHandling || this.isCrowded || cell.stopped || cell.group.lane.pending > 0;
    if (waits) return this.tell(cell, message);
    cell.pending += 1;
    this.#deliver(cell, message);
  }

  wake(): void {
    if (this.#isReading) this.#isWoken = true;
    else this.#turn ??= setImmediate(this.#runTurn);
  }

  beginRead(): void {
    this.#isReading = true;
  }

  endRead(): boolean {
    const mayRun = this.#isWoken && this.#turn === null && !this.isCrowded && this.#lanes.length < 2;
    const isHandled = mayRun && this.#hasSlept() ? this.#runAtOnce() : this.#handleEarly();
    this.#isReading = false;
    if (this.#isWoken) this.wake();
    this.#isWoken = false;
    return isHandled;
  }

  /** Whether the event loop has slept since this was asked last. */
  #hasSlept(): boolean {
    const before = this.#knownSleptMs;
    this.#knownSleptMs = this.sleptMs();
    return this.#knownSleptMs !== before;
  }

  /** Runs a turn for the only lane that may have something to do. Answers whether it is over; otherwise the event loop has another. */
  #runAtOnce(): boolean {
    const [lane] = this.#lanes;
    if (lane) {
      this.#metrics.mailbox.observe(lane.messages);
      this.#handleSlice(lane);
      if (lane.pending > 0 || this.#lanes.length > 1) return false;
      lane.isActive = false;
      this.#lanes = [];
    }
    this.#isReading = this.#isWoken = false;
    for (const task of this.endOfTurn) task();
    return true;
  }

  #handleEarly(): boolean {
    const [lane, other] = this.#lanes;
    if (!lane || other || this.isCrowded || lane.messages < EARLY || this.#earlyMs > TURN_MS) return false;
    const start = performance.now();
    this.#handleSlice(lane);
    this.#earlyMs += performance.now() - start;
    return lane.messages === 0;
  }

  /** Handles messages of a lane and what these tell others, up to a slice of them. */
  #handleSlice(lane: ActorLane): void {
    const until = performance.now() + TURN_MS;
    let left = SLICE;
    while (lane.messages > 0 && left > 0 && performance.now() < until) left -= lane.handle(left, this.#deliver);
    // There is more to do than that, so it waits for its turn, and what it has clients sent goes out together.
    if (lane.messages > 0) this.#earlyMs = Number.POSITIVE_INFINITY;
  }

  close(): void {
    if (this.#turn) clearImmediate(this.#turn);
    this.#turn = null;
    this.#lanes = [];
    stop(this.#root);
  }

  readonly #runTurn = (): void => {
    try {
      for (const task of this.startOfTurn) task();
      let waiting = 0;
      for (const { messages } of this.#lanes) waiting += messages;
      this.#metrics.mailbox.observe(waiting);
      this.#handleMessages();
      const isUnfinished = this.#lanes.some(hasMessages);
      this.#write();
      // Writes send messages to actors, such as that a poll is answered; these are handled before the event loop looks at the network.
      if (!isUnfinished && !this.isCrowded && this.#lanes.some(hasMessages)) this.#handleMessages();
    } finally {
      this.#earlyMs = 0;
      // A turn that was requested up to here needs no turn of its own: the tasks below serve the request, another turn would be empty.
      this.#turn = null;
    }
    this.#lanes = this.#lanes.filter((lane) => {
      lane.isActive = lane.pending > 0;
      return lane.isActive;
    });
    for (const task of this.endOfTurn) task();
    if (this.#lanes.length > 0) this.wake();
  };

  /** Handles messages of all lanes, which take turns, until none wait or the turn's time or number of messages is over. */
  #handleMessages(): void {
    const until = performance.now() + (this.isCrowded ? CROWDED_MS : TURN_MS);
    const slice = this.isCrowded ? CROWDED_SLICE : SLICE;
    const lanes = this.#lanes;
    // Lanes that become active meanwhile are appended to the list.
    // `idle`: how many lanes, this one the last, have been found empty since a message was handled that may have filled another.
    for (let handled = 0, idle = 0, round = 0; idle < lanes.length && handled < TURN_MESSAGES; round += 1) {
      const isTimed = round >= HOPS || handled >= slice;
      if (isTimed && performance.now() >= until) break;
      const lane = lanes[0] as ActorLane;
      const done = lane.handle(slice, this.#deliver);
      handled += done;
      if (done > 0) idle = 0;
      if (lane.messages === 0) idle += 1;
      if (lanes.length > 1) lanes.push(lanes.shift() as ActorLane);
    }
    for (const lane of lanes) lane.handle(lane.messages - MOST_WAITING, this.#deliver);
  }

  /** Writes to the clients of lanes that have no messages left, or whose clients have waited too many turns. */
  #write(): void {
    const isCrowded = this.isCrowded && this.#lanes.length > 0;
    const until = isCrowded ? performance.now() + CROWDED_MS : Number.POSITIVE_INFINITY;
    // Begins behind the lane with which the last turn ended: otherwise a lane whose writes take whole turns would hold up the others.
    const first = this.#writtenLast === null ? 0 : this.#lanes.indexOf(this.#writtenLast) + 1;
    const lanes = first === 0 ? this.#lanes : [...this.#lanes.slice(first), ...this.#lanes.slice(0, first)];
    this.#writtenLast = null;
    let ready = lanes.filter((lane) => lane.mayWrite());
    while (ready.length > 0) {
      for (const lane of ready) {
        lane.write(isCrowded ? CROWDED_SLICE : Number.POSITIVE_INFINITY);
        if (!isCrowded || performance.now() < until) continue;
        this.#writtenLast = lane;
        return;
      }
      ready = ready.filter(({ senders }) => senders > 0);
    }
  }

  readonly #deliver = (cell: AnyCell, message: unknown): void => {
    this.#isHandling = true;
    try {
      this.#receive(cell, message);
    } catch (error) {
      cell.suspended = true;
      dispatch(cell.group.judge(), new Envelope(cell, message, error));
    }
    this.#isHandling = false;
  };

  #receive(cell: AnyCell, message: unknown): void {
    if (cell.suspended) {
      cell.held ??= [];
      cell.held.push(message);
      return;
    }
    cell.pending -= 1;
    if (cell.stopped) return this.#isDead(cell, message);
    cell.state = cell.behaviour.receive(cell.state, message, cell);
    if (cell.pending === 0 && cell.behaviour.isDone?.(cell.state)) this.halt(cell);
  }

  #isDead({ behaviour, state }: AnyCell, message: unknown): void {
    this.#metrics.deadLetters += 1;
    if (behaviour.onDeadLetter) setImmediate(() => behaviour.onDeadLetter?.(message, state));
  }

  halt(cell: AnyCell): void {
    if (cell.stopped) return;
    cell.stopped = true;
    this.#metrics.actors -= 1;
    cell.behaviour.afterStop?.(cell.state);
  }

  readonly #onCrash = ({ cell, message }: Envelope, error: Error, context: { resume: symbol }): symbol => {
    this.#metrics.crashes += 1;
    this.#metrics.recent.add('', '', 'crash', `${kindOf(message)}: ${error.message}`);
    log.error({ event: 'crash', message: kindOf(message), err: error }, 'an actor failed on a message');
    cell.suspended = false;
    const decision = cell.behaviour.onCrash?.(cell.state, message) ?? 'resume';
    if (decision === 'stop') this.halt(cell);
    for (const held of cell.held ?? []) cell.group.lane.tell(cell, held);
    cell.held = null;
    return context.resume;
  };
}

/** The function of a group in nact, which only faults of the group's actors reach. */
function judge(_state: unknown, envelope: Envelope): never {
  throw envelope.error;
}

export function createSystem(options: SystemOptions): System {
  return new TurnSystem(options);
}
