/** What there is to look up: rooms by size, one endpoint or room, what went wrong lately. */
import { parseTarget, type Target } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { type EndpointView, type Listed, listed } from '../actors/inspect.js';
import { isReplyError, type ReplyError } from '../errors.js';
import type { Context } from '../protocols/context.js';
import type { RecentError } from '../recent-errors.js';

/** An actor that ends meanwhile does not answer. */
const ANSWER_MS = 2000;
const ERRORS = 20;

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

export const NOT_SERVED = 'domain is not served here';

/** The largest rooms of some domains, or of all where they are null. */
export function largestRooms({ domains }: Context, count: number, only: Iterable<string> | null): Rooms {
  const chosen = only === null ? [...domains.values()] : [...only].flatMap((name) => domains.get(name) ?? []);
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
  if (!domain) return NOT_SERVED;
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
