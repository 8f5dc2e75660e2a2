/**
 * Leaves endpoints in JetStream with their queues when this node ends in order and no other node has taken them, as where all nodes end:
 * the node that takes an endpoint over goes on with it as after a handover, so that nothing is lost and nobody is told that something may
 * be. An endpoint whose record is up to date and for which nothing waits is not written again: one mark of this node says so of all of
 * these. A domain whose `durability` is `none` leaves nothing. The reading side is in orphans.ts.
 */
import type { Address } from '../actors/address.js';
import type { Moved, Passed } from '../actors/moving.js';
import { CLOSE } from '../errors.js';
import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import { byNeed, type EndpointHere, type Need } from './by-need.js';
import type { ClusteredDomain } from './domain.js';
import { type LeftQueues, leftText } from './left-queues.js';
import { NumberedPackets } from './numbered-packets.js';
import { Passing, passed } from './passing.js';
import type { Start, TicketRecords } from './ticket-records.js';
import { within } from './within.js';

/**
 * How long this may take; when it is over at the latest, counted from when the node has begun to end, so that the mark is in time before the
 * process ends (lifecycle.ts); and how long it may take even then.
 */
const LONGEST_MS = 6000;
const LATEST_MS = 7500;
const LEAST_MS = 500;
/** How long it may take to mark that this node has ended. */
const MARK_MS = 1000;
/** How many endpoints are on their way to JetStream at a time, and about how many characters of them. */
const AT_ONCE = 2000;
const AT_ONCE_CHARACTERS = 16 * 1024 * 1024;
/** How many endpoints are being stopped at a time: how many characters they have is not known before. */
const STOPPING = 64;

interface Parted extends EndpointHere {
  /** Whether nothing waited for it, so that it was not written again. */
  readonly isQuiet: boolean;
  /** What has come for the endpoint since it stopped. */
  readonly passing: Passing<Passed>;
}

interface Stopped {
  readonly kept: Moved['kept'];
  /** What is left of its queues (left-queues.ts). */
  readonly text: string;
}

/** What has become of an endpoint that was to stop: null where it is not here any more. */
type Found = Stopped | 'quiet' | null;

export interface PartingOptions {
  readonly start: Start;
  readonly domains: ReadonlyMap<string, ClusteredDomain>;
  readonly records: TicketRecords;
  /** What was found as the handover began (by-need.ts). */
  readonly needs: Map<Address, Need>;
  readonly queues: LeftQueues;
  /** The endpoints of a domain that have changed since their records were written. */
  readonly changedIn: (domain: string) => ReadonlyMap<Address, unknown>;
  readonly metrics: ClusterMetrics;
}

export class Parting {
  #left: Parted[] = [];
  /** The endpoints that were to be left. */
  #all: readonly EndpointHere[] = [];
  #isLate = false;
  /** How many endpoints are being stopped, how many are on their way to JetStream or are being stopped, and how many characters are. */
  #stopping = 0;
  #open = 0;
  #characters = 0;
  /** Called when one of these numbers has changed. */
  #onProgress: () => void = () => undefined;

  constructor(private readonly options: PartingOptions) {}

  /** Writes all endpoints of this node, which has been ending for `spentMs`. Resolves when JetStream has them, or when it is time to end. */
  async write(spentMs: number): Promise<void> {
    const domains = [...this.options.domains.values()].filter(({ domain }) => domain.settings.durability !== 'none');
    await within(Math.max(LEAST_MS, Math.min(LONGEST_MS, LATEST_MS - spentMs)), this.#writeAll(domains));
    this.#isLate = true;
    if (this.#all.length === 0) return;
    const left = this.#left.length;
    this.options.metrics.left += left;
    const what = { event: 'endpoints left', endpoints: left, of: this.#all.length };
    log.info(what, `${left} endpoints are in JetStream, for other nodes or the next start`);
  }

  /** Marks that this node has ended, and of which of its endpoints JetStream does not have all. */
  async mark(): Promise<void> {
    const { queues, records, changedIn, start } = this.options;
    // What has come for an endpoint since it was written is lost with this node; without a confirmation a message comes again.
    const isHarmless = ({ kind }: Passed): boolean => kind === 'confirmedElsewhere';
    const whole = this.#left.filter(({ passing }) => passing.items.every(isHarmless));
    const left = new Set(whole.map(({ address }) => address));
    const domains = new Map(this.#all.map(({ cluster: { domain } }) => [domain.name, domain]));
    const doubtful = new Map([...domains.keys()].map((name) => [name, new Set(changedIn(name).keys())]));
    for (const { cluster, address } of this.#all) doubtful.get(cluster.domain.name)?.add(address);
    for (const [name, address] of records.unwritten()) doubtful.get(name)?.add(address);
    let open = domains.size;
    const marks = [...domains.values()].map(async ({ name, runtime }) => {
      const except = [...(doubtful.get(name) ?? [])].filter((address) => !left.has(address));
      if (await queues.end(name, start, runtime.era, except)) open -= 1;
    });
    await within(MARK_MS, Promise.all(marks));
    if (open === 0) return;
    const what = { event: 'not marked', domains: open };
    log.warn(what, 'clients for which nothing waited will be told that they may have missed something');
  }

  /** Forgets the endpoints whose queues JetStream has, so that what waits is not kept twice. To be called when no node is told any more. */
  async forget(): Promise<void> {
    await Promise.all(this.#left.map((parted) => parted.isQuiet || this.#tell(parted, null)));
  }

  async #writeAll(domains: readonly ClusteredDomain[]): Promise<void> {
    const { queues, start } = this.options;
    const endpoints = await byNeed(domains, this.options.needs);
    if (this.#isLate) return;
    this.#all = endpoints;
    const names = new Set(endpoints.map(({ cluster }) => cluster.domain.name));
    await Promise.all([...names].map((name) => queues.mark(name, start)));
    for (let open = endpoints; open.length > 0 && !this.#isLate; ) {
      for (const one of open) {
        while (this.#isFull) await this.#progress();
        if (this.#isLate) return;
        void this.#write(one);
      }
      while (this.#open > 0) await this.#progress();
      // An endpoint for which something has come meanwhile is written again, with that.
      const behind = this.#left.filter(({ passing }) => passing.items.length > 0);
      this.#left = this.#left.filter(({ passing }) => passing.items.length === 0);
      await Promise.all(behind.map((parted) => this.#tell(parted, parted.passing.items)));
      open = behind;
    }
  }

  get #isFull(): boolean {
    return this.#stopping >= STOPPING || this.#open >= AT_ONCE || this.#characters > AT_ONCE_CHARACTERS;
  }

  #progress(): Promise<void> {
    return new Promise((resolve) => {
      this.#onProgress = resolve;
    });
  }

  /** Stops an endpoint and writes its record with its queues. */
  async #write({ cluster, address }: EndpointHere): Promise<void> {
    const passing = new Passing<Passed>(() => undefined);
    this.#open += 1;
    this.#stopping += 1;
    const found = await this.#stop(cluster, address, passing);
    const left = found === 'quiet' ? null : found;
    const characters = left?.text.length ?? 0;
    this.#stopping -= 1;
    this.#characters += characters;
    this.#onProgress();
    const isLeft = found === 'quiet' || (left !== null && (await this.#put(cluster, address, left)));
    if (isLeft) this.#left.push({ cluster, address, isQuiet: left === null, passing });
    this.#open -= 1;
    this.#characters -= characters;
    this.#onProgress();
  }

  /** Resolves with an endpoint's state and the text of its queues, unless JetStream has the one and nothing is in the others. */
  async #stop({ domain, items }: ClusteredDomain, address: Address, passing: Passing<Passed>): Promise<Found> {
    const { records, changedIn } = this.options;
    const actor = domain.tracker.actor(address);
    if (!actor) return null;
    // One that still comes from another node which ends is not waited for: what that forwards is written behind.
    actor.tell({ kind: 'adopted' });
    const now = domain.runtime.clock.now();
    const packets = new NumberedPackets((packet) => items.wire(packet));
    const forward = passed(passing, domain, address);
    const moved = await new Promise<Moved | 'quiet' | null>((done) => {
      // Asked when the endpoint has stopped: what stood before this in its mailbox may have changed it.
      const quiet = (): boolean => {
        const isWritten = !changedIn(domain.name).has(address) && records.isWritten(domain.name, address);
        if (isWritten) done('quiet');
        return isWritten;
      };
      actor.tell({ kind: 'handOver', reason: CLOSE.shutdown, numberOf: packets.numberOf, forward, quiet, done });
    });
    if (moved === null || moved === 'quiet') return moved;
    return { kept: moved.kept, text: leftText(moved.queues, packets, now) };
  }

  /** Resolves with whether JetStream has the endpoint. */
  async #put({ domain: { name } }: ClusteredDomain, address: Address, { kept, text }: Stopped): Promise<boolean> {
    const { records, queues, start } = this.options;
    const left = await queues.write(name, address, start, text);
    if (left === null) return false;
    records.put(name, address, kept, left);
    await new Promise<void>((done) => records.written(name, address, done));
    return records.isWritten(name, address);
  }

  /** Has an endpoint go on here with what it has missed, or (null) ends it. */
  #tell({ cluster, address }: Parted, missed: readonly Passed[] | null): Promise<void> {
    const actor = cluster.tracker.actor(address);
    return new Promise((done) => {
      if (actor) actor.tell({ kind: 'handedOver', missed, done: () => done() });
      else done();
    });
  }
}
