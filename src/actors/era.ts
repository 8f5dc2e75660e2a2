/**
 * The eras of positions, PROTOCOL.md sections 12 and 20: a server that goes on from an orderly end stays in the era of the
 * one before; one that finds a journal only, or nothing, begins a new one. What stands on disk counts from the first
 * client on, so that no two servers count in one era: whoever begins one waits until the store has committed.
 */
import { log } from '../log.js';
import { part } from '../store/keys.js';
import type { Store, TableName } from '../store/store.js';
import { KEPT_VERSION } from './kept.js';
import { newEra } from './position.js';

const TABLES: readonly TableName[] = ['endpoints', 'queues', 'packets', 'unconfirmed', 'unconfirmedMessages'];
const KEY = ['server'] as const;

/** A run of the server, as it is on disk. */
interface Run {
  readonly version: number;
  readonly era: string;
  /** Whether the run has ended in order, with all its state on disk. */
  readonly ended: boolean;
  /** The domains of which something may be kept. */
  readonly domains: readonly string[];
}

export interface Era {
  readonly name: string;
  /** Whether queues go on as they were: the run before has ended in order. */
  readonly goesOn: boolean;
}

function isRun(value: unknown): value is Run {
  const { version, era, ended, domains } = (value ?? {}) as Partial<Record<keyof Run, unknown>>;
  return typeof version === 'number' && typeof era === 'string' && typeof ended === 'boolean' && Array.isArray(domains);
}

/** Forgets all that is kept of a domain for the next start. */
export function forgetDomain(store: Store, name: string): void {
  for (const table of TABLES) {
    const records = store.table(table);
    for (const [key] of records.entries(part(name))) records.remove(key);
  }
}

/**
 * The era of this run. What is kept of other domains than these is forgotten, and what another version has written. `kept`:
 * domains that are served beside those of the configuration, and which whoever keeps them names again.
 */
export function beginEra(store: Store | null, domains: readonly string[], kept: readonly string[] = []): Era {
  if (!store) return { name: newEra(), goesOn: false };
  const before = store.table<Run>('runs').get(KEY);
  const isReadable = isRun(before) && before.version === KEPT_VERSION;
  if (before !== undefined && !isReadable) {
    const version = isRun(before) ? before.version : null;
    log.warn(
      { event: 'state not read', version, expected: KEPT_VERSION },
      'tickets and queues were kept by another version, and are not read: clients come online again',
    );
  }
  const known = isRun(before) ? before.domains : [];
  const named = new Set([...domains, ...kept]);
  for (const name of new Set([...known, ...named])) {
    if (!isReadable || !named.has(name)) forgetDomain(store, name);
  }
  const goesOn = isReadable && before.ended;
  const era = goesOn ? before.era : newEra();
  store.table<Run>('runs').put(KEY, { version: KEPT_VERSION, era, ended: false, domains });
  return { name: era, goesOn };
}

function changeRun(store: Store, change: Partial<Run>): void {
  const run = store.table<Run>('runs').get(KEY);
  if (run) store.table<Run>('runs').put(KEY, { ...run, ...change });
}

/** Notes which domains are served from now on. */
export function noteDomains(store: Store, domains: readonly string[]): void {
  changeRun(store, { domains });
}

/** The server ends in order, and all that it knew is on disk. */
export function endEra(store: Store): void {
  changeRun(store, { ended: true });
}
