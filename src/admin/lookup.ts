/** What there is to look up: domains and rooms by size, one endpoint or room, what went wrong lately. */
import { parseTarget, type Target } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { type EndpointView, type Listed, listed } from '../actors/inspect.js';
import { isReplyError, type ReplyError } from '../errors.js';
import { type DomainMetrics, sum } from '../metrics.js';
import type { Context } from '../protocols/context.js';
import type { RecentError } from '../recent-errors.js';

/** An actor that ends meanwhile does not answer. */
const ANSWER_MS = 2000;
const ERRORS = 20;

export interface DomainView {
  readonly domain: string;
  /** Whether the domain is configured. */
  readonly served: boolean;
  readonly online: number;
  /** How many of these another worker of this server had before. */
  readonly shared: number;
  readonly clients: number;
  readonly connected: number;
  readonly rooms: number;
  readonly queued: number;
  readonly accepted: number;
  readonly sent: number;
  readonly dropped: number;
}

export interface Domains {
  /** How many domains there are. */
  readonly total: number;
  /** The domains with most endpoints online. */
  readonly domains: readonly DomainView[];
}

export interface RoomView {
  readonly domain: string;
  readonly room: string;
  readonly members: number;
}

export interface Rooms {
  readonly total: number;
  /** The largest rooms. */
  readonly rooms: readonly RoomView[];
}

function domainView({ name, ...metrics }: DomainMetrics, isServed: boolean): DomainView {
  return {
    domain: name,
    served: isServed,
    online: metrics.endpointsOnline,
    shared: metrics.endpointsShared,
    clients: metrics.clients,
    connected: sum(metrics.connections) + metrics.mqtt.connected,
    rooms: metrics.rooms,
    queued: metrics.queuedPackets,
    accepted: sum(metrics.accepted),
    sent: sum(metrics.sent),
    dropped: sum(metrics.dropped),
  };
}

export function largestFirst(a: DomainView, b: DomainView): number {
  return b.online - a.online || b.clients - a.clients;
}

export function largestDomains({ domains, runtime }: Context, count: number): Domains {
  const all = Array.from(runtime.metrics.domains.values(), (metrics) => domainView(metrics, domains.has(metrics.name)));
  return { total: all.length, domains: all.sort(largestFirst).slice(0, count) };
}

/** The largest rooms of one domain, or of all where it is null. */
export function largestRooms({ domains }: Context, count: number, only: string | null): Rooms {
  const chosen = only === null ? [...domains.values()] : [domains.get(only)].filter((domain) => domain !== undefined);
  const rooms = chosen.flatMap((domain) =>
    domain.tracker.rooms.largest(count).map(({ address, members }) => ({
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

/** What one node knows of an endpoint or room. */
export interface Lookup {
  readonly domain: string;
  readonly id: string;
  readonly address: string;
  readonly kind: 'endpoint' | 'room';
  /** Name of this node; null where there is no cluster. */
  readonly node: string | null;
  /** Names of the nodes that the endpoint or room is on. */
  readonly nodes: readonly string[];
  /** null where the endpoint is not online on this node. */
  readonly endpoint: EndpointView | null;
  readonly members: Listed | null;
  readonly errors: readonly RecentError[];
}

/** One endpoint or room as it is now, and what went wrong with it lately. */
export async function lookup(context: Context, domain: Domain, target: Target): Promise<Lookup> {
  const { metrics } = context.runtime;
  const { address, node } = target;
  const actor = domain.tracker.actor(address);
  const endpoint = actor ? await ask<EndpointView>(context, (reply) => actor.tell({ kind: 'inspect', reply })) : null;
  const members = node === 'gid' ? Array.from(domain.tracker.rooms.members(address), (member) => member.address) : [];
  return {
    domain: domain.name,
    id: domain.shortId(address),
    address,
    kind: node === 'gid' ? 'room' : 'endpoint',
    node: context.node?.name ?? null,
    nodes: domain.cluster.nodesOf(address),
    endpoint,
    members: members.length > 0 ? listed(domain.name, members, members.length) : null,
    errors: metrics.recent.of(domain.name, address, ERRORS),
  };
}
