/**
 * Which domains have series of their own in `/metrics`: the busiest ones. All other domains share one series, `domain="other"`, so
 * that the page of thousands of sites stays as small as that of fifty. A domain that is called `other` is always in that series.
 *
 * The busiest domains are chosen once an hour, after `/metrics` was answered, so that series seldom begin and end; until `other` counts
 * anything, new domains take the free places. A counter of `other` never falls and never jumps: what a domain has counted in it stays
 * there when the domain gets a series of its own, and what the domain counts in its own series is not added to it afterwards.
 */
import type { Clock } from '../clock.js';
import { OTHER, type Value } from './family.js';
import type { Described } from './prometheus.js';

const LOOK_MS = 3_600_000;
/** The metrics whose sum says how busy a domain is. */
const ACTIVITY: ReadonlySet<string> = new Set([
  'nextalk_domain_packets_accepted_total',
  'nextalk_domain_packets_sent_total',
  'nextalk_domain_refusals_total',
  'nextalk_mqtt_publications_received_total',
  'nextalk_mqtt_publications_sent_total',
  'nextalk_domain_connections',
]);

/** A counter with `domain="other"`. */
interface OtherCounter {
  /** The sum of the unnamed domains' counters when they were last read; a smaller sum later means that a worker has started again. */
  sum: number;
  /** What domains that are named now counted while unnamed, minus what unnamed domains counted while named: added to `sum`. */
  kept: number;
}

interface Series {
  readonly labels: Value['labels'];
  sum: number;
}

export class NamedDomains {
  #named = new Set<string>();
  /** The activity of each domain when the busiest ones were last chosen. */
  #before = new Map<string, number>();
  readonly #counters = new Map<string, OtherCounter>();
  #lookAt = Number.NEGATIVE_INFINITY;

  constructor(
    /** How many domains may have series of their own; 0: all. */
    private readonly most: () => number,
    private readonly clock: Pick<Clock, 'now'>,
  ) {}

  /**
   * The families as `/metrics` shows them, with the unnamed domains added up as OTHER. `read` reads the families: given null, each
   * domain apart; given a set, which costs less, only the domains in it apart and all others added up as OTHER.
   */
  bound(read: (named: ReadonlySet<string> | null) => readonly Described[]): readonly Described[] {
    const most = this.most();
    if (most === 0) return read(null);
    const now = this.clock.now();
    if (this.#lookAt === Number.NEGATIVE_INFINITY) this.#lookAt = now + LOOK_MS;
    const isDue = now >= this.#lookAt;
    const hasPlaces = this.#named.size < most && this.#counters.size === 0;
    const families = read(isDue || hasPlaces ? null : this.#named);
    const activity = activityOf(families);
    if (hasPlaces) this.#fill(activity, most);
    const shown = families.map((family) => this.#shown(family));
    if (isDue) {
      this.#lookAt = now + LOOK_MS;
      this.#look(families, activity, most);
    }
    return shown;
  }

  /** Names domains, the busiest first, while places are free. Called only as long as `other` has counted nothing. */
  #fill(activity: ReadonlyMap<string, number>, most: number): void {
    for (const name of busiest(activity, most)) {
      if (this.#named.size >= most) return;
      this.#named.add(name);
    }
  }

  /** Names the domains that were busiest since the last choice, and adjusts the counters of OTHER so that they do not jump. */
  #look(families: readonly Described[], activity: ReadonlyMap<string, number>, most: number): void {
    const since = new Map([...activity].map(([name, done]) => [name, done - (this.#before.get(name) ?? 0)]));
    this.#before = new Map(activity);
    const sumsBefore = families.map((family) => this.#sums(family));
    this.#named = new Set(busiest(since, most));
    for (const [i, family] of families.entries()) {
      if (family[0].type !== 'counter') continue;
      const sums = this.#sums(family);
      for (const key of new Set([...(sumsBefore[i]?.keys() ?? []), ...sums.keys()])) {
        const sum = sums.get(key)?.sum ?? 0;
        const kept = (this.#counters.get(key)?.kept ?? 0) + (sumsBefore[i]?.get(key)?.sum ?? 0) - sum;
        this.#counters.set(key, { sum, kept });
      }
    }
  }

  #isNamed({ domain }: Value['labels']): boolean {
    return domain === undefined || (domain !== OTHER && this.#named.has(domain));
  }

  /** The numbers of all unnamed domains in a family, added up: a series for each combination of the labels besides `domain`. */
  #sums([{ name }, values]: Described): Map<string, Series> {
    const sums = new Map<string, Series>();
    for (const value of values) {
      if (!('value' in value) || this.#isNamed(value.labels)) continue;
      const labels = { ...value.labels, domain: OTHER };
      const key = `${name} ${Object.values(labels).join(' ')}`;
      const found = sums.get(key);
      if (found) found.sum += value.value;
      else sums.set(key, { labels, sum: value.value });
    }
    return sums;
  }

  #shown(family: Described): Described {
    const [described, values] = family;
    const sums = this.#sums(family);
    if (sums.size === 0) return family;
    const others = Array.from(sums, ([key, { labels, sum }]) => {
      const value = described.type === 'counter' ? this.#count(key, sum) : sum;
      return { labels, value };
    });
    return [described, [...values.filter(({ labels }) => this.#isNamed(labels)), ...others]];
  }

  #count(key: string, sum: number): number {
    const counter = this.#counters.get(key) ?? { sum: 0, kept: 0 };
    this.#counters.set(key, { sum, kept: sum < counter.sum ? 0 : counter.kept });
    return sum + (sum < counter.sum ? 0 : counter.kept);
  }
}

/** How busy each domain is: the sum of its numbers in the metrics of `ACTIVITY`. */
function activityOf(families: readonly Described[]): Map<string, number> {
  const activity = new Map<string, number>();
  for (const [{ name }, values] of families) {
    for (const value of values) {
      const { domain } = value.labels;
      if (domain === undefined || !('value' in value)) continue;
      activity.set(domain, (activity.get(domain) ?? 0) + (ACTIVITY.has(name) ? value.value : 0));
    }
  }
  return activity;
}

function busiest(activity: ReadonlyMap<string, number>, most: number): string[] {
  const names = [...activity.keys()].filter((name) => name !== OTHER);
  return names.sort((a, b) => (activity.get(b) ?? 0) - (activity.get(a) ?? 0)).slice(0, most);
}
