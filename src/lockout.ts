/**
 * Who has guessed secrets wrong too often waits, longer each time. Knows names only, made of a network address and of
 * what was guessed at, and forgets the one that was silent longest when it knows too many.
 */
import { BoundedMap } from './bounded-map.js';
import type { LockoutConfig } from './config.js';

interface Guesses {
  wrong: number;
  lastMs: number;
  lockedUntilMs: number;
}

export class Lockout {
  readonly #guesses: BoundedMap<string, Guesses>;

  constructor(
    private readonly now: () => number,
    /** The configuration as last loaded. */
    private readonly config: () => LockoutConfig,
  ) {
    this.#guesses = new BoundedMap(() => config().entries);
  }

  /** How many are remembered. */
  get size(): number {
    return this.#guesses.size;
  }

  /** Whether nobody is remembered for wrong guesses. Each call forgets the one who guessed longest ago, where that was long enough ago. */
  get isCalm(): boolean {
    if (this.#guesses.size === 0) return true;
    const [oldest, { lastMs, lockedUntilMs }] = this.#guesses.entries().next().value as [string, Guesses];
    const now = this.now();
    if (now >= lastMs + this.config().forgetMs && now >= lockedUntilMs) this.#guesses.delete(oldest);
    return this.#guesses.size === 0;
  }

  /** Seconds for which `who` is to wait; 0: it may try. */
  waitS(who: string): number {
    // Nobody guesses, nearly always: then no name is looked up.
    const guesses = this.#guesses.size > 0 ? this.#guesses.get(who) : undefined;
    return guesses ? Math.max(0, Math.ceil((guesses.lockedUntilMs - this.now()) / 1000)) : 0;
  }

  /** Counts a wrong guess; answers the seconds for which `who` is locked out by it. */
  wrong(who: string): number {
    const { failures, firstMs, longestMs, forgetMs } = this.config();
    if (failures === 0) return 0;
    const now = this.now();
    const known = this.#guesses.get(who);
    const wrong = (known && now - known.lastMs < forgetMs ? known.wrong : 0) + 1;
    const lockedMs = wrong < failures ? 0 : Math.min(longestMs, firstMs * 2 ** (wrong - failures));
    this.#guesses.set(who, { wrong, lastMs: now, lockedUntilMs: now + lockedMs });
    return Math.ceil(lockedMs / 1000);
  }

  right(who: string): void {
    if (this.#guesses.size > 0) this.#guesses.delete(who);
  }
}
