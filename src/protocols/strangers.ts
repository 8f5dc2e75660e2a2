/**
 * Connections that have not said who they are: before CONNECT or `subscribe`. What all of them together make the server
 * hold is bounded, whatever carries them; where it is too much, those that have held it longest end.
 */

/** The most bytes that all strangers together may make the server hold. */
const HELD_BYTES = 128 * 1024 * 1024;
/** Strangers that hold no more than this are dropped last: an honest CONNECT is smaller. */
const SMALL_BYTES = 4096;
/** The most strangers at a time, however little they hold. */
const MOST = 16_384;

export interface Stranger {
  /** Ends it at once: nothing of what it has sent is to be kept. */
  drop(): void;
}

export class Strangers {
  /** Bytes of each, who came first at the front: those that hold little, and the others. */
  readonly #small = new Map<Stranger, number>();
  readonly #large = new Map<Stranger, number>();
  #bytes = 0;

  get size(): number {
    return this.#small.size + this.#large.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A stranger holds so many bytes now, or may come to hold them unseen. Others, or itself, are dropped for it. */
  hold(stranger: Stranger, bytes: number): void {
    const before = this.#small.get(stranger) ?? this.#large.get(stranger) ?? 0;
    this.#bytes += bytes - before;
    if (bytes <= SMALL_BYTES) this.#small.set(stranger, bytes);
    else {
      this.#small.delete(stranger);
      this.#large.set(stranger, bytes);
    }
    while (this.#bytes > HELD_BYTES && this.#drop(this.#large)) {}
    while (this.size > MOST) if (!this.#drop(this.#small)) this.#drop(this.#large);
  }

  /** Forgets a stranger that has said who it is, or has gone. */
  release(stranger: Stranger): void {
    const bytes = this.#small.get(stranger) ?? this.#large.get(stranger);
    if (bytes === undefined) return;
    this.#small.delete(stranger);
    this.#large.delete(stranger);
    this.#bytes -= bytes;
  }

  /** Drops the stranger that has held its bytes for longest; false where there is none. */
  #drop(held: ReadonlyMap<Stranger, number>): boolean {
    for (const stranger of held.keys()) {
      this.release(stranger);
      stranger.drop();
      return true;
    }
    return false;
  }
}
