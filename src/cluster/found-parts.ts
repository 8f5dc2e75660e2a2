/** What the records of an endpoint's parts (ticket-records.ts) say to a node that takes one of them over. */
import type { Target } from '../actors/address.js';
import type { KeptEndpoint, KeptQueues } from '../actors/kept.js';
import type { FoundPart, Start } from './ticket-records.js';

/** The start of a node that holds a part. */
export function homeOf({ node, incarnation, adopter }: Pick<FoundPart, 'node' | 'incarnation' | 'adopter'>): Start {
  return adopter ?? [node, incarnation];
}

/**
 * The starts of nodes that may have messages of a part: also those that had it before, where one that took it over died before it had
 * written the messages for itself.
 */
export function homesOf(part: FoundPart, parts: readonly FoundPart[]): Start[] {
  const [name, start] = homeOf(part);
  const isUnfinished = ({ kept, adopter }: FoundPart): boolean =>
    kept !== null && adopter?.[0] === name && adopter[1] === start;
  const before = parts.filter((other) => other !== part && isUnfinished(other));
  const homes = [...before, part].flatMap(({ node, incarnation, former = [], adopter }): Start[] => {
    return [[node, incarnation], ...former, ...(adopter ? [adopter] : [])];
  });
  return [...new Map(homes.map((home) => [home.join(' '), home])).values()];
}

/** Queues that give every client all messages: which client has had which is not known, and clients find repetitions by message ids. */
export function queuesOf({ node, id }: Target, { clients }: KeptEndpoint, count: number): KeptQueues {
  const entries = Array.from({ length: count }, (_, number) => number);
  const none = { elders: null, given: [], connectedMs: null, session: null };
  return {
    ...{ node, id, turns: [], unseen: entries },
    clients: clients.map(({ name }) => ({ name, accepted: count, sent: 0, entries, ...none })),
  };
}

/** The part that has the client of a ticket; of two such parts the one that no other node has taken over. */
export function partOf(parts: readonly FoundPart[], hash: string): FoundPart | undefined {
  const having = parts.filter(({ kept }) => kept?.clients.some((client) => client.hash === hash));
  return having.find(({ adopter }) => adopter === undefined) ?? having[0];
}
