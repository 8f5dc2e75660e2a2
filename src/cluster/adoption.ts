/**
 * Endpoints that another node hands over to this one, since it ends in order: they come in batches, each in pieces. They are
 * brought back by what brings endpoints back from disk. The other side is leaving.ts.
 */
import { type Address, parseTarget, type Target } from '../actors/address.js';
import { isKeptEndpoint, isKeptQueues, type KeptEndpoint, type KeptQueues } from '../actors/kept.js';
import type { Packet } from '../actors/packet.js';
import type { Clock } from '../clock.js';
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { ClusteredDomain } from './domain.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import { Pieces } from './pieces.js';
import { packet as isWirePacket } from './validators.js';
import { packetOf, type WirePacket } from './wire.js';

/** How long after a batch its node may still pass on what has come there. */
const PASSING_MS = 10_000;

interface Endpoint {
  readonly target: Target;
  readonly kept: KeptEndpoint;
  readonly queues: KeptQueues | null;
}

export interface AdoptionOptions {
  readonly clock: Clock;
  readonly metrics: ClusterMetrics;
  readonly mesh: Pick<Mesh, 'barrier'>;
  readonly domain: (name: string) => ClusteredDomain | undefined;
  /** Whether this node ends itself. */
  readonly isLeaving: () => boolean;
}

type Reply = (answer: unknown) => void;

export class Adoption {
  readonly #pieces = new Pieces();
  /** What ends the wait for a node that passes nothing on any more. */
  readonly #cancels = new Set<() => void>();

  constructor(private readonly options: AdoptionOptions) {}

  /** A piece of a batch. The last one is answered: for each endpoint 1 where it is here now, and every node knows; null: none is. */
  receive(peer: Peer, [domain, ...fields]: readonly unknown[], reply: Reply): void {
    const batch = this.#pieces.take(peer, fields);
    if (batch === 'more') return reply(true);
    const cluster = batch ? this.options.domain(domain as string) : undefined;
    if (!batch || !cluster || this.options.isLeaving() || cluster.domain.shortage) return this.#refuse(reply);
    const read = readBatch(cluster, batch.text);
    if (!read) return this.#refuse(reply);
    this.#adopt(cluster, read.endpoints, read.packets, reply);
  }

  /** The node has passed on all that had come there for these endpoints. */
  passed([domain, addresses]: readonly unknown[]): void {
    const cluster = this.options.domain(domain as string);
    if (!cluster || !Array.isArray(addresses)) return;
    for (const address of addresses) cluster.tracker.actor(address as Address)?.tell({ kind: 'adopted' });
  }

  /** A node is not there any more: what it has not sent whole is forgotten. */
  lost(peer: Peer): void {
    this.#pieces.lost(peer);
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  #refuse(reply: Reply): void {
    this.options.metrics.adoptionsRefused += 1;
    seldom.warn('adoption refused', { event: 'adoption refused' }, 'endpoints of a node that ends are not taken over');
    reply(null);
  }

  #adopt(cluster: ClusteredDomain, endpoints: readonly Endpoint[], packets: readonly Packet[], reply: Reply): void {
    const { mesh, metrics } = this.options;
    const { domain } = cluster;
    const answers: (0 | 1)[] = endpoints.map(() => 0);
    let missing = endpoints.length + 1;
    const done = (): void => {
      missing -= 1;
      if (missing > 0) return;
      metrics.adopted += answers.filter((answer) => answer === 1).length;
      const answer = (): void => mesh.barrier(() => reply(answers));
      if (domain.answersFromDisk) domain.committed(answer);
      else answer();
    };
    for (const [at, { target, kept, queues }] of endpoints.entries()) {
      const moved = { kept, queues };
      const took = (isTaken: boolean): void => {
        answers[at] = isTaken ? 1 : 0;
        done();
      };
      const actor = domain.endpoint(target);
      actor.tell({ kind: 'adopt', moved, era: null, packetOf: (number) => packets[number] ?? null, done: took });
    }
    done();
    this.#settleLate(cluster, endpoints);
  }

  /** A node that dies before it has said so passes nothing on any more. */
  #settleLate(cluster: ClusteredDomain, endpoints: readonly Endpoint[]): void {
    const addresses = endpoints.map(({ target }) => target.address);
    const cancel = this.options.clock.after(PASSING_MS, () => {
      this.#cancels.delete(cancel);
      this.passed([cluster.domain.name, addresses]);
    });
    this.#cancels.add(cancel);
  }
}

/** null: it is malformed. */
function readBatch(
  { domain }: ClusteredDomain,
  text: string,
): { readonly endpoints: readonly Endpoint[]; readonly packets: readonly Packet[] } | null {
  let read: { readonly packets?: unknown; readonly endpoints?: unknown };
  try {
    read = JSON.parse(text) as typeof read;
  } catch {
    return null;
  }
  const { packets, endpoints } = read;
  if (!Array.isArray(packets) || !Array.isArray(endpoints)) return null;
  const now = domain.runtime.clock.now();
  const known: Packet[] = [];
  for (const one of packets) {
    if (!Array.isArray(one) || !isWirePacket(one[0], domain.name)) return null;
    const packet = packetOf(one[0] as WirePacket, now);
    packet.fromClient = one[1] === 1;
    known.push(packet);
  }
  const found = endpoints.map((one) => readEndpoint(domain.name, one));
  return found.includes(null) ? null : { endpoints: found as Endpoint[], packets: known };
}

function readEndpoint(domain: string, value: unknown): Endpoint | null {
  if (!Array.isArray(value)) return null;
  const [address, kept, queues = null]: unknown[] = value;
  const target = typeof address === 'string' ? parseTarget(domain, address) : null;
  if (!target || target.address !== address || target.node === 'gid' || !isKeptEndpoint(kept)) return null;
  return queues === null || isKeptQueues(queues) ? { target, kept, queues } : null;
}
