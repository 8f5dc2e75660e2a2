/**
 * What a reload (SIGHUP) changes. Domains, their keys, all limits, lockout and the files of the certificate change
 * while the server runs; everything else needs a restart, and is named instead of being half applied.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Config, type DomainConfig, isLoopback, type Limits, type LockoutConfig } from './config.js';

export interface Reload {
  /** The running configuration with what may change taken from the new one. */
  readonly config: Config;
  /** What changes, one item each, without values that are secret: `domain b.com: apikey`, `limits.bodyBytes: 1 → 2`. */
  readonly changes: readonly string[];
  /** Keys that differ but keep their old value until a restart. */
  readonly needRestart: readonly string[];
}

/** The keys that a reload changes, with all below them. Of `admin` it changes the tokens. */
export const RELOADED = ['domains', 'limits', 'lockout', 'tls'] as const satisfies readonly (keyof Config)[];

export function planReload(current: Config, next: Config): Reload {
  const changed = Object.fromEntries(RELOADED.map((key) => [key, next[key]]));
  // Only ports that have TLS can have another certificate.
  const tls = current.tls && (next.tls ?? current.tls);
  // A port that is open to other machines is never left without a token, wherever the new file would have it.
  const token = isLoopback(current.admin.host) ? next.admin.token : (next.admin.token ?? current.admin.token);
  const admin = { ...current.admin, token };
  const config: Config = Object.freeze({ ...current, ...changed, tls, admin });
  const keys = Object.keys(current) as (keyof Config)[];
  return {
    config,
    changes: [
      ...domainChanges(current.domains, next.domains),
      ...numberChanges('limits', current.limits, next.limits),
      ...numberChanges('lockout', current.lockout, next.lockout),
      ...(isDeepStrictEqual(tls, current.tls) ? [] : ['tls: files']),
      ...(isDeepStrictEqual(token, current.admin.token) ? [] : ['admin: token']),
    ],
    needRestart: keys.filter((key) => !isDeepStrictEqual(config[key], next[key])),
  };
}

function domainChanges(before: readonly DomainConfig[], after: readonly DomainConfig[]): string[] {
  const old = new Map(before.map((domain) => [domain.domain, domain]));
  const changes: string[] = [];
  for (const domain of after) {
    const was = old.get(domain.domain);
    old.delete(domain.domain);
    if (was === undefined) {
      changes.push(`domain ${domain.domain}: added`);
      continue;
    }
    const keys = (Object.keys(domain) as (keyof DomainConfig)[]).filter(
      (key) => !isDeepStrictEqual(domain[key], was[key]),
    );
    if (keys.length > 0) changes.push(`domain ${domain.domain}: ${keys.sort().join(', ')}`);
  }
  return [...changes, ...[...old.keys()].map((name) => `domain ${name}: removed`)];
}

function numberChanges<T extends Limits | LockoutConfig>(group: string, before: T, after: T): string[] {
  const keys = Object.keys(before) as (keyof T & string)[];
  return keys
    .filter((key) => before[key] !== after[key])
    .map((key) => `${group}.${key}: ${before[key]} → ${after[key]}`);
}
