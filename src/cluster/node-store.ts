/**
 * What a node of a cluster keeps in JetStream, so that others can take it over: endpoints with their tickets, messages that are not
 * confirmed, MQTT sessions; and what it takes over from nodes that are gone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { REMEMBERED_MS } from '../actors/message-ids.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { OrphanFinder, SessionStore } from './adopted.js';
import type { ClaimOptions } from './claims.js';
import { Comeback } from './comeback.js';
import type { ClusteredDomain } from './domain.js';
import type { EndingNodes } from './ending-nodes.js';
import { DomainMessages, HeldMessages } from './held-messages.js';
import { IdLog } from './id-log.js';
import { JetStream } from './jetstream.js';
import { JetStreamError } from './jetstream-port.js';
import { ClusterJournal } from './journal.js';
import type { KeptStream } from './kept-stream.js';
import type { Leaving } from './leaving.js';
import { LeftQueues } from './left-queues.js';
import type { LocalNode } from './local-node.js';
import type { Mesh } from './mesh.js';
import { Orphans } from './orphans.js';
import { Parting } from './parting.js';
import type { Peer } from './peer.js';
import { Refreshing } from './refreshing.js';
import { chosenBy } from './rendezvous.js';
import type { Rpc } from './rpc.js';
import { deleteLeft } from './session-deletions.js';
import { SessionOrphans } from './session-orphans.js';
import { StoredSessions } from './session-records.js';
import { TicketRecords } from './ticket-records.js';

/** How long JetStream keeps a record of an endpoint or a message that is not written again. */
const RECORD_MS = 7 * 24 * 3_600_000;
/** How long a node that shuts down waits until its last records are in JetStream. */
const LAST_RECORDS_MS = 500;
const LOOK_MS = 5;
/** How long another node may take to say that it sends nothing more. */
const STOPPED_MS = 1000;
/** How many leases the other nodes may take to find out that a node is dead. */
const YOUNG_LEASES = 2;

export interface NodeStoreOptions {
  readonly config: Config['cluster'];
  /** How long endpoints stay online to others after their node's lease. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly node: Pick<LocalNode, 'name' | 'leaving'> & {
    readonly mesh: Mesh;
    readonly rpc: Rpc;
    readonly ending: EndingNodes;
    readonly leaving: Pick<Leaving, 'spentMs' | 'needs'>;
    readonly domains: ReadonlyMap<string, ClusteredDomain>;
    /** The domain of a name, which is made where it is served. */
    domainOf(name: string): ClusteredDomain | undefined;
  };
}

export class NodeStore {
  readonly orphans: Orphans;
  readonly #jetstream: JetStream;
  readonly #records: TicketRecords;
  readonly #held: HeldMessages;
  readonly #sessionStream: KeptStream;
  readonly #sessions: StoredSessions;
  readonly #sessionOrphans: SessionOrphans;
  readonly #ids: IdLog;
  /** By the names of their domains. */
  readonly #journals = new Map<string, ClusterJournal>();
  readonly #refreshing: Refreshing;
  readonly #parting: Parting;
  readonly #comeback: Comeback;

  constructor(private readonly options: NodeStoreOptions) {
    const { config, metrics, node, clock } = options;
    const { name, mesh, rpc, domains } = node;
    const { conditions, jetstream: numbers, cluster } = metrics;
    const { nats: urls, replicas } = config;
    // The connection is separate from the mesh's connection to NATS.
    const jetstream = new JetStream({
      ...{ urls, cluster: config.name, node: name, replicas, keeps: 'tickets and what waits for clients' },
      ...{ conditions, metrics: numbers },
    });
    this.#jetstream = jetstream;
    const own = { node: name, incarnation: mesh.incarnation };
    this.#records = new TicketRecords({
      ...{ jetstream, stream: jetstream.stream('tickets', { ageMs: RECORD_MS }), keptMs: RECORD_MS, ...own },
      now: () => clock.now(),
      onConflict: (domain, address, found) => this.orphans.conflict(domains.get(domain), address, found),
    });
    this.#held = new HeldMessages(jetstream.stream('messages', { ageMs: RECORD_MS }), node);
    this.#ids = new IdLog({
      ...{ jetstream, stream: jetstream.stream('ids', { ageMs: REMEMBERED_MS }), node, clock },
      isMine: (sender) => chosenBy(node, sender) === null,
    });
    const queues = new LeftQueues(jetstream.stream('queues', { ageMs: RECORD_MS }));
    this.#sessionStream = jetstream.stream('sessions');
    this.#sessions = new StoredSessions({ jetstream, stream: this.#sessionStream, ...own, clock });
    const youngUntil = clock.now() + options.graceMs + YOUNG_LEASES * config.leaseMs;
    const isYoung = (): boolean => clock.now() < youngUntil;
    this.orphans = new Orphans({
      ...{ name, mesh, rpc, domains, records: this.#records, held: this.#held, left: queues, metrics: cluster },
      isYoung,
      isQuiet: () => this.#comeback.isFirst && (isYoung() || this.#comeback.isRestoring),
      now: () => clock.now(),
      isFirst: () => this.#comeback.isFirst,
      leaversOf: (domain) => this.#comeback.leaversOf(domain),
    });
    this.#comeback = new Comeback({
      ...{ name, mesh, domains, records: this.#records, queues, orphans: this.orphans, leaseMs: config.leaseMs },
      domainOf: (domain) => node.domainOf(domain),
    });
    this.#refreshing = new Refreshing({ clock, domains, records: this.#records, journals: this.#journals });
    const start = [name, mesh.incarnation] as const;
    const changedIn = (domain: string): ReadonlyMap<Address, unknown> =>
      this.#journals.get(domain)?.unwritten ?? new Map();
    this.#parting = new Parting({
      ...{ start, domains, records: this.#records, queues, changedIn, metrics: cluster, needs: node.leaving.needs },
    });
    const isLeaving = (): boolean => node.leaving.isActive;
    this.#answer();
    this.#sessionOrphans = new SessionOrphans({ name, mesh, records: this.#sessions, metrics: cluster, isLeaving });
  }

  start(): Promise<void> {
    return this.#jetstream.start();
  }

  /** Whether endpoints of a domain can be left in JetStream now. */
  keeps({ domain }: ClusteredDomain): boolean {
    return this.#jetstream.available && domain.settings.durability !== 'none';
  }

  journalOf(domain: Domain): ClusterJournal {
    const journal = new ClusterJournal(domain, this.options.clock, this.#records);
    this.#journals.set(domain.name, journal);
    domain.onEnd.add(() => {
      journal.close();
      if (this.#journals.get(domain.name) === journal) this.#journals.delete(domain.name);
    });
    return journal;
  }

  heldOf(domain: Domain, items: Pick<ClusteredDomain['items'], 'wire'>): DomainMessages {
    const now = (): number => this.options.clock.now();
    return new DomainMessages(domain, this.#held, (packet) => items.wire(packet), now);
  }

  idsOf(domain: Domain): ClaimOptions['whenKnown'] {
    this.#ids.add(domain);
    domain.onEnd.add(() => this.#ids.remove(domain));
    return (sender, done) => this.#ids.whenKnown(sender, done);
  }

  /** A node is gone: this one may have to remember what that one did. */
  readIds(peer: Peer): void {
    this.#ids.read(peer.name);
  }

  /** This node is in the cluster, and may remember what others did before. */
  joined(): void {
    this.#ids.read(null);
  }

  orphansOf(domain: Domain): OrphanFinder {
    return this.orphans.of(domain);
  }

  sessionsOf(domain: Domain): SessionStore {
    return {
      recordsOf: (one) => this.#sessions.of(one),
      forget: (clientId) => this.#sessions.forget(domain.name, clientId),
      find: (clientId, done) => {
        const cluster = this.options.node.domains.get(domain.name);
        if (cluster) this.#sessionOrphans.find(cluster, clientId, done);
        else done(null);
      },
      deleteLeft: (isLeft, deletedIn, done) => {
        const deleted = (count: number): void => {
          domain.metrics.dropped.deleted += count;
          done(true);
        };
        deleteLeft(this.#sessionStream, domain.name, isLeft, deletedIn).then(deleted, (error) => {
          if (!(error instanceof JetStreamError)) throw error;
          done(false);
        });
      },
      whenTaken: (done) => this.#sessionOrphans.whenTaken(domain, done),
    };
  }

  /** Takes over endpoints that an earlier start of this node has left. Resolves when that is done, or goes on behind other work. */
  restore(): Promise<void> {
    return this.#comeback.restore();
  }

  /** Takes over what nodes that this node has never heard of have left: endpoints, and MQTT sessions. */
  sweep(cluster: ClusteredDomain): void {
    void this.#comeback.sweep(cluster);
    void this.#sessionOrphans.sweep(cluster);
  }

  /** A node is not heard of, or is gone: MQTT sessions that were there are taken over, and what has waited for the node's end goes on. */
  lost(peer: Peer): void {
    const { domains, ending } = this.options.node;
    for (const cluster of domains.values()) this.#sessionOrphans.lost(cluster, peer);
    ending.gone(peer);
  }

  /** A node has ended in order: this one takes over its share of the endpoints that were left. */
  left(peer: Peer): void {
    const { domains, leaving } = this.options.node;
    for (const cluster of leaving.isActive ? [] : domains.values()) this.#comeback.takeFrom(cluster, peer);
  }

  /** Registers the handlers of what other nodes ask. */
  #answer(): void {
    const { rpc, ending } = this.options.node;
    rpc.handle('taken', (peer, [addresses], reply) => {
      this.orphans.taken(peer, addresses);
      reply(true);
    });
    rpc.handle('ending', (peer, _fields, reply) => {
      ending.begin(peer);
      reply(true);
    });
    rpc.handle('takingOver', (_peer, _fields, reply) => reply(this.orphans.isBusy));
  }

  /** Has the other nodes send nothing more for this node's endpoints. Resolves when all has come that they have sent. */
  #stopOthers(): Promise<unknown> {
    const { mesh, rpc } = this.options.node;
    const others = [...mesh.peers.values()].filter(({ suspect }) => !suspect);
    return new Promise((resolve) => rpc.callAll(others, 'ending', [], STOPPED_MS, resolve));
  }

  /** Writes the last changes, such as removals of ended endpoints, and all endpoints that are still here, with their queues. */
  async lastRecords(): Promise<void> {
    this.orphans.close();
    this.options.node.ending.close();
    this.#refreshing.close();
    for (const journal of this.#journals.values()) journal.end();
    this.#ids.flush();
    if (this.#jetstream.available) {
      await this.#stopOthers();
      await this.#parting.write(this.options.node.leaving.spentMs);
    }
    const until = performance.now() + LAST_RECORDS_MS;
    const isWaiting = (): boolean => this.#records.waiting + this.#sessions.waiting > 0;
    while (this.#jetstream.available && isWaiting() && performance.now() < until) await sleep(LOOK_MS);
    if (this.#jetstream.available) await this.#parting.mark();
  }

  /** To be called when this node tells the others nothing more. */
  async close(): Promise<void> {
    await this.#parting.forget();
    this.#sessions.close();
    this.#ids.close();
    await this.#jetstream.close();
  }
}
