/** The domains that are served, by name: page after page, with a few numbers of each. */
import { type DomainMetrics, sum } from '../metrics.js';
import type { Context } from '../protocols/context.js';

export interface DomainRow {
  readonly domain: string;
  /** Where its settings are: in the configuration file, or in the directory. */
  readonly source: 'file' | 'store';
  readonly endpoints: number;
  readonly connections: number;
  readonly messagesPerSecond: number;
  /** Calls, connections and messages refused since the start. */
  readonly refused: number;
}

export interface DomainPage {
  readonly domains: readonly DomainRow[];
  /** The name after which the next page begins; null: this is the last one. */
  readonly next: string | null;
}

export interface DomainQuery {
  /** Part of a name. */
  readonly search: string;
  /** Names after this one. */
  readonly after: string;
  readonly limit: number;
}

/** Open connections, without those that the server itself has to webhooks. */
export function connectionsOf({ connections, mqtt }: DomainMetrics): number {
  return sum(connections) - connections.webhook + mqtt.connected;
}

function row(domain: string, metrics: DomainMetrics | undefined, isFixed: boolean): DomainRow {
  const source = isFixed ? 'file' : 'store';
  if (!metrics) return { domain, source, endpoints: 0, connections: 0, messagesPerSecond: 0, refused: 0 };
  return {
    domain,
    source,
    endpoints: metrics.endpointsOnline - metrics.endpointsShared,
    connections: connectionsOf(metrics),
    messagesPerSecond: metrics.messagesPerSecond,
    refused: sum(metrics.refused),
  };
}

export function domainPage(
  { served, runtime }: Context,
  allowed: ReadonlySet<string> | null,
  { search, after, limit }: DomainQuery,
): DomainPage {
  const wanted = search.toLowerCase();
  const names: string[] = [];
  for (const name of served.names()) {
    if (name > after && name.toLowerCase().includes(wanted) && (allowed === null || allowed.has(name)))
      names.push(name);
  }
  names.sort();
  const shown = names.slice(0, limit);
  const next = names.length > limit ? (shown.at(-1) ?? null) : null;
  const { domains } = runtime.metrics;
  return { domains: shown.map((name) => row(name, domains.get(name), served.isFixed(name))), next };
}

export function queryOf(url: URL, limit: number): DomainQuery {
  return { search: url.searchParams.get('search') ?? '', after: url.searchParams.get('after') ?? '', limit };
}
