/**
 * Takes over at the start of this node what was left of endpoints by nodes that ended in order with nobody to hand over to (parting.ts):
 * at once what an earlier start of this node has left, where there are many beside serving clients; and later, when it is known which nodes
 * there are, this node's share of what others have left. Where no other node was there before, all endpoints that an earlier start of this
 * node had come back, as after the restart of a server on its own, also when that was killed. An endpoint whose client comes earlier is
 * taken over as after a node's death (orphans.ts).
 */
import type { Address } from '../actors/address.js';
import { partOf, primaryOf } from '../actors/endpoint-record.js';
import { log } from '../log.js';
import { seldom } from '../seldom.js';
import type { Adopted } from './adopted.js';
import type { ClusteredDomain } from './domain.js';
import { JetStreamError } from './jetstream-port.js';
import type { LeftQueues } from './left-queues.js';
import type { Mesh } from './mesh.js';
import type { Orphans } from './orphans.js';
import type { Peer } from './peer.js';
import { chosenBy } from './rendezvous.js';
import type { FoundPart, TicketRecords } from './ticket-records.js';
import { within } from './within.js';

/** How many endpoints are asked for at a time: enough to keep pace.ts busy, and few, since a client that comes waits behind them. */
const AT_ONCE = 64;
/** For how long a node that starts lets clients wait until its endpoints are there; further ones come back while it serves. */
const WAIT_MS = 2000;
/** Of a part with a longer state only the address is remembered until it has its turn, and of all parts that come when so much is remembered. */
const LONG_CHARACTERS = 4096;
const MOST_CHARACTERS = 16 * 1024 * 1024;

/** An endpoint that was left, with its record where that is short. */
type LeftOne = readonly [Address, FoundPart | null];

export interface ComebackOptions {
  readonly name: string;
  readonly leaseMs: number;
  readonly mesh: Pick<Mesh, 'peers' | 'incarnation' | 'connected'>;
  /** The domain of a name, which is made where it is served; undefined: it is not served. */
  readonly domainOf: (name: string) => ClusteredDomain | undefined;
  readonly domains: ReadonlyMap<string, ClusteredDomain>;
  readonly records: TicketRecords;
  readonly queues: LeftQueues;
  readonly orphans: Pick<Orphans, 'find' | 'restore'>;
}

const NOBODY: ReadonlySet<string> = new Set();

export class Comeback {
  /** Whether no other node had been there for a lease when this one started. */
  isFirst = false;
  isRestoring = false;
  /** The nodes that have left endpoints of a domain, by its name. */
  readonly #leavers = new Map<string, Set<string>>();

  constructor(private readonly options: ComebackOptions) {}

  leaversOf(domain: string): ReadonlySet<string> {
    return this.#leavers.get(domain) ?? NOBODY;
  }

  /** Takes over what an earlier start of this node has left. Resolves when that is done, or after `WAIT_MS`. */
  async restore(): Promise<void> {
    this.isRestoring = true;
    const restored = this.#restore().finally(() => {
      this.isRestoring = false;
    });
    await within(WAIT_MS, restored);
  }

  /** Resolves when all is restored, or JetStream does not answer. */
  async #restore(): Promise<void> {
    const { name, mesh, queues, domains, domainOf, leaseMs } = this.options;
    const before = mesh.incarnation - leaseMs * 1000;
    this.isFirst = mesh.connected && [...mesh.peers.values()].every((peer) => !peer.up || peer.incarnation > before);
    await this.#trying(async () => {
      for (const [domain, node] of await queues.marks()) this.#note(domain, node);
      const left = [...this.#leavers].filter(([, nodes]) => nodes.has(name)).map(([domain]) => domain);
      const known = new Set([...left, ...(this.isFirst ? domains.keys() : [])]);
      await Promise.all([...known].map((domain) => this.#restoreDomain(domainOf(domain))));
    });
  }

  async #restoreDomain(cluster: ClusteredDomain | undefined): Promise<void> {
    if (!cluster || cluster.domain.settings.durability === 'none') return;
    const startedAt = performance.now();
    const { name, queues } = this.options;
    const { name: domain } = cluster.domain;
    const left = await this.#leftBy(cluster, name, this.isFirst);
    if (this.isFirst && left.length > 0) this.#note(domain, name);
    const isDone = await this.#takeOver(cluster, left.values());
    const leavers = this.#leavers.get(domain);
    if (isDone && leavers?.delete(name)) queues.unmark(domain, name);
    if (left.length === 0) return;
    const ms = Math.round(performance.now() - startedAt);
    const what = { event: 'restored', domain, endpoints: left.length, ms };
    log.info(what, `${left.length} endpoints are online again`);
  }

  /** Takes over this node's share of what nodes that have not come back have left. */
  async sweep(cluster: ClusteredDomain): Promise<void> {
    const { name, queues, mesh } = this.options;
    const { domain } = cluster;
    await this.#trying(async () => {
      for (const node of this.leaversOf(domain.name)) {
        if (node === name) continue;
        const left = await this.#leftBy(cluster, node, false);
        if (left.length === 0 && !mesh.peers.get(node)?.up) queues.unmark(domain.name, node);
        const own = left.filter(([address]) => this.#isOwn(cluster, address));
        await this.#takeOver(cluster, own.values());
      }
    });
    const own = this.leaversOf(domain.name).has(name);
    this.#leavers.delete(domain.name);
    if (own && this.isRestoring) this.#note(domain.name, name);
  }

  /** Takes over this node's share of what a node has left that has just ended, while its endpoints are online to all still. */
  takeFrom(cluster: ClusteredDomain, peer: Peer): void {
    if (cluster.domain.settings.durability !== 'none') void this.#takeOver(cluster, this.#shareOf(cluster, peer));
  }

  /** The endpoints of a node that are to be taken over by the node of their oldest part, else by the one that their address chooses. */
  *#shareOf({ tracker }: ClusteredDomain, peer: Peer): Generator<LeftOne> {
    for (const record of tracker.records.values()) {
      if (!partOf(record, peer)) continue;
      const primary = primaryOf(record);
      const isOwn = primary === null || (primary === undefined && chosenBy(this.options, record.address) === null);
      if (isOwn) yield [record.address, null];
    }
  }

  /** Whether this node is the one to take an endpoint over: the first that has a part of it, else the one that its address chooses. */
  #isOwn(cluster: ClusteredDomain, address: Address): boolean {
    const [first] = cluster.nodesOf(address);
    return first === undefined ? chosenBy(this.options, address) === null : first === this.options.name;
  }

  #note(domain: string, node: string): void {
    const nodes = this.#leavers.get(domain) ?? new Set();
    this.#leavers.set(domain, nodes.add(node));
  }

  /** The endpoints that earlier starts of a node have left; `orNot`: also where it was killed. */
  async #leftBy({ domain }: ClusteredDomain, node: string, orNot: boolean): Promise<readonly LeftOne[]> {
    const { name, mesh, records, queues } = this.options;
    const incarnation = node === name ? mesh.incarnation : mesh.peers.get(node)?.incarnation;
    const found: LeftOne[] = [];
    const open: (readonly [Address, FoundPart])[] = [];
    let free = MOST_CHARACTERS;
    await records.readNode(domain.name, node, (address, part, characters) => {
      const isThere = part.incarnation === incarnation || part.adopter !== undefined;
      if (isThere || !part.kept) return;
      const isShort = node === name && characters <= LONG_CHARACTERS;
      if (free <= 0 || (part.kept.left !== undefined && !isShort)) return void found.push([address, null]);
      free -= characters;
      open.push([address, part]);
    });
    for (const [address, part] of open) {
      const whole = await queues.completed(domain.name, address, part);
      if (orNot || whole.kept?.left !== undefined) found.push([address, node === name ? whole : null]);
    }
    return found;
  }

  /** Resolves with whether none has to be tried again. */
  async #takeOver(cluster: ClusteredDomain, left: IterableIterator<LeftOne>): Promise<boolean> {
    const { orphans } = this.options;
    let isDone = true;
    const takeOn = async (): Promise<void> => {
      for (const [address, part] of left) {
        const found = await new Promise<Adopted>((done) =>
          part ? orphans.restore(cluster, address, part, done) : orphans.find(cluster, address, null, done, true),
        );
        if (found === 'later') isDone = false;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, takeOn));
    return isDone;
  }

  /** Runs a task that restores endpoints. Where JetStream does not answer, endpoints that are left out are restored when their clients come. */
  async #trying(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (!(error instanceof JetStreamError)) throw error;
      const what = { event: 'not restored', why: error.message };
      seldom.warn('not restored', what, 'what nodes have left is taken over when clients come for it');
    }
  }
}
