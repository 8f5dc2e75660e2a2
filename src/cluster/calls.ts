/** Questions to other nodes and their answers. Each is answered once: with null where the node goes or takes too long. */
import type { Clock } from '../clock.js';
import type { Taken } from './incoming.js';
import type { Mesh } from './mesh.js';
import type { Item, Peer } from './peer.js';
import { count } from './shapes.js';

export type Answerer = (peer: Peer, fields: readonly unknown[], reply: (answer: unknown) => void) => void;

interface Question {
  readonly peer: Peer;
  readonly done: (answer: unknown) => void;
  readonly cancel: () => void;
}

export class Calls {
  readonly #questions = new Map<number, Question>();
  readonly #answerers = new Map<string, Answerer>();
  #lastId = 0;

  constructor(
    private readonly mesh: Mesh,
    private readonly clock: Clock,
  ) {}

  /** Who answers questions of a kind on this node. */
  answer(kind: string, answerer: Answerer): void {
    this.#answerers.set(kind, answerer);
  }

  /** `done` is called once; never before this returns. */
  ask(peer: Peer, kind: string, fields: readonly unknown[], timeoutMs: number, done: (answer: unknown) => void): void {
    if (!peer.up) {
      setImmediate(done, null);
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const cancel = this.clock.after(timeoutMs, () => this.#finish(id, null));
    this.#questions.set(id, { peer, done, cancel });
    this.mesh.send(peer, JSON.stringify(['?', id, kind, ...fields]));
  }

  /** Takes a question or an answer. */
  received(peer: Peer, [mark, ...fields]: Item): Taken {
    const [id, kind, ...rest] = fields;
    if (!count(id, '')) return 'malformed';
    if (mark === '!') {
      this.#finish(id as number, kind ?? null);
      return 'taken';
    }
    const answerer = this.#answerers.get(kind as string);
    const reply = (answer: unknown) => this.mesh.send(peer, JSON.stringify(['!', id, answer ?? null]));
    if (answerer) answerer(peer, rest, reply);
    else reply(null);
    return 'taken';
  }

  /** A node is not there any more: what it was asked is answered with null. */
  lost(peer: Peer): void {
    for (const [id, question] of [...this.#questions]) if (question.peer === peer) this.#finish(id, null);
  }

  close(): void {
    for (const { cancel } of this.#questions.values()) cancel();
    this.#questions.clear();
  }

  #finish(id: number, answer: unknown): void {
    const question = this.#questions.get(id);
    if (!question) return;
    this.#questions.delete(id);
    question.cancel();
    question.done(answer);
  }
}
