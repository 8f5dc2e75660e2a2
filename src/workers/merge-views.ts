/** Merges what several workers hold of one domain, room, endpoint or error. */
import type { ClientView, EndedClient, EndpointView, Listed } from '../actors/inspect.js';
import type { DomainPage, DomainRow } from '../admin/domain-list.js';
import type { Lookup, Rooms, RoomView } from '../admin/lookup.js';
import type { RecentError, RecentSummary } from '../recent-errors.js';

const listedIds = 100;
const listedErrors = 20;
const namedEndpoints = 4;

/** Answers by the name of the worker that gave them. */
export type ByWorker<T> = ReadonlyMap<string, T>;

function addRows(a: DomainRow, b: DomainRow): DomainRow {
  return {
    domain: a.domain,
    source: a.source,
    endpoints: a.endpoints + b.endpoints,
    connections: a.connections + b.connections,
    messagesPerSecond: a.messagesPerSecond + b.messagesPerSecond,
    refused: a.refused + b.refused,
  };
}

/** All workers serve the same domains, but one may come to know of a domain before another: no name is left out. */
export function mergeDomains(all: ByWorker<DomainPage>, count: number): DomainPage {
  const sums = new Map<string, DomainRow>();
  for (const row of [...all.values()].flatMap(({ domains }) => domains)) {
    const known = sums.get(row.domain);
    sums.set(row.domain, known ? addRows(known, row) : row);
  }
  const rows = [...sums.values()].sort((a, b) => (a.domain < b.domain ? -1 : 1));
  const isLast = rows.length <= count && [...all.values()].every(({ next }) => next === null);
  const domains = rows.slice(0, count);
  return { domains, next: isLast ? null : (domains.at(-1)?.domain ?? null) };
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
