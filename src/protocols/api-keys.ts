/**
 * API keys as strangers offer them: right, wrong, or not looked at, because their address has guessed too often. What is
 * locked out is one address for one domain, so a site whose key is wrong holds up no other that shares its address. And
 * an address from which the domain's key came before is only slowed: behind a shared address a stranger must not be able
 * to silence the site itself.
 */
import type { Domain } from '../actors/domain.js';
import type { LockoutConfig } from '../config.js';
import { Lockout } from '../lockout.js';
import { log } from '../log.js';
import { authenticate } from './keys.js';

/** How often the address of a right key is noted, for each domain. */
const NOTE_MS = 1000;

export class ApiKeys {
  readonly #lockout: Lockout;
  /** Addresses and domains that a right key came from, the latest last. */
  readonly #familiar = new Set<string>();
  readonly #notedMs = new WeakMap<Domain, number>();

  constructor(
    private readonly now: () => number,
    private readonly config: () => LockoutConfig,
  ) {
    this.#lockout = new Lockout(now, config);
  }

  /** True for a right key, false for a wrong one; a number: seconds before this address may try again. */
  check(domain: Domain, key: string, address: () => string): boolean | number {
    // Nearly always nobody is guessing, and then a right key costs nothing more.
    const who = this.#lockout.size > 0 ? `${domain.name} ${address()}` : null;
    const waitS = who === null ? 0 : this.#lockout.waitS(who);
    if (who !== null && waitS > 0 && !this.#familiar.has(who)) return waitS;
    if (authenticate(domain, key)) {
      this.#right(domain, who, address);
      return true;
    }
    if (waitS > 0) return waitS;
    const from = address();
    const lockedS = this.#lockout.wrong(`${domain.name} ${from}`);
    if (lockedS > 0) log.warn({ event: 'locked-out', domain: domain.name, address: from, seconds: lockedS });
    return false;
  }

  #right(domain: Domain, who: string | null, address: () => string): void {
    if (who !== null) this.#lockout.right(who);
    const now = this.now();
    if (now - (this.#notedMs.get(domain) ?? Number.NEGATIVE_INFINITY) < NOTE_MS) return;
    this.#notedMs.set(domain, now);
    const name = who ?? `${domain.name} ${address()}`;
    this.#familiar.delete(name);
    this.#familiar.add(name);
    const [oldest] = this.#familiar;
    if (this.#familiar.size > this.config().entries && oldest !== undefined) this.#familiar.delete(oldest);
  }
}
