/**
 * Who has changed what: one line of the log and one entry to read for each change that is made at run time. Names of
 * settings, never their values; never keys. Bounded: the oldest entries go.
 */
import { randomBytes } from 'node:crypto';
import { log } from '../log.js';
import type { Key, Store, Table } from '../store/store.js';

const KEPT = 10_000;
const LOGGED_FIELDS = 50;
const TABLE_PART = 'audit';
const ID_BYTES = 9;

export interface AuditEntry {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Name of whoever did it: `admin` or `owner`, and the fingerprint of the token. */
  readonly who: string;
  /** Network address. */
  readonly address: string;
  readonly what: string;
  /** Empty: the whole server. */
  readonly domain: string;
  /** What of it: names of settings, fingerprints of keys, whom it concerns. */
  readonly detail: readonly string[];
  /** Names the entry on all nodes; absent: it is not recorded yet. */
  readonly id?: string;
}

function keyOf({ at, id }: AuditEntry): Key {
  return [TABLE_PART, at, id ?? ''];
}

export class Audit {
  /** The entries by the texts of their keys, in the order in which they were added. */
  readonly #entries = new Map<string, { readonly key: Key; readonly entry: AuditEntry }>();
  readonly #table: Table<AuditEntry> | null;
  readonly #isAlone: boolean;

  constructor(
    store: Store | null,
    /** Tells the other nodes. */
    private readonly tell: (entry: AuditEntry) => void,
  ) {
    this.#table = store?.table('audit') ?? null;
    this.#isAlone = store?.node === null;
    for (const [key, entry] of this.#table?.entries(TABLE_PART) ?? []) this.#add(key, entry);
  }

  record(recorded: AuditEntry): void {
    const entry = { ...recorded, id: randomBytes(ID_BYTES).toString('base64url') };
    const detail = entry.detail.slice(0, LOGGED_FIELDS);
    log.info(
      { event: 'audit', ...entry, at: undefined, id: undefined, detail },
      `${entry.who}: ${entry.what} ${entry.domain}`.trim(),
    );
    const key = keyOf(entry);
    this.#table?.put(key, entry);
    this.#add(key, entry);
    this.tell(entry);
  }

  /** Keeps an entry of another node. Where the store is the cluster's, that node itself writes the entry to it. */
  take(entry: AuditEntry): void {
    const key = keyOf(entry);
    if (this.#isAlone) this.#table?.put(key, entry);
    this.#add(key, entry);
  }

  #add(key: Key, entry: AuditEntry): void {
    this.#entries.set(key.join(' '), { key, entry });
    if (this.#entries.size <= KEPT) return;
    const oldest = this.#entries.values().next().value?.key as Key;
    this.#entries.delete(oldest.join(' '));
    this.#table?.remove(oldest);
  }

  /** At most `limit` of the latest entries, the last first. `domains`: those that may be seen; `domain`: only its entries; null: all. */
  latest(domains: ReadonlySet<string> | null, domain: string | null, limit: number): AuditEntry[] {
    const found: AuditEntry[] = [];
    for (const { entry } of [...this.#entries.values()].reverse()) {
      if (found.length >= limit) break;
      if (domains && !domains.has(entry.domain)) continue;
      const { id: _, ...shown } = entry;
      if (domain === null || entry.domain === domain) found.push(shown);
    }
    return found;
  }
}
