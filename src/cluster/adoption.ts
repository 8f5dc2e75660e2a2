/**
 * Receives the endpoints that another node hands over to this one because it is shutting down in order. They come in batches,
 * each in pieces, and are restored in the way in which endpoints are restored from disk. The sending side is leaving.ts.
 */
import { type Address, parseTarget, type Target } from '../actors/address.js';
import type { IsMet } from '../actors/arriving.js';
import { isKeptEndpoint, isKeptQueues, type KeptEndpoint, type KeptQueues } from '../actors/kept.js';
import type { Packet } from '../actors/packet.js';
import { type Clock, Timers } from '../clock.js';
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { ClusteredDomain } from './domain.js';
import type { Mesh } from './mesh.js';
import { numberedPackets } from './numbered-packets.js';
import { oneByOne } from './one-by-one.js';
import { PASSING_MS } from './other-nodes.js';
import type { Peer } from './peer.js';
import { Pieces } from './pieces.js';

interface Endpoint {
  readonly target: Target;
  readonly kept: KeptEndpoint;
  readonly queues: KeptQueues | null;
  readonly isMet: IsMet;
}

interface Batch {
  readonly endpoints: readonly Endpoint[];
  readonly packets: readonly Packet[];
}

/** Where the endpoints of a batch have come from: their domain, and the node that ends, which still forwards packets for them. */
interface Coming {
  readonly cluster: ClusteredDomain;
  readonly peer: Peer;
}

export interface AdoptionOptions {
  /** The name of this node. */
  readonly name: string;
  readonly clock: Clock;
  readonly metrics: ClusterMetrics;
  readonly mesh: Pick<Mesh, 'barrier'>;
  readonly domain: (name: string) => ClusteredDomain | undefined;
  /** Whether this node is shutting down too. */
  readonly isLeaving: () => boolean;
}

type Reply = (answer: unknown) => void;

export class Adoption {
  readonly #pieces = new Pieces();
  readonly #timers: Timers;
  /** The batches with which endpoints have come, for as long as the node that sent the batch may still forward packets. */
  readonly #coming = new Map<Address, Coming>();

  constructor(private readonly options: AdoptionOptions) {
    this.#timers = new Timers(options.clock);
  }

  /**
   * Takes a piece of a batch. The answer to the last piece has a 1 for each endpoint that is on this node now, and a 0 for each that is not;
   * null where the batch is refused.
   */
  receive(peer: Peer, [domain, ...fields]: readonly unknown[], reply: Reply): void {
    const batch = this.#pieces.take(peer, fields);
    if (batch === 'more') return reply(true);
    const cluster = batch ? this.options.domain(domain as string) : undefined;
    if (this.options.isLeaving()) return this.#refuse(reply, 'this node ends as well');
    if (cluster?.domain.shortage) return this.#refuse(reply, 'memory is short');
    const read = batch && cluster && readBatch(cluster, batch.text, this.options.name);
    if (!read) return this.#refuse(reply, 'they cannot be read');
    this.#adopt(cluster, peer, read, reply);
  }

  /** Answers when every node knows that endpoints are here which this node has taken over, and JetStream has their records. */
  known([domain, addresses]: readonly unknown[], reply: Reply): void {
    const journal = this.options.domain(domain as string)?.journal;
    const written = (address: Address, next: () => void): void => (journal ? journal.written(address, next) : next());
    oneByOne(Array.isArray(addresses) ? addresses : [], written, () => this.options.mesh.barrier(() => reply(true)));
  }

  /** Tells endpoints that the node which handed them over has forwarded every packet that had arrived there for them. */
  passed([domain, addresses]: readonly unknown[]): void {
    const cluster = this.options.domain(domain as string);
    for (const address of Array.isArray(addresses) ? addresses : []) {
      this.#coming.delete(address);
      cluster?.tracker.actor(address as Address)?.tell({ kind: 'adopted' });
    }
  }

  /**
   * A node is not there any more: its incomplete batches are forgotten. Clients of endpoints that it has handed over without forwarding
   * everything are told that they may have missed something; not so in a domain whose `durability` is `always`, where JetStream has each
   * message that was answered.
   */
  lost(peer: Peer): void {
    this.#pieces.lost(peer);
    for (const [address, { cluster, ...coming }] of this.#coming) {
      if (coming.peer !== peer) continue;
      if (!cluster.domain.answersFromDisk) cluster.tracker.actor(address)?.tell({ kind: 'missed' });
      this.passed([cluster.domain.name, [address]]);
    }
  }

  close(): void {
    this.#timers.close();
  }

  #refuse(reply: Reply, why: string): void {
    this.options.metrics.adoptionsRefused += 1;
    const what = { event: 'adoption refused', why };
    seldom.info(`adoption refused, ${why}`, what, `endpoints of a node that ends are not taken over: ${why}`);
    reply(null);
  }

  #adopt(cluster: ClusteredDomain, peer: Peer, { endpoints, packets }: Batch, reply: Reply): void {
    const { metrics } = this.options;
    const { domain } = cluster;
    const answers: (0 | 1)[] = endpoints.map(() => 0);
    let missing = endpoints.length + 1;
    const done = (): void => {
      missing -= 1;
      if (missing > 0) return;
      metrics.adopted += answers.filter((answer) => answer === 1).length;
      if (domain.answersFromDisk) domain.committed(() => reply(answers));
      else reply(answers);
    };
    const packetOf = (number: number): Packet | null => packets[number] ?? null;
    const coming: Coming = { cluster, peer };
    for (const [at, { target, kept, queues, isMet }] of endpoints.entries()) {
      const moved = { kept, queues };
      const took = (isTaken: boolean): void => {
        answers[at] = isTaken ? 1 : 0;
        if (isTaken) this.#coming.set(target.address, coming);
        done();
      };
      const actor = domain.endpoint(target);
      actor.tell({ kind: 'adopt', moved, isMet, era: null, packetOf, done: took });
      actor.tell({ kind: 'keep' });
    }
    done();
    this.#settleLate(coming, endpoints);
  }

  /** After `PASSING_MS` a node counts as having forwarded everything, as it may have died before it could say so. */
  #settleLate(coming: Coming, endpoints: readonly Endpoint[]): void {
    const addresses = endpoints.map(({ target }) => target.address);
    this.#timers.after(PASSING_MS, () => {
      // An endpoint that has come from another node since is on its way from there.
      const settled = addresses.filter((address) => this.#coming.get(address) === coming);
      this.passed([coming.cluster.domain.name, settled]);
    });
  }
}

/** Parses the text of a batch; null where the text is malformed. */
function readBatch({ domain }: ClusteredDomain, text: string, own: string): Batch | null {
  let read: { readonly packets?: unknown; readonly endpoints?: unknown } | null;
  try {
    read = JSON.parse(text) as typeof read;
  } catch {
    return null;
  }
  if (typeof read !== 'object' || read === null) return null;
  const packets = numberedPackets(read.packets, domain.name, domain.runtime.clock.now());
  const { endpoints } = read;
  // Where one is malformed the node that has them keeps all.
  if (!packets || packets.includes(null) || !Array.isArray(endpoints)) return null;
  const found = endpoints.map((one) => readEndpoint(domain.name, one, own));
  return found.includes(null) ? null : { endpoints: found as Endpoint[], packets: packets as Packet[] };
}

function readEndpoint(domain: string, value: unknown, own: string): Endpoint | null {
  if (!Array.isArray(value)) return null;
  const [address, kept, queues, met]: unknown[] = value;
  if (!Array.isArray(met)) return null;
  const isMet: IsMet = (node) => met.includes(node?.name ?? own);
  const target = typeof address === 'string' ? parseTarget(domain, address) : null;
  if (!target || target.address !== address || target.node === 'gid' || !isKeptEndpoint(kept)) return null;
  return queues === null || isKeptQueues(queues) ? { target, kept, queues, isMet } : null;
}
