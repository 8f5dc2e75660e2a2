/** What the records of an endpoint's parts (ticket-records.ts) say to a node that takes one of them over. */
import type { Target } from '../actors/address.js';
import type { KeptEndpoint, KeptQueues } from '../actors/kept.js';
import type { FoundPart, Start } from './ticket-records.js';

/** The start of a node that holds a part. */
export function homeOf({ node, incarnation, adopter }: Pick<FoundPart, 'node' | 'incarnation' | 'adopter'>): Start {
  return adopter ?? [node, incarnation];
}

/** Parts that the node which holds a part had begun to take over when it died: they have clients of it, and messages, still. */
export function unfinishedOf(part: FoundPart, parts: readonly FoundPart[]): FoundPart[] {
  const [name, start] = homeOf(part);
  const isUnfinished = ({ kept, adopter }: FoundPart): boolean =>
    kept !== null && adopter?.[0] === name && adopter[1] === start;
  return parts.filter((other) => other !== part && isUnfinished(other));
}

/** The starts of nodes that may have messages of a part. `before`: its unfinished ones. */
export function homesOf(part: FoundPart, before: readonly FoundPart[]): Start[] {
  const homes = [...before, part].flatMap(({ node, incarnation, former = [], adopter }): Start[] => {
    return [[node, incarnation], ...former, ...(adopter ? [adopter] : [])];
  });
  return [...new Map(homes.map((home) => [home.join(' '), home])).values()];
}

/** Queues of a part of which nothing is known but its clients. */
export function queuesOf({ node, id }: Target, { clients }: KeptEndpoint): KeptQueues {
  const none = { accepted: 0, sent: 0, entries: [], elders: null, given: [], connectedMs: null, session: null };
  return { node, id, turns: [], unseen: [], clients: clients.map(({ name }) => ({ name, ...none })) };
}

/**
 * Queues with further messages behind what is in them. Which client has had which of them is not known, and clients find repetitions by
 * message ids; `isFor` rules out those that came before a client: it has them only when a client that was there before ends.
 */
export function withMore(
  queues: KeptQueues,
  more: readonly number[],
  isFor: (client: string, number: number) => boolean,
): KeptQueues {
  const clients = queues.clients.map((client) => {
    const some = more.filter((number) => isFor(client.name, number));
    return { ...client, accepted: client.accepted + some.length, entries: [...client.entries, ...some] };
  });
  const withElders = clients.map((client) => {
    const has = new Set(client.entries);
    const missing = new Set(more.filter((number) => !has.has(number)));
    const elders = clients.flatMap(({ name, accepted, entries }) => {
      const last = entries.findLastIndex((entry) => typeof entry === 'number' && missing.has(entry));
      return last < 0 ? [] : [[name, accepted - entries.length + last + 1] as const];
    });
    const given = client.entries.filter((entry) => typeof entry === 'number');
    return elders.length === 0 ? client : { ...client, elders: [...(client.elders ?? []), ...elders], given };
  });
  return { ...queues, unseen: [...queues.unseen, ...more], clients: withElders };
}

/** The part that has the client of a ticket; of several the latest: a node that has taken one over may have died before it had removed that. */
export function partOf(parts: readonly FoundPart[], hash: string): FoundPart | undefined {
  return latestOf(parts.filter(({ kept }) => kept?.clients.some((client) => client.hash === hash)));
}

/** The part whose record was written last: a node that ends may leave that of a part which it could not know to have gone over. */
export function latestOf(parts: readonly FoundPart[]): FoundPart | undefined {
  return [...parts].sort((a, b) => b.revision - a.revision)[0];
}
