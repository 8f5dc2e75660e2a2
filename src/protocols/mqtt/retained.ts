/**
 * A domain's retained publications, in a tree of topic levels: what a filter matches is found without looking at the
 * others. Read and written by sessions at the moment they publish or the router takes their subscription, never in
 * between: that is why a new subscriber gets each publication once, as retained or as it comes.
 *
 * Bounded by the domain's `retainedPerDomain` and `retainedBytes`: what is beyond is delivered and not kept, and counted
 * as `quotaExceeded`.
 */
import type { Publication } from '../../actors/publication.js';
import type { DomainMetrics } from '../../metrics.js';

/** What a level of the tree takes, measured with topics of 200 levels. */
const LEVEL_BYTES = 250;

export interface RetainedLimits {
  /** Publications; 0 is no limit. */
  readonly retainedPerDomain: number;
  /** Bytes; 0 is no limit. */
  readonly retainedBytes: number;
}

interface Level {
  readonly children: Map<string, Level>;
  publication: Publication | null;
}

function newLevel(): Level {
  return { children: new Map(), publication: null };
}

export class Retained {
  readonly #root = newLevel();
  #bytes = 0;

  constructor(
    private readonly metrics: DomainMetrics,
    private readonly limits: () => RetainedLimits,
  ) {}

  get count(): number {
    return this.metrics.mqtt.retained;
  }

  clear(): void {
    this.#root.children.clear();
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
    let level = this.#root;
    for (const name of names) {
      let child = level.children.get(name);
      if (!child) {
        child = newLevel();
        level.children.set(name, child);
        this.#bytes += LEVEL_BYTES;
      }
      level = child;
    }
    level.publication = publication.own();
    this.metrics.mqtt.retained += 1;
    this.#bytes += publication.bytes;
    return true;
  }

  remove(topic: string): void {
    const names = topic.split('/');
    const path: Level[] = [this.#root];
    for (const name of names) {
      const child = path.at(-1)?.children.get(name);
      if (!child) return;
      path.push(child);
    }
    const leaf = path.at(-1) as Level;
    if (!leaf.publication) return;
    this.metrics.mqtt.retained -= 1;
    this.#bytes -= leaf.publication.bytes;
    leaf.publication = null;
    for (let i = path.length - 1; i > 0; i--) {
      const level = path[i] as Level;
      if (level.publication || level.children.size > 0) return;
      path[i - 1]?.children.delete(names[i - 1] as string);
      this.#bytes -= LEVEL_BYTES;
    }
  }

  #isFull(bytes: number): boolean {
    const { retainedPerDomain, retainedBytes } = this.limits();
    if (retainedPerDomain > 0 && this.count >= retainedPerDomain) return true;
    return retainedBytes > 0 && this.#bytes + bytes > retainedBytes;
  }

  /** Levels that a topic would add. */
  #missing(names: readonly string[]): number {
    let level: Level | undefined = this.#root;
    let found = 0;
    for (const name of names) {
      level = level.children.get(name);
      if (!level) break;
      found += 1;
    }
    return names.length - found;
  }

  /** Those that a filter matches and that have not expired; what has expired goes [MQTT-3.3.2-5]. */
  match(filter: string, now: number): Publication[] {
    const found: Publication[] = [];
    this.#walk(this.#root, filter.split('/'), 0, found);
    const expired = found.filter(({ expiresAt }) => expiresAt <= now);
    for (const { topic } of expired) this.remove(topic);
    return expired.length === 0 ? found : found.filter(({ expiresAt }) => expiresAt > now);
  }

  #walk(level: Level, names: readonly string[], depth: number, found: Publication[]): void {
    const name = names[depth];
    if (name === undefined) {
      if (level.publication) found.push(level.publication);
      return;
    }
    if (name === '#') return this.#collect(level, depth === 0, found);
    if (name !== '+') {
      const child = level.children.get(name);
      if (child) this.#walk(child, names, depth + 1, found);
      return;
    }
    for (const [key, child] of level.children) {
      // A leading wildcard matches no topic that begins with `$` [MQTT-4.7.2-1].
      if (depth > 0 || !key.startsWith('$')) this.#walk(child, names, depth + 1, found);
    }
  }

  #collect(level: Level, isRoot: boolean, found: Publication[]): void {
    if (level.publication) found.push(level.publication);
    for (const [key, child] of level.children) {
      if (!isRoot || !key.startsWith('$')) this.#collect(child, false, found);
    }
  }
}
