/**
 * The domains that are kept by the server itself, beside those of the configuration file: made, changed and removed while it
 * runs. With a data folder they are kept in the store; in a cluster every node has all of them, and one that joins is told.
 *
 * Changes are checked and made here, by whichever node was asked; others take them over as they are told.
 */
import { type DomainConfig, loadDomain, type Surroundings } from '../config-domain.js';
import { log } from '../log.js';
import type { Store, Table } from '../store/store.js';
import { type Change, type Plain, type Register, Registers } from './registers.js';
import { fingerprintOf } from './secrets.js';

const TABLE_PART = 'domain';
const REMOVED = 'removed';
export const KEY = 'key:';
/** Registers of one domain that hold nothing and are remembered, so that a node that was away brings none of them back. */
const MOST_EMPTY = 1000;
export const MOST_DOMAINS = 100_000;
/** Registers in one item to another node. */
const TOLD_AT_ONCE = 50;
/** Matches no key: a domain whose keys have all been taken away. */
const NO_KEY = `sha256:${'0'.repeat(64)}`;

export interface StoredKey {
  readonly fingerprint: string;
  /** Milliseconds since the epoch. */
  readonly added: number;
  /** `sha256:` and 64 hex digits. */
  readonly hash: string;
}

export interface Ports {
  readonly store: Store | null;
  /** Later than every stamp made or heard of before. */
  readonly stamps: { next(): number; heard(stamp: number): void };
  /** Tells the other nodes; null: there are none. */
  readonly tell: ((change: Change) => void) | null;
  readonly surroundings: () => Surroundings;
}

export class Directory {
  /** Called with the name of a domain that is new, has changed or is gone. */
  changed: (domain: string) => void = () => undefined;
  readonly #domains = new Map<string, Registers>();
  /** The domains' configurations as the server uses them, made on first use; null where the settings are not valid. */
  readonly #configs = new Map<string, DomainConfig | null>();
  readonly #table: Table<Register | number> | null;

  constructor(private readonly ports: Ports) {
    this.#table = ports.store?.table('domains') ?? null;
    this.#load();
  }

  /** Whether there is anywhere to keep domains in: a data folder or other nodes. */
  get canKeep(): boolean {
    return this.#table !== null || this.ports.tell !== null;
  }

  /** The names of the domains that exist now, in no particular order. */
  *names(): Iterable<string> {
    for (const [name, registers] of this.#domains) if (registers.born > 0) yield name;
  }

  /** Domains that were removed: what they had kept may not be all gone. */
  *removed(): Iterable<string> {
    for (const [name, registers] of this.#domains) if (registers.born === 0 && registers.removed > 0) yield name;
  }

  has(name: string): boolean {
    return this.born(name) > 0;
  }

  born(name: string): number {
    return this.#domains.get(name)?.born ?? 0;
  }

  /** The settings as they were given, in the shape of the file, without name and keys; null: there is no such domain. */
  plain(name: string): Plain | null {
    return this.has(name) ? (this.#domains.get(name)?.settings ?? null) : null;
  }

  /** The keys, the oldest first. */
  keys(name: string): StoredKey[] {
    const found = [...(this.#domains.get(name)?.named(KEY) ?? [])].map(([register, value]) => {
      const hash = register.slice(KEY.length);
      return { fingerprint: fingerprintOf(hash), added: Number(value.added), hash };
    });
    return found.sort((a, b) => a.added - b.added || (a.hash < b.hash ? -1 : 1));
  }

  /** What the server uses; null where there is no such domain, or this version cannot read its settings. */
  config(name: string): DomainConfig | null {
    const known = this.#configs.get(name);
    if (known !== undefined) return known;
    const plain = this.plain(name);
    if (!plain) return null;
    const loaded = loadDomain({ ...plain, domain: name, apikey: this.#hashes(name) }, this.ports.surroundings());
    if ('errors' in loaded) {
      log.error({ event: 'domain refused', domain: name, errors: loaded.errors }, 'a kept domain cannot be served');
    }
    const config = 'errors' in loaded ? null : loaded.domain;
    this.#configs.set(name, config);
    return config;
  }

  /** Values of registers of a domain's present life whose names begin so. */
  named(domain: string, prefix: string): Iterable<readonly [name: string, value: Plain]> {
    return this.#domains.get(domain)?.named(prefix) ?? [];
  }

  /** Writes registers of a domain; `born` is that of a domain that is made by this. */
  write(domain: string, values: Iterable<readonly [name: string, value: Plain | null]>, born = 0): void {
    const stamp = this.ports.stamps.next();
    const life = born || this.born(domain) || stamp;
    const registers = [...values].map(([name, value]) => [name, { stamp, born: life, value }] as const);
    this.#apply({ domain, removed: 0, registers }, true);
  }

  remove(domain: string): void {
    this.#apply({ domain, removed: this.ports.stamps.next(), registers: [] }, true);
  }

  /** Takes over what another node has told. */
  take(change: Change): void {
    this.ports.stamps.heard(change.removed);
    for (const [, { stamp, born }] of change.registers) this.ports.stamps.heard(Math.max(stamp, born));
    this.#apply(change, false);
  }

  /** Everything, for a node that has come. */
  *snapshot(): Iterable<Change> {
    for (const [domain, registers] of this.#domains) yield* this.#told(domain, registers);
  }

  *#told(domain: string, registers: Registers): Iterable<Change> {
    const all = registers.all();
    const { removed } = registers;
    for (let at = 0; at === 0 || at < all.length; at += TOLD_AT_ONCE) {
      yield { domain, removed, registers: all.slice(at, at + TOLD_AT_ONCE) };
    }
  }

  #hashes(name: string): string[] {
    const hashes = this.keys(name).map(({ hash }) => hash);
    return hashes.length > 0 ? hashes : [NO_KEY];
  }

  #apply(change: Change, isOwn: boolean): void {
    const { domain } = change;
    let registers = this.#domains.get(domain);
    if (!registers) {
      registers = new Registers();
      this.#domains.set(domain, registers);
    }
    const before = registers.removed;
    const { changed, gone } = registers.take(change);
    if (changed.length === 0 && gone.length === 0 && registers.removed === before) return;
    this.#keep(domain, registers, changed, [...gone, ...registers.prune(MOST_EMPTY)]);
    this.#configs.delete(domain);
    if (isOwn) this.ports.tell?.(change);
    this.changed(domain);
  }

  #keep(domain: string, registers: Registers, changed: readonly string[], gone: readonly string[]): void {
    const table = this.#table;
    if (!table) return;
    for (const name of changed) {
      const register = registers.get(name);
      if (register) table.put([TABLE_PART, domain, name], register);
    }
    for (const name of gone) table.remove([TABLE_PART, domain, name]);
    if (registers.removed > 0) table.put([TABLE_PART, domain, REMOVED], registers.removed);
  }

  #load(): void {
    for (const [[, domain, name], value] of this.#table?.entries(TABLE_PART) ?? []) {
      let registers = this.#domains.get(String(domain));
      if (!registers) {
        registers = new Registers();
        this.#domains.set(String(domain), registers);
      }
      this.ports.stamps.heard(typeof value === 'number' ? value : value.stamp);
      if (typeof value === 'number') registers.take({ removed: value, registers: [] });
      else registers.take({ removed: 0, registers: [[String(name), value]] });
    }
  }

  /** Domains that there are and were: what is remembered of a removed one takes room too. */
  get size(): number {
    return this.#domains.size;
  }
}
