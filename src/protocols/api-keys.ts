/**
 * API keys as strangers offer them: right, wrong, or not looked at, because their address has guessed too often. What is
 * locked out is one address for one domain, so a site whose key is wrong holds up no other that shares its address. And
 * an address from which the domain's key came before is only slowed: behind a shared address a stranger must not be able
 * to silence the site itself.
 */
import type { Domain } from '../actors/domain.js';
import { BoundedMap } from '../bounded-map.js';
import type { LockoutConfig } from '../config.js';
import { Lockout } from '../lockout.js';
import { seldom } from '../seldom.js';
import { authenticate } from './credentials.js';

/** How often an address that right keys come from is noted anew. */
const NOTE_MS = 1000;

export class ApiKeys {
  readonly #lockout: Lockout;
  /** For each domain: the addresses that a right key came from, and when that was last noted. */
  readonly #familiar = new WeakMap<Domain, BoundedMap<string, number>>();

  constructor(
    private readonly now: () => number,
    private readonly config: () => LockoutConfig,
  ) {
    this.#lockout = new Lockout(now, config);
  }

  /** True for a right key, false for a wrong one; a number: seconds before this address may try again. */
  check(domain: Domain, key: string, address: () => string): boolean | number {
    const from = address();
    const who = `${domain.name} ${from}`;
    const waitS = this.#lockout.waitS(who);
    if (waitS > 0 && !this.#familiar.get(domain)?.has(from)) return waitS;
    if (authenticate(domain, key)) {
      this.#lockout.right(who);
      this.#note(domain, from);
      return true;
    }
    if (waitS > 0) return waitS;
    const lockedS = this.#lockout.wrong(who);
    if (lockedS > 0) {
      const what = { event: 'locked-out', domain: domain.name, address: from, seconds: lockedS };
      seldom.warn(`locked out ${from}`, what, 'an address has offered too many wrong keys, and waits');
    }
    return false;
  }

  /** Each address by itself: a backend that calls seldom is remembered beside one that calls all the time. */
  #note(domain: Domain, address: string): void {
    let familiar = this.#familiar.get(domain);
    if (!familiar) {
      familiar = new BoundedMap(() => this.config().entries);
      this.#familiar.set(domain, familiar);
    }
    const now = this.now();
    if (now - (familiar.get(address) ?? Number.NEGATIVE_INFINITY) < NOTE_MS) return;
    familiar.set(address, now);
  }
}
