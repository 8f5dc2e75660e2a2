/** An actor as its system keeps it: its state, and how many messages wait for it. */
import type { Behaviour, Group, Ref } from './system.js';

/** What an actor tells its messages to, and its stop. */
export interface TurnQueue {
  tell(cell: AnyCell, message: unknown): void;
  tellAtOnce(cell: AnyCell, message: unknown): void;
  halt(cell: AnyCell): void;
}

export class Cell<S, M> implements Ref<M> {
  pending = 0;
  stopped = false;
  /** The actor has crashed, and nact has not decided yet what becomes of it. */
  suspended = false;
  held: unknown[] | null = null;
  constructor(
    readonly behaviour: Behaviour<S, M>,
    public state: S,
    /** The group whose crash policy applies to the actor. */
    readonly group: Group,
  ) {}

  tell(message: M): void {
    this.group.queue.tell(this as unknown as AnyCell, message);
  }

  tellAtOnce(message: M): void {
    this.group.queue.tellAtOnce(this as unknown as AnyCell, message);
  }

  stop(): void {
    this.group.queue.halt(this as unknown as AnyCell);
  }
}

export type AnyCell = Cell<unknown, unknown>;
