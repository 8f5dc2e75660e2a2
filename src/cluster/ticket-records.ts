/**
 * Records of all nodes' endpoints in JetStream, from which another node can take over the clients of a node that is gone. Each part
 * of an endpoint has a record, which the part's node writes whenever the part changes. PROTOCOL.md section 20.
 *
 * A node overwrites only a record that it has written itself: where another node has written the record in between, that node has
 * taken the part over, and this node gives the part up.
 */
import { type Address, isOfDomain } from '../actors/address.js';
import { isKeptEndpoint, type KeptEndpoint } from '../actors/kept.js';
import { damaged } from '../damaged.js';
import { JetStreamError, type JetStreamPort } from './jetstream-port.js';
import type { KeptStream, Record } from './kept-stream.js';

/** A part of an endpoint, as its node has written it. */
export interface PartRecord {
  /** The name of the part's node, and the incarnation (the start) of that node. */
  readonly node: string;
  readonly incarnation: number;
  /**
   * The state of the part; null where another node has taken the part over and has its own record for it. `left`: the node has ended in
   * order, and this is what it has left of the part's queues (left-queues.ts).
   */
  readonly kept: (KeptEndpoint & { readonly left?: unknown }) | null;
  /** The node that has taken the part over, and that node's incarnation; absent where no node has. */
  readonly adopter?: Start;
  /** Nodes that had taken the part over before the adopter, and died before they had written a record of their own; absent: none. */
  readonly former?: readonly Start[];
}

/** A node's name and its incarnation: one start of a node. */
export type Start = readonly [node: string, incarnation: number];

export interface FoundPart extends PartRecord {
  readonly domain: string;
  readonly address: Address;
  readonly key: string;
  readonly revision: number;
  /** Whether the node that has left the part's queues had more than that, as it says in its mark; absent: no. */
  readonly isIncomplete?: boolean;
}

/** Called with a part's address, its record, and how many characters that has. */
export type TakePart = (address: Address, part: FoundPart, characters: number) => void;

/** One record of this node; one write of a record is on its way at a time. */
interface Own {
  /** The revision of the record in JetStream; 0: JetStream has no record. */
  revision: number;
  isWriting: boolean;
  /** When JetStream has taken the last of the writes, in seconds since the epoch, which V8 keeps within the object; -1: it has not. */
  writtenS: number;
  /** The JSON that is to be written next; null: the record is to be removed; undefined: nothing is to be done. */
  next: string | null | undefined;
  /** Called when there is nothing more to write. */
  waiting: readonly (() => void)[];
}

/** Shared by all records that nobody waits for. */
const NOBODY: Own['waiting'] = [];

export interface TicketRecordsOptions {
  readonly jetstream: Pick<JetStreamPort, 'available'> & { readonly watchers: Set<(available: boolean) => void> };
  readonly stream: KeptStream;
  readonly node: string;
  readonly incarnation: number;
  /** How long JetStream keeps a record, in milliseconds. */
  readonly keptMs: number;
  /** The time in milliseconds since the epoch. */
  readonly now: () => number;
  /** Called when another node, or an earlier process of this name, has written a record that this node was about to write. */
  readonly onConflict: (domain: string, address: Address, found: FoundPart) => void;
}

const RETRY_MS = 1000;

export function word(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** The two words that stand for an endpoint of a domain in a subject of NATS. */
export function subjectOf(domain: string, address: Address): string {
  return `${word(domain)}.${word(address.slice(`/domain/${domain}/`.length))}`;
}

/** Joined to one text: V8 keeps a text that was put together as its parts, which take three times the memory, of each endpoint here. */
function keyOf(domain: string, address: Address, node: string): string {
  return [subjectOf(domain, address), word(node)].join('.');
}

export class TicketRecords {
  readonly #own = new Map<string, Own>();
  /** Records that are being written or wait for that. */
  readonly #unwritten = new Set<Own>();

  constructor(private readonly options: TicketRecordsOptions) {
    options.jetstream.watchers.add((available) => {
      if (available) for (const [key, own] of this.#own) if (!own.isWriting) this.#write(key, own);
    });
  }

  get available(): boolean {
    return this.options.jetstream.available;
  }

  /** How many records are being written or wait for that. */
  get waiting(): number {
    return this.#unwritten.size;
  }

  /** The endpoints whose latest records, or removals of them, are not in JetStream yet, with their domains. */
  *unwritten(): Iterable<readonly [domain: string, address: Address]> {
    if (this.#unwritten.size === 0) return;
    for (const [key, own] of this.#own) {
      if (!this.#unwritten.has(own)) continue;
      const [domain, endpoint] = key.split('.').map((word) => Buffer.from(word, 'base64url').toString());
      yield [domain ?? '', `/domain/${domain}/${endpoint}` as Address];
    }
  }

  /** `left`: the JSON of what this node, which ends, leaves of the part's queues; empty: it does not end. */
  put(domain: string, address: Address, kept: KeptEndpoint, left = ''): void {
    const { node, incarnation } = this.options;
    const head = JSON.stringify([domain, address, node, incarnation]).slice(0, -1);
    const state = JSON.stringify(kept);
    this.#change(domain, address, `${head},${left === '' ? state : `${state.slice(0, -1)},"left":${left}}`}]`);
  }

  /**
   * Another node has been given a part of this one, which ends, and may be gone before it has written the part's record: writes that record,
   * unless it has the part's clients already. Where the other node writes it at the same time its own counts. Rejects with a JetStreamError.
   */
  async putFor([node, incarnation]: Start, domain: string, address: Address, kept: KeptEndpoint): Promise<void> {
    const found = await this.readPart(domain, address, node);
    const before = found?.incarnation === incarnation ? found.kept : null;
    const known = new Set(before?.clients.map(({ hash }) => hash));
    // Where messages are in the order of this node says nothing of those that the other node has.
    const added = kept.clients.filter(({ hash }) => !known.has(hash)).map(({ from, ...client }) => client);
    if (before && added.length === 0) return;
    const state = { ...(before ?? kept), clients: [...(before?.clients ?? []), ...added] };
    const data = JSON.stringify([domain, address, node, incarnation, state]);
    await this.options.stream.compareAndSet(keyOf(domain, address, node), data, found?.revision ?? 0);
  }

  /** Whether this node has written a record of an endpoint, or is about to. */
  has(domain: string, address: Address): boolean {
    return this.#own.has(this.#keyOf(domain, address));
  }

  remove(domain: string, address: Address): void {
    if (this.has(domain, address)) this.#change(domain, address, null);
  }

  /** Calls `done` when the latest record of an endpoint is in JetStream, or JetStream cannot be used at the moment. */
  written(domain: string, address: Address, done: () => void): void {
    const own = this.#own.get(this.#keyOf(domain, address));
    if (!own || (!own.isWriting && own.next === undefined) || !this.available) done();
    else own.waiting = [...own.waiting, done];
  }

  /** Whether the latest record of an endpoint is in JetStream, which will keep it for half of its time at least. */
  isWritten(domain: string, address: Address): boolean {
    const { now, keptMs } = this.options;
    const own = this.#own.get(this.#keyOf(domain, address));
    if (!own || own.writtenS < 0 || own.isWriting || own.next !== undefined) return false;
    return now() - own.writtenS * 1000 < keptMs / 2;
  }

  /** This node has taken over a part that an earlier process of its name had, whose record it goes on with. */
  goOn({ key, node }: FoundPart, revision: number): void {
    if (node === this.options.node) this.#ownOf(key).revision = revision;
  }

  /** Calls `take` for each part of a domain that a node of this name has, or had, a record of. Rejects with a JetStreamError. */
  async readNode(domain: string, node: string, take: TakePart): Promise<void> {
    await this.options.stream.readEach(`${word(domain)}.*.${word(node)}`, ({ key, ...record }) => {
      const part = foundIn(key, record);
      if (part) take(part.address, part, record.data.length);
    });
  }

  /** Forgets the record of an endpoint without removing it: this node has no part of it any more, and another node may have its record. */
  forget(domain: string, address: Address): void {
    const key = this.#keyOf(domain, address);
    const own = this.#own.get(key);
    this.#own.delete(key);
    if (own) this.#settled(own);
  }

  /**
   * The records of all parts of an endpoint. `nodes`: names of nodes that may have one, as those that have it from them may. JetStream
   * finds the record of a named node by its key; it looks through all records of all endpoints (2 ms with 6,000 of them) only where
   * none of these nodes has one, and not where `others` is false. Rejects with a JetStreamError.
   */
  async read(domain: string, address: Address, nodes: Iterable<string>, others = true): Promise<readonly FoundPart[]> {
    const prefix = `${subjectOf(domain, address)}.`;
    const names = new Set(nodes);
    const found: FoundPart[] = [];
    for (let asked = [...names]; asked.length > 0; ) {
      const parts = (await Promise.all(asked.map((name) => this.readPart(domain, address, name)))).filter(
        (part) => !!part,
      );
      found.push(...parts);
      asked = [...new Set(parts.flatMap(takersOf))].filter((name) => !names.has(name));
      for (const name of asked) names.add(name);
    }
    if (found.length > 0 || !others) return found;
    const records = await this.options.stream.readAll(prefix);
    return records.map(({ key, ...record }) => foundIn(key, record)).filter((part) => !!part);
  }

  /** The record of one node's part of an endpoint; null where there is none. Rejects with a JetStreamError. */
  async readPart(domain: string, address: Address, node: string): Promise<FoundPart | null> {
    const key = keyOf(domain, address, node);
    const record = await this.options.stream.read(key);
    return record && foundIn(key, record);
  }

  /** Names this node as adopter in a part's record. Resolves with the new revision; rejects with a `conflict` where another was first. */
  adopt(domain: string, address: Address, part: FoundPart): Promise<number> {
    const { key, revision, node, incarnation, kept, former = [] } = part;
    const adopter = [this.options.node, this.options.incarnation];
    const before = part.adopter ? [...former, part.adopter] : former;
    const data = JSON.stringify([domain, address, node, incarnation, kept, adopter, before]);
    return this.options.stream.compareAndSet(key, data, revision);
  }

  /** Empties the record of a part's former node, except for its adopter: this node has a record of its own now, under the same key if it had this name. */
  adopted(domain: string, address: Address, { key, node, incarnation, revision }: FoundPart): void {
    if (node === this.options.node) return;
    const adopter = [this.options.node, this.options.incarnation];
    const data = JSON.stringify([domain, address, node, incarnation, null, adopter]);
    this.options.stream.write(key, data, () => undefined, revision);
  }

  #keyOf(domain: string, address: Address): string {
    return keyOf(domain, address, this.options.node);
  }

  #ownOf(key: string): Own {
    const own = this.#own.get(key) ?? {
      revision: 0,
      isWriting: false,
      writtenS: -1,
      next: undefined,
      waiting: NOBODY,
    };
    this.#own.set(key, own);
    return own;
  }

  #change(domain: string, address: Address, data: string | null): void {
    const key = this.#keyOf(domain, address);
    const own = this.#ownOf(key);
    own.next = data;
    this.#unwritten.add(own);
    if (!own.isWriting) this.#write(key, own);
  }

  #write(key: string, own: Own): void {
    const { next } = own;
    const { stream } = this.options;
    if (next === undefined) return this.#settled(own);
    if (!this.available) return;
    own.next = undefined;
    own.isWriting = true;
    const wrote = (revision: number | JetStreamError): void => this.#wrote(key, own, next, revision);
    if (next !== null) stream.write(key, next, wrote, own.revision);
    // A record that another node has overwritten has another sequence, and is not removed.
    else stream.erase(own.revision).then(() => wrote(0), wrote);
  }

  #wrote(key: string, own: Own, data: string | null, revision: number | JetStreamError): void {
    own.isWriting = false;
    if (this.#own.get(key) !== own) return;
    own.writtenS = typeof revision === 'number' ? Math.floor(this.options.now() / 1000) : -1;
    if (typeof revision === 'number') {
      own.revision = revision;
      if (data === null && own.next === undefined) this.#own.delete(key);
      return this.#write(key, own);
    }
    if (data === null && revision.reason !== 'unavailable') return this.#wrote(key, own, data, 0);
    if (revision.reason === 'conflict') return void this.#conflict(key, own, data);
    // A removal (null) that was asked for since stays, and what is newer than a refused record is written.
    if (revision.reason === 'refused') return this.#write(key, own);
    if (own.next === undefined) own.next = data;
    // The record may have been written although the answer was lost: then the next attempt ends in a conflict, which is resolved.
    if (this.available) setTimeout(() => own.isWriting || this.#write(key, own), RETRY_MS).unref();
  }

  /** Reads the record that caused a conflict: it is this process's own where an answer was lost; any other is given to `onConflict`. */
  async #conflict(key: string, own: Own, data: string | null): Promise<void> {
    const { node, incarnation, stream, onConflict } = this.options;
    if (own.next === undefined) own.next = data;
    own.isWriting = true;
    const record = await stream.read(key).catch(() => undefined);
    own.isWriting = false;
    if (this.#own.get(key) !== own) return;
    if (record === undefined) return this.#wrote(key, own, data, new JetStreamError('unavailable', 'no answer'));
    const isFirst = own.revision === 0;
    own.revision = record?.revision ?? 0;
    const part = record && foundIn(key, record);
    // What an earlier process of this name had, and another node has a record of its own for, is nothing that this process could give up.
    const isPast = isFirst && part?.kept === null && part.node === node && part.incarnation !== incarnation;
    const [home, start] = part?.adopter ?? [part?.node, part?.incarnation];
    // A part of an earlier process of this name that this process has taken over has the same key, and is written as its own.
    const isOurs = !part || isPast || (part.node === node && home === node && start === incarnation);
    if (part && !isOurs) onConflict(part.domain, part.address, part);
    // Where another node has the part, `onConflict` has called `forget`, and nothing is written any more.
    if (this.#own.get(key) === own) this.#write(key, own);
  }

  #settled(own: Own): void {
    this.#unwritten.delete(own);
    const { waiting } = own;
    own.waiting = NOBODY;
    for (const done of waiting) done();
  }
}

/** The names of the nodes that have taken a part over, or begun to. */
function takersOf({ adopter, former = [] }: FoundPart): string[] {
  return [...former, ...(adopter ? [adopter] : [])].map(([name]) => name);
}

/** The part of a record; null where that is damaged. */
function foundIn(key: string, { revision, data }: Record): FoundPart | null {
  const part = read(data);
  return part ? { ...part, key, revision } : damaged('endpoint', key);
}

/** Parses a record's JSON; null where its shape is unknown. */
function read(data: string): Omit<FoundPart, 'key' | 'revision'> | null {
  try {
    const [domain, address, node, incarnation, kept, adopter, former = []] = JSON.parse(data) as unknown[];
    if (typeof domain !== 'string' || !isOfDomain(domain, address)) return null;
    if (typeof node !== 'string' || typeof incarnation !== 'number') return null;
    if (kept !== null && !isKeptEndpoint(kept)) return null;
    const part = { domain, address, node, incarnation, kept };
    if (adopter === undefined) return part;
    if (!isStart(adopter) || !Array.isArray(former) || !former.every(isStart)) return null;
    return { ...part, adopter, former };
  } catch {
    return null;
  }
}

function isStart(value: unknown): value is Start {
  return Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'number';
}
