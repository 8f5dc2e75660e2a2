/**
 * The domains that this server serves: those of the configuration, and those of the directory whose names the configuration
 * does not have. Brings them in line with both; a domain that is in neither ends with all its clients.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Domain, type Runtime } from './actors/domain.js';
import type { Config, DomainConfig } from './config.js';
import type { Directory } from './directory/directory.js';
import { part } from './store/keys.js';
import { type Store, TABLES, type Table } from './store/store.js';

/** Values of a removed domain that are taken from the store in one turn of the event loop. */
const CLEARED_AT_ONCE = 1000;
/** Tables that are not by domain. */
const SHARED: ReadonlySet<string> = new Set(['domains', 'audit']);
/** What clients were not sent comes back some turns after their domain has ended, and may be kept until then. */
const TURNS_TO_END = 3;

export class ServedDomains {
  /** Called with each domain that is served from now on. */
  readonly onAdded = new Set<(domain: Domain) => void>();
  /** Removed domains whose data is still being removed. */
  readonly #leaving = new Set<string>();
  /** Of domains of the directory, the life that is served: one that was removed and made again is another domain. */
  readonly #lives = new Map<string, number>();
  #fixed: ReadonlyMap<string, DomainConfig> = new Map();
  #isClosed = false;

  constructor(
    /** The domains that are served, by name: kept up here. */
    private readonly all: Map<string, Domain>,
    private readonly runtime: Runtime,
    private readonly directory: Directory,
    private config: Config,
  ) {
    this.configure(config);
    directory.changed = (name) => this.#apply(name);
    for (const name of directory.removed()) this.#clear(name);
  }

  /** Whether the configuration has a domain. */
  isFixed(name: string): boolean {
    return this.#fixed.has(name);
  }

  isLeaving(name: string): boolean {
    return this.#leaving.has(name);
  }

  /** Takes over a configuration. */
  configure(config: Config): void {
    this.config = config;
    this.#fixed = new Map(config.domains.map((settings) => [settings.domain, settings]));
    for (const name of [...this.all.keys()]) this.#serve(name);
    for (const name of this.#fixed.keys()) if (!this.all.has(name)) this.#serve(name);
    for (const name of this.directory.names()) if (!this.all.has(name)) this.#serve(name);
  }

  close(): void {
    this.#isClosed = true;
  }

  #apply(name: string): void {
    if (this.#isClosed) return;
    const wasServed = this.all.has(name);
    this.#serve(name);
    if (wasServed && !this.all.has(name)) this.#clear(name);
  }

  #serve(name: string): void {
    const fixed = this.#fixed.get(name);
    const settings = fixed ?? this.directory.config(name);
    const life = fixed ? 0 : this.directory.born(name);
    const isOver = !settings || (life > 0 && (this.#lives.get(name) ?? life) !== life);
    if (isOver) this.#end(name);
    if (!settings) return;
    this.#lives.set(name, life);
    const known = this.all.get(name);
    if (known) return known.reload(settings, this.config);
    const domain = new Domain(this.runtime, settings, this.config);
    this.all.set(name, domain);
    for (const added of this.onAdded) added(domain);
  }

  #end(name: string): void {
    this.all.get(name)?.end();
    this.all.delete(name);
    this.#lives.delete(name);
  }

  /** Removes from the store what a removed domain has kept. */
  #clear(name: string): void {
    const { store } = this.runtime;
    if (store && !this.isFixed(name) && !this.#leaving.has(name)) void this.#clearAll(store, name);
  }

  async #clearAll(store: Store, name: string): Promise<void> {
    this.#leaving.add(name);
    for (let turn = 0; turn < TURNS_TO_END; turn++) await nextTurn();
    const first = part(name);
    for (const table of TABLES) {
      if (SHARED.has(table)) continue;
      while (!this.#isClosed && !clear(store.table(table), first)) await nextTurn();
    }
    this.#leaving.delete(name);
  }
}

/** Removes some of the records whose keys begin so; answers whether there are no more. */
function clear(table: Table<unknown>, first: string): boolean {
  let removed = 0;
  for (const [key] of table.entries(first)) {
    if (removed === CLEARED_AT_ONCE) return false;
    table.remove(key);
    removed += 1;
  }
  return true;
}
