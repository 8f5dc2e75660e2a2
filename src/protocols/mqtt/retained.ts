/**
 * A domain's retained publications, in a tree of topic levels: what a filter matches is found without looking at the
 * others, a piece at a time. Written by sessions at the moment they publish. Each publication that is put has a place in
 * an order; a new subscriber is sent those up to the place at which the router took its subscription, and hears the later
 * ones as they come: that is why it gets each once.
 *
 * Bounded by the domain's `retainedPerDomain`, `retainedBytes` and `bytesPerDomain`: what is beyond is delivered and not
 * kept, and counted as `quotaExceeded`.
 */
import type { Memory } from '../../actors/memory.js';
import type { Publication } from '../../actors/publication.js';
import type { DomainMetrics } from '../../metrics.js';
import { Level, type Place } from './retained-level.js';

/** Bytes that a level of the tree takes, measured with topics of 200 levels. */
const LEVEL_BYTES = 250;

export interface RetainedLimits {
  /** Publications; 0 is no limit. */
  readonly retainedPerDomain: number;
  /** Bytes; 0 is no limit. */
  readonly retainedBytes: number;
}

export class Retained {
  readonly #root = new Level('', 0);
  #bytes = 0;
  #order = 0;

  constructor(
    private readonly metrics: DomainMetrics,
    private readonly limits: () => RetainedLimits,
    private readonly memory: Memory,
    /** Called when a publication is removed because it has expired. */
    private readonly onExpired: (topic: string) => void = () => undefined,
  ) {}

  get count(): number {
    return this.metrics.mqtt.retained;
  }

  /** The place of the publication that was put last. */
  get order(): number {
    return this.#order;
  }

  /** Forgets everything: the domain ends, and what it has counted ends with it. */
  clear(): void {
    this.#root.clear();
    this.metrics.mqtt.retained = 0;
    this.#bytes = 0;
  }

  /**
   * Keeps the publication in place of an earlier one of its topic; an empty one only removes [MQTT-3.3.1-6]. Answers
   * whether it is kept.
   */
  put(publication: Publication): boolean {
    this.remove(publication.topic);
    if (publication.payload.length === 0) return false; // [MQTT-3.3.1-7]
    const names = publication.topic.split('/');
    if (this.#isFull(publication.bytes + this.#missing(names) * LEVEL_BYTES)) {
      this.metrics.drop('quotaExceeded', '');
      return false;
    }
    this.#order += 1;
    let level = this.#root;
    for (const name of names) {
      let child = level.child(name);
      if (!child) {
        child = level.add(name, this.#order);
        this.#bytes += LEVEL_BYTES;
        this.memory.add(LEVEL_BYTES);
      }
      level = child;
    }
    level.order = this.#order;
    level.publication = publication;
    this.memory.hold(publication);
    this.metrics.mqtt.retained += 1;
    this.#bytes += publication.bytes;
    return true;
  }

  remove(topic: string): void {
    const names = topic.split('/');
    const path: Level[] = [this.#root];
    for (const name of names) {
      const child = path.at(-1)?.child(name);
      if (!child) return;
      path.push(child);
    }
    const leaf = path.at(-1) as Level;
    if (!leaf.publication) return;
    this.metrics.mqtt.retained -= 1;
    this.#bytes -= leaf.publication.bytes;
    this.memory.release(leaf.publication);
    leaf.publication = null;
    for (let i = path.length - 1; i > 0; i--) {
      const level = path[i] as Level;
      if (level.publication || level.size > 0) return;
      path[i - 1]?.remove(level);
      this.#bytes -= LEVEL_BYTES;
      this.memory.subtract(LEVEL_BYTES);
    }
  }

  expire(topic: string): void {
    this.remove(topic);
    this.onExpired(topic);
  }

  #isFull(bytes: number): boolean {
    const { retainedPerDomain, retainedBytes } = this.limits();
    const isMany = retainedPerDomain > 0 && this.count >= retainedPerDomain;
    if (isMany) this.metrics.exceed('retainedPerDomain');
    if (isMany || !this.memory.hasRoom(bytes)) return true;
    const isMuch = retainedBytes > 0 && this.#bytes + bytes > retainedBytes;
    if (isMuch) this.metrics.exceed('retainedBytes');
    return isMuch;
  }

  /** How many levels a topic would add to the tree. */
  #missing(names: readonly string[]): number {
    let level: Level | undefined = this.#root;
    let found = 0;
    for (const name of names) {
      level = level.child(name);
      if (!level) break;
      found += 1;
    }
    return names.length - found;
  }

  /** Goes through the publications that a filter matches, up to a place in their order. */
  cursor(filter: string, upTo = this.#order): Cursor {
    return new RetainedCursor(this, this.#root, filter.split('/'), upTo);
  }
}

/** Goes through the retained publications that a filter matches. */
export interface Cursor {
  /**
   * The next publication that has not expired; null: there is none any more; `paused`: the budget is spent. Each level of
   * topics or filter that is looked at takes one of the budget.
   */
  next(now: number, budget: Budget): Publication | 'paused' | null;
}

/** How many levels may still be looked at. */
export interface Budget {
  left: number;
}

/** Levels of topics still to be looked at, whose names the filter's level at `depth` is to match: `+` or `#`. */
interface Frame {
  readonly parent: Level;
  readonly place: Place;
  readonly depth: number;
}

/**
 * Keeps its place in the tree while the tree changes, for as long as its client makes it wait. A publication that came
 * after `upTo` is passed over, as the subscription has had it already.
 */
class RetainedCursor implements Cursor {
  #frames: Frame[] | null = null;

  constructor(
    private readonly retained: Retained,
    private readonly root: Level,
    private readonly names: readonly string[],
    private readonly upTo: number,
  ) {}

  next(now: number, budget: Budget): Publication | 'paused' | null {
    while (budget.left > 0) {
      const level = this.#step(budget);
      if (level === null) return null;
      const publication = level?.publication;
      if (!publication || level.order > this.upTo) continue;
      if (publication.expiresAt > now) return publication;
      this.retained.expire(publication.topic); // [MQTT-3.3.2-5]
    }
    return 'paused';
  }

  /** Looks at one level more; answers the level where the filter matches it; null: there is none any more. */
  #step(budget: Budget): Level | undefined | null {
    budget.left -= 1;
    if (this.#frames === null) {
      this.#frames = [];
      return this.#enter(this.root, 0, this.#frames, budget);
    }
    const frame = this.#frames.at(-1);
    if (!frame) return null;
    const level = frame.parent.next(frame.place);
    // Nothing in a level that came after `upTo` is to be sent, nor in those behind it: they came later still.
    if (!level || level.born > this.upTo) {
      this.#frames.pop();
      return undefined;
    }
    // A leading wildcard matches no topic that begins with `$` [MQTT-4.7.2-1].
    if (this.#frames.length === 1 && frame.depth === 0 && level.name.startsWith('$')) return undefined;
    const isRest = this.names[frame.depth] === '#';
    return this.#enter(level, isRest ? frame.depth : frame.depth + 1, this.#frames, budget);
  }

  /** Goes down from a level that the filter's first `depth` levels match. */
  #enter(from: Level, depth: number, frames: Frame[], budget: Budget): Level | undefined {
    let level = from;
    for (let at = depth; at < this.names.length; at++) {
      const name = this.names[at] as string;
      if (name === '+' || name === '#') {
        if (level.size > 0) frames.push({ parent: level, place: { born: 0, at: 0 }, depth: at });
        return name === '#' ? level : undefined;
      }
      const child = level.child(name);
      if (!child) return undefined;
      budget.left -= 1;
      level = child;
    }
    return level;
  }
}
