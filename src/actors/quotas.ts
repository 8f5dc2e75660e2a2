/**
 * What a domain may have besides memory: connections and messages of the whole cluster, clients that are not banned and do
 * not come and go all the time. What other nodes have is what they said last.
 */
import type { Clock } from '../clock.js';
import { Comings } from '../comings.js';
import type { Limits } from '../config.js';
import { DomainBans } from '../directory/bans.js';
import type { Load } from '../directory/loads.js';
import { type DomainMetrics, sum } from '../metrics.js';

/** Bans, and the load of other nodes, which all domains of a server share. */
export interface SharedQuotas {
  bansOf(domain: string): DomainBans;
  /** How many of a domain's connections and messages other nodes have. */
  others(domain: string): Load;
}

const NOTHING: Load = { connections: 0, messages: 0 };
/** Demand is measured over this, in ms. */
const SECOND_MS = 1000;

export class Quotas {
  readonly bans: DomainBans;
  readonly comings: Comings;
  #tokens = 0;
  #filledMs = Number.NEGATIVE_INFINITY;
  /** Messages that came in the present second, and in the one before. */
  #wanted = 0;
  #wantedBefore = 0;
  #secondMs = 0;

  constructor(
    private readonly name: string,
    private readonly metrics: DomainMetrics,
    private readonly clock: Pick<Clock, 'now'>,
    private readonly limits: () => Limits,
    private readonly shared: SharedQuotas | null,
  ) {
    const now = (): number => clock.now();
    this.bans = shared?.bansOf(name) ?? new DomainBans(now);
    this.comings = new Comings(now);
  }

  /** Clients and backends that are connected, on all nodes. */
  get connections(): number {
    return this.ownConnections + this.#others().connections;
  }

  /** Clients and backends that are connected to this node. */
  get ownConnections(): number {
    const { connections, mqtt } = this.metrics;
    return sum(connections) - connections.webhook + mqtt.connected;
  }

  /** Messages in a second that came to this node, accepted or not. */
  get demand(): number {
    this.#turn(this.clock.now());
    return this.#wantedBefore;
  }

  /**
   * Takes one of the domain's messages of this second; false: there is none left, and that is counted. A message to several receivers takes
   * `count`, and what that is too much is missing later.
   */
  takeMessage(count = 1): boolean {
    const perSecond = this.limits().domainMessagesPerSecond;
    if (perSecond === 0) return true;
    const now = this.clock.now();
    this.#turn(now);
    this.#wanted += count;
    const share = this.#share(perSecond);
    this.#tokens = Math.min(share, this.#tokens + (Math.max(0, now - this.#filledMs) * share) / SECOND_MS);
    this.#filledMs = now;
    if (this.#tokens < 1) {
      this.metrics.exceed('domainMessagesPerSecond');
      return false;
    }
    this.#tokens -= count;
    return true;
  }

  /** This node's part of a limit of the whole cluster: as its demand is to that of all nodes. At least one a second. */
  #share(perSecond: number): number {
    const others = this.#others().messages;
    if (others === 0) return perSecond;
    const own = Math.max(1, this.#wantedBefore, this.#wanted);
    return Math.max(1, (perSecond * own) / (own + others));
  }

  #turn(now: number): void {
    if (now - this.#secondMs < SECOND_MS) return;
    this.#wantedBefore = now - this.#secondMs < 2 * SECOND_MS ? this.#wanted : 0;
    this.#wanted = 0;
    this.#secondMs = now;
  }

  #others(): Load {
    return this.shared?.others(this.name) ?? NOTHING;
  }
}
