/**
 * Clients that are away: their connection kept a position and is lost for longer than the idle time, and their tickets
 * are kept for `resume.keepMs` from when it was lost. PROTOCOL.md section 12.
 *
 * An endpoint of which only such clients are left is offline to all others once its grace is over, and away from then on:
 * it stays in its rooms, keeps its buddies, and packets of every kind are queued for it. To others it is the invisible
 * endpoint, by another cause; presence has no further rule for it.
 *
 * Bounded by `limits.awayPerDomain`: the client that has been away longest ends first. Each way out has a counter,
 * `metrics.awayEnded`.
 */
import type { AwayEnd, DomainMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Client } from './client.js';
import type { DomainCluster } from './cluster.js';
import type { Runtime } from './domain.js';
import type { EndpointState } from './endpoint.js';

/** A client that was connected for less than this in all is not kept: it was a glance, or a program that takes one ticket after another. */
const LEAST_CONNECTED_MS = 5000;

/** Has a client's ticket kept after a kill, as that of a page that keeps a position: its connection and time were not written. */
export function keepUnknown(client: Client): void {
  client.keptSince = client.since;
  client.connectedMs = LEAST_CONNECTED_MS;
}

interface AwayDomain {
  readonly name: string;
  readonly metrics: DomainMetrics;
  readonly limits: { readonly awayPerDomain: number };
  readonly runtime: Pick<Runtime, 'kept'>;
  readonly cluster: Pick<DomainCluster, 'awayCount' | 'awayElsewhere'>;
}

/** The clients of a domain on this node that are away. */
export class AwayClients {
  /** The one that has been away longest first. */
  readonly #clients = new Set<Client>();

  constructor(private readonly domain: AwayDomain) {}

  add(client: Client): void {
    const { domain } = this;
    this.#clients.add(client);
    domain.metrics.clientsAway += 1;
    domain.runtime.kept?.start(client);
    const limit = domain.limits.awayPerDomain;
    if (limit > 0) this.#endOldest(limit);
    domain.cluster.awayCount(this.#clients.size);
  }

  /** The limit counts clients that are away on other nodes as well, and each node ends its own. */
  #endOldest(limit: number): void {
    const { name, cluster } = this.domain;
    const most = Math.max(0, limit - cluster.awayElsewhere);
    if (this.#clients.size <= most) return;
    seldom.warn(`away ${name}`, { event: 'away clients full', domain: name, limit }, 'the oldest end');
    for (const oldest of this.#clients) {
      if (this.#clients.size <= most) break;
      this.domain.metrics.exceed('awayPerDomain');
      this.remove(oldest, 'limit');
      oldest.endpoint.tell({ kind: 'keepEnded', client: oldest, why: 'too many clients are away' });
    }
  }

  /** Takes a client out of those that are away; does nothing where it is not among them. */
  remove(client: Client, how: AwayEnd): void {
    if (!this.#clients.delete(client)) return;
    this.domain.runtime.kept?.cancel(client);
    this.domain.metrics.clientsAway -= 1;
    this.domain.metrics.awayEnded[how] += 1;
    this.domain.cluster.awayCount(this.#clients.size);
  }
}

/** Whether an endpoint is offline to all others while tickets of it are kept: what is sent to it waits. */
export function isAway({ record }: EndpointState): boolean {
  return record.away;
}

/** Whether a client of the endpoint is there: connected, or not for longer than the idle time. */
export function isPresent({ clients }: EndpointState): boolean {
  return clients.some((client) => !client.isAway);
}

/** Whether the ticket of a client that is not connected outlives its idle time. */
export function isKept({ domain }: EndpointState, { keptSince, connectedMs }: Client): boolean {
  return domain.runtime.kept !== null && keptSince !== null && connectedMs >= LEAST_CONNECTED_MS;
}

/** The client of an endpoint that has been away longest; null: none is away. */
export function longestAway({ clients }: EndpointState): Client | null {
  let found: Client | null = null;
  for (const client of clients) {
    if (client.isAway && (found === null || (client.keptSince ?? 0) < (found.keptSince ?? 0))) found = client;
  }
  return found;
}
