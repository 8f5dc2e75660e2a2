/**
 * Takes over endpoints whose node is gone and has not handed them over (PROTOCOL.md section 20). When a client of such an endpoint
 * comes to a node with its ticket, that node restores the endpoint from its records in JetStream (ticket-records.ts). Where several
 * nodes try at the same time, JetStream lets one of them succeed, and the others find the endpoint there.
 *
 * A node that was only cut off, and is heard of again, is told which of its endpoints others have taken over: it gives those
 * endpoints up, and passes on the messages that it has accepted for them.
 */
import { type Address, parseTarget, type Target } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import type { KeptEndpoint, KeptQueues } from '../actors/kept.js';
import type { Packet } from '../actors/packet.js';
import { hashOf } from '../actors/tickets.js';
import { CLOSE } from '../errors.js';
import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Adopted, OrphanFinder } from './adopted.js';
import type { ClusteredDomain } from './domain.js';
import type { FoundMessages, HeldMessages } from './held-messages.js';
import { JetStreamError } from './jetstream-port.js';
import { nodeOfToken } from './local-node.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import type { Rpc } from './rpc.js';
import { forgetPart } from './taken-parts.js';
import type { FoundPart, Start, TicketRecords } from './ticket-records.js';

/**
 * How many endpoints are taken over at a time, and how many more may wait for that; also how many may wait for one endpoint that is
 * being taken over, and how many bytes of messages for all of them. Further ones are told `later`.
 */
const AT_ONCE = 32;
const MOST_WAITING = 2000;
const MOST_WAITING_BYTES = 32 * 1024 * 1024;
/** How many attempts a takeover has, since another node may write the endpoint's record at the same time. */
const ATTEMPTS = 3;
/** How many addresses one `taken` call has at most. */
const ADDRESSES = 500;
const TAKEN_MS = 5000;
const NO_MESSAGES: FoundMessages = { packets: [], homes: [] };

export interface OrphansOptions {
  readonly name: string;
  readonly mesh: Pick<Mesh, 'peers' | 'send' | 'broadcast' | 'barrier' | 'incarnation'>;
  readonly rpc: Pick<Rpc, 'call'>;
  readonly records: TicketRecords;
  readonly held: HeldMessages | null;
  readonly metrics: ClusterMetrics;
  /** Whether this node has started so lately that endpoints of a node which died before may still be online to the others. */
  readonly isYoung: () => boolean;
  readonly domains: ReadonlyMap<string, ClusteredDomain>;
}

export class Orphans {
  /** Addresses of endpoints that are being taken over, each with the callbacks that wait for the end of that. */
  readonly #open = new Map<Address, (() => void)[]>();
  readonly #waiting: (() => void)[] = [];
  #active = 0;
  /** Bytes of the messages that wait in `#open`. */
  #waitingBytes = 0;
  /** Endpoints that this node has taken over, by the name and incarnation of the node that they were on. */
  readonly #taken = new Map<string, Set<Address>>();

  constructor(private readonly options: OrphansOptions) {}

  /** Whether JetStream may have records of a domain's endpoints. */
  mayKnow({ settings }: Domain): boolean {
    return settings.durability !== 'none';
  }

  /** The OrphanFinder of one domain, which may not have been added to the cluster yet. */
  of(domain: Domain): OrphanFinder {
    return {
      mayKnow: () => this.mayKnow(domain),
      find: (address, token, done) => {
        const cluster = this.options.domains.get(domain.name);
        if (cluster) this.find(cluster, address, token, done);
        else done(null);
      },
      revive: (address, bytes, done) => {
        const cluster = this.options.domains.get(domain.name);
        const parts = domain.tracker.records.get(address)?.parts ?? [];
        const isKnown = parts.length > 0 || isMine(domain, address);
        // A node that has started since a death has not been told of the endpoints that were on the node which died.
        const isOrphan = isKnown ? parts.some(({ node, hidden }) => !hidden && !node.up) : this.options.isYoung();
        if (!cluster || !isOrphan || domain.settings.durability !== 'always') return false;
        this.find(cluster, address, null, done, bytes);
        return true;
      },
    };
  }

  /** Calls `done` when an endpoint is not being taken over by this node any more; at once where it is not. */
  whenTaken(address: Address, done: () => void): void {
    const waiting = this.#open.get(address);
    if (waiting && waiting.length < MOST_WAITING) waiting.push(done);
    else done();
  }

  /**
   * Looks for the client of a ticket that no living node knows; token null: takes over the endpoint whatever its clients are. `bytes`: of
   * the message that waits for that.
   */
  find(
    cluster: ClusteredDomain,
    address: Address,
    token: string | null,
    done: (found: Adopted) => void,
    bytes = 0,
  ): void {
    const { domain } = cluster;
    const start = (): void => {
      const isHere = token === null ? isMine(domain, address) : domain.tickets.find(token)?.address === address;
      if (isHere) return done('here');
      const waiting = this.#open.get(address);
      if (waiting) return this.#wait(waiting, bytes, start, done);
      this.#open.set(address, []);
      this.#begin(() => this.#adopt(cluster, address, token), address, done);
    };
    start();
  }

  /** Waits until an endpoint that is being taken over has been. */
  #wait(waiting: (() => void)[], bytes: number, start: () => void, done: (found: Adopted) => void): void {
    const isFull = waiting.length >= MOST_WAITING || this.#waitingBytes + bytes > MOST_WAITING_BYTES;
    if (isFull) return this.#delay(done);
    this.#waitingBytes += bytes;
    waiting.push(() => {
      this.#waitingBytes -= bytes;
      start();
    });
  }

  /** Runs a task, at most `AT_ONCE` at a time; further tasks wait. */
  #begin(task: () => Promise<Adopted>, address: Address, done: (found: Adopted) => void): void {
    const run = (): void => {
      this.#active += 1;
      const end = (found: Adopted): void => {
        this.#active -= 1;
        if (found === 'later') this.options.metrics.adoptionsDelayed += 1;
        done(found);
        this.#end(address);
        this.#waiting.shift()?.();
      };
      task().then(end, (error) => {
        log.error({ event: 'adoption failed', err: error }, 'an endpoint could not be taken over');
        end('later');
      });
    };
    if (this.#active < AT_ONCE) return run();
    if (this.#waiting.length < MOST_WAITING) return void this.#waiting.push(run);
    this.#delay(done);
    this.#end(address);
  }

  #delay(done: (found: Adopted) => void): void {
    this.options.metrics.adoptionsDelayed += 1;
    done('later');
  }

  #end(address: Address): void {
    const waiting = this.#open.get(address) ?? [];
    this.#open.delete(address);
    for (const go of waiting) go();
  }

  async #adopt(cluster: ClusteredDomain, address: Address, token: string | null): Promise<Adopted> {
    const nodes = this.#nodesOf(cluster.domain, address, token);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        const parts = await this.options.records.read(cluster.domain.name, address, nodes);
        const part = token === null ? this.#orphanOf(parts) : partOf(parts, hashOf(token));
        if (!part) return token === null ? this.#takerOf(parts) : null;
        const [node, incarnation] = homeOf(part);
        // A takeover by this node that has failed half-way, as JetStream did not answer, is done again.
        const isHalf = node === this.options.name && part.adopter !== undefined && !isMine(cluster.domain, address);
        if (this.#isAlive(node, incarnation) && !isHalf) return this.#at(node);
        return await this.#take(cluster, address, part, homesOf(part, parts));
      } catch (error) {
        if (!(error instanceof JetStreamError)) throw error;
        if (error.reason !== 'conflict') {
          seldom.warn('no adoption', { event: 'adoption delayed', why: error.message }, 'nobody can be taken over now');
          return 'later';
        }
      }
    }
    return 'later';
  }

  /** The names of the nodes that may have a record of an endpoint: of the ticket's node, of those with a part, and of all that are remembered. */
  #nodesOf({ tracker }: Domain, address: Address, token: string | null): ReadonlySet<string> {
    const { name, mesh } = this.options;
    const parts = tracker.records.get(address)?.parts ?? [];
    const home = token === null ? [] : [nodeOfToken(token)];
    return new Set([...home, ...parts.map(({ node }) => node.name), ...mesh.peers.keys(), name]);
  }

  #isAlive(node: string, incarnation: number): boolean {
    const { name, mesh } = this.options;
    if (node === name) return incarnation === mesh.incarnation;
    const peer = mesh.peers.get(node);
    return peer?.up === true && peer.incarnation === incarnation;
  }

  #orphanOf(parts: readonly FoundPart[]): FoundPart | undefined {
    return parts.find((part) => part.kept !== null && !this.#isAlive(...homeOf(part)));
  }

  /** Another node that has an endpoint, or is about to: this one need not have heard of that yet. */
  #takerOf(parts: readonly FoundPart[]): Adopted {
    const taken = parts.find((part) => part.kept !== null && homeOf(part)[0] !== this.options.name);
    return taken ? this.#at(homeOf(taken)[0]) : null;
  }

  /** The living node that has a part, by the part's record; its ticket may have ended there. null where the node is this one. */
  #at(node: string): Adopted {
    const peer = this.options.mesh.peers.get(node);
    return peer ? { peer } : null;
  }

  /** Takes a part over. Rejects with a `conflict` where another node has taken it over first. */
  async #take(cluster: ClusteredDomain, address: Address, part: FoundPart, homes: readonly Start[]): Promise<Adopted> {
    const { records, metrics, held } = this.options;
    const { domain } = cluster;
    if (domain.shortage) return 'later';
    const revision = await records.adopt(domain.name, address, part);
    const restored = await this.#restore(cluster, address, part, homes, revision);
    if (!restored) return 'later';
    metrics.adopted += 1;
    this.#remember(part, address);
    this.#tell(cluster, address, homes);
    // What other nodes still send to the node that is gone is lost: the client, which is told that it has missed something, comes after that.
    await new Promise<void>((resolve) => this.options.mesh.barrier(resolve));
    await new Promise<void>((resolve) => records.written(domain.name, address, resolve));
    const done = (): void => records.adopted(domain.name, address, part, revision);
    if (!held || !domain.answersFromDisk) done();
    else {
      // Until its messages are written for this node, the former record says where else they are.
      held.committed(() => {
        done();
        const own = this.options.mesh.incarnation;
        const others = restored.homes.filter(([node, start]) => node !== this.options.name || start !== own);
        held.forget(domain.name, address, others);
      });
    }
    return 'here';
  }

  /** Nodes hold a part of a node that is gone for the grace: from now on the one here counts in its place. */
  #tell({ tracker, items }: ClusteredDomain, address: Address, homes: readonly Start[]): void {
    const { name, mesh } = this.options;
    for (const home of homes.filter((one) => one[0] !== name || one[1] !== mesh.incarnation)) {
      forgetPart(tracker, address, home);
      mesh.broadcast(items.tookOver(address, ...home));
    }
  }

  /** Remembers an endpoint for the node that it was on, where that node may be heard of again with the state it had. */
  #remember({ node, incarnation }: FoundPart, address: Address): void {
    if (this.options.mesh.peers.get(node)?.incarnation !== incarnation) return;
    const key = `${node}\n${incarnation}`;
    this.#taken.set(key, (this.#taken.get(key) ?? new Set()).add(address));
  }

  /** Restores a part on this node from its record, with the messages that `homes` had for it. Resolves with these; null where that has failed. */
  async #restore(
    cluster: ClusteredDomain,
    address: Address,
    { kept }: FoundPart,
    homes: readonly Start[],
    revision: number,
  ): Promise<FoundMessages | null> {
    const { domain } = cluster;
    const target = parseTarget(domain.name, address);
    if (!kept || !target) return null;
    const actor = domain.endpoint(target);
    const era = `j${revision.toString(36)}`;
    const { held } = this.options;
    const found = domain.answersFromDisk ? await held?.read(domain.name, address, homes) : null;
    const { packets } = found ?? NO_MESSAGES;
    const queues = packets.length === 0 ? null : queuesOf(target, kept, packets.length);
    const packetOf = (number: number): Packet | null => packets[number] ?? null;
    const isTaken = await new Promise<boolean>((done) =>
      actor.tell({ kind: 'adopt', moved: { kept, queues }, era, packetOf, done }),
    );
    if (isTaken) actor.tell({ kind: 'keep' });
    // Resolves when the endpoint's actor has handled the messages before this one.
    await new Promise<void>((done) => actor.tell({ kind: 'pass', done }));
    return isTaken ? (found ?? NO_MESSAGES) : null;
  }

  /** Handles the case that another process has written a record which this node was about to write. */
  conflict(cluster: ClusteredDomain | undefined, address: Address, found: FoundPart): void {
    const { name, mesh, records } = this.options;
    if (!cluster) return;
    if (!found.adopter && found.node === name) {
      void this.#restore(cluster, address, found, [homeOf(found)], found.revision);
      return;
    }
    records.forget(cluster.domain.name, address);
    const peer = mesh.peers.get(found.adopter?.[0] ?? found.node);
    if (peer?.up) this.#giveUp(cluster, address, peer);
  }

  /** Tells a node that is heard of again, with the state it had, which of its endpoints this node has taken over. */
  back(peer: Peer): void {
    const taken = this.#taken.get(`${peer.name}\n${peer.incarnation}`);
    if (!taken) return;
    const addresses = [...taken];
    for (let at = 0; at < addresses.length; at += ADDRESSES) {
      const fields = [addresses.slice(at, at + ADDRESSES)];
      this.options.rpc.call(peer, 'taken', fields, TAKEN_MS, () => undefined);
    }
  }

  /** Forgets what was taken over from a node that will not come back with the state it had. */
  gone(peer: Peer): void {
    this.#taken.delete(`${peer.name}\n${peer.incarnation}`);
  }

  /** Gives up endpoints that another node has taken over while this node was cut off. */
  taken(peer: Peer, addresses: unknown): void {
    for (const address of Array.isArray(addresses) ? addresses : []) {
      const [, , domain = ''] = String(address).split('/');
      const cluster = this.options.domains.get(domain);
      if (cluster) this.#giveUp(cluster, address as Address, peer);
    }
  }

  /** Ends an endpoint on this node in favour of `peer`, which has taken it over, and sends the messages accepted here to `peer`. */
  #giveUp(cluster: ClusteredDomain, address: Address, peer: Peer): void {
    const { mesh, records, metrics } = this.options;
    const { domain, items } = cluster;
    const actor = domain.tracker.actor(address);
    if (!actor) return;
    const packets = new Map<Packet, number>();
    const pass = (packet: Packet, only: string | null): void => {
      if (packet.kind === 'message') mesh.send(peer, items.relayed(address, packet, only));
    };
    actor.tell({
      kind: 'handOver',
      reason: CLOSE.moved,
      numberOf: (packet) => packets.get(packet) ?? packets.set(packet, packets.size).size - 1,
      forward: ({ packet, only }) => pass(packet, only),
      done: (moved) => {
        if (!moved) return;
        for (const packet of packets.keys()) pass(packet, null);
        metrics.givenUp += 1;
        const done = (): void => records.forget(domain.name, address);
        actor.tell({ kind: 'handedOver', missed: null, done });
      },
    });
  }
}

/** The start of a node that holds a part. */
function homeOf({ node, incarnation, adopter }: FoundPart): Start {
  return adopter ?? [node, incarnation];
}

/**
 * The starts of nodes that may have messages of a part: also those that had it before, where one that took it over died before it had
 * written the messages for itself.
 */
function homesOf(part: FoundPart, parts: readonly FoundPart[]): Start[] {
  const [name, start] = homeOf(part);
  const isUnfinished = ({ kept, adopter }: FoundPart): boolean =>
    kept !== null && adopter?.[0] === name && adopter[1] === start;
  const before = parts.filter((other) => other !== part && isUnfinished(other));
  const homes = [...before, part].flatMap(({ node, incarnation, former = [], adopter }): Start[] => {
    return [[node, incarnation], ...former, ...(adopter ? [adopter] : [])];
  });
  return [...new Map(homes.map((home) => [home.join(' '), home])).values()];
}

function isMine({ tracker }: Domain, address: Address): boolean {
  return (tracker.records.get(address)?.birth ?? 0) > 0;
}

/** Queues that give every client all messages: which client has had which is not known, and clients find repetitions by message ids. */
function queuesOf({ node, id }: Target, { clients }: KeptEndpoint, count: number): KeptQueues {
  const entries = Array.from({ length: count }, (_, number) => number);
  const none = { elders: null, given: [], connectedMs: null, session: null };
  return {
    ...{ node, id, turns: [], unseen: entries },
    clients: clients.map(({ name }) => ({ name, accepted: count, sent: 0, entries, ...none })),
  };
}

/** The part that has the client of a ticket; of two such parts the one that no other node has taken over. */
function partOf(parts: readonly FoundPart[], hash: string): FoundPart | undefined {
  const having = parts.filter(({ kept }) => kept?.clients.some((client) => client.hash === hash));
  return having.find(({ adopter }) => adopter === undefined) ?? having[0];
}
