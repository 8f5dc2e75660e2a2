/**
 * What a domain writes for the next start of the server, PROTOCOL.md section 20. As they change: its endpoints with
 * their clients' tickets, in groups of 100 ms, so that nobody waits for the disk. At an orderly end: the queues, with
 * packets that many queues have written once. After that it writes nothing more. Endpoints write themselves, when they
 * are told (keeping.ts).
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.js';
import type { DomainConfig } from '../config.js';
import { damaged } from '../damaged.js';
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Address, Node } from './address.js';
import { addressOf } from './address.js';
import type { Domain } from './domain.js';
import type { EndpointMessage } from './endpoint.js';
import { forgetDomain } from './era.js';
import {
  isKeptEndpoint,
  isKeptQueues,
  type KeptEndpoint,
  type KeptPacket,
  type KeptQueues,
  keptPacket,
  packetOf,
} from './kept.js';
import type { Packet } from './packet.js';
import type { Ref } from './system.js';
import type { Unconfirmed } from './unconfirmed.js';

/** How long a change of tickets or presence may wait before it is written to disk. */
const GROUP_MS = 100;
/** Records of one chunk: a write for each would take longer than the end of a server may. */
const CHUNK = 128;
/** About as many bytes as a chunk of packets has at most, and one packet more. */
const CHUNK_BYTES = 64 * 1024;
/** Endpoints that are read in one turn of the event loop. */
const AT_ONCE = 500;
/** How long after a start the records of the orderly end before stay, for the case that the server is killed soon. */
const STALE_MS = 60_000;

/** Queues of an orderly end on their way to the disk. */
export class Saving {
  readonly #numbers = new Map<Packet, number>();
  #packets: KeptPacket[] = [];
  #bytes = 0;
  #queues: KeptQueues[] = [];
  #packetChunks = 0;
  #queueChunks = 0;

  constructor(
    private readonly domain: Domain,
    private readonly put: (table: 'queues' | 'packets', chunk: number, records: readonly unknown[]) => void,
  ) {}

  /** A packet is written once. */
  readonly numberOf = (packet: Packet): number => {
    const known = this.#numbers.get(packet);
    if (known !== undefined) return known;
    const number = this.#packetChunks * CHUNK + this.#packets.length;
    this.#numbers.set(packet, number);
    const offline = this.domain.mailboxes?.placeOf(packet) ?? null;
    const place = this.domain.unconfirmed?.numberOf(packet);
    const kept = place === undefined ? keptPacket(packet) : { ...keptPacket(packet), number: place };
    this.#packets.push(offline ? { kind: 'offline', ...offline } : kept);
    this.#bytes += packet.bytes;
    if (this.#packets.length === CHUNK || this.#bytes > CHUNK_BYTES) this.#putPackets();
    return number;
  };

  /** Whether a packet is in one of the queues. */
  has(packet: Packet): boolean {
    return this.#numbers.has(packet);
  }

  add(queues: KeptQueues): void {
    this.#queues.push(queues);
    if (this.#queues.length === CHUNK) this.#putQueues();
  }

  /** All has been added. */
  end(): void {
    if (this.#packets.length > 0) this.#putPackets();
    if (this.#queues.length > 0) this.#putQueues();
  }

  #putPackets(): void {
    this.put('packets', this.#packetChunks, this.#packets);
    this.#packetChunks += 1;
    this.#packets = [];
    this.#bytes = 0;
  }

  #putQueues(): void {
    this.put('queues', this.#queueChunks, this.#queues);
    this.#queueChunks += 1;
    this.#queues = [];
  }
}

export class DomainJournal {
  /** Whether the server has ended in order, with the state of all endpoints written for the next start. */
  saved = false;
  #closed = false;
  /** Endpoints that have changed since the last group. */
  #changed = new Map<Address, Ref<EndpointMessage>>();
  #cancel: (() => void) | null = null;
  #cancelStale: (() => void) | null = null;
  readonly #part: string;
  readonly #endpoints: Table<KeptEndpoint>;
  readonly #queues: Table<readonly KeptQueues[]>;
  readonly #packets: Table<readonly KeptPacket[]>;

  constructor(
    private readonly domain: Domain,
    private readonly clock: Clock,
    private readonly store: Store,
  ) {
    this.#part = part(domain.name);
    this.#endpoints = store.table('endpoints');
    this.#queues = store.table('queues');
    this.#packets = store.table('packets');
  }

  /** Whether anything of the domain survives a restart. */
  get writes(): boolean {
    return !this.#closed && this.domain.settings.durability !== 'none';
  }

  /** Notes that an endpoint has changed: its actor writes the endpoint to the journal with the next group of changed endpoints. */
  changed(address: Address, actor: Ref<EndpointMessage>): void {
    if (!this.writes) return;
    this.#changed.set(address, actor);
    this.#cancel ??= this.clock.after(GROUP_MS, this.#flush);
  }

  keep(node: Node, id: string, kept: KeptEndpoint): void {
    if (this.writes) this.#endpoints.put([this.#part, node, id], kept);
  }

  readonly #flush = (): void => {
    this.#cancel = null;
    const changed = this.#changed;
    this.#changed = new Map();
    if (!this.writes) return;
    for (const [address, actor] of changed) {
      if (actor.stopped) this.#remove(address);
      else actor.tell({ kind: 'keep' });
    }
  };

  #remove(address: Address): void {
    this.#endpoints.remove(this.#keyOf(address));
  }

  #keyOf(address: Address): Key {
    const [, , , node = '', ...id] = address.split('/');
    return [this.#part, node, id.join('/')];
  }

  /** Writes the queues of all endpoints when the server ends in order. Resolves when all have; nothing is written after that. */
  async save(): Promise<void> {
    if (!this.writes) return;
    this.#forgetQueues();
    this.#cancel?.();
    this.#flush();
    const saving = new Saving(this.domain, (table, chunk, records) => {
      (table === 'queues' ? this.#queues : this.#packets).put([this.#part, chunk], records as never);
    });
    const actors = [...this.domain.tracker.here()];
    await Promise.all(
      actors.map(({ actor }) => new Promise<void>((done) => actor.tell({ kind: 'save', saving, done }))),
    );
    saving.end();
    this.saved = true;
    this.domain.unconfirmed?.close();
    this.close();
  }

  /** The domain's `durability` may have changed. */
  reload(before: DomainConfig['durability']): void {
    if (this.#closed || before === this.domain.settings.durability) return;
    if (!this.writes) this.forget();
    else for (const { address, actor } of this.domain.tracker.here()) this.changed(address, actor);
  }

  /** Writes nothing more. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancelStale?.();
  }

  /** The domain is served no more: nothing of it is kept. */
  clear(): void {
    if (this.writes) this.forget();
    this.close();
  }

  /** Nothing of the domain is kept any more. */
  forget(): void {
    forgetDomain(this.store, this.domain.name);
  }

  #forgetQueues(): void {
    for (const table of [this.#queues, this.#packets]) {
      for (const [key] of table.entries(this.#part)) table.remove(key);
    }
  }

  /** Restores all endpoints that were online when the server ended. Resolves when they are as they were, with their number. */
  async restore(goesOn: boolean): Promise<number> {
    if (!this.writes) {
      this.forget();
      return 0;
    }
    const held = (this.domain.unconfirmed as Unconfirmed).read();
    // Messages that a domain with `durability` always has written since then are newer than the queues of an earlier orderly end.
    const isHeld = !goesOn && held.queues.length > 0;
    const queues = this.#byAddress(isHeld ? [held.queues] : this.#chunks());
    const packetOf = isHeld ? held.packetOf : this.#readPackets();
    const full = this.#addresses();
    let [restored, open] = [0, 1];
    let settle = (): void => undefined;
    const isDone = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const done = (): void => {
      open -= 1;
      if (open === 0) settle();
    };
    const restore = (node: Node, id: string, kept: KeptEndpoint | null): void => {
      const address = addressOf(this.domain.name, node, id);
      const waiting = queues.get(address) ?? null;
      queues.delete(address);
      const actor = this.domain.endpoint({ address, node, id, client: null });
      open += 1;
      actor.tell({ kind: 'restore', kept, queues: waiting, packetOf, full, goesOn, done });
    };
    for (const [key, kept] of this.#endpoints.entries(this.#part)) {
      const [, node, id] = key;
      if (!isKeptEndpoint(kept)) {
        damaged('endpoint', key.join(' '));
        this.#endpoints.remove(key);
        continue;
      }
      restore(node as Node, String(id), kept);
      restored += 1;
      if (restored % AT_ONCE === 0) await nextTurn();
    }
    // A service whose site is to be called, and that no client answers for.
    for (const { node, id } of [...queues.values()]) restore(node as Node, id, null);
    done();
    await isDone;
    held.forget();
    this.#cancelStale = this.clock.after(STALE_MS, () => this.#forgetQueues());
    return restored;
  }

  /** Makes a function that gives the address of `{node}/{id}`. Each is put together and hashed once: a user is the buddy of many. */
  #addresses(): (short: string) => Address {
    const start = `/domain/${this.domain.name}/`;
    const known = new Map<string, Address>();
    return (short) => {
      let address = known.get(short);
      if (address === undefined) {
        address = (start + short) as Address;
        known.set(short, address);
      }
      return address;
    };
  }

  *#chunks(): Iterable<readonly KeptQueues[]> {
    for (const [key, chunk] of this.#queues.entries(this.#part)) {
      const queues: readonly unknown[] = Array.isArray(chunk) ? chunk : [chunk];
      yield queues.flatMap((one) => (isKeptQueues(one) ? [one] : (damaged('queues', key.join(' ')) ?? [])));
    }
  }

  #byAddress(chunks: Iterable<readonly KeptQueues[]>): Map<Address, KeptQueues> {
    const found = new Map<Address, KeptQueues>();
    for (const chunk of chunks) {
      for (const queues of chunk) found.set(addressOf(this.domain.name, queues.node as Node, queues.id), queues);
    }
    return found;
  }

  /** Makes a function that gives the packet of a number, the same object each time; null: it is no longer kept. */
  #readPackets(): (number: number) => Packet | null {
    const packets = new Map<number, Packet | null>();
    const { mailboxes } = this.domain;
    for (const [key, records] of this.#packets.entries(this.#part)) {
      for (const [at, kept] of (Array.isArray(records) ? records : [records]).entries()) {
        const packet = packetOf(kept, key, (address, sequence) => mailboxes?.readOne(address, sequence) ?? null);
        packets.set(Number(key[1]) * CHUNK + at, packet);
        if (packet && kept.kind !== 'offline' && kept.number !== undefined) {
          this.domain.unconfirmed?.number(packet, kept.number);
        }
      }
    }
    return (number) => packets.get(number) ?? null;
  }
}
