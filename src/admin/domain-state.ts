/** One domain as it is now: what it has, how near its limits are, what was refused, its webhooks, and who is online. */
import type { Domain } from '../actors/domain.js';
import type { LimitName } from '../metrics.js';
import type { Context } from '../protocols/context.js';
import { answerError, answerJson, type Handler, maySee } from './answer.js';
import { connectionsOf } from './domain-list.js';

/** How many of the endpoints online are listed. */
const LISTED = 100;

export interface LimitState {
  readonly limit: number;
  /** What is in use now; null: nothing is in use of a rate or of a bound of one client. */
  readonly used: number | null;
  /** How often it refused something. */
  readonly refused: number;
}

export interface DomainState {
  readonly endpoints: number;
  readonly clients: number;
  readonly connections: number;
  readonly byTransport: Readonly<Record<string, number>>;
  readonly rooms: number;
  readonly queued: number;
  /** Since the start. */
  readonly accepted: number;
  readonly sent: number;
  readonly dropped: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly limits: Readonly<Record<string, LimitState>>;
  readonly webhooks: readonly { readonly service: string; readonly url: string }[];
  /** Short ids, the first of them. */
  readonly online: readonly string[];
}

function usedOf({ metrics, tracker, memory, quotas }: Domain, limit: LimitName): number | null {
  const used: Partial<Record<LimitName, number>> = {
    endpointsPerDomain: tracker.onlineCount,
    roomsPerDomain: metrics.rooms,
    connectionsPerDomain: quotas.connections,
    bytesPerDomain: memory.bytes,
    sessionsPerDomain: metrics.mqtt.sessions,
    retainedPerDomain: metrics.mqtt.retained,
    domainMessagesPerSecond: Math.round(metrics.messagesPerSecond),
  };
  return used[limit] ?? null;
}

function limitsOf(domain: Domain, settable: readonly LimitName[]): Record<string, LimitState> {
  const { metrics, limits, memory } = domain;
  const states = settable.map((name) => {
    const limit = name === 'bytesPerDomain' ? memory.limit : limits[name];
    return [name, { limit, used: usedOf(domain, name), refused: metrics.exceeded.get(name) ?? 0 }] as const;
  });
  return Object.fromEntries(states);
}

/** Without what a URL may carry in its path: the host is enough to know it by. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : '';
}

function stateOf(domain: Domain, settable: readonly LimitName[]): DomainState {
  const { metrics, settings, tracker } = domain;
  const { accepted, sent, dropped, refused, connections, mqtt } = metrics;
  const online: string[] = [];
  for (const { address } of tracker.here()) {
    if (online.length === LISTED) break;
    online.push(domain.shortId(address));
  }
  const webhooks = [...settings.services].flatMap(([service, { webhook }]) =>
    webhook === null ? [] : [{ service: `sid:${service}`, url: hostOf(webhook) }],
  );
  return {
    endpoints: metrics.endpointsOnline - metrics.endpointsShared,
    clients: metrics.clients,
    connections: connectionsOf(metrics),
    byTransport: { ...connections, backends: mqtt.connected },
    rooms: metrics.rooms,
    queued: metrics.queuedPackets,
    accepted: accepted.message + mqtt.received,
    sent: sent.message + mqtt.sent,
    dropped: Object.values(dropped).reduce((total, count) => total + count, 0),
    refused: Object.fromEntries(Object.entries(refused).filter(([, count]) => count > 0)),
    limits: limitsOf(domain, settable),
    webhooks,
    online,
  };
}

export function domainStateRoute(context: Context, settable: readonly LimitName[]): [string, Handler] {
  const show: Handler = (request) => {
    const domain = context.domains.get(request.parts.get('domain') ?? '');
    if (!domain || !maySee(request, domain.name)) return answerError(request.response, 404, 'not found');
    answerJson(request.response, stateOf(domain, settable));
  };
  return ['GET /api/domains/{domain}/state', show];
}

/** The fields that every worker answers alike, so that they are not added up. */
const SHARED: ReadonlySet<string> = new Set(['rooms', 'limit', 'used']);

/** The state of a domain over workers: numbers add up. */
export function mergeStates<T>(a: T, b: T, name = ''): T {
  if (typeof a === 'number' && typeof b === 'number') return (SHARED.has(name) ? Math.max(a, b) : a + b) as T;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (name === 'webhooks') return a;
    return [...new Set([...a, ...b])].slice(0, LISTED) as T;
  }
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a ?? b;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof T & string>;
  const merged = [...keys].map((key) => [
    key,
    key in a && key in b ? mergeStates(a[key], b[key], key) : (a[key] ?? b[key]),
  ]);
  return Object.fromEntries(merged) as T;
}
