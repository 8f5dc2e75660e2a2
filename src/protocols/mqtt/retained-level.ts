/**
 * A level of the tree of retained publications. Who goes through its children keeps a place among them, and no iterator:
 * that of a Map holds on to all that the map has held since, for as long as it stands still.
 */
import type { Publication } from '../../actors/publication.js';

/** Up to so many children are looked through for a name; a Map of one would take more than the level itself. */
const FEW_CHILDREN = 8;
/** Of those children that have gone so many are kept, or an eighth as many as there are others, whichever is more. */
const GONE_CHILDREN = 8;

/** Where somebody stands among a level's children: behind the one that came at `born`, which was at `at - 1`. */
export interface Place {
  born: number;
  at: number;
}

export class Level {
  /** Null where there are few. */
  #byName: Map<string, Level> | null = null;
  /** The children in the order in which they came, with some that have gone. */
  #inOrder: Level[] = [];
  #gone = 0;
  #isGone = false;
  publication: Publication | null = null;
  /** The place of its publication in the order in which they were put. */
  order = 0;

  constructor(
    readonly name: string,
    /** The place of the publication that was put when the level came: all that is in it has that place or a later one. */
    readonly born: number,
  ) {}

  /** How many children there are. */
  get size(): number {
    return this.#inOrder.length - this.#gone;
  }

  child(name: string): Level | undefined {
    if (this.#byName) return this.#byName.get(name);
    return this.#inOrder.find((child) => child.name === name && !child.#isGone);
  }

  add(name: string, born: number): Level {
    const child = new Level(name, born);
    // Most levels have one child: an array that has grown has room for many.
    if (this.#inOrder.length === 0) this.#inOrder = [child];
    else this.#inOrder.push(child);
    if (this.#byName) this.#byName.set(name, child);
    else if (this.#inOrder.length > FEW_CHILDREN) {
      this.#byName = new Map(this.#present().map((present) => [present.name, present]));
    }
    return child;
  }

  remove(child: Level): void {
    this.#byName?.delete(child.name);
    child.#isGone = true;
    this.#gone += 1;
    if (this.#gone <= Math.max(GONE_CHILDREN, this.size >> 3)) return;
    this.#inOrder = this.#present();
    this.#gone = 0;
  }

  clear(): void {
    this.#byName = null;
    this.#inOrder = [];
    this.#gone = 0;
  }

  /** Goes on to the next child, which may have gone, and then has nothing in it; undefined: there is none any more. */
  next(place: Place): Level | undefined {
    if (place.at > 0 && this.#inOrder[place.at - 1]?.born !== place.born) place.at = this.#indexAfter(place.born);
    const child = this.#inOrder[place.at];
    if (!child) return undefined;
    place.at += 1;
    place.born = child.born;
    return child;
  }

  #present(): Level[] {
    return this.#inOrder.filter((child) => !child.#isGone);
  }

  /** Where the first child stands that came later. */
  #indexAfter(born: number): number {
    let from = 0;
    let to = this.#inOrder.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#inOrder[middle] as Level).born > born) to = middle;
      else from = middle + 1;
    }
    return from;
  }
}
