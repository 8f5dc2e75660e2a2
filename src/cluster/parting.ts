/**
 * Leaves endpoints in JetStream with their queues when this node ends in order and no other node has taken them, as where all nodes end:
 * the node that takes an endpoint over goes on with it as after a handover, so that nothing is lost and nobody is told that something may
 * be. A domain whose `durability` is `none` leaves nothing. The reading side is in orphans.ts.
 */
import type { Address } from '../actors/address.js';
import type { Moved } from '../actors/moving.js';
import type { Deliver } from '../actors/router.js';
import { CLOSE } from '../errors.js';
import { Fifo } from '../fifo.js';
import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import type { ClusteredDomain } from './domain.js';
import { type LeftQueues, leftText } from './left-queues.js';
import { NumberedPackets } from './numbered-packets.js';
import { Passing } from './passing.js';
import type { Start, TicketRecords } from './ticket-records.js';

/** How long this may take of the ten seconds that a node has to end. */
const LONGEST_MS = 6000;
/** How many endpoints are on their way to JetStream at a time, and about how many characters of them. */
const AT_ONCE = 2000;
const AT_ONCE_CHARACTERS = 16 * 1024 * 1024;

interface Parted {
  readonly cluster: ClusteredDomain;
  readonly address: Address;
  /** What has come for the endpoint since it stopped. */
  readonly passing: Passing<Deliver>;
}

export interface PartingOptions {
  readonly start: Start;
  readonly domains: ReadonlyMap<string, ClusteredDomain>;
  readonly records: TicketRecords;
  readonly queues: LeftQueues;
  readonly metrics: ClusterMetrics;
}

export class Parting {
  #left: Parted[] = [];
  #isLate = false;
  /** How many characters are on their way to JetStream, and who waits until there are fewer. */
  #characters = 0;
  readonly #waiting = new Fifo<() => void>();

  constructor(private readonly options: PartingOptions) {}

  /** Writes all endpoints of this node. Resolves when JetStream has them, or after `LONGEST_MS`. */
  async write(): Promise<void> {
    const domains = [...this.options.domains.values()].filter(({ domain }) => domain.settings.durability !== 'none');
    const endpoints = domains.flatMap((cluster) =>
      [...cluster.tracker.here()].filter(({ birth }) => birth > 0).map(({ address }) => ({ cluster, address })),
    );
    if (endpoints.length === 0) return;
    let late: NodeJS.Timeout | undefined;
    const end = new Promise<void>((resolve) => {
      late = setTimeout(resolve, LONGEST_MS);
    });
    await Promise.race([this.#writeAll(endpoints), end]);
    clearTimeout(late);
    this.#isLate = true;
    const left = this.#left.length;
    this.options.metrics.left += left;
    const what = { event: 'endpoints left', endpoints: left, of: endpoints.length };
    log.info(what, `${left} endpoints are in JetStream with their queues, for the next start`);
  }

  /** Forgets the endpoints that JetStream has, so that what waits in them is not kept twice. To be called when no node is told any more. */
  async forget(): Promise<void> {
    await Promise.all(this.#left.map((parted) => this.#tell(parted, null)));
  }

  async #writeAll(endpoints: readonly Pick<Parted, 'cluster' | 'address'>[]): Promise<void> {
    const { queues, start } = this.options;
    const names = new Set(endpoints.map(({ cluster }) => cluster.domain.name));
    await Promise.all([...names].map((name) => queues.mark(name, start[0])));
    for (let open = endpoints; open.length > 0 && !this.#isLate; ) {
      const waiting = open[Symbol.iterator]();
      const writeOn = async (): Promise<void> => {
        for (const { cluster, address } of waiting) {
          while (this.#characters > AT_ONCE_CHARACTERS && !this.#isLate) {
            await new Promise<void>((resolve) => this.#waiting.push(resolve));
          }
          if (this.#isLate) return;
          await this.#write(cluster, address);
          // One goes on for each that is done: it has an endpoint in hand, and has the next one go on.
          this.#waiting.shift()?.();
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, writeOn));
      // An endpoint for which something has come meanwhile is written again, with that.
      const behind = this.#left.filter(({ passing }) => passing.items.length > 0);
      this.#left = this.#left.filter(({ passing }) => passing.items.length === 0);
      await Promise.all(behind.map((parted) => this.#tell(parted, parted.passing.items)));
      open = behind;
    }
  }

  /** Stops an endpoint and writes its record with its queues. */
  async #write(cluster: ClusteredDomain, address: Address): Promise<void> {
    const { records, queues, start } = this.options;
    const { domain, items } = cluster;
    const actor = domain.tracker.actor(address);
    if (!actor) return;
    const passing = new Passing<Deliver>(() => undefined);
    const now = domain.runtime.clock.now();
    const packets = new NumberedPackets((packet) => items.wire(packet));
    const forward = (deliver: Deliver): void => {
      const { packet } = deliver;
      if (!passing.take(deliver, packet.bytes)) domain.drop(packet, 'queueOverflow', address);
    };
    const moved = await new Promise<Moved | null>((done) =>
      actor.tell({ kind: 'handOver', reason: CLOSE.shutdown, numberOf: packets.numberOf, forward, done }),
    );
    if (!moved) return;
    const whole = leftText(moved.queues, packets, now);
    this.#characters += whole.length;
    const left = await queues.write(domain.name, address, start, whole);
    if (left !== null) {
      records.put(domain.name, address, moved.kept, left);
      await new Promise<void>((done) => records.written(domain.name, address, done));
      if (records.isWritten(domain.name, address)) this.#left.push({ cluster, address, passing });
    }
    this.#characters -= whole.length;
  }

  /** Has an endpoint go on here with what it has missed, or (null) ends it. */
  #tell({ cluster, address }: Parted, missed: readonly Deliver[] | null): Promise<void> {
    const actor = cluster.tracker.actor(address);
    return new Promise((done) => {
      if (actor) actor.tell({ kind: 'handedOver', missed, done });
      else done();
    });
  }
}
