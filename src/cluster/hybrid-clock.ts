/**
 * Stamps that order what the nodes do: a hybrid logical clock. A stamp is later than every one that its node has made or
 * heard of before, near the time of day, and hardly ever another node's.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';

/** A stamp is milliseconds times this, and a number that hardly any two nodes share. */
const STAMPS = 1024;

export class HybridClock {
  #last = 0;
  readonly #tie = randomBytes(2).readUInt16BE() % STAMPS;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  next(): number {
    const ms = Math.max(this.clock.now(), Math.floor(this.#last / STAMPS) + 1);
    this.#last = ms * STAMPS + this.#tie;
    return this.#last;
  }

  /** Another node has made this stamp: what is done here from now on is later. */
  heard(stamp: number): void {
    if (stamp > this.#last) this.#last = stamp;
  }
}
