/**
 * One tenant: its routing table, actors, tickets and settings. Nothing crosses from one domain to another, because
 * nothing here knows another.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timeouts } from '../clock.js';
import { type Config, type DomainConfig, type Limits, limitsOf, type ServiceConfig } from '../config.js';
import type { BanKind } from '../directory/bans.js';
import { OUT_OF_DISK, OUT_OF_MEMORY, type ReplyError } from '../errors.js';
import { heap } from '../heap.js';
import type { DomainMetrics, DropReason, Metrics } from '../metrics.js';
import { part } from '../store/keys.js';
import type { Store } from '../store/store.js';
import { type Address, addressOf, type Node, shortId, shortIdOf, type Target } from './address.js';
import { Alone } from './alone.js';
import { AwayClients } from './away.js';
import type { Client } from './client.js';
import type { DomainCluster, MessageKeeper } from './cluster.js';
import type { Deletion } from './deletions.js';
import { dispatch, toEndpointHere } from './dispatch.js';
import { type EndpointMessage, endpoint, newEndpoint } from './endpoint.js';
import { History } from './history.js';
import { DomainJournal } from './journal.js';
import type { KeptEndpoint, SessionKeeper } from './kept.js';
import { Mailboxes } from './mailboxes.js';
import { Memory } from './memory.js';
import { MessageIds } from './message-ids.js';
import type { Answered, Kept } from './outbox.js';
import { complete, type Outgoing, type Packet } from './packet.js';
import { PresenceFanout } from './presence-fanout.js';
import { Quotas, type SharedQuotas } from './quotas.js';
import { type RouterMessage, router, type TopicSubscription } from './router.js';
import { SendOrder } from './send-order.js';
import { type ServiceWebhook, serviceQueue } from './service-webhook.js';
import { SignOuts } from './sign-outs.js';
import { EVENTS_QUEUE, SiteEvents } from './site-events.js';
import type { ActorLane, Group, Ref, System } from './system.js';
import { Tickets } from './tickets.js';
import { TopicTree } from './topic-tree.js';
import type { Trace } from './trace.js';
import { Tracker } from './tracker.js';
import { Unconfirmed } from './unconfirmed.js';

/** What the domains of one server share. */
export interface Runtime {
  readonly system: System;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Ends clients that have had no transport for `presence.clientIdleMs`. */
  readonly idle: Timeouts<Client>;
  /** Ends clients that are away, when `resume.keepMs` is over since their connection was lost; null: no ticket is kept. */
  readonly kept: Timeouts<Client> | null;
  /** Ends clients that were restored at the start and have not come back in a minute. */
  readonly returning: Timeouts<Client>;
  /** Ends endpoints that have had no client for `presence.graceMs`. */
  readonly grace: Timeouts<Ref<EndpointMessage>>;
  /**
   * POSTs JSON to a domain's site, signed. `done` is called later, once, unless the answer of this function, which
   * cancels, is called before.
   */
  readonly post: (domain: Domain, url: string, body: string, done: (answer: Answered) => void) => () => void;
  /** Makes a domain's port to the other nodes; null: the server is a single node. */
  readonly cluster: ((domain: Domain) => DomainCluster) | null;
  /** A packet's JSON. */
  readonly encode: (packet: Packet) => string;
  /** Keeps what outlives the process; null: nothing does. */
  readonly store: Store | null;
  /** The era of positions. */
  readonly era: string;
  /** Bans, and how much other nodes use of the limits of the whole cluster; absent: neither exists. */
  readonly quotas?: SharedQuotas;
  /** Counts the users of each hour; absent: nobody does. */
  readonly usage?: { came(domain: string, endpoint: string, now: number): void };
}

export class Domain {
  readonly table = new TopicTree<TopicSubscription>();
  readonly tracker: Tracker;
  /** Follows the packets of one endpoint; null nearly always. */
  trace: Trace | null = null;
  /** Token → client. */
  readonly tickets = new Tickets();
  readonly away: AwayClients;
  readonly cluster: DomainCluster;
  readonly router: Ref<RouterMessage>;
  readonly metrics: DomainMetrics;
  limits: Limits;
  /** Counts the bytes that the domain takes on this node. */
  readonly memory: Memory;
  readonly quotas: Quotas;
  /** Keeps messages to endpoints that are offline; null: there is no store. */
  readonly mailboxes: Mailboxes | null;
  /** What senders have sent under ids of their own. */
  readonly messageIds: MessageIds;
  readonly sendOrder = new SendOrder();
  readonly signOuts: SignOuts;
  /** Writes what the next start of the server goes on from; null: there is no store. */
  readonly journal: DomainJournal | null;
  /** Has unconfirmed messages on disk where the domain wants that; null: there is no store. */
  readonly unconfirmed: Unconfirmed | null;
  /** Keeps queued messages: on disk (`unconfirmed`) or where a cluster keeps them; null: they are not kept. */
  readonly held: Pick<MessageKeeper, 'hold' | 'release'> | null;
  readonly fanout: PresenceFanout;
  /** Keeps the last messages of each conversation; null: the domain has no history. */
  history: History | null = null;
  /** Tells the site what happens; null: it wants to know nothing. */
  events: SiteEvents | null = null;
  /** Called with the kind and the JSON of each event of the domain; null: nobody listens. */
  onEvent: ((kind: string, json: string) => void) | null = null;
  /** The webhooks of the domain's services. */
  readonly webhooks = new Set<ServiceWebhook>();
  /** Keeps the state that a protocol has of its clients through a restart; null: no state is kept. */
  sessions: SessionKeeper | null = null;
  /** Called when the domain ends, so that its MQTT sessions end too. */
  readonly onEnd = new Set<() => void>();
  /** Called when an operator or a ban ends clients, so that MQTT backends, which have no tickets, end too. */
  readonly onKick = new Set<(kind: BanKind, value: string) => void>();
  /** Called where messages are deleted that may wait on this node: MQTT sessions take them out of what waits for backends. */
  readonly onDeleted = new Set<(deletion: Deletion) => void>();
  /** Called when the domain's API keys have changed. */
  readonly onKeys = new Set<() => void>();
  /** Whether the domain ends because the server does. Endpoints that end then stay in the tracker, since nobody can ask who is online any more. */
  endsWithServer = false;
  /** Whether a node is gone and this one goes on with its work; false of all while it is not known which nodes there are. */
  #isLeft: (node: string) => boolean = () => false;
  readonly #endpoints: Group;
  /** The queue of the domain's messages and of writes to its clients. */
  readonly lane: ActorLane;

  constructor(
    readonly runtime: Runtime,
    public settings: DomainConfig,
    config: Config,
  ) {
    const { system } = runtime;
    this.lane = system.lane();
    this.metrics = runtime.metrics.domain(settings.domain);
    this.limits = limitsOf(config, settings);
    this.quotas = new Quotas(this.name, this.metrics, runtime.clock, () => this.limits, runtime.quotas ?? null);
    this.away = new AwayClients(this);
    this.memory = new Memory(this.metrics, () => this.limits);
    const { ownStore: own } = this;
    this.mailboxes = runtime.store && new Mailboxes(this, runtime.clock, runtime.store);
    if (this.mailboxes) {
      this.mailboxes.arrived = (address, read) => this.tracker.actor(address)?.tell({ kind: 'wait', read });
    }
    this.messageIds = new MessageIds(this, runtime.clock, own);
    this.signOuts = new SignOuts(this, runtime.clock, config.resume.keepMs, runtime.store);
    this.journal = own && new DomainJournal(this, runtime.clock, own);
    this.unconfirmed = own && new Unconfirmed(this, own);
    this.fanout = new PresenceFanout(this);
    this.#endpoints = system.group(`endpoints ${settings.domain}`, this.lane);
    this.cluster = runtime.cluster?.(this) ?? new Alone((packet, only) => toEndpointHere(this, packet, only));
    this.held = this.unconfirmed ?? this.cluster.held;
    this.tracker = new Tracker(this.cluster, this.fanout, this.memory, this.metrics);
    this.router = system.spawn(system.group(`router ${settings.domain}`, this.lane), router, this.table);
    this.tracker.rooms.onEmpty = (room) => this.events?.presence.roomEmpty(room);
    this.#forgetWebhooks();
    this.#configureEvents();
    this.#startServices();
    this.#startHistory();
  }

  get name(): string {
    return this.settings.domain;
  }

  /** The store, where only this server uses it; null in a cluster, whose store does not hold the state of a single node. */
  get ownStore(): Store | null {
    const { store } = this.runtime;
    return store?.node === null ? store : null;
  }

  /** The reason to refuse requests that need more memory; null: there is memory. Reading it counts a refusal for `bytesPerDomain`. */
  get shortage(): ReplyError | null {
    if (heap.isHigh) return OUT_OF_MEMORY;
    if (!this.memory.isOver) return null;
    this.metrics.exceed('bytesPerDomain');
    return OUT_OF_MEMORY;
  }

  /** The reason to refuse messages because the disk is full and they have to be on it; null: messages are accepted. */
  get diskShortage(): ReplyError | null {
    return this.answersFromDisk && !this.runtime.store?.hasRoom() ? OUT_OF_DISK : null;
  }

  /** Whether a message is answered only when it is on disk. */
  get answersFromDisk(): boolean {
    return this.settings.durability === 'always' && this.held !== null;
  }

  /** Calls `done` when all messages that were accepted before are where the domain keeps them. */
  committed(done: () => void): void {
    const { store } = this.runtime;
    const { held, journal } = this.cluster;
    const stored = (): void => (store ? store.committed(done) : done());
    const kept = (): void => (held ? held.committed(stored) : stored());
    if (journal) journal.recorded(kept);
    else kept();
  }

  /** Takes over keys, limits, origins and services of a reloaded configuration. */
  reload(settings: DomainConfig, config: Config): void {
    const { durability: before, apikey } = this.settings;
    this.settings = settings;
    this.limits = limitsOf(config, settings);
    this.journal?.reload(before);
    for (const { actor } of this.tracker.here()) actor.tell({ kind: 'configure' });
    this.#configureEvents();
    this.#startServices();
    this.#startHistory();
    if (!isDeepStrictEqual(apikey, settings.apikey)) for (const changed of this.onKeys) changed();
  }

  /** Ends all actors of the domain and their clients: the domain is no more configured, or the server ends. */
  end(): void {
    this.journal?.clear();
    this.events?.end();
    // All endpoints of the domain end together, so none is left to be told of the others' presence.
    this.fanout.silently(() => {
      for (const { actor } of [...this.tracker.here()]) (actor as Ref<never>).stop();
    });
    for (const end of this.onEnd) end();
    this.mailboxes?.close();
    this.history?.close();
    this.messageIds.close();
    this.memory.end();
  }

  /** An endpoint has changed: has it written for the next start of the server, or for the node that takes it over. */
  changed(address: Address, actor: Ref<EndpointMessage>): void {
    this.journal?.changed(address, actor);
    this.cluster.journal?.changed(address, actor);
  }

  keepEndpoint(node: Node, id: string, kept: KeptEndpoint): void {
    this.journal?.keep(node, id, kept);
    this.cluster.journal?.keep(node, id, kept);
  }

  serviceConfig(id: string): ServiceConfig | undefined {
    return this.settings.services.get(id);
  }

  /** The endpoint's actor, spawned where there is none yet. */
  endpoint(target: Target): Ref<EndpointMessage> {
    const found = this.tracker.actor(target.address);
    if (found) return found;
    const record = this.tracker.record(target.address);
    const state = newEndpoint(this, target, record);
    record.actor = this.runtime.system.spawn(this.#endpoints, endpoint, state);
    return record.actor;
  }

  /**
   * Signs an endpoint out by its name, as all nodes come to know: its clients end, and its tokens up to now are refused.
   * Answers the endpoint's actor on this node, which has not been told yet.
   */
  signOut(address: Address): Ref<EndpointMessage> | null {
    const now = this.runtime.clock.now();
    this.signOuts.add(address, now);
    this.cluster.signedOutByName([[address, now]]);
    return this.tracker.actor(address);
  }

  /** The nick of an endpoint that is online, on whichever node; empty where there is none. */
  nick(address: Address): string {
    return this.tracker.records.get(address)?.nick ?? '';
  }

  /** The topic of broadcasts, which is no endpoint's address. */
  get everyone(): Address {
    return `/domain/${this.name}/broadcast` as Address;
  }

  shortId(address: Address): string {
    return shortId(this.name, address);
  }

  /** The site speaks for an endpoint: through the endpoint's actor where there is one, so that the order of its packets holds. */
  push(from: Target, outgoing: Outgoing): void {
    const actor = this.tracker.actor(from.address);
    if (actor) {
      actor.tell({ kind: 'send', client: null, outgoing });
      return;
    }
    const id = shortIdOf(from.node, from.id);
    const topic = outgoing.target?.address ?? this.everyone;
    dispatch(this, complete(outgoing, id, id, topic, from.address), outgoing.target);
  }

  /** Counts a packet for `receiver` that goes no further. */
  drop(packet: Packet, reason: DropReason, receiver: Address): void {
    this.metrics.drop(reason, receiver);
    if (packet.trace !== null) packet.trace.hop('dropped', packet, receiver, reason);
  }

  /** Whether a message to a target would have to be kept and the disk has no room for it. */
  isDiskFull({ node, client, address }: Target, bytes: number): boolean {
    if (this.answersFromDisk && !this.runtime.store?.hasRoom(bytes)) return true;
    if (!this.settings.offline || !this.mailboxes || node === 'gid' || client !== null) return false;
    return this.tracker.actor(address) === null && !this.mailboxes.hasRoom(bytes);
  }

  /**
   * What becomes of a packet for an endpoint that is offline: a message is kept where the domain has that, for which there may be
   * no room; null: nobody keeps it, and it is for the caller to count as dropped.
   */
  keep(packet: Packet, address: Address): 'stored' | 'dropped' | null {
    if (packet.kind !== 'message' || !this.settings.offline || !this.mailboxes) return null;
    if (packet.fromClient && !this.mailboxes.seen.has(address)) return null;
    return this.mailboxes.keep(address, packet) ? 'stored' : 'dropped';
  }

  /** Starts, configures or ends the history as the settings say; messages stay on disk when the domain no longer has a history. */
  #startHistory(): void {
    const { runtime, settings, history } = this;
    if (history && settings.history) history.settings = settings.history;
    else if (history) {
      history.close();
      this.history = null;
    } else if (settings.history && runtime.store) {
      this.history = new History(this, runtime.clock, runtime.store, settings.history, runtime.encode);
      this.history.isLeft = (node) => this.#isLeft(node);
    }
  }

  #configureEvents(): void {
    if (this.settings.events) this.events ??= new SiteEvents(this);
    this.events?.configure();
    if (!this.settings.events) this.events = null;
  }

  /** Removes items that wait on disk for webhooks that are no longer configured. */
  #forgetWebhooks(): void {
    const table = this.runtime.store?.table<Kept>('webhooks');
    const { events, services } = this.settings;
    const queues = [...services].filter(([, { webhook }]) => webhook !== null).map(([id]) => serviceQueue(id));
    const known = new Set<unknown>(events?.url ? [...queues, EVENTS_QUEUE] : queues);
    for (const [key] of [...(table?.entries(part(this.name)) ?? [])]) {
      if (known.has(key[1])) continue;
      table?.remove(key);
      this.metrics.events.discarded += 1;
    }
  }

  /** Takes over events and webhook messages that nodes which are gone have left unsent, and the care of their parts of the history. */
  takeOver(): void {
    this.#isLeft = (node) => this.cluster.succeeds(node);
    this.events?.takeOver(this.#isLeft);
    for (const webhook of this.webhooks) webhook.takeOver(this.#isLeft);
  }

  /** A service with a webhook has an actor although no client answers for it. */
  #startServices(): void {
    for (const [id, { webhook }] of this.settings.services) {
      if (webhook === null) continue;
      const address = addressOf(this.name, 'sid', id);
      this.endpoint({ address, node: 'sid', id, client: null }).tell({ kind: 'configure' });
    }
  }
}
