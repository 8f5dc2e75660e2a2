/**
 * Restores a part of an endpoint on this node from its record in JetStream, after its node has gone (orphans.ts). Where that node has
 * ended in order it has left the queues (left-queues.ts), and the clients go on in the era of their positions; else they begin a new one,
 * with the messages that JetStream has where the domain is durable `always`.
 */
import { type Address, parseTarget, type Target } from '../actors/address.js';
import type { KeptQueues } from '../actors/kept.js';
import type { Packet } from '../actors/packet.js';
import { nameOf } from '../actors/unseen.js';
import type { ClusteredDomain } from './domain.js';
import { queuesOf, withMore } from './found-parts.js';
import type { FoundMessages, HeldMessages } from './held-messages.js';
import type { Left, LeftQueues } from './left-queues.js';
import type { Pace } from './pace.js';
import type { FoundPart, Start } from './ticket-records.js';

const NO_MESSAGES: FoundMessages = { packets: [], written: new Map(), homes: [] };

export interface RevivingOptions {
  readonly held: Pick<HeldMessages, 'read'> | null;
  readonly left: Pick<LeftQueues, 'read'>;
  /** Whether nobody has been told that clients of earlier nodes are gone, as no other node was there when this one started. */
  readonly isQuiet: () => boolean;
  readonly pace: Pick<Pace, 'step'>;
  /** Whether a domain is served still: an endpoint that comes to one that has been removed never ends; one that comes to a node that ends is not written. */
  readonly isServed: (cluster: ClusteredDomain) => boolean;
}

/** What an endpoint goes on with. `era`: the new era of its clients' positions; null: the old one goes on. */
interface Waiting {
  readonly queues: KeptQueues | null;
  readonly packets: readonly (Packet | null)[];
  readonly era: string | null;
}

/**
 * `homes`: the starts of nodes that may have messages for the part; `revision`: of its record now. Resolves with which of them had any;
 * null where the part could not be restored. Rejects with a JetStreamError.
 */
export async function revive(
  { held, left, isQuiet, pace, isServed }: RevivingOptions,
  cluster: ClusteredDomain,
  address: Address,
  part: FoundPart,
  homes: readonly Start[],
  revision: number,
): Promise<readonly Start[] | null> {
  const { domain } = cluster;
  const { kept, node, incarnation, adopter, isIncomplete } = part;
  const target = parseTarget(domain.name, address);
  if (!kept || !target) return null;
  const found = (domain.answersFromDisk ? await held?.read(domain.name, address, homes) : null) ?? NO_MESSAGES;
  const own = kept.left === undefined ? null : await left.read(domain.name, address, [node, incarnation], kept.left);
  // A node that took the part over, and died before it had a record of its own, may have had more than what was left.
  const waiting: Waiting =
    own && adopter === undefined && !isIncomplete
      ? { ...own, era: null }
      : { ...waitingOf(target, part, own, found), era: `j${revision.toString(36)}` };
  const { queues, packets, era } = waiting;
  const packetOf = (number: number): Packet | null => packets[number] ?? null;
  const isTaken = await new Promise<boolean>((done) =>
    pace.step((next) => {
      if (!isServed(cluster)) {
        done(false);
        return next();
      }
      const actor = domain.endpoint(target);
      const took = (isTaken: boolean): void => {
        if (isTaken) actor.tell({ kind: 'keep' });
        // The node that had the part forwards nothing any more.
        if (isTaken && era === null) actor.tell({ kind: 'adopted' });
        // Answered when the endpoint's actor has handled the messages before this one.
        actor.tell({ kind: 'pass', done: () => done(isTaken) });
        next();
      };
      const moved = { kept, queues };
      actor.tell({ kind: 'adopt', moved, isMet: () => true, era, isQuiet: isQuiet(), packetOf, done: took });
    }),
  );
  return isTaken ? found.homes : null;
}

/** The messages that JetStream has, behind what a node has left. */
function waitingOf(
  target: Target,
  { kept, node, incarnation }: FoundPart,
  left: Left | null,
  held: FoundMessages,
): Omit<Waiting, 'era'> {
  const had = new Set(left?.packets.map(nameOfMessage));
  const more = held.packets.filter((packet) => !had.has(nameOf(packet)));
  const packets = [...(left?.packets ?? []), ...more];
  if (packets.length === 0 || !kept) return { queues: null, packets };
  const firsts = new Map(kept.clients.map(({ name, from = 0 }) => [name, from]));
  // Clients count by the places of the node that has written their record.
  const isFor = (client: string, number: number): boolean => {
    const { home, place: at } = held.written.get(packets[number] as Packet) ?? { home: ['', 0], place: 0 };
    return home[0] !== node || home[1] !== incarnation || at >= (firsts.get(client) ?? 0);
  };
  const numbers = more.map((_, at) => packets.length - more.length + at);
  return { packets, queues: withMore(left?.queues ?? queuesOf(target, kept), numbers, isFor) };
}

function nameOfMessage(packet: Packet | null): string {
  return packet?.kind === 'message' ? nameOf(packet) : '';
}
