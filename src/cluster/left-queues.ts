/**
 * What a node that ends in order leaves in JetStream of an endpoint that no other node takes: its queues, with which the endpoint goes on
 * at the next node as after a handover (parting.ts, orphans.ts). It stands in the endpoint's record; of a long one the record has the
 * number of pieces, which are in a stream of their own.
 *
 * That stream also has a mark for each node that has left endpoints in this way. It says for all endpoints of the node but those which it
 * names that their records are up to date and nothing waited for them: these records need not say so themselves. Where the record of one
 * that it names has queues, more has come than is in these. A long list of names is in pieces as well.
 */
import type { Address } from '../actors/address.js';
import { isKeptQueues, type KeptQueues } from '../actors/kept.js';
import type { Packet } from '../actors/packet.js';
import { BoundedMap } from '../bounded-map.js';
import { damaged } from '../damaged.js';
import type { KeptStream } from './kept-stream.js';
import { type NumberedPackets, numberedPackets } from './numbered-packets.js';
import { piecesOf } from './pieces.js';
import { type FoundPart, type Start, subjectOf, word } from './ticket-records.js';

/** How many pieces are read at a time: no further ones where one is missing, whatever number a damaged record has. */
const READ_AT_ONCE = 16;
/** How many marks are remembered. */
const MARKS = 100;

/** How a node has ended: the era of its clients' positions, and the endpoints of which nothing is said. */
interface End {
  readonly era: string;
  readonly except: ReadonlySet<unknown>;
}

/** What is left of an endpoint for which nothing waited. */
const NOTHING = { queues: null, packets: [], at: 0 };

export interface Left {
  /** null: nothing ever came into the queues. */
  readonly queues: KeptQueues | null;
  /** The packets by their numbers in `queues`; null: it is damaged. */
  readonly packets: readonly (Packet | null)[];
}

/** The text of what is left of an endpoint; `now`: the time in milliseconds since the epoch. */
export function leftText(queues: KeptQueues | null, packets: NumberedPackets, now: number): string {
  return `{"queues":${JSON.stringify(queues)},"packets":${packets},"at":${now}}`;
}

function prefixOf(domain: string, address: Address, [node, incarnation]: Start): string {
  return `q.${subjectOf(domain, address)}.${word(node)}.${incarnation}.`;
}

function marksOf(domain: string, node: string): string {
  return `m.${word(domain)}.${word(node)}.`;
}

/** Of the pieces of a long list in a mark. */
function namesOf(domain: string, node: string): string {
  return `e${marksOf(domain, node).slice(1)}`;
}

export class LeftQueues {
  readonly #ends = new BoundedMap<string, Promise<End | null>>(() => MARKS);

  constructor(private readonly stream: KeptStream) {}

  /**
   * Resolves with the JSON that is to stand in the record of an endpoint: the text itself, or the number of its pieces when the stream
   * has them; null where it has not taken them.
   */
  write(domain: string, address: Address, start: Start, text: string): Promise<string | null> {
    return this.#writeText(prefixOf(domain, address, start), text);
  }

  async #writeText(prefix: string, text: string): Promise<string | null> {
    const pieces = piecesOf(text);
    if (pieces.length === 1) return text;
    const isWritten = await Promise.all(
      // A piece may end within a character: JSON escapes each half.
      pieces.map((piece, at) => this.#write(`${prefix}${at}`, JSON.stringify(piece))),
    );
    return isWritten.every((one) => one) ? String(pieces.length) : null;
  }

  /** What a start of a node has left of an endpoint, by the JSON in its record; null where that is damaged. Rejects with a JetStreamError. */
  async read(domain: string, address: Address, start: Start, left: unknown): Promise<Left | null> {
    const prefix = prefixOf(domain, address, start);
    const value = typeof left === 'number' ? await this.#readPieces(prefix, left) : left;
    return leftOf(domain, value) ?? damaged('queues', prefix);
  }

  /** The value of a text in so many pieces; null where one is missing, or they are no JSON. Rejects with a JetStreamError. */
  async #readPieces(prefix: string, left: number): Promise<unknown> {
    const pieces: string[] = [];
    for (let at = 0; at < left; at += READ_AT_ONCE) {
      const keys = Array.from({ length: Math.min(left - at, READ_AT_ONCE) }, (_, n) => `${prefix}${at + n}`);
      for (const piece of await Promise.all(keys.map((key) => this.stream.read(key)))) {
        if (!piece) return null;
        pieces.push(piece.data);
      }
    }
    try {
      return JSON.parse(pieces.map((piece) => JSON.parse(piece) as string).join(''));
    } catch {
      return null;
    }
  }

  /** Removes the pieces of an endpoint's text, after another node has taken the endpoint over and has a record of its own. */
  forget(domain: string, address: Address, start: Start): void {
    this.stream.remove(`${prefixOf(domain, address, start)}>`);
  }

  /** Marks that a start of a node is about to leave endpoints of a domain. */
  async mark(domain: string, [node, incarnation]: Start): Promise<void> {
    await this.#write(`${marksOf(domain, node)}${incarnation}`, JSON.stringify([domain, node]));
  }

  /**
   * Marks that a start of a node has ended, and that nothing waited for its endpoints of a domain, whose records JetStream has, but for
   * those in `except`. `era`: of its clients' positions. Resolves with whether that is marked.
   */
  async end(domain: string, [node, incarnation]: Start, era: string, except: readonly Address[]): Promise<boolean> {
    const named = await this.#writeText(`${namesOf(domain, node)}${incarnation}.`, JSON.stringify(except));
    const text = `${JSON.stringify([domain, node, era]).slice(0, -1)},${named}]`;
    return named !== null && this.#write(`${marksOf(domain, node)}${incarnation}`, text);
  }

  /** The nodes that have left endpoints, with the domains of these. Rejects with a JetStreamError. */
  async marks(): Promise<readonly (readonly [domain: string, node: string])[]> {
    const records = await this.stream.readAll('m.');
    return records.map(({ key, data }) => readMark(key, data)?.of ?? null).filter((of) => of !== null);
  }

  /** All that the node had left of the domain has been taken over. */
  unmark(domain: string, node: string): void {
    for (const prefix of [marksOf(domain, node), namesOf(domain, node)]) this.stream.remove(`${prefix}>`);
  }

  /** A part of a node that is gone, with what the node's mark says of it. Rejects with a JetStreamError. */
  async completed(domain: string, address: Address, part: FoundPart): Promise<FoundPart> {
    const { kept, node, incarnation, adopter } = part;
    if (!kept || adopter !== undefined) return part;
    const end = await this.#endOf(`${marksOf(domain, node)}${incarnation}`);
    const isNamed = end?.except.has(address) === true;
    if (kept.left !== undefined) return isNamed ? { ...part, isIncomplete: true } : part;
    if (!end || isNamed) return part;
    const clients = kept.clients.map((client) => ({ era: end.era, ...client }));
    return { ...part, kept: { ...kept, clients, left: NOTHING } };
  }

  /** Reads marks anew, as a node has ended. */
  forgetMarks(): void {
    this.#ends.clear();
  }

  #endOf(key: string): Promise<End | null> {
    const known = this.#ends.get(key);
    if (known) return known;
    const end = this.#readEnd(key);
    this.#ends.set(key, end);
    end.catch(() => this.#ends.delete(key));
    return end;
  }

  async #readEnd(key: string): Promise<End | null> {
    const record = await this.stream.read(key);
    const { era, named } = (record && readMark(key, record.data)) ?? {};
    const except = typeof named === 'number' ? await this.#readPieces(`e${key.slice(1)}.`, named) : named;
    return era !== undefined && Array.isArray(except) ? { era, except: new Set(except) } : null;
  }

  #write(key: string, data: string): Promise<boolean> {
    return new Promise((resolve) => this.stream.write(key, data, (answer) => resolve(typeof answer === 'number')));
  }
}

/**
 * The mark of a record: the domain and the node that it is of, and where that has ended the era of its clients' positions, and the endpoints
 * of which nothing is said, or the number of the pieces of their list; null where it is damaged.
 */
function readMark(
  key: string,
  data: string,
): { readonly of: readonly [string, string]; readonly era?: string; readonly named?: unknown } | null {
  try {
    const [domain, node, era, named] = JSON.parse(data) as readonly unknown[];
    if (typeof domain !== 'string' || typeof node !== 'string') return damaged('mark', key);
    return { of: [domain, node], ...(typeof era === 'string' ? { era, named } : {}) };
  } catch {
    return damaged('mark', key);
  }
}

function leftOf(domain: string, value: unknown): Left | null {
  const { queues, packets, at } = (value ?? {}) as Partial<Record<'queues' | 'packets' | 'at', unknown>>;
  if (!(queues === null || isKeptQueues(queues)) || typeof at !== 'number') return null;
  const found = numberedPackets(packets, domain, at);
  return found && { queues, packets: found };
}
