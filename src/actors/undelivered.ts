/**
 * Messages that nobody was there for, told to the site once for each receiver, whichever nodes have parts of it. PROTOCOL.md
 * section 17. What has been told is known over a restart and where another node takes an endpoint over (kept.ts).
 *
 * Each part of an endpoint has its messages. A part that ends while others are there leaves it to these to tell, and they may end
 * at the same time, each of them seeing the others still: so a part keeps what it has not told until all nodes know of its end,
 * and has heard by then of those that ended meanwhile. The one that has ended last tells, by the stamps of their ends.
 */
import type { Address } from './address.js';
import type { Domain } from './domain.js';
import type { Packet } from './packet.js';

/** What became of a message that nobody was there for. */
export type UndeliveredOutcome = 'queued' | 'stored' | 'dropped';

/** A message that the site has not been told of. */
export type Untold = readonly [packet: Packet, outcome: UndeliveredOutcome];

/** The end of this node's part of an endpoint, while others were there. */
interface Ending {
  /** When it ended. */
  readonly stamp: number;
  /** When the others ended, by their nodes. */
  readonly ends: Map<string, number>;
}

type Owner = Pick<Domain, 'unconfirmed'> & {
  readonly cluster: Pick<Domain['cluster'], 'nodesOf' | 'settled'>;
};

export class Undelivered {
  readonly #told = new WeakMap<Packet, Set<Address>>();
  /** Until all nodes know of them; mostly one, for a moment. */
  readonly #endings = new Map<Address, Ending[]>();

  constructor(
    private readonly domain: Owner,
    private readonly raise: (packet: Packet, receiver: Address, outcome: UndeliveredOutcome) => void,
  ) {}

  isTold(packet: Packet, receiver: Address): boolean {
    return this.#told.get(packet)?.has(receiver) === true;
  }

  /** The site knows of a message already, by this node before it started, or by another one. */
  note(packet: Packet, receiver: Address): void {
    const told = this.#told.get(packet);
    if (told) told.add(receiver);
    else this.#told.set(packet, new Set([receiver]));
    this.domain.unconfirmed?.told(receiver, packet);
  }

  tell(packet: Packet, receiver: Address, outcome: UndeliveredOutcome): void {
    if (this.isTold(packet, receiver)) return;
    this.note(packet, receiver);
    this.raise(packet, receiver, outcome);
  }

  /** This node's part of an endpoint has ended, as the others have been told; `others`: nodes that had parts as well. */
  ended(receiver: Address, stamp: number, others: readonly string[], untold: readonly Untold[]): void {
    const ending: Ending = { stamp, ends: new Map() };
    this.#endings.set(receiver, [...(this.#endings.get(receiver) ?? []), ending]);
    this.domain.cluster.settled(() => {
      const left = this.#endings.get(receiver)?.filter((other) => other !== ending) ?? [];
      if (left.length > 0) this.#endings.set(receiver, left);
      else this.#endings.delete(receiver);
      if (!this.#isLast(receiver, others, ending)) return;
      for (const [packet, outcome] of untold) this.tell(packet, receiver, outcome);
    });
  }

  /** The part on another node has ended. */
  endedElsewhere(receiver: Address, node: string, stamp: number): void {
    for (const { ends } of this.#endings.get(receiver) ?? []) if (!ends.has(node)) ends.set(node, stamp);
  }

  /** Whether no other part is there that is to tell, or has ended later. A node that is lost tells nothing. */
  #isLast(receiver: Address, others: readonly string[], { stamp, ends }: Ending): boolean {
    const there = new Set(this.domain.cluster.nodesOf(receiver));
    return others.every((node) => {
      const end = ends.get(node);
      return end === undefined ? !there.has(node) : end < stamp;
    });
  }
}
