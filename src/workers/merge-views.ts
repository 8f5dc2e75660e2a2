/** Merges what several workers hold of one domain, room, endpoint or error. */
import type { ClientView, EndedClient, EndpointView, Listed } from '../actors/inspect.js';
import {
  type Domains,
  type DomainView,
  type Lookup,
  largestFirst,
  type Rooms,
  type RoomView,
} from '../admin/lookup.js';
import type { RecentError, RecentSummary } from '../recent-errors.js';

const listedIds = 100;
const listedErrors = 20;
const namedEndpoints = 4;

/** Answers by the name of the worker that gave them. */
export type ByWorker<T> = ReadonlyMap<string, T>;

function addDomains(a: DomainView, b: DomainView): DomainView {
  return {
    domain: a.domain,
    served: a.served || b.served,
    online: a.online + b.online,
    shared: a.shared + b.shared,
    clients: a.clients + b.clients,
    connected: a.connected + b.connected,
    // Each worker knows the rooms of all workers.
    rooms: Math.max(a.rooms, b.rooms),
    queued: a.queued + b.queued,
    accepted: a.accepted + b.accepted,
    sent: a.sent + b.sent,
    dropped: a.dropped + b.dropped,
  };
}

/** Endpoints that are on several workers count once. */
export function mergeDomains(all: ByWorker<Domains>, count: number): Domains {
  const sums = new Map<string, DomainView>();
  for (const domain of [...all.values()].flatMap(({ domains }) => domains)) {
    const known = sums.get(domain.domain);
    sums.set(domain.domain, known ? addDomains(known, domain) : domain);
  }
  const domains = Array.from(sums.values(), (domain) => ({ ...domain, online: domain.online - domain.shared }));
  const total = Math.max(domains.length, ...[...all.values()].map(({ total }) => total));
  return { total, domains: domains.sort(largestFirst).slice(0, count) };
}

/** Each worker knows a room's members on all of them. */
export function mergeRooms(all: ByWorker<Rooms>, count: number): Rooms {
  const rooms = new Map<string, RoomView>();
  for (const room of [...all.values()].flatMap(({ rooms }) => rooms)) {
    const key = JSON.stringify([room.domain, room.room]);
    if (room.members > (rooms.get(key)?.members ?? 0)) rooms.set(key, room);
  }
  const sorted = [...rooms.values()].sort((a, b) => b.members - a.members);
  return { total: Math.max(rooms.size, ...[...all.values()].map(({ total }) => total)), rooms: sorted.slice(0, count) };
}

/** One error for each reason in each domain, which counts those of all workers; the latest first. */
export function mergeErrors(all: ByWorker<readonly RecentSummary[]>): RecentSummary[] {
  const found = new Map<string, RecentSummary>();
  const sorted = [...all.values()].flat().sort((a, b) => b.at - a.at);
  for (const error of sorted) {
    const key = JSON.stringify([error.reason, error.domain]);
    const latest = found.get(key);
    if (!latest) found.set(key, error);
    else {
      const endpoints = [...new Set([...latest.endpoints, ...error.endpoints])].slice(0, namedEndpoints);
      found.set(key, { ...latest, count: latest.count + error.count, endpoints });
    }
  }
  return [...found.values()];
}

function mergeListed(all: readonly Listed[]): Listed {
  const ids = new Set(all.flatMap(({ ids }) => ids));
  return { total: Math.max(ids.size, ...all.map(({ total }) => total)), ids: [...ids].slice(0, listedIds) };
}

/** A client, and the node that it lives on. */
export interface PlacedClient extends ClientView {
  readonly node: string;
}

export interface MergedEndpoint extends EndpointView {
  readonly clients: readonly PlacedClient[];
  readonly ended: readonly (EndedClient & { readonly node: string })[];
}

export interface MergedLookup extends Omit<Lookup, 'endpoint' | 'errors'> {
  readonly endpoint: MergedEndpoint | null;
  readonly errors: readonly (RecentError & { readonly node: string })[];
}

function mergeEndpoints(parts: readonly (readonly [string, EndpointView])[]): MergedEndpoint | null {
  const views = parts.map(([, view]) => view);
  // A part that waits for the end of its grace knows less than one that is online.
  const best = views.find(({ online }) => online) ?? views[0];
  if (!best) return null;
  return {
    ...best,
    online: views.some(({ online }) => online),
    visible: views.some(({ visible }) => visible),
    clients: parts.flatMap(([node, { clients }]) => clients.map((client) => ({ ...client, node }))),
    ended: parts
      .flatMap(([node, { ended }]) => ended.map((client) => ({ ...client, node })))
      .sort((a, b) => b.at - a.at),
    unseen: views.reduce((sum, { unseen }) => sum + unseen, 0),
    buddies: mergeListed(views.map(({ buddies }) => buddies)),
    rooms: mergeListed(views.map(({ rooms }) => rooms)),
  };
}

/** null where no worker has answered. */
export function mergeLookups(all: ByWorker<Lookup>): MergedLookup | null {
  const [first] = all.values();
  if (!first) return null;
  const found = [...all];
  const members = found.flatMap(([, { members }]) => members ?? []);
  const errors = found.flatMap(([node, { errors }]) => errors.map((error) => ({ ...error, node })));
  return {
    domain: first.domain,
    id: first.id,
    address: first.address,
    kind: first.kind,
    node: null,
    nodes: [...new Set(found.flatMap(([, { nodes }]) => nodes))].sort(),
    endpoint: mergeEndpoints(found.flatMap(([node, { endpoint }]) => (endpoint ? [[node, endpoint] as const] : []))),
    members: members.length > 0 ? mergeListed(members) : null,
    errors: errors.sort((a, b) => b.at - a.at || b.sequence - a.sequence).slice(0, listedErrors),
  };
}
