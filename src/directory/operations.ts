/** What operators and owners do to domains at run time: checked, done, and written into the audit log. */
import { isDeepStrictEqual } from 'node:util';
import { loadDomain, type Surroundings } from '../config-domain.js';
import { domainSchema } from '../config-schema.js';
import type { Audit } from './audit.js';
import { type Directory, KEY, MOST_DOMAINS } from './directory.js';
import { type Plain, SETTINGS } from './registers.js';
import { fingerprintOf, hashedKey, newKey, newSecret } from './secrets.js';

/** Whoever asks. */
export interface Viewer {
  /** `admin` or `owner`, and the fingerprint of the token. */
  readonly name: string;
  readonly address: string;
  /** The domains of an owner; null: all. */
  readonly domains: ReadonlySet<string> | null;
}

export interface Outcome {
  readonly status: number;
  readonly body: Plain;
}

/** Settings that are secrets: shown when they are made, and then only named. */
export const SECRETS: readonly string[] = ['tokenSecret', 'webhookSecret'].filter(
  (name) => domainSchema.properties?.[name] !== undefined,
);
/** The fields that GET shows besides the settings; PUT and PATCH accept and ignore them. */
const SHOWN = ['source', 'keys', 'secrets'];
/** The settings that owners may change. */
const OWNED: ReadonlySet<string> = new Set([
  ...['origins', 'webhook', 'services', 'events', 'history', 'apikey', 'tokenSecret', 'webhookSecret'],
]);
const MOST_KEYS = 100;
/** Settings within which a change names single entries. */
const MERGED = ['limits', 'services'];

export function refused(status: number, message: string, detail: string, errors?: readonly string[]): Outcome {
  return { status, body: { status: 'error', message, detail, ...(errors ? { errors } : {}) } };
}

const UNKNOWN = refused(404, 'not found', 'there is no such domain');

function wrong(errors: readonly string[]): Outcome {
  return refused(400, 'bad request', errors[0] ?? '', errors);
}

export class Operations {
  constructor(
    private readonly directory: Directory,
    private readonly audit: Audit,
    private readonly now: () => number,
    /** Whether a domain is one of the configuration file. */
    private readonly isFixed: (domain: string) => boolean,
    /** Whether what an earlier domain of this name has kept is still being removed. */
    private readonly isLeaving: (domain: string) => boolean,
    private readonly surroundings: () => Surroundings,
  ) {}

  /** Creates a domain, or replaces its settings. */
  put(viewer: Viewer, name: string, given: Plain): Outcome {
    if (viewer.domains) return refused(403, 'forbidden', 'owners change settings with PATCH');
    const barred = this.#barred(name) ?? this.#misnamed(name, given);
    if (barred) return barred;
    const settings = settingsOf(given);
    const before = this.directory.plain(name);
    if (before) {
      // Secrets are not shown, so whoever puts back what was shown has not named them.
      for (const secret of SECRETS) if (!(secret in settings)) settings[secret] = before[secret] ?? null;
      return this.#change(viewer, name, settings, given.apikey);
    }
    return this.#create(viewer, name, settings, given.apikey);
  }

  /** Changes the settings that are named; of limits and services, the entries that are named, null takes one away. */
  patch(viewer: Viewer, name: string, given: Plain): Outcome {
    const barred = this.#barred(name) ?? this.#misnamed(name, given);
    if (barred) return barred;
    const before = this.directory.plain(name);
    if (!before) return UNKNOWN;
    const foreign = Object.keys(given).filter((key) => key !== 'domain' && !SHOWN.includes(key) && !OWNED.has(key));
    if (viewer.domains && foreign.length > 0) {
      return refused(403, 'forbidden', `owners do not change ${foreign.join(', ')}`);
    }
    const settings: Record<string, unknown> = { ...before, ...settingsOf(given) };
    for (const key of MERGED) if (isPlain(given[key])) settings[key] = merged(before[key], given[key]);
    return this.#change(viewer, name, settings, given.apikey);
  }

  remove(viewer: Viewer, name: string): Outcome {
    if (viewer.domains) return refused(403, 'forbidden', 'owners do not remove domains');
    const barred = this.#barred(name);
    if (barred) return barred;
    if (!this.directory.has(name)) return UNKNOWN;
    this.directory.remove(name);
    this.#record(viewer, 'domain removed', name, []);
    return { status: 200, body: { domain: name } };
  }

  /** A further key, shown this once. */
  addKey(viewer: Viewer, name: string): Outcome {
    const barred = this.#barred(name);
    if (barred) return barred;
    if (!this.directory.has(name)) return UNKNOWN;
    if (this.directory.keys(name).length >= MOST_KEYS) {
      return refused(409, 'conflict', `a domain has at most ${MOST_KEYS} keys`);
    }
    const apikey = newKey();
    this.directory.write(name, [[`${KEY}${hashedKey(apikey)}`, { added: this.now() }]]);
    const fingerprint = fingerprintOf(apikey);
    this.#record(viewer, 'key added', name, [fingerprint]);
    return { status: 201, body: { domain: name, apikey, fingerprint } };
  }

  removeKey(viewer: Viewer, name: string, fingerprint: string): Outcome {
    const barred = this.#barred(name);
    if (barred) return barred;
    if (!this.directory.has(name)) return UNKNOWN;
    const keys = this.directory.keys(name);
    const key = keys.find((one) => one.fingerprint === fingerprint);
    if (!key) return refused(404, 'not found', 'the domain has no such key');
    if (keys.length === 1) return refused(409, 'conflict', 'it is the last key: add another one first');
    this.directory.write(name, [[`${KEY}${key.hash}`, null]]);
    this.#record(viewer, 'key removed', name, [fingerprint]);
    return { status: 200, body: { domain: name, fingerprint } };
  }

  /** Why a domain cannot be changed at run time; null: it can. */
  #barred(name: string): Outcome | null {
    if (this.isFixed(name)) {
      return refused(409, 'conflict', 'the domain is one of the configuration file: change it there, and reload');
    }
    if (this.directory.canKeep) return null;
    return refused(409, 'conflict', 'domains are kept in a data folder, and data is "none": start with --data FOLDER');
  }

  #misnamed(name: string, { domain }: Plain): Outcome | null {
    return domain === undefined || domain === name ? null : wrong(['domain: must be the one of the path']);
  }

  #create(viewer: Viewer, name: string, settings: Record<string, unknown>, apikey: unknown): Outcome {
    if (this.isLeaving(name)) {
      return refused(409, 'conflict', 'what the removed domain of this name kept is still being removed: try again');
    }
    if (this.directory.size >= MOST_DOMAINS) return refused(409, 'conflict', `there are ${MOST_DOMAINS} domains`);
    const shown: Record<string, unknown> = { domain: name };
    if (apikey === undefined) Object.assign(shown, { apikey: newKey() });
    for (const secret of SECRETS) {
      if (!(secret in settings)) settings[secret] = newSecret();
      shown[secret] = settings[secret];
    }
    const errors = this.#errors(name, settings, apikey ?? shown.apikey);
    if (errors) return wrong(errors);
    const keys = listOf(apikey ?? shown.apikey);
    this.directory.write(name, [[SETTINGS, settings], ...this.#keyRegisters(name, keys)]);
    this.#record(viewer, 'domain added', name, Object.keys(settings).sort());
    return { status: 201, body: { ...shown, ...printsOf(keys) } };
  }

  #change(viewer: Viewer, name: string, settings: Plain, apikey: unknown): Outcome {
    const kept = this.directory.keys(name).map(({ hash }) => hash);
    const errors = this.#errors(name, settings, apikey ?? (kept.length > 0 ? kept : undefined));
    if (errors) return wrong(errors);
    const before = this.directory.plain(name) ?? {};
    const all = new Set([...Object.keys(settings), ...Object.keys(before)]);
    const changed = [...all].filter((key) => !isDeepStrictEqual(before[key], settings[key]));
    const keys = apikey === undefined ? null : listOf(apikey);
    const registers = keys ? this.#keyRegisters(name, keys) : [];
    this.directory.write(name, [...(changed.length > 0 ? [[SETTINGS, settings] as const] : []), ...registers]);
    this.#record(viewer, 'domain changed', name, [...changed, ...(keys ? ['apikey'] : [])].sort());
    return { status: 200, body: { domain: name, ...(keys ? printsOf(keys) : {}) } };
  }

  /** The registers to write so that these keys become the domain's only keys: new keys are added, all others are removed. */
  #keyRegisters(name: string, keys: readonly string[]): (readonly [string, Plain | null])[] {
    const wanted = new Set(keys.map(hashedKey));
    const known = new Set(this.directory.keys(name).map(({ hash }) => hash));
    const added = this.now();
    return [
      ...[...wanted].filter((hash) => !known.has(hash)).map((hash) => [`${KEY}${hash}`, { added }] as const),
      ...[...known].filter((hash) => !wanted.has(hash)).map((hash) => [`${KEY}${hash}`, null] as const),
    ];
  }

  #errors(name: string, settings: Plain, apikey: unknown): readonly string[] | null {
    const keys = Array.isArray(apikey) && apikey.length > MOST_KEYS ? [`apikey: must be at most ${MOST_KEYS}`] : null;
    const loaded = loadDomain({ ...settings, domain: name, apikey }, this.surroundings());
    return 'errors' in loaded ? loaded.errors : keys;
  }

  #record({ name: who, address }: Viewer, what: string, domain: string, detail: readonly string[]): void {
    this.audit.record({ at: this.now(), who, address, what, domain, detail });
  }
}

/** The settings among the given fields: all except the domain's name, its keys and the fields that GET shows besides. */
function settingsOf(given: Plain): Record<string, unknown> {
  const settings: Record<string, unknown> = { ...given };
  for (const key of ['domain', 'apikey', ...SHOWN]) delete settings[key];
  return settings;
}

function listOf(apikey: unknown): string[] {
  return [apikey].flat().map(String);
}

/** `fingerprint` of one key, `fingerprints` of several. */
function printsOf(keys: readonly string[]): Plain {
  const prints = keys.map(fingerprintOf);
  return prints.length === 1 ? { fingerprint: prints[0] } : { fingerprints: prints };
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function merged(before: unknown, given: Plain): Plain {
  const all = new Map([...Object.entries(isPlain(before) ? before : {}), ...Object.entries(given)]);
  return Object.fromEntries([...all].filter(([, value]) => value !== null));
}
