/**
 * The actor system: the only file that knows nact. An actor is a behaviour and a state with a mailbox of its own.
 *
 * nact supervises: each group of actors is an actor of nact's, and it judges what becomes of one that crashes. Messages
 * travel through one queue of (actor, message) pairs that is emptied once a turn of the event loop: first in, first out
 * over all actors, so what one actor tells another arrives in order. A mailbox turn of nact's own costs 2.5 µs and this
 * one 0.06 µs, which decides what a room of a thousand costs; an actor of nact's own takes 1.5 KiB and 5 µs to spawn,
 * which decides what a user costs. With `mailbox: 'nact'` every actor is one of nact's, and every message goes through
 * it; test/system.test.ts holds both to the same behaviour.
 */
import { type ActorName, type ActorSystemRef, dispatch, type Ref as NactRef, spawn, start, stop } from 'nact';
import { log } from '../log.js';
import type { Metrics } from '../metrics.js';

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
  /** A message that comes after that: whoever waits for its answer is to be told. Never runs before `tell` returns. */
  onDeadLetter?(message: M, state: S): void;
}

/** An actor's address inside the process. */
export interface Ref<M> {
  /** Messages told to it and not yet received. */
  readonly pending: number;
  readonly stopped: boolean;
  /** Keeps refs of different message types apart; never set. */
  readonly messages?: (message: M) => void;
}

/** A parent of actors. It receives nothing but their faults: an actor's cost grows with the number of its children. */
export interface Group {
  readonly nact: NactRef<Envelope>;
}

export interface System {
  group(name: string): Group;
  /** Names are unique under a parent; any text will do. */
  spawn<S, M>(group: Group, name: string, behaviour: Behaviour<S, M>, state: S): Ref<M>;
  tell<M>(actor: Ref<M>, message: M): void;
  stop(actor: Ref<never>): void;
  /** Runs at the end of every turn in which there were messages, after the mailboxes are empty. */
  readonly endOfTurn: Set<() => void>;
  /** Asks for a turn although nobody tells anything. */
  wake(): void;
  close(): void;
}

/** How many messages a turn handles, and for how long, before it lets the event loop look at the network again. */
const TURN_MESSAGES = 100_000;
const TURN_MS = 50;

class Cell<S, M> implements Ref<M> {
  pending = 0;
  stopped = false;
  /** Crashed, and nact has not decided yet what becomes of it. */
  suspended = false;
  held: unknown[] | null = null;
  constructor(
    readonly behaviour: Behaviour<S, M>,
    public state: S,
    /** Judges its faults, and may have it as a child. */
    readonly group: Group,
    /** Itself, where every actor is one of nact's. */
    public nact: NactRef<Envelope> | null,
  ) {}
}

type AnyCell = Cell<unknown, unknown>;

/** What goes through nact: a message, or the error a message has raised already, for a group to judge. */
export class Envelope {
  constructor(
    readonly cell: AnyCell,
    readonly message: unknown,
    readonly fault: { readonly error: unknown } | null,
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

export interface SystemOptions {
  readonly metrics: Metrics;
  readonly mailbox?: 'turn' | 'nact';
}

class TurnSystem implements System {
  readonly endOfTurn = new Set<() => void>();
  readonly #root: ActorSystemRef = start();
  readonly #metrics: Metrics;
  readonly #throughNact: boolean;
  #cells: AnyCell[] = [];
  #messages: unknown[] = [];
  #turn: NodeJS.Immediate | null = null;

  constructor({ metrics, mailbox }: SystemOptions) {
    this.#metrics = metrics;
    this.#throughNact = mailbox === 'nact';
  }

  group(name: string): Group {
    const properties = { onCrash: this.#onCrash } as object;
    return { nact: spawn(this.#root, judge, encodeName(name), properties) as NactRef<Envelope> };
  }

  spawn<S, M>(group: Group, name: string, behaviour: Behaviour<S, M>, state: S): Ref<M> {
    const cell = new Cell(behaviour, state, group, null);
    if (this.#throughNact) cell.nact = this.#spawnInNact(group, name, cell as unknown as AnyCell);
    this.#metrics.actors += 1;
    return cell;
  }

  tell<M>(actor: Ref<M>, message: M): void {
    const cell = actor as unknown as AnyCell;
    if (cell.stopped) return this.#isDead(cell, message);
    cell.pending += 1;
    this.#enqueue(cell, message);
  }

  stop(actor: Ref<never>): void {
    this.#halt(actor as unknown as AnyCell);
  }

  wake(): void {
    this.#turn ??= setImmediate(this.#runTurn);
  }

  close(): void {
    if (this.#turn) clearImmediate(this.#turn);
    this.#turn = null;
    this.#cells = [];
    this.#messages = [];
    stop(this.#root);
  }

  #spawnInNact(group: Group, name: string, cell: AnyCell): NactRef<Envelope> {
    const properties = { initialState: cell, onCrash: this.#onCrash } as object;
    return spawn(group.nact, this.#inNact, encodeName(name), properties) as NactRef<Envelope>;
  }

  #enqueue(cell: AnyCell, message: unknown): void {
    if (cell.nact) {
      dispatch(cell.nact, new Envelope(cell, message, null));
      return;
    }
    this.#cells.push(cell);
    this.#messages.push(message);
    this.wake();
  }

  readonly #runTurn = (): void => {
    this.#turn = null;
    this.#metrics.mailbox.observe(this.#cells.length);
    const until = performance.now() + TURN_MS;
    for (let handled = 0; this.#cells.length > 0 && handled < TURN_MESSAGES && performance.now() < until; ) {
      const cells = this.#cells;
      const messages = this.#messages;
      this.#cells = [];
      this.#messages = [];
      this.#runBatch(cells, messages);
      handled += cells.length;
    }
    for (const task of this.endOfTurn) task();
    if (this.#cells.length > 0) this.wake();
  };

  #runBatch(cells: readonly AnyCell[], messages: readonly unknown[]): void {
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i] as AnyCell;
      try {
        this.#receive(cell, messages[i]);
      } catch (error) {
        cell.suspended = true;
        dispatch(cell.group.nact, new Envelope(cell, messages[i], { error }));
      }
    }
  }

  #receive(cell: AnyCell, message: unknown): void {
    if (cell.suspended) {
      cell.held ??= [];
      cell.held.push(message);
      return;
    }
    cell.pending -= 1;
    if (cell.stopped) return this.#isDead(cell, message);
    cell.state = cell.behaviour.receive(cell.state, message, cell);
    if (cell.pending === 0 && cell.behaviour.isDone?.(cell.state)) this.#halt(cell);
  }

  #isDead({ behaviour, state }: AnyCell, message: unknown): void {
    this.#metrics.deadLetters += 1;
    if (behaviour.onDeadLetter) setImmediate(() => behaviour.onDeadLetter?.(message, state));
  }

  #halt(cell: AnyCell): void {
    if (cell.stopped) return;
    cell.stopped = true;
    this.#metrics.actors -= 1;
    if (cell.nact) stop(cell.nact);
    cell.nact = null;
    cell.behaviour.afterStop?.(cell.state);
  }

  /** Every actor's function in nact; its state is the cell. */
  readonly #inNact = (cell: AnyCell, envelope: Envelope): AnyCell => {
    this.#receive(cell, envelope.message);
    for (const task of this.endOfTurn) task();
    return cell;
  };

  readonly #onCrash = (
    { cell, message }: Envelope,
    error: Error,
    context: { resume: symbol; stop: symbol },
  ): symbol => {
    this.#metrics.crashes += 1;
    this.#metrics.recent.add('', '', 'crash', `${kindOf(message)}: ${error.message}`);
    log.error({ event: 'crash', message: kindOf(message), err: error }, 'an actor failed on a message');
    cell.suspended = false;
    const decision = cell.behaviour.onCrash?.(cell.state, message) ?? 'resume';
    const isNacts = cell.nact !== null;
    if (decision === 'stop') this.#halt(cell);
    for (const held of cell.held ?? []) this.#enqueue(cell, held);
    cell.held = null;
    return decision === 'stop' && isNacts ? context.stop : context.resume;
  };
}

/** A group's function in nact: what reaches it is a fault of one of its actors. */
function judge(_state: unknown, envelope: Envelope): never {
  throw envelope.fault?.error;
}

export function createSystem(options: SystemOptions): System {
  return new TurnSystem(options);
}
