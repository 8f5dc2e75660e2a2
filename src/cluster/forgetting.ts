/**
 * Has the other nodes forget messages of a domain (src/actors/forgetting.ts), and does what they ask for.
 *
 * A node that ends hands endpoints and MQTT sessions over with what waits for them: what is to be forgotten may be on its way to a node
 * that is asked before it has come there. When it has come, or stays here, it is forgotten anew.
 */
import type { Domain } from '../actors/domain.js';
import { answerForget } from '../actors/forgetting.js';
import type { LocalNode } from './local-node.js';

/** How long another node may take. */
const ANSWER_MS = 5000;

type Answers = (answers: readonly unknown[]) => void;

export class Forgetting {
  constructor(
    private readonly domain: Domain,
    private readonly node: Pick<LocalNode, 'mesh' | 'rpc' | 'leaving'>,
  ) {}

  /** Asks all other nodes; `done` gets an answer of each, null where it has not forgotten what it was asked to. */
  forget(what: readonly unknown[], done: Answers): void {
    this.#ask('forget', what, (answers) => this.#forgetMoved(what, (more) => done([...answers, ...more])));
  }

  /** Answers the call `forget` of another node. */
  answer(what: readonly unknown[], reply: (answer: unknown) => void): void {
    answerForget(this.domain, what, (answer) => {
      if (answer === null) reply(null);
      else this.#forgetMoved(what, (more) => reply(more.includes(null) ? null : answer));
    });
  }

  #forgetMoved(what: readonly unknown[], done: Answers): void {
    const { leaving } = this.node;
    if (!leaving.isActive) return done([]);
    leaving.whenAllMoved(() => {
      answerForget(this.domain, what, (answer) => this.#ask('forgetMoved', what, (more) => done([answer, ...more])));
    });
  }

  #ask(kind: 'forget' | 'forgetMoved', what: readonly unknown[], done: Answers): void {
    const { rpc, mesh } = this.node;
    rpc.callAll(mesh.peers.values(), kind, [this.domain.name, ...what], ANSWER_MS, done);
  }
}
