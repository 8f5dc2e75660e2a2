/**
 * What a node that ends in order leaves in JetStream of an endpoint that no other node takes: its queues, with which the endpoint goes on
 * at the next node as after a handover (parting.ts, orphans.ts). It stands in the endpoint's record; of a long one the record has the
 * number of pieces, which are in a stream of their own. That stream also has a mark for each node that has left endpoints in this way.
 */
import type { Address } from '../actors/address.js';
import { isKeptQueues, type KeptQueues } from '../actors/kept.js';
import type { Packet } from '../actors/packet.js';
import type { KeptStream } from './kept-stream.js';
import { type NumberedPackets, numberedPackets } from './numbered-packets.js';
import { piecesOf } from './pieces.js';
import { type Start, subjectOf, word } from './ticket-records.js';

/** How many pieces are read at a time: no further ones where one is missing, whatever number a damaged record has. */
const READ_AT_ONCE = 16;

export interface Left {
  /** null: nothing ever came into the queues. */
  readonly queues: KeptQueues | null;
  /** The packets by their numbers in `queues`. */
  readonly packets: readonly Packet[];
}

/** The text of what is left of an endpoint; `now`: the time in milliseconds since the epoch. */
export function leftText(queues: KeptQueues | null, packets: NumberedPackets, now: number): string {
  return `{"queues":${JSON.stringify(queues)},"packets":${packets},"at":${now}}`;
}

function prefixOf(domain: string, address: Address, [node, incarnation]: Start): string {
  return `q.${subjectOf(domain, address)}.${word(node)}.${incarnation}.`;
}

function markOf(domain: string, node: string): string {
  return `m.${word(domain)}.${word(node)}`;
}

export class LeftQueues {
  constructor(private readonly stream: KeptStream) {}

  /**
   * Resolves with the JSON that is to stand in the record of an endpoint: the text itself, or the number of its pieces when the stream
   * has them; null where it has not taken them.
   */
  async write(domain: string, address: Address, start: Start, text: string): Promise<string | null> {
    const pieces = piecesOf(text);
    if (pieces.length === 1) return text;
    const prefix = prefixOf(domain, address, start);
    const isWritten = await Promise.all(
      // A piece may end within a character: JSON escapes each half.
      pieces.map((piece, at) => this.#write(`${prefix}${at}`, JSON.stringify(piece))),
    );
    return isWritten.every((one) => one) ? String(pieces.length) : null;
  }

  /** What a start of a node has left of an endpoint, by the JSON in its record; null where that is damaged. Rejects with a JetStreamError. */
  async read(domain: string, address: Address, start: Start, left: unknown): Promise<Left | null> {
    if (typeof left !== 'number') return leftOf(domain, left);
    const prefix = prefixOf(domain, address, start);
    const pieces: string[] = [];
    for (let at = 0; at < left; at += READ_AT_ONCE) {
      const keys = Array.from({ length: Math.min(left - at, READ_AT_ONCE) }, (_, n) => `${prefix}${at + n}`);
      for (const piece of await Promise.all(keys.map((key) => this.stream.read(key)))) {
        if (!piece) return null;
        pieces.push(piece.data);
      }
    }
    try {
      return leftOf(domain, JSON.parse(pieces.map((piece) => JSON.parse(piece) as string).join('')));
    } catch {
      return null;
    }
  }

  /** Removes the pieces of an endpoint's text, after another node has taken the endpoint over and has a record of its own. */
  forget(domain: string, address: Address, start: Start): void {
    this.stream.remove(`${prefixOf(domain, address, start)}>`);
  }

  /** Marks that a node has left endpoints of a domain. */
  async mark(domain: string, node: string): Promise<void> {
    await this.#write(markOf(domain, node), JSON.stringify([domain, node]));
  }

  /** The nodes that have left endpoints, with the domains of these. Rejects with a JetStreamError. */
  async marks(): Promise<readonly (readonly [domain: string, node: string])[]> {
    return (await this.stream.readAll('m.>')).map(({ data }) => JSON.parse(data) as [string, string]);
  }

  /** All that the node had left of the domain has been taken over. */
  unmark(domain: string, node: string): void {
    this.stream.remove(markOf(domain, node));
  }

  #write(key: string, data: string): Promise<boolean> {
    return new Promise((resolve) => this.stream.write(key, data, (answer) => resolve(typeof answer === 'number')));
  }
}

function leftOf(domain: string, value: unknown): Left | null {
  const { queues, packets, at } = (value ?? {}) as Partial<Record<'queues' | 'packets' | 'at', unknown>>;
  if (!(queues === null || isKeptQueues(queues)) || typeof at !== 'number') return null;
  const found = numberedPackets(packets, domain, at);
  return found && { queues, packets: found };
}
