/**
 * Nodes that end in order, will be gone in a moment and take nothing more for their endpoints (parting.ts). What comes here for such an
 * endpoint waits until the node is gone: then it goes to the node that takes the endpoint over, behind all that was sent before.
 */
import type { RemoteNode } from '../actors/cluster.js';

/** How many packets may wait, and how many bytes of them; further ones are sent to the node all the same, which may be too late. */
export const MOST_WAITING = 50_000;
const MOST_WAITING_BYTES = 32 * 1024 * 1024;

interface Waiting {
  readonly tasks: (() => void)[];
  packets: number;
  bytes: number;
}

export class EndingNodes {
  readonly #waiting = new Map<RemoteNode, Waiting>();
  #isClosed = false;

  /** A node says that it takes nothing more for its endpoints. */
  begin(node: RemoteNode): void {
    if (this.#isClosed || this.#waiting.has(node)) return;
    this.#waiting.set(node, { tasks: [], packets: 0, bytes: 0 });
  }

  /** This node leaves its own endpoints: it waits for no other one any more, and what waits is sent all the same, which may be too late. */
  close(): void {
    this.#isClosed = true;
    for (const node of [...this.#waiting.keys()]) this.gone(node);
  }

  /** Calls `again` when a node that ends is gone. Returns false, and does not call it, where the node does not end or too many wait. */
  wait(node: RemoteNode, bytes: number, again: () => void): boolean {
    const waiting = this.#waiting.get(node);
    if (!waiting || waiting.packets >= MOST_WAITING || waiting.bytes + bytes > MOST_WAITING_BYTES) return false;
    waiting.packets += 1;
    waiting.bytes += bytes;
    waiting.tasks.push(again);
    return true;
  }

  /** Calls `done` when those of these nodes that end are gone, and what waited for that has gone on. `hasWaited`: whether any of them ends. */
  whenGone(nodes: Iterable<RemoteNode>, done: (hasWaited: boolean) => void): void {
    if (this.#waiting.size === 0) return done(false);
    const ending = [...nodes].flatMap((node) => this.#waiting.get(node) ?? []);
    let open = ending.length;
    const gone = (): void => {
      open -= 1;
      if (open === 0) done(true);
    };
    if (open === 0) done(false);
    for (const { tasks } of ending) tasks.push(gone);
  }

  /** A node is gone, or not heard of any more. */
  gone(node: RemoteNode): void {
    const { tasks = [] } = this.#waiting.get(node) ?? {};
    this.#waiting.delete(node);
    for (const task of tasks) task();
  }
}
