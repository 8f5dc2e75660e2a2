/** What a node that ends asks of the other nodes: which of them takes something, to take a text in pieces, and whether all has arrived. */
import type { Clock } from '../clock.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import { piecesOf } from './pieces.js';
import { weightOf } from './rendezvous.js';
import type { Rpc } from './rpc.js';

/** How many characters may be on their way to one node before the next piece is sent; its stream holds 32 Mi of them. */
const MOST_BACKLOG = 4 * 1024 * 1024;
const LOOK_MS = 10;
/**
 * How long a node may take to answer a piece, behind all that a busy machine has it do before (where the node is lost the wait ends at once),
 * to answer `known`, when other nodes and JetStream have acknowledged what it has told them,
 * and to answer `arrived`, behind all that it has sent to this node before.
 */
export const ADOPT_MS = 10_000;
const KNOWN_MS = 2000;
const KNOWN_LEAST_MS = 200;
const ARRIVED_MS = 1000;
/** How long after an offer the node that made it may still forward packets that arrive there for what it has handed over. */
export const PASSING_MS = 10_000;

interface Node {
  readonly mesh: Pick<Mesh, 'peers'>;
  readonly rpc: Pick<Rpc, 'call'>;
}

export class OtherNodes {
  #lastId = 0;
  /** For each node, resolves when the texts before have been sent: a node takes the pieces of few texts at a time. */
  readonly #sending = new WeakMap<Peer, Promise<unknown>>();
  #arrived: Promise<void> | null = null;

  constructor(
    private readonly node: Node,
    private readonly clock: Pick<Clock, 'after'>,
  ) {}

  /** The nodes that can take something over. */
  get able(): Peer[] {
    return [...this.node.mesh.peers.values()].filter(({ up, leaving, suspect }) => up && !leaving && !suspect);
  }

  /** The node among `able` that a name chooses; null: there is none. */
  chosenBy(name: string, able: readonly Peer[]): Peer | null {
    const weighed = able.map((peer) => ({ peer, weight: weightOf(peer.name, name) }));
    return weighed.sort((a, b) => (a.weight < b.weight ? 1 : -1))[0]?.peer ?? null;
  }

  /** Sends a text in pieces, as calls of the kind `kind`. Resolves with the answer to the last piece; null where the node refuses or is silent. */
  async offer(peer: Peer, kind: string, domain: string, text: string): Promise<unknown> {
    const sending = (this.#sending.get(peer) ?? Promise.resolve()).then(() => this.#send(peer, kind, domain, text));
    this.#sending.set(peer, sending);
    const { answer } = await sending;
    return answer;
  }

  /** Resolves when the last piece has been sent, with a promise of the answer to it. */
  async #send(peer: Peer, kind: string, domain: string, text: string): Promise<{ readonly answer: Promise<unknown> }> {
    this.#lastId += 1;
    const id = this.#lastId;
    const pieces = piecesOf(text);
    let answer: Promise<unknown> = Promise.resolve(null);
    for (const [at, piece] of pieces.entries()) {
      while (peer.up && peer.stream.backlog > MOST_BACKLOG) await this.#pause();
      answer = this.#ask(peer, kind, [domain, id, at, pieces.length, piece], ADOPT_MS);
    }
    return { answer };
  }

  /**
   * Resolves with true when every node knows that a node has taken endpoints over (`[domain, addresses]`), and JetStream has its records of
   * them; with false when it has not said so in time, of which there are `ms` milliseconds left.
   */
  async known(peer: Peer, fields: readonly unknown[], ms: number): Promise<boolean> {
    return (await this.#ask(peer, 'known', fields, Math.max(KNOWN_LEAST_MS, Math.min(KNOWN_MS, ms)))) === true;
  }

  /**
   * Resolves when all that other nodes had sent to this node has arrived: their answers come behind it in their streams. Who asks at the same
   * time is answered together.
   */
  allArrived(): Promise<void> {
    this.#arrived ??= Promise.resolve().then(() => {
      this.#arrived = null;
      return this.#askAll();
    });
    return this.#arrived;
  }

  async #askAll(): Promise<void> {
    const nodes = [...this.node.mesh.peers.values()].filter(({ up, suspect }) => up && !suspect);
    await Promise.all(nodes.map((peer) => this.#ask(peer, 'arrived', [], ARRIVED_MS)));
  }

  #ask(peer: Peer, kind: string, fields: readonly unknown[], ms: number): Promise<unknown> {
    return new Promise((resolve) => this.node.rpc.call(peer, kind, fields, ms, resolve));
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.clock.after(LOOK_MS, resolve));
  }
}
