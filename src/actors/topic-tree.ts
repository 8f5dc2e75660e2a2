/**
 * Topic filters and who subscribed to them. Filters without wildcards, which are nearly all, live in one map; the
 * others in a tree of levels. A lookup costs what the topic's levels and its matches cost, however many filters there
 * are.
 */
import { EMPTY, type SmallSet, sizeOf, withItem, withoutItem } from './small-set.js';
import { hasWildcard } from './topic.js';

interface Entry<S> {
  readonly filter: string;
  subscribers: SmallSet<S>;
}

interface Level<S> {
  readonly children: Map<string, Level<S>>;
  entry: Entry<S> | null;
}

function newLevel<S>(): Level<S> {
  return { children: new Map(), entry: null };
}

/** False where the filter had no such subscriber. */
function removeFrom<S>(entry: Entry<S>, subscriber: S): boolean {
  const before = sizeOf(entry.subscribers);
  entry.subscribers = withoutItem(entry.subscribers, subscriber);
  return sizeOf(entry.subscribers) < before;
}

export class TopicTree<S> {
  readonly #exact = new Map<string, Entry<S>>();
  readonly #root: Level<S> = newLevel();
  #wildcards = 0;
  #levels = 0;
  #looked = 0;

  /** How many filters with wildcards there are. */
  get wildcards(): number {
    return this.#wildcards;
  }

  /** Nodes of the tree of filters with wildcards: 250 bytes each, so that deep filters cost many times what flat ones do. */
  get levels(): number {
    return this.#levels;
  }

  /** Levels that all lookups so far have looked at. */
  get looked(): number {
    return this.#looked;
  }

  /** How many different filters there are. */
  get size(): number {
    return this.#exact.size + this.#wildcards;
  }

  /** Adds a subscriber to a valid filter. Answers the tree's own copy of the filter, for the caller to keep instead. */
  insert(filter: string, subscriber: S): string {
    const entry = hasWildcard(filter) ? this.#wildEntry(filter) : this.#exactEntry(filter);
    entry.subscribers = withItem(entry.subscribers, subscriber);
    return entry.filter;
  }

  /** Removes a subscriber from a filter; false where the subscriber had no such subscription. */
  remove(filter: string, subscriber: S): boolean {
    if (hasWildcard(filter)) return this.#removeWild(filter.split('/'), subscriber);
    const entry = this.#exact.get(filter);
    if (!entry || !removeFrom(entry, subscriber)) return false;
    if (sizeOf(entry.subscribers) === 0) this.#exact.delete(filter);
    return true;
  }

  /** Whether there are subscribers of exactly this filter. */
  has(filter: string): boolean {
    return this.#exact.has(filter);
  }

  /** The subscribers of exactly this filter; other filters that match it do not count. */
  exact(filter: string): Iterable<S> {
    return this.#exact.get(filter)?.subscribers ?? [];
  }

  /** Calls `visit` for each subscription whose filter matches; a subscriber of two matching filters is visited twice. */
  match(topic: string, visit: (subscriber: S) => void): void {
    const entry = this.#exact.get(topic);
    if (entry) for (const subscriber of entry.subscribers) visit(subscriber);
    if (this.#wildcards > 0) this.#walk(this.#root, topic.split('/'), 0, visit);
  }

  #exactEntry(filter: string): Entry<S> {
    let entry = this.#exact.get(filter);
    if (!entry) {
      entry = { filter, subscribers: EMPTY };
      this.#exact.set(filter, entry);
    }
    return entry;
  }

  #wildEntry(filter: string): Entry<S> {
    let level = this.#root;
    for (const name of filter.split('/')) {
      let child = level.children.get(name);
      if (!child) {
        child = newLevel();
        level.children.set(name, child);
        this.#levels += 1;
      }
      level = child;
    }
    if (!level.entry) {
      level.entry = { filter, subscribers: EMPTY };
      this.#wildcards += 1;
    }
    return level.entry;
  }

  #removeWild(names: readonly string[], subscriber: S): boolean {
    const path: Level<S>[] = [this.#root];
    for (const name of names) {
      const child = path.at(-1)?.children.get(name);
      if (!child) return false;
      path.push(child);
    }
    const leaf = path.at(-1);
    if (!leaf?.entry || !removeFrom(leaf.entry, subscriber)) return false;
    if (sizeOf(leaf.entry.subscribers) > 0) return true;
    leaf.entry = null;
    this.#wildcards -= 1;
    this.#prune(path, names);
    return true;
  }

  #prune(path: readonly Level<S>[], names: readonly string[]): void {
    for (let i = path.length - 1; i > 0; i--) {
      const level = path[i] as Level<S>;
      if (level.entry || level.children.size > 0) return;
      path[i - 1]?.children.delete(names[i - 1] as string);
      this.#levels -= 1;
    }
  }

  #walk(level: Level<S>, names: readonly string[], depth: number, visit: (subscriber: S) => void): void {
    this.#looked += 1;
    // A leading wildcard matches no topic that begins with `$`, [MQTT-4.7.2-1].
    const wild = depth > 0 || !names[0]?.startsWith('$');
    if (wild) this.#visit(level.children.get('#'), visit);
    const name = names[depth];
    if (name === undefined) {
      this.#visit(level, visit);
      return;
    }
    const exact = level.children.get(name);
    if (exact) this.#walk(exact, names, depth + 1, visit);
    const plus = wild ? level.children.get('+') : undefined;
    if (plus) this.#walk(plus, names, depth + 1, visit);
  }

  #visit(level: Level<S> | undefined, visit: (subscriber: S) => void): void {
    if (level?.entry) for (const subscriber of level.entry.subscribers) visit(subscriber);
  }
}
