/**
 * Where the wildcards of a domain's filters stand: a bound on what one lookup costs. Of all filters that are alike in
 * that, one at most matches a topic, so a lookup in the topic tree looks at no more levels than the different shapes have
 * together, however many filters there are. Sites have a few; 8,192 filters of `a` and `+` in 13 levels are as many.
 */
import { hasWildcard } from '../../actors/topic.js';

/** Levels that all shapes may have together: so a lookup takes less than 1 ms. */
const MAX_SHAPE_LEVELS = 4096;

/** `sensors/+/kitchen/#` has the shape `x/+/x/#`. */
function shapeOf(filter: string): string {
  const names = filter.split('/');
  return names.map((name) => (name === '+' || name === '#' ? name : 'x')).join('/');
}

function levelsOf(shape: string): number {
  return shape.split('/').length;
}

export class FilterShapes {
  /** How many subscriptions have each shape. */
  readonly #counts = new Map<string, number>();
  #levels = 0;

  /** Levels of all shapes together. */
  get levels(): number {
    return this.#levels;
  }

  /** Whether lookups may cost as much more as this filter would make them. */
  hasRoom(filter: string): boolean {
    if (!hasWildcard(filter)) return true;
    const shape = shapeOf(filter);
    return this.#counts.has(shape) || this.#levels + levelsOf(shape) <= MAX_SHAPE_LEVELS;
  }

  add(filter: string): void {
    if (!hasWildcard(filter)) return;
    const shape = shapeOf(filter);
    const count = this.#counts.get(shape) ?? 0;
    if (count === 0) this.#levels += levelsOf(shape);
    this.#counts.set(shape, count + 1);
  }

  remove(filter: string): void {
    if (!hasWildcard(filter)) return;
    const shape = shapeOf(filter);
    const count = this.#counts.get(shape) ?? 0;
    if (count > 1) {
      this.#counts.set(shape, count - 1);
    } else if (this.#counts.delete(shape)) {
      this.#levels -= levelsOf(shape);
    }
  }
}
