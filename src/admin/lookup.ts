/** What there is to look up: domains and rooms by size, one endpoint or room, what went wrong lately. */
import { parseTarget, type Target } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { type EndpointView, type Listed, listed } from '../actors/inspect.js';
import { isReplyError, type ReplyError } from '../errors.js';
import type { DomainMetrics } from '../metrics.js';
import type { Context } from '../protocols/context.js';
import type { RecentError } from '../recent-errors.js';

/** An actor that ends meanwhile does not answer. */
const ANSWER_MS = 2000;
const ERRORS = 20;

function sum(numbers: Readonly<Record<string, number>>): number {
  return Object.values(numbers).reduce((total, value) => total + value, 0);
}

function domainView({ name, ...metrics }: DomainMetrics, isServed: boolean): object {
  return {
    domain: name,
    served: isServed,
    online: metrics.endpointsOnline,
    clients: metrics.clients,
    connected: sum(metrics.connections) + metrics.mqtt.connected,
    rooms: metrics.rooms,
    queued: metrics.queuedPackets,
    accepted: sum(metrics.accepted),
    sent: sum(metrics.sent),
    dropped: sum(metrics.dropped),
  };
}

/** The domains with most endpoints online, and how many domains there are. */
export function largestDomains({ domains, runtime }: Context, count: number): object {
  const all = [...runtime.metrics.domains.values()];
  all.sort((a, b) => b.endpointsOnline - a.endpointsOnline || b.clients - a.clients);
  return {
    total: all.length,
    domains: all.slice(0, count).map((metrics) => domainView(metrics, domains.has(metrics.name))),
  };
}

/** The largest rooms, of one domain or of all, and how many rooms there are. */
export function largestRooms({ domains }: Context, count: number, only: string | null): object {
  const chosen = only === null ? [...domains.values()] : [domains.get(only)].filter((domain) => domain !== undefined);
  const rooms = chosen.flatMap((domain) =>
    domain.roomSizes.largest(count).map(({ address, members }) => ({
      domain: domain.name,
      room: domain.shortId(address),
      members,
    })),
  );
  rooms.sort((a, b) => b.members - a.members);
  return { total: chosen.reduce((n, { metrics }) => n + metrics.rooms, 0), rooms: rooms.slice(0, count) };
}

/** Reads `domain` and `id` of a query; a text says what is wrong with them. */
export function targetOf({ domains }: Context, query: URLSearchParams): { domain: Domain; target: Target } | string {
  const domain = domains.get(query.get('domain') ?? '');
  if (!domain) return 'domain is not served here';
  const target = parseTarget(domain.name, (query.get('id') ?? '').trim());
  return target ? { domain, target } : 'id is not the id of a user, visitor, room or service';
}

/** Asks an actor; null where it did not answer. */
function ask<T extends object>(
  { runtime }: Context,
  tell: (reply: (result: T | ReplyError) => void) => void,
): Promise<T | null> {
  return new Promise((resolve) => {
    const cancel = runtime.clock.after(ANSWER_MS, () => resolve(null));
    tell((result) => {
      cancel();
      resolve(isReplyError(result) ? null : result);
    });
  });
}

interface Lookup {
  readonly domain: string;
  readonly id: string;
  readonly address: string;
  readonly kind: 'endpoint' | 'room';
  /** null: there is none. */
  readonly endpoint: EndpointView | null;
  readonly members: Listed | null;
  readonly errors: readonly RecentError[];
}

/** One endpoint or room as it is now, and what went wrong with it lately. */
export async function lookup(context: Context, domain: Domain, target: Target): Promise<Lookup> {
  const { system, metrics } = context.runtime;
  const { address, node } = target;
  const entry = domain.registry.endpoints.get(address);
  const room = domain.registry.rooms.get(address);
  const endpoint = entry
    ? await ask<EndpointView>(context, (reply) => system.tell(entry.actor, { kind: 'inspect', reply }))
    : null;
  const members = room
    ? await ask<readonly (typeof address)[]>(context, (reply) => system.tell(room, { kind: 'members', reply }))
    : null;
  return {
    domain: domain.name,
    id: domain.shortId(address),
    address,
    kind: node === 'gid' ? 'room' : 'endpoint',
    endpoint,
    members: members && listed(domain.name, members, members.length),
    errors: metrics.recent.of(domain.name, address, ERRORS),
  };
}
