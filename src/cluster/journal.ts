/**
 * Writes a domain's changed endpoints to JetStream, so that another node of the cluster can take them over. Of their clients'
 * tickets it writes hashes. Changes are gathered for 100 ms, unless a message of a domain that is durable `always` is answered: no node knows
 * an endpoint of a dead node that has no record. A domain whose `durability` is `none` writes nothing.
 */
import type { Address } from '../actors/address.js';
import { addressOf, type Node } from '../actors/address.js';
import type { EndpointJournal } from '../actors/cluster.js';
import type { EndpointMessage } from '../actors/endpoint.js';
import type { KeptEndpoint } from '../actors/kept.js';
import type { Ref } from '../actors/system.js';
import type { Clock } from '../clock.js';
import type { DomainConfig } from '../config.js';
import { oneByOne } from './one-by-one.js';
import type { Start, TicketRecords } from './ticket-records.js';

/** How long changes are gathered before they are written: JetStream's state of tickets and presence is about this old at most. */
const GROUP_MS = 100;

export class ClusterJournal implements EndpointJournal {
  #changed = new Map<Address, Ref<EndpointMessage>>();
  /** Endpoints of a domain that is durable `always` which have no record yet. */
  readonly #new = new Map<Address, Ref<EndpointMessage>>();
  /** Those who wait until these have records; they do so together. */
  #waiting: (() => void)[] = [];
  #isWriting = false;
  #cancel: (() => void) | null = null;
  #isClosed = false;

  constructor(
    private readonly domain: { readonly name: string; readonly settings: Pick<DomainConfig, 'durability'> },
    private readonly clock: Pick<Clock, 'after'>,
    private readonly records: Pick<TicketRecords, 'put' | 'remove' | 'has' | 'written' | 'putFor'>,
  ) {}

  get writes(): boolean {
    return !this.#isClosed && this.domain.settings.durability !== 'none';
  }

  changed(address: Address, actor: Ref<EndpointMessage>): void {
    const { name, settings } = this.domain;
    if (settings.durability === 'none') return;
    const isNew = (): boolean => !this.#changed.has(address) && !this.records.has(name, address);
    if (settings.durability === 'always' && (this.#new.has(address) || isNew())) this.#new.set(address, actor);
    this.#changed.set(address, actor);
    if (!this.#isClosed) this.#cancel ??= this.clock.after(GROUP_MS, () => this.flush());
  }

  /** Endpoints that have changed since their records were written. */
  get unwritten(): ReadonlyMap<Address, unknown> {
    return this.#changed;
  }

  keep(node: Node, id: string, kept: KeptEndpoint): void {
    if (!this.writes) return;
    const address = addressOf(this.domain.name, node, id);
    // What has changed up to now is in the record that is written now.
    this.#changed.delete(address);
    this.records.put(this.domain.name, address, kept);
    if (this.#new.has(address)) this.written(address, () => this.#new.delete(address));
  }

  recorded(done: () => void): void {
    if (this.#new.size === 0) return done();
    this.#waiting.push(done);
    if (!this.#isWriting) this.#writeNew();
  }

  #writeNew(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#isWriting = true;
    const write = ([address, actor]: readonly [Address, Ref<EndpointMessage>], next: () => void): void => {
      const written = (): void => {
        this.#new.delete(address);
        next();
      };
      // Behind the message by which its actor writes the record.
      actor.tell({ kind: 'pass', done: () => this.written(address, written) });
    };
    const endpoints = [...this.#new];
    // One that has not changed since is being written already.
    for (const [address, actor] of endpoints) if (this.#changed.has(address)) actor.tell({ kind: 'keep' });
    oneByOne(endpoints, write, () => {
      this.#isWriting = false;
      for (const done of waiting) done();
      if (this.#waiting.length > 0 && !this.#isWriting) this.#writeNew();
    });
  }

  written(address: Address, done: () => void): void {
    this.records.written(this.domain.name, address, done);
  }

  async keepFor(taker: Start, address: Address, kept: KeptEndpoint): Promise<void> {
    if (this.domain.settings.durability === 'none') return;
    await this.records.putFor(taker, this.domain.name, address, kept).catch(() => undefined);
  }

  /** Has each changed endpoint write its record, and removes the records of endpoints that have ended. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    const changed = this.#changed;
    this.#changed = new Map();
    for (const [address, actor] of changed) {
      if (actor.stopped) this.#remove(address);
      else actor.tell({ kind: 'keep' });
    }
  }

  /** Removes the records of endpoints that have ended, and writes nothing more: of what changes the endpoints are noted. */
  end(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = null;
    for (const [address, actor] of this.#changed) {
      if (!actor.stopped) continue;
      this.#changed.delete(address);
      this.#remove(address);
    }
  }

  #remove(address: Address): void {
    this.#new.delete(address);
    this.records.remove(this.domain.name, address);
  }

  /** Writes nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = null;
    this.#changed.clear();
  }
}
