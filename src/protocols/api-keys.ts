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
/**
 * While nobody guesses, of a domain's calls in `NOTE_MS` the first so many are asked for their address, and one in `SAMPLE` of the
 * others: to ask for it is a system call. An address from which few calls come beside thousands is noted after some of them.
 */
const ASKED = 100;
const SAMPLE = 16;

/** Where a domain's right keys come from. */
interface Familiar {
  /** When an address was last noted. */
  readonly addresses: BoundedMap<string, number>;
  /** The calls since a time: how many of them are asked for their address follows from that. */
  since: number;
  calls: number;
}

/** Who offers a key. The address is asked for where it is needed only: that is a system call. */
export interface Caller {
  address(): string;
}

/** The name under which an address's guesses at a domain's keys are counted. */
function nameOf({ name }: Domain, from: string): string {
  return `${name} ${from}`;
}

export class ApiKeys {
  readonly #lockout: Lockout;
  readonly #familiar = new WeakMap<Domain, Familiar>();
  /** The domain that was asked for last, and what is familiar of it. */
  #last: Domain | null = null;
  #lastFamiliar: Familiar | null = null;

  constructor(
    private readonly now: () => number,
    private readonly config: () => LockoutConfig,
  ) {
    this.#lockout = new Lockout(now, config);
  }

  /** True for a right key, false for a wrong one; a number: seconds before this address may try again. */
  check(domain: Domain, key: string, caller: Caller): boolean | number {
    const familiar = this.#familiarOf(domain);
    if (this.#lockout.isCalm) {
      if (!authenticate(domain, key)) return this.#wrong(domain, caller.address());
      if (this.#isAsked(familiar)) this.#note(familiar, caller.address());
      return true;
    }
    const from = caller.address();
    const who = nameOf(domain, from);
    const waitS = this.#lockout.waitS(who);
    if (waitS > 0 && !familiar.addresses.has(from)) return waitS;
    if (authenticate(domain, key)) {
      this.#lockout.right(who);
      this.#note(familiar, from);
      return true;
    }
    return waitS > 0 ? waitS : this.#wrong(domain, from);
  }

  /** Counts a wrong key, which may lock its address out. */
  #wrong(domain: Domain, from: string): false {
    const lockedS = this.#lockout.wrong(nameOf(domain, from));
    if (lockedS > 0) {
      const what = { event: 'locked-out', domain: domain.name, address: from, seconds: lockedS };
      seldom.warn(`locked out ${from}`, what, 'an address has offered too many wrong keys, and waits');
    }
    return false;
  }

  #familiarOf(domain: Domain): Familiar {
    if (domain === this.#last && this.#lastFamiliar) return this.#lastFamiliar;
    let familiar = this.#familiar.get(domain);
    if (!familiar) {
      familiar = { addresses: new BoundedMap(() => this.config().entries), since: 0, calls: 0 };
      this.#familiar.set(domain, familiar);
    }
    this.#last = domain;
    this.#lastFamiliar = familiar;
    return familiar;
  }

  /** Counts a call; answers whether it is asked for its address. */
  #isAsked(familiar: Familiar): boolean {
    const now = this.now();
    if (now - familiar.since >= NOTE_MS) {
      familiar.since = now;
      familiar.calls = 0;
    }
    familiar.calls += 1;
    return familiar.calls <= ASKED || familiar.calls % SAMPLE === 0;
  }

  /** Each address by itself: a backend that calls seldom is remembered beside one that calls all the time. */
  #note({ addresses }: Familiar, address: string): void {
    const now = this.now();
    if (now - (addresses.get(address) ?? Number.NEGATIVE_INFINITY) < NOTE_MS) return;
    addresses.set(address, now);
  }
}
