/**
 * Takes over endpoints whose node is gone and has not handed them over (PROTOCOL.md section 20). When a client of such an endpoint
 * comes to a node with its ticket, that node restores the endpoint from its records in JetStream (ticket-records.ts). Where several
 * nodes try at the same time, JetStream lets one of them succeed, and the others find the endpoint there.
 *
 * A node that was only cut off, and is heard of again, is told which of its endpoints others have taken over: it gives those
 * endpoints up, and passes on the messages that it has accepted for them.
 */
import type { Address } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { hashOf } from '../actors/tickets.js';
import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Adopted, OrphanFinder } from './adopted.js';
import type { ClusteredDomain } from './domain.js';
import { homeOf, homesOf, latestOf, partOf, unfinishedOf } from './found-parts.js';
import { giveUp } from './giving-up.js';
import type { HeldMessages } from './held-messages.js';
import { JetStreamError } from './jetstream-port.js';
import type { LeftQueues } from './left-queues.js';
import { nodeOfToken } from './local-node.js';
import type { Mesh } from './mesh.js';
import { oneByOne } from './one-by-one.js';
import { Pace } from './pace.js';
import { livingNode, type Peer } from './peer.js';
import { type RevivingOptions, revive } from './reviving.js';
import type { Rpc } from './rpc.js';
import { forgetPart } from './taken-parts.js';
import { Takeovers } from './takeovers.js';
import type { FoundPart, Start, TicketRecords } from './ticket-records.js';

/** How many attempts a takeover has, since another node may write the endpoint's record at the same time. */
const ATTEMPTS = 3;
/** How many addresses one `taken` call has at most. */
const ADDRESSES = 500;
const TAKEN_MS = 5000;

export interface OrphansOptions extends Omit<RevivingOptions, 'pace' | 'isServed'> {
  readonly name: string;
  readonly mesh: Pick<Mesh, 'peers' | 'send' | 'broadcast' | 'barrier' | 'incarnation'>;
  readonly rpc: Pick<Rpc, 'call'>;
  readonly records: TicketRecords;
  readonly held: HeldMessages | null;
  readonly left: LeftQueues;
  /** The nodes that are gone and may have left endpoints of a domain which have not been taken over yet. */
  readonly leaversOf: (domain: string) => ReadonlySet<string>;
  /** Whether no other node was there when this one started: nobody has been told that clients of earlier nodes are gone. */
  readonly isFirst: () => boolean;
  /** Whether this node has started so lately that endpoints of a node which died before may still be online to the others. */
  readonly isYoung: () => boolean;
  readonly metrics: ClusterMetrics;
  /** The time in milliseconds. */
  readonly now: () => number;
  readonly domains: ReadonlyMap<string, ClusteredDomain>;
}

/** What is called with the place where a client is, or an endpoint. */
type Done = (found: Adopted) => void;

export class Orphans {
  readonly #open = new Takeovers();
  readonly #pace: Pace;
  readonly #reviving: RevivingOptions;
  /** Endpoints that this node has taken over, by the name and incarnation of the node that they were on. */
  readonly #taken = new Map<string, Set<Address>>();
  #isClosed = false;

  constructor(private readonly options: OrphansOptions) {
    this.#pace = new Pace(options.now);
    this.#reviving = { ...options, pace: this.#pace, isServed: (cluster) => this.#isServed(cluster) };
  }

  /** Whether clients of nodes that are gone have come here whose endpoints are still to be taken over, one after the other. */
  get isBusy(): boolean {
    return this.#pace.isBusy;
  }

  /** Takes over nothing more: this node writes its last records. */
  close(): void {
    this.#isClosed = true;
  }

  #isServed(cluster: ClusteredDomain): boolean {
    return !this.#isClosed && this.options.domains.get(cluster.domain.name) === cluster;
  }

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
      laterS: () => this.#pace.laterS(),
      isOrphan: (address) => this.#isOrphan(domain, address),
      revive: (address, done) => {
        const cluster = this.options.domains.get(domain.name);
        if (!cluster || !this.#isOrphan(domain, address)) return false;
        this.find(cluster, address, null, done);
        return true;
      },
      isTaking: (address) => this.#open.has(address),
      whenTaken: (addresses, done) => {
        const wait = (address: Address, next: () => void): void => this.whenTaken(address, next, () => done(false));
        oneByOne(addresses ?? this.#open.of(domain.name), wait, () => done(true));
      },
    };
  }

  #isOrphan(domain: Domain, address: Address): boolean {
    if (!this.mayKnow(domain)) return false;
    const parts = domain.tracker.records.get(address)?.parts ?? [];
    if (parts.length > 0 || isMine(domain, address)) return parts.some(({ node, hidden }) => !hidden && !node.up);
    // A node that has started since a death has not been told of the endpoints that were on the node which died.
    const mayBeOrphan = domain.answersFromDisk && this.options.isYoung();
    return mayBeOrphan || this.options.leaversOf(domain.name).size > 0;
  }

  /**
   * Calls `done` when an endpoint is not being taken over by this node any more; at once where it is not. `full`: called in place of it
   * where too many wait.
   */
  whenTaken(address: Address, done: () => void, full: () => void): void {
    if (this.#open.wait(address, () => done())) return;
    if (this.#open.has(address)) full();
    else done();
  }

  /**
   * Looks for the client of a ticket that no living node knows; token null: takes over the endpoint whatever its clients are. `isBeside`: also
   * where a part of it is here.
   */
  find(cluster: ClusteredDomain, address: Address, token: string | null, done: Done, isBeside = false): void {
    const { domain } = cluster;
    const start = (): void => {
      // A ticket that was not here when this was asked for (whereabouts.ts) comes with a takeover, and is looked for when that is over.
      const isHere = token === null ? isMine(domain, address) : domain.tickets.find(token)?.address === address;
      if (isHere && !isBeside) return done('here');
      if (this.#open.has(address)) return this.#wait(address, start, done);
      this.#begin(cluster, address, () => this.#adopt(cluster, address, token), done);
    };
    start();
  }

  /**
   * Takes over a part that an earlier start of this node has left, whose record has been read. Should another node take it over at the same
   * time, the next write of this node finds that out (`conflict`).
   */
  restore(cluster: ClusteredDomain, address: Address, part: FoundPart, done: Done): void {
    if (isMine(cluster.domain, address) || this.#open.has(address)) return this.find(cluster, address, null, done);
    this.#begin(cluster, address, () => this.#take(cluster, address, part, [], true), done);
  }

  /** Waits until an endpoint that is being taken over has been; where too many wait, `done` is told `later`. */
  #wait(address: Address, start: () => void, done: Done): void {
    const isWaiting = this.#open.wait(address, (isLater) => {
      if (isLater) this.#delay(done);
      else start();
    });
    if (!isWaiting) this.#delay(done);
  }

  /** Runs a takeover when it has its turn. */
  #begin(cluster: ClusteredDomain, address: Address, task: () => Promise<Adopted>, done: Done): void {
    this.#open.begin(address);
    const end = (found: Adopted): void => {
      if (found === 'later') this.#delay(done);
      else done(found);
      this.#open.end(address, found === 'later');
    };
    const attempt = async (): Promise<Adopted> => (this.#isServed(cluster) ? task() : 'later');
    const run = (): Promise<void> =>
      attempt().then(end, (error) => {
        const what = { event: 'adoption failed', err: error };
        if (!(error instanceof JetStreamError)) log.error(what, 'an endpoint could not be taken over');
        end('later');
      });
    if (this.#pace.run(run)) return;
    this.#delay(done);
    this.#open.end(address, true);
  }

  #delay(done: Done): void {
    this.options.metrics.adoptionsDelayed += 1;
    done('later');
  }

  async #adopt(cluster: ClusteredDomain, address: Address, token: string | null): Promise<Adopted> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        const parts = await this.#complete(cluster.domain, address, await this.#read(cluster.domain, address, token));
        await this.#pace.turn();
        const part = token === null ? this.#orphanOf(cluster, address, parts) : partOf(parts, hashOf(token));
        if (!part) return token === null ? this.#takerOf(cluster, address, parts) : null;
        const [node, incarnation] = homeOf(part);
        // A takeover by this node that has failed half-way, as JetStream did not answer, is done again.
        const isHalf = node === this.options.name && part.adopter !== undefined && !isMine(cluster.domain, address);
        if (this.#isAlive(node, incarnation) && !isHalf) return this.#at(node);
        return await this.#take(cluster, address, part, unfinishedOf(part, parts));
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

  /**
   * The records of an endpoint's parts. Where the one of the node that is gone says all that has to be known, it is the only one that is
   * read: each further name costs an answer of JetStream, and a cluster has many nodes.
   */
  async #read(domain: Domain, address: Address, token: string | null): Promise<readonly FoundPart[]> {
    const { records } = this.options;
    // Messages of an endpoint may be with nodes that only other records name.
    if (token !== null && !domain.answersFromDisk) {
      const gone = domain.tracker.records.get(address)?.parts.find(({ node }) => !node.up)?.node.name;
      const part = await records.readPart(domain.name, address, gone ?? nodeOfToken(token));
      const isPlain = part !== null && part.adopter === undefined && partOf([part], hashOf(token)) !== undefined;
      if (isPlain && !this.#isAlive(part.node, part.incarnation)) return [part];
    }
    const nodes = this.#nodesOf(domain, address, token);
    return records.read(domain.name, address, nodes, token !== null || domain.answersFromDisk);
  }

  /** With what nodes that are gone have marked as they ended. */
  #complete({ name }: Domain, address: Address, parts: readonly FoundPart[]): Promise<readonly FoundPart[]> {
    const { left } = this.options;
    return Promise.all(
      parts.map((part) => (this.#isAlive(...homeOf(part)) ? part : left.completed(name, address, part))),
    );
  }

  /** The names of the nodes that may have a record of an endpoint: of the ticket's node, of those with a part, and of all that are remembered. */
  #nodesOf({ tracker, name: domain }: Domain, address: Address, token: string | null): ReadonlySet<string> {
    const { name, mesh, leaversOf } = this.options;
    const parts = tracker.records.get(address)?.parts ?? [];
    const home = token === null ? [] : [nodeOfToken(token)];
    const known = [...parts.map(({ node }) => node.name), ...mesh.peers.keys(), ...leaversOf(domain)];
    return new Set([...home, ...known, name]);
  }

  #isAlive(node: string, incarnation: number): boolean {
    return livingNode(this.options, node, incarnation) !== null;
  }

  /**
   * A part to be taken over though no client has come. Others have been told long ago that an endpoint is gone whose node was killed, unless
   * it is online to them still; it comes back only where messages may wait for it.
   */
  #orphanOf({ domain }: ClusteredDomain, address: Address, parts: readonly FoundPart[]): FoundPart | undefined {
    const isOnline = (domain.tracker.records.get(address)?.parts ?? []).some(({ hidden }) => !hidden);
    const mayBeKilled = isOnline || domain.answersFromDisk || this.options.isFirst();
    const isOrphan = ({ kept, ...part }: FoundPart): boolean =>
      kept !== null && (mayBeKilled || kept.left !== undefined) && !this.#isAlive(...homeOf(part));
    return latestOf(parts.filter(isOrphan));
  }

  /** Another node that has an endpoint, or is about to: resolves when this one has heard of that, so that a message can be sent there. */
  async #takerOf({ domain }: ClusteredDomain, address: Address, parts: readonly FoundPart[]): Promise<Adopted> {
    const taken = parts.find((part) => part.kept !== null && homeOf(part)[0] !== this.options.name);
    const found = taken ? this.#at(homeOf(taken)[0]) : null;
    if (found === null || typeof found === 'string') return found;
    // A visit with an empty ticket, which no client has, is answered when that node is no longer taking the endpoint over.
    const asked = [domain.name, address, '', false];
    await new Promise((done) => this.options.rpc.call(found.peer, 'visit', asked, TAKEN_MS, done));
    return found;
  }

  /** The living node that has a part, by the part's record; its ticket may have ended there. null where the node is this one. */
  #at(node: string): Adopted {
    const peer = this.options.mesh.peers.get(node);
    return peer ? { peer } : null;
  }

  /**
   * Takes a part over, and with it what its node had begun to take over (`before`). `isOwn`: it is one of an earlier start of this node,
   * whose record this one goes on with. Rejects with a `conflict` where another node has taken it over first.
   */
  async #take(
    cluster: ClusteredDomain,
    address: Address,
    part: FoundPart,
    before: readonly FoundPart[],
    isOwn = false,
  ): Promise<Adopted> {
    const { records, metrics, name, mesh } = this.options;
    const { domain } = cluster;
    if (domain.shortage) return 'later';
    const revision = isOwn ? part.revision : await records.adopt(domain.name, address, part);
    records.goOn(part, revision);
    const homes = isOwn ? [homeOf(part)] : homesOf(part, before);
    const found = await revive(this.#reviving, cluster, address, part, homes, revision);
    if (!found) return 'later';
    metrics.adopted += 1;
    this.#pace.advanced();
    this.#remember(part, address);
    this.#tell(cluster, address, homes);
    // What other nodes still send to the node that is gone is lost: the client, which is told that it has missed something, comes after that.
    await Promise.all([
      new Promise<void>((resolve) => mesh.barrier(resolve, mesh.peers.values(), 'lease')),
      new Promise<void>((resolve) => records.written(domain.name, address, resolve)),
    ]);
    await this.#pace.turn();
    const others = found.filter(([node, start]) => node !== name || start !== mesh.incarnation);
    // The endpoint of a node that ends, or of a domain that has been removed, need not have come to write a record.
    const isKept = this.#isServed(cluster) || records.isWritten(domain.name, address);
    if (isKept) this.#forget(domain, address, [{ ...part, revision }, ...before], others);
    return 'here';
  }

  /** Removes what JetStream has of parts that this node has taken over and written for itself. */
  #forget(domain: Domain, address: Address, parts: readonly FoundPart[], homes: readonly Start[]): void {
    const { records, held, left } = this.options;
    const done = (): void => {
      for (const part of parts) {
        records.adopted(domain.name, address, part);
        if (typeof part.kept?.left === 'number') left.forget(domain.name, address, [part.node, part.incarnation]);
      }
      held?.forget(domain.name, address, homes);
    };
    // Until its messages are written for this node, the former record says where else they are.
    if (held && domain.answersFromDisk) held.committed(done);
    else done();
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

  /** Handles the case that another process has written a record which this node was about to write. */
  conflict(cluster: ClusteredDomain | undefined, address: Address, found: FoundPart): void {
    const { name, mesh, records, left } = this.options;
    if (!cluster) return;
    if (!found.adopter && found.node === name) {
      const restore = (part: FoundPart) =>
        revive(this.#reviving, cluster, address, part, [homeOf(part)], found.revision);
      void left
        .completed(cluster.domain.name, address, found)
        .then(restore)
        .catch(() => undefined);
      return;
    }
    records.forget(cluster.domain.name, address);
    const peer = mesh.peers.get(found.adopter?.[0] ?? found.node);
    if (peer?.up) giveUp(this.options, cluster, address, peer);
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
    this.options.left.forgetMarks();
  }

  /** Gives up endpoints that another node has taken over while this node was cut off. */
  taken(peer: Peer, addresses: unknown): void {
    for (const address of Array.isArray(addresses) ? addresses : []) {
      const [, , domain = ''] = String(address).split('/');
      const cluster = this.options.domains.get(domain);
      if (cluster) giveUp(this.options, cluster, address as Address, peer);
    }
  }
}

function isMine({ tracker }: Domain, address: Address): boolean {
  return (tracker.records.get(address)?.birth ?? 0) > 0;
}
