/**
 * What JetStream has of the endpoints of all nodes, so that another node can go on with the clients of one that is gone: a
 * record for each part of an endpoint, written by the node of that part as it changes. PROTOCOL.md section 20.
 *
 * A node writes a record only over the one that it has written itself: where another node has written it in between, that
 * one has taken the part over, and this one gives it up.
 */
import type { Address } from '../actors/address.js';
import { isKeptEndpoint, type KeptEndpoint } from '../actors/kept.js';
import { JetStreamError, type JetStreamPort } from './jetstream-port.js';
import type { KeptStream } from './kept-stream.js';

/** A part of an endpoint, as its node has written it. */
export interface PartRecord {
  /** The node of the part, and which of its starts. */
  readonly node: string;
  readonly incarnation: number;
  /** null: another node has taken it over and has a record of its own. */
  readonly kept: KeptEndpoint | null;
  /** That node, and which of its starts; absent: none has. */
  readonly adopter?: readonly [node: string, incarnation: number];
}

export interface FoundPart extends PartRecord {
  readonly key: string;
  readonly revision: number;
}

/** One record of this node, of which one write at a time is on its way. */
interface Own {
  /** Of the record in JetStream; 0: there is none. */
  revision: number;
  isWriting: boolean;
  /** What is to be written next; null: the record goes; undefined: nothing. */
  next: string | null | undefined;
  /** Called when nothing is to be written any more. */
  waiting: (() => void)[];
}

export interface TicketRecordsOptions {
  readonly jetstream: Pick<JetStreamPort, 'available'> & { readonly watchers: Set<(available: boolean) => void> };
  readonly stream: KeptStream;
  readonly node: string;
  readonly incarnation: number;
  /** Another node, or an earlier process of this name, has written a record that this node was about to write. */
  readonly onConflict: (domain: string, address: Address, found: FoundPart) => void;
}

const RETRY_MS = 1000;

export function word(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** The words of a subject for an endpoint of a domain. */
export function subjectOf(domain: string, address: Address): string {
  return `${word(domain)}.${word(address.slice(`/domain/${domain}/`.length))}`;
}

export class TicketRecords {
  readonly #own = new Map<string, Own>();

  constructor(private readonly options: TicketRecordsOptions) {
    options.jetstream.watchers.add((available) => {
      if (available) for (const [key, own] of this.#own) if (!own.isWriting) this.#write(key, own);
    });
  }

  get available(): boolean {
    return this.options.jetstream.available;
  }

  /** How many records wait to be written. */
  get waiting(): number {
    let count = 0;
    for (const { isWriting, next } of this.#own.values()) if (isWriting || next !== undefined) count += 1;
    return count;
  }

  put(domain: string, address: Address, kept: KeptEndpoint): void {
    const { node, incarnation } = this.options;
    this.#change(domain, address, JSON.stringify([domain, address, node, incarnation, kept]));
  }

  remove(domain: string, address: Address): void {
    if (this.#own.has(this.#keyOf(domain, address))) this.#change(domain, address, null);
  }

  /** Calls `done` when what was put of an endpoint is in JetStream, or cannot be for now. */
  written(domain: string, address: Address, done: () => void): void {
    const own = this.#own.get(this.#keyOf(domain, address));
    if (!own || (!own.isWriting && own.next === undefined) || !this.available) done();
    else own.waiting.push(done);
  }

  /** This node has no part of an endpoint any more, and another one has written its record. */
  forget(domain: string, address: Address): void {
    const key = this.#keyOf(domain, address);
    const own = this.#own.get(key);
    this.#own.delete(key);
    for (const done of own?.waiting ?? []) done();
  }

  /** All parts of an endpoint, as JetStream has them. Rejects with a JetStreamError. */
  async read(domain: string, address: Address): Promise<readonly FoundPart[]> {
    const found: FoundPart[] = [];
    for (const { key, revision, data } of await this.options.stream.readAll(`${subjectOf(domain, address)}.`)) {
      const part = read(data);
      if (part) found.push({ ...part, key, revision });
    }
    return found;
  }

  /** Takes a part over: of several nodes that do so at a time one has it, the others reject with a `conflict`. Resolves with the record's revision. */
  adopt(domain: string, address: Address, { key, revision, node, incarnation, kept }: FoundPart): Promise<number> {
    const adopter = [this.options.node, this.options.incarnation];
    const data = JSON.stringify([domain, address, node, incarnation, kept, adopter]);
    return this.options.stream.compareAndSet(key, data, revision);
  }

  /** The part that this node has taken over is in a record of its own: that of the node before says only who has it. */
  adopted(domain: string, address: Address, { key, node, incarnation }: FoundPart, revision: number): void {
    const adopter = [this.options.node, this.options.incarnation];
    const data = JSON.stringify([domain, address, node, incarnation, null, adopter]);
    this.options.stream.write(key, data, () => undefined, revision);
  }

  #keyOf(domain: string, address: Address): string {
    return `${subjectOf(domain, address)}.${word(this.options.node)}`;
  }

  #ownOf(key: string): Own {
    const own = this.#own.get(key) ?? { revision: 0, isWriting: false, next: undefined, waiting: [] };
    this.#own.set(key, own);
    return own;
  }

  #change(domain: string, address: Address, data: string | null): void {
    const key = this.#keyOf(domain, address);
    const own = this.#ownOf(key);
    own.next = data;
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
    // One that another node has written over has another revision, and stays.
    else stream.erase(own.revision).then(() => wrote(0), wrote);
  }

  #wrote(key: string, own: Own, data: string | null, revision: number | JetStreamError): void {
    own.isWriting = false;
    if (this.#own.get(key) !== own) return;
    if (typeof revision === 'number') {
      own.revision = revision;
      if (data === null && own.next === undefined) this.#own.delete(key);
      return this.#write(key, own);
    }
    if (data === null && revision.reason !== 'unavailable') return this.#wrote(key, own, data, 0);
    if (revision.reason === 'conflict') return void this.#conflict(key, own, data);
    if (revision.reason === 'refused') return this.#settled(own);
    own.next ??= data;
    // It may have been written all the same: the next attempt finds that out.
    if (this.available) setTimeout(() => own.isWriting || this.#write(key, own), RETRY_MS).unref();
  }

  /** A write whose answer was lost counts; any other writer is another node, or an earlier process of this name. */
  async #conflict(key: string, own: Own, data: string | null): Promise<void> {
    const { node, incarnation, stream, onConflict } = this.options;
    if (own.next === undefined) own.next = data;
    own.isWriting = true;
    const record = await stream.read(key).catch(() => undefined);
    own.isWriting = false;
    if (this.#own.get(key) !== own) return;
    if (record === undefined) return this.#wrote(key, own, data, new JetStreamError('unavailable', 'no answer'));
    own.revision = record?.revision ?? 0;
    const part = record && read(record.data);
    const isOurs = !part || (part.node === node && part.incarnation === incarnation && !part.adopter);
    if (record && part && !isOurs) {
      const [domain, address] = JSON.parse(record.data) as [string, Address];
      onConflict(domain, address, { ...part, key, revision: own.revision });
    }
    // Of a part that another node has, `onConflict` has had it forgotten.
    if (this.#own.get(key) === own) this.#write(key, own);
  }

  #settled(own: Own): void {
    for (const done of own.waiting.splice(0)) done();
  }
}

/** null: it is of no known shape. */
function read(data: string): PartRecord | null {
  try {
    const [, , node, incarnation, kept, adopter] = JSON.parse(data) as unknown[];
    if (typeof node !== 'string' || typeof incarnation !== 'number') return null;
    if (kept !== null && !isKeptEndpoint(kept)) return null;
    if (adopter === undefined) return { node, incarnation, kept };
    const [by, start] = adopter as [unknown, unknown];
    return typeof by === 'string' && typeof start === 'number'
      ? { node, incarnation, kept, adopter: [by, start] }
      : null;
  } catch {
    return null;
  }
}
