/**
 * Who has changed what: one line of the log and one entry to read for each change that is made at run time. Names of
 * settings, never their values; never keys. Bounded: the oldest entries go.
 */
import { log } from '../log.js';
import type { Store, Table } from '../store/store.js';

const KEPT = 10_000;
const LOGGED_FIELDS = 50;
const TABLE_PART = 'audit';

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
}

export class Audit {
  readonly #entries: AuditEntry[] = [];
  readonly #table: Table<AuditEntry> | null;
  #last = 0;

  constructor(
    store: Store | null,
    /** Tells the other nodes. */
    private readonly tell: (entry: AuditEntry) => void,
  ) {
    this.#table = store?.table('audit') ?? null;
    for (const [[, number], entry] of this.#table?.entries(TABLE_PART) ?? []) {
      this.#entries.push(entry);
      this.#last = Number(number);
    }
  }

  record(entry: AuditEntry): void {
    const detail = entry.detail.slice(0, LOGGED_FIELDS);
    log.info({ event: 'audit', ...entry, at: undefined, detail }, `${entry.who}: ${entry.what} ${entry.domain}`.trim());
    this.take(entry);
    this.tell(entry);
  }

  /** Keeps what was done, here or on another node. */
  take(entry: AuditEntry): void {
    this.#last += 1;
    this.#entries.push(entry);
    this.#table?.put([TABLE_PART, this.#last], entry);
    if (this.#entries.length <= KEPT) return;
    this.#entries.shift();
    this.#table?.remove([TABLE_PART, this.#last - KEPT]);
  }

  /** The latest, the last first; null: of all domains. */
  latest(domains: ReadonlySet<string> | null, domain: string | null, limit: number): AuditEntry[] {
    const found: AuditEntry[] = [];
    for (let i = this.#entries.length - 1; i >= 0 && found.length < limit; i--) {
      const entry = this.#entries[i] as AuditEntry;
      if (domains && !domains.has(entry.domain)) continue;
      if (domain === null || entry.domain === domain) found.push(entry);
    }
    return found;
  }
}
