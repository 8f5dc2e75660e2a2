/**
 * How much more the store may write. LMDB ends the process when its disk is full, so the store stops before: at a reserve
 * it takes nothing new, and at an eighth of that it writes nothing at all, not even what takes data away.
 *
 * What is free: on the disk, and in the file itself, which never shrinks. What has been written since that was looked at
 * counts for as much as LMDB can take for it at most: pages are copied when they change.
 */

/** Bytes. */
export interface Measured {
  /** Free bytes of the disk, as far as the server's user may use them. */
  readonly free: number;
  readonly total: number;
  /** Pages of the file that hold nothing any more. */
  readonly reusable: number;
  /** Pages of the file that hold something. */
  readonly used: number;
}

const LARGEST_RESERVE = 64 * 1024 * 1024;
const SMALLEST_RESERVE = 256 * 1024;
/** The reserve as a share of the size of the disk. */
const RESERVE_SHARE = 0.25;
const PAGE_BYTES = 4096;
/** A record larger than this takes pages that lie together, which the file may have no place for. */
const LARGE_BYTES = 1500;
/** How long a measurement counts: others write to the disk as well. */
const MEASURED_MS = 250;

export class Space {
  #full = false;
  #measured: Measured;
  #measuredAt = 0;
  /** Bytes written since the last measurement, or not committed at that time. */
  #writes = 0;
  #bytes = 0;
  /** Bytes written that are not committed yet. */
  #openWrites = 0;
  #openBytes = 0;
  #isStale = false;

  constructor(
    private readonly measure: () => Measured,
    private readonly changed: (full: boolean) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#measured = measure();
    this.#measuredAt = now();
  }

  /** Whether nothing new is taken. */
  get full(): boolean {
    return this.#full;
  }

  /** A quarter of a small disk, 64 MiB of a large one. */
  get reserve(): number {
    return Math.max(SMALLEST_RESERVE, Math.min(LARGEST_RESERVE, this.#measured.total * RESERVE_SHARE));
  }

  /** Looks at the disk, unless that was just done; whether so many bytes more can be taken. */
  hasRoom(bytes: number): boolean {
    this.#look();
    // Once it was full, some more has to be free, so that it is not full and not full in turns.
    const wanted = this.reserve * (this.#full ? 1.25 : 1);
    const { free, reusable } = this.#measured;
    const isFull = free + reusable - 2 * this.#bytes <= wanted;
    if (isFull !== this.#full) {
      this.#full = isFull;
      this.changed(isFull);
    }
    return !isFull && this.#leaves(this.reserve / 4, bytes);
  }

  /** Whether a write can be made without danger, be it one that takes data away. */
  isSafe(bytes: number): boolean {
    this.#look();
    return this.#leaves(this.reserve / 8, bytes);
  }

  /** Whether nothing is on its way. */
  get isIdle(): boolean {
    return this.#openWrites === 0;
  }

  /** Counts a write that begins. */
  open(bytes: number): void {
    this.#writes += 1;
    this.#bytes += bytes;
    this.#openWrites += 1;
    this.#openBytes += bytes;
  }

  /** Counts a write that is committed, or has failed. */
  close(bytes: number): void {
    this.#openWrites -= 1;
    this.#openBytes -= bytes;
    this.#isStale = true;
  }

  /** Whether this much is free after all that is on its way, and `bytes` more. */
  #leaves(wanted: number, bytes: number): boolean {
    const { free, reusable, used } = this.#measured;
    const pages = Math.min(this.#writes * PAGE_BYTES, used + 2 * this.#bytes);
    const left = free - pages - 2 * (this.#bytes + bytes);
    return left + reusable > wanted && (bytes <= LARGE_BYTES || left > wanted / 2);
  }

  /** Measures the disk anew, unless there was plenty of room a short time ago. */
  #look(): void {
    const now = this.now();
    const isOld = now - this.#measuredAt >= MEASURED_MS;
    if (!isOld && (!this.#isStale || this.#leaves(this.reserve * 2, 0))) return;
    this.#measured = this.measure();
    this.#measuredAt = now;
    this.#isStale = false;
    this.#writes = this.#openWrites;
    this.#bytes = this.#openBytes;
  }
}
