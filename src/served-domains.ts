/**
 * The domains that this server serves: those of the configuration, and those of the directory whose names the configuration
 * does not have. Brings them in line with both; a domain that is in neither ends with all its clients.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Domain, type Runtime } from './actors/domain.js';
import type { ActorLane } from './actors/system.js';
import type { Config, DomainConfig } from './config.js';
import type { Directory } from './directory/directory.js';
import { part } from './store/keys.js';
import { type Store, TABLES, type Table, type TableName } from './store/store.js';

/** Values of a removed domain that are taken from the store in one turn of the event loop. */
const CLEARED_AT_ONCE = 1000;
/** Tables that are not by domain. */
const SHARED: ReadonlySet<string> = new Set(['domains', 'audit']);
/** What clients were not sent comes back some turns after their domain has ended, and may be kept until then. */
const TURNS_TO_END = 3;

/** Tables of what must be there before the first client comes: MQTT sessions receive, endpoints are online. */
const EAGER: readonly TableName[] = ['sessions', 'endpoints'];

/**
 * The served domains by name. A domain of the directory is made, and takes memory, only when `get` first asks for it: of
 * thousands of sites few are used at a time. `has` knows all served domains; iterating goes through those made so far.
 */
export class DomainMap extends Map<string, Domain> {
  /** Makes a served domain that was not made yet; undefined: no domain of this name is served. */
  wake: (name: string) => Domain | undefined = () => undefined;
  /** Whether a domain of this name is served that was not made yet. */
  sleeps: (name: string) => boolean = () => false;

  override get(name: string): Domain | undefined {
    return super.get(name) ?? this.wake(name);
  }

  override has(name: string): boolean {
    return super.has(name) || this.sleeps(name);
  }

  /** The domain of a name if it has been made already. */
  awake(name: string): Domain | undefined {
    return super.get(name);
  }
}

export class ServedDomains {
  /** Called with each domain that is served from now on. */
  readonly onAdded = new Set<(domain: Domain) => void>();
  /** Called with the name of a domain that was removed from the directory. */
  onRemoved: (name: string) => void = () => undefined;
  /** Removed domains whose data is still being removed. */
  readonly #leaving = new Set<string>();
  /** For each domain of the directory, which of its lives is served: a domain that was removed and made again is another domain. */
  readonly #lives = new Map<string, number>();
  #fixed: ReadonlyMap<string, DomainConfig> = new Map();
  #isClosed = false;

  constructor(
    /** The domains that are served, by name: kept up here. */
    private readonly all: DomainMap,
    private readonly runtime: Runtime,
    private readonly directory: Directory,
    private config: Config,
  ) {
    all.wake = (name) => (this.#isClosed ? undefined : this.#serve(name));
    all.sleeps = (name) => directory.has(name);
    this.configure(config);
    for (const name of this.#withState()) this.all.get(name);
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
    for (const name of this.#fixed.keys()) if (!this.all.awake(name)) this.#serve(name);
  }

  close(): void {
    this.#isClosed = true;
  }

  /** All domains that are served, asked for or not; in no order. */
  *names(): Iterable<string> {
    yield* this.#fixed.keys();
    for (const name of this.directory.names()) if (!this.#fixed.has(name)) yield name;
  }

  /** Domains of the directory of which something is kept that goes on at once. */
  #withState(): string[] {
    const { store } = this.runtime;
    if (!store) return [];
    const parts = new Set(EAGER.flatMap((table) => [...store.table(table).firsts()]));
    return parts.size === 0 ? [] : [...this.directory.names()].filter((name) => parts.has(part(name)));
  }

  #apply(name: string): void {
    if (this.#isClosed) return;
    const lane = this.all.awake(name)?.lane;
    if (lane) this.#serve(name);
    if (this.isFixed(name) || this.directory.has(name)) return;
    this.onRemoved(name);
    this.#clear(name, lane);
  }

  /** Brings one domain in line with its settings; undefined: it is not served. */
  #serve(name: string): Domain | undefined {
    const fixed = this.#fixed.get(name);
    const settings = fixed ?? this.directory.config(name);
    const life = fixed ? 0 : this.directory.born(name);
    const isOver = !settings || (life > 0 && (this.#lives.get(name) ?? life) !== life);
    if (isOver) this.#end(name);
    if (!settings) return undefined;
    this.#lives.set(name, life);
    const known = this.all.awake(name);
    if (known) {
      known.reload(settings, this.config);
      return known;
    }
    const domain = new Domain(this.runtime, settings, this.config);
    this.all.set(name, domain);
    for (const added of this.onAdded) added(domain);
    return domain;
  }

  #end(name: string): void {
    this.all.awake(name)?.end();
    this.all.delete(name);
    this.#lives.delete(name);
  }

  /** Removes a removed domain's records from the store, after the messages that its actors still have in `lane` are handled. */
  #clear(name: string, lane?: ActorLane): void {
    const { store } = this.runtime;
    if (store && !this.isFixed(name) && !this.#leaving.has(name)) void this.#clearAll(store, name, lane);
  }

  async #clearAll(store: Store, name: string, lane?: ActorLane): Promise<void> {
    this.#leaving.add(name);
    // Actors that handle their last messages may still write to the store.
    while (lane && lane.pending > 0 && !this.#isClosed) await nextTurn();
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
