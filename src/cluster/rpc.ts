/** Calls to other nodes. Each is answered once: with null where the node goes or takes too long. */
import type { Clock } from '../clock.js';
import type { Mesh } from './mesh.js';
import type { Item, Peer, Taken } from './peer.js';
import { count } from './validators.js';

export type RpcHandler = (peer: Peer, fields: readonly unknown[], reply: (answer: unknown) => void) => void;

interface PendingCall {
  readonly peer: Peer;
  readonly done: (answer: unknown) => void;
  readonly cancel: () => void;
}

/** How many answers may be due from one node; further calls to it are answered with null at once, as the node seems to be silent. */
export const MOST_DUE = 10_000;

export class Rpc {
  readonly #pending = new Map<number, PendingCall>();
  /** How many of the pending calls each node has to answer. */
  readonly #due = new Map<Peer, number>();
  readonly #handlers = new Map<string, RpcHandler>();
  #lastId = 0;

  constructor(
    private readonly mesh: Pick<Mesh, 'send'>,
    private readonly clock: Pick<Clock, 'after'>,
    private readonly metrics: { answersGivenUp: number },
  ) {}

  /** Sets the handler that answers other nodes' calls of a kind. */
  handle(kind: string, handler: RpcHandler): void {
    this.#handlers.set(kind, handler);
  }

  /** `done` is called once, never before this method has returned. */
  call(peer: Peer, kind: string, fields: readonly unknown[], timeoutMs: number, done: (answer: unknown) => void): void {
    if (!peer.up) {
      setImmediate(done, null);
      return;
    }
    const id = this.expect(peer, timeoutMs, done);
    this.mesh.send(peer, JSON.stringify(['?', id, kind, ...fields]));
  }

  /** Calls those of the given nodes that are up; `done` is called once, when each of them has answered or failed to (null). */
  callAll(
    peers: Iterable<Peer>,
    kind: string,
    fields: readonly unknown[],
    timeoutMs: number,
    done: (answers: readonly unknown[]) => void,
  ): void {
    const called = [...peers].filter(({ up }) => up);
    const answers: unknown[] = [];
    if (called.length === 0) return done(answers);
    for (const peer of called) {
      this.call(peer, kind, fields, timeoutMs, (answer) => {
        if (answers.push(answer) === called.length) done(answers);
      });
    }
  }

  /** Returns a number under which a peer can answer an item that is not a call; `done` is called as in `call`. */
  expect(peer: Peer, timeoutMs: number, done: (answer: unknown) => void): number {
    this.#lastId += 1;
    const id = this.#lastId;
    const due = this.#due.get(peer) ?? 0;
    if (due >= MOST_DUE) {
      this.metrics.answersGivenUp += 1;
      setImmediate(done, null);
      return id;
    }
    this.#due.set(peer, due + 1);
    const cancel = this.clock.after(timeoutMs, () => this.#finish(id, null));
    this.#pending.set(id, { peer, done, cancel });
    return id;
  }

  /** Sends a peer the answer to its call, or to its item, with the number `id`. */
  answer(peer: Peer, id: number, answer: unknown): void {
    this.mesh.send(peer, JSON.stringify(['!', id, answer ?? null]));
  }

  /** Takes a call or an answer to one. */
  received(peer: Peer, [mark, ...fields]: Item): Taken {
    const [id, kind, ...rest] = fields;
    if (!count(id, '')) return 'malformed';
    if (mark === '!') {
      this.#finish(id as number, kind ?? null);
      return 'taken';
    }
    const handler = this.#handlers.get(kind as string);
    const reply = (answer: unknown) => this.answer(peer, id as number, answer);
    if (handler) handler(peer, rest, reply);
    else reply(null);
    return 'taken';
  }

  /** The peer has not had the item that was to be answered under a number: returns who waits for that; null: nobody does any more. */
  withdraw(id: number): ((answer: unknown) => void) | null {
    const pending = this.#end(id);
    return pending ? pending.done : null;
  }

  /** Answers all pending calls to a node with null, because the node is not there any more. */
  lost(peer: Peer): void {
    for (const [id, pending] of [...this.#pending]) if (pending.peer === peer) this.#finish(id, null);
  }

  close(): void {
    for (const { cancel } of this.#pending.values()) cancel();
    this.#pending.clear();
    this.#due.clear();
  }

  #finish(id: number, answer: unknown): void {
    this.#end(id)?.done(answer);
  }

  #end(id: number): PendingCall | undefined {
    const pending = this.#pending.get(id);
    if (!pending) return undefined;
    this.#pending.delete(id);
    const due = (this.#due.get(pending.peer) ?? 1) - 1;
    if (due > 0) this.#due.set(pending.peer, due);
    else this.#due.delete(pending.peer);
    pending.cancel();
    return pending;
  }
}
