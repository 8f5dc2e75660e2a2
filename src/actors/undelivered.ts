/**
 * Tells the site of messages whose receiver was not there: once for each message and receiver, however many nodes have parts of
 * the receiver. PROTOCOL.md section 17. Which were told is known after a restart, and on a node that takes an endpoint over (kept.ts).
 *
 * Each part of an endpoint has its messages. A part that ends while others exist leaves the telling to them. But parts may end at
 * the same time, each still seeing the others: so a part keeps its untold messages until all nodes know of its end, when it has
 * heard of the parts that ended meanwhile. The part that ended last, by the stamps of the ends, tells the site.
 */
import type { Address } from './address.js';
import type { Domain } from './domain.js';
import type { Packet } from './packet.js';

/** What became of a message whose receiver was not there. */
export type UndeliveredOutcome = 'queued' | 'stored' | 'dropped';

/** A message that its receiver has not had and that the site has not been told of. */
export type Untold = readonly [packet: Packet, outcome: UndeliveredOutcome];

/** The end of this node's part of an endpoint while other nodes had parts of it. */
interface Ending {
  /** The stamp of the end of this node's part. */
  readonly stamp: number;
  /** The stamps of the ends of other parts, by the names of their nodes. */
  readonly ends: Map<string, number>;
}

type Owner = Pick<Domain, 'unconfirmed'> & {
  readonly cluster: Pick<Domain['cluster'], 'nodesOf' | 'settled'>;
};

export class Undelivered {
  readonly #told = new WeakMap<Packet, Set<Address>>();
  /** Ends of this node's parts, by endpoint, until all nodes know of them; mostly a single one, for a moment. */
  readonly #endings = new Map<Address, Ending[]>();

  constructor(
    private readonly domain: Owner,
    private readonly raise: (packet: Packet, receiver: Address, outcome: UndeliveredOutcome) => void,
  ) {}

  isTold(packet: Packet, receiver: Address): boolean {
    return this.#told.get(packet)?.has(receiver) === true;
  }

  /** Notes that the site knows of a message, also where another node or this one before a restart has told it. */
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

  /** This node's part of an endpoint has ended and other nodes were told so; `others`: the nodes that had parts as well. */
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

  /** The part of the receiver on another node has ended. */
  endedElsewhere(receiver: Address, node: string, stamp: number): void {
    for (const { ends } of this.#endings.get(receiver) ?? []) if (!ends.has(node)) ends.set(node, stamp);
  }

  /** Whether this node's part was the last: no node in `others` still has a part or ended its own later. Lost nodes do not count. */
  #isLast(receiver: Address, others: readonly string[], { stamp, ends }: Ending): boolean {
    const there = new Set(this.domain.cluster.nodesOf(receiver));
    return others.every((node) => {
      const end = ends.get(node);
      return end === undefined ? !there.has(node) : end < stamp;
    });
  }
}
