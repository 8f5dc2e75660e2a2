/**
 * What is counted over time, by one timer: messages in a second of each domain, its usage hour by hour, and what this node has
 * of limits of the whole cluster. A server that serves nobody has nothing to count.
 */
import type { Domain } from './actors/domain.js';
import type { Clock } from './clock.js';
import type { SharedState } from './directory/shared-state.js';
import type { Usage } from './usage/usage.js';

const TICK_MS = 1000;
/** Messages in a second are those of so many. */
const RATE_TICKS = 5;

export class Tally {
  readonly #accepted = new WeakMap<Domain, number>();
  #ticks = 0;
  #ratedAt: number;
  #cancel: () => void = () => undefined;

  constructor(
    private readonly domains: ReadonlyMap<string, Domain>,
    private readonly state: SharedState,
    private readonly clock: Clock,
    private readonly usage: Usage,
    /** Name of this node; null: it has no others to tell. */
    private readonly node: string | null,
  ) {
    this.#ratedAt = clock.now();
  }

  start(): void {
    this.#cancel = this.clock.after(TICK_MS, () => {
      this.#tick();
      this.start();
    });
  }

  close(): void {
    this.#cancel();
    this.usage.close(this.clock.now());
  }

  #tick(): void {
    this.#ticks += 1;
    if (this.node !== null) for (const domain of this.domains.values()) this.#say(this.node, domain);
    if (this.#ticks % RATE_TICKS === 0) this.#rate();
  }

  #say(node: string, { name, limits, quotas }: Domain): void {
    if (limits.connectionsPerDomain === 0 && limits.domainMessagesPerSecond === 0) return;
    const load = { connections: quotas.ownConnections, messages: quotas.demand };
    if (load.connections > 0 || load.messages > 0) this.state.sayLoad(node, name, load);
  }

  #use({ name, metrics, quotas, tracker }: Domain, now: number): void {
    const { accepted, sent, mqtt, volume, endpointsOnline } = metrics;
    const totals = { messagesIn: accepted.message + mqtt.received, messagesOut: sent.message + mqtt.sent, ...volume };
    const isNewHour = this.usage.sample(name, totals, endpointsOnline, quotas.ownConnections, now);
    // Who stays online over the hour is a user of the next one too.
    if (isNewHour) for (const { address } of tracker.here()) this.usage.came(name, address, now);
  }

  #rate(): void {
    const now = this.clock.now();
    const seconds = Math.max(0.001, (now - this.#ratedAt) / 1000);
    this.#ratedAt = now;
    for (const domain of this.domains.values()) {
      const { metrics } = domain;
      this.#use(domain, now);
      const accepted = metrics.accepted.message + metrics.mqtt.received;
      const before = this.#accepted.get(domain) ?? 0;
      if (accepted === before && metrics.messagesPerSecond === 0) continue;
      metrics.messagesPerSecond = Math.round(((accepted - before) / seconds) * 10) / 10;
      this.#accepted.set(domain, accepted);
    }
  }
}
