/**
 * One tenant: its routing table, actors, tickets and settings. Nothing crosses from one domain to another, because
 * nothing here knows another.
 */
import type { Clock, Timeouts } from '../clock.js';
import type { DomainCluster } from '../cluster/port.js';
import { type Config, type DomainConfig, type Limits, limitsOf, type ServiceConfig } from '../config.js';
import { OUT_OF_MEMORY, type ReplyError } from '../errors.js';
import { heap } from '../heap.js';
import type { DomainMetrics, DropReason, Metrics } from '../metrics.js';
import type { Store } from '../store/store.js';
import { type Address, addressOf, shortId, shortIdOf, type Target } from './address.js';
import { Arrivals } from './arrivals.js';
import type { Client, Outbox } from './client.js';
import { type EndpointMessage, endpoint, newEndpoint } from './endpoint.js';
import { Mailboxes } from './mailboxes.js';
import { FOOTPRINT, Memory } from './memory.js';
import { complete, type Outgoing, type Packet } from './packet.js';
import type { Appearance } from './presence.js';
import { type EndpointEntry, Registry } from './registry.js';
import { newRoom, type RoomMessage, room } from './room.js';
import { RoomSizes } from './room-sizes.js';
import { type Deliver, type RouterMessage, route, router, type Subscription } from './router.js';
import type { Group, Ref, System } from './system.js';
import { TopicTree } from './topic-tree.js';
import type { Trace } from './trace.js';
import type { Transport } from './transport.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Told when a message has been seen to; `kept`: it is in the offline store, and on disk with the next commit. */
export type Handled = (kept: boolean) => void;

/** What the domains of one server share. */
export interface Runtime {
  readonly system: System;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly outbox: Outbox;
  /** Clients without a transport. */
  readonly idle: Timeouts<Client>;
  /** Endpoints without a client. */
  readonly grace: Timeouts<Ref<EndpointMessage>>;
  /** Makes the transport that POSTs a service's messages to its site; it calls `drained` when it can take more. */
  readonly webhook: (domain: Domain, url: string, drained: () => void) => Transport;
  /** Makes a domain's part of the cluster; null: one node. */
  readonly cluster: ((domain: Domain) => DomainCluster) | null;
  /** What outlives the process; null: nothing does. */
  readonly store: Store | null;
}

const NO_ROOMS: readonly Address[] = [];
const NO_FILTERS: readonly string[] = [];

export class Domain {
  readonly table = new TopicTree<Subscription>();
  readonly registry = new Registry();
  readonly roomSizes: RoomSizes;
  /** Follows the packets of one endpoint; null, nearly always. */
  trace: Trace | null = null;
  /** Who has been let in and is not online yet. */
  readonly arrivals = new Arrivals();
  /** Token → client. */
  readonly tickets = new Map<string, Client>();
  /** Its part of a cluster; null: one node. */
  readonly cluster: DomainCluster | null;
  readonly router: Ref<RouterMessage>;
  readonly metrics: DomainMetrics;
  limits: Limits;
  /** The bytes that it takes on this node. */
  readonly memory: Memory;
  /** Messages to endpoints that are offline; null: nothing is kept. */
  readonly mailboxes: Mailboxes | null;
  /** What else lives in it and ends with it: MQTT sessions. */
  readonly onEnd = new Set<() => void>();
  readonly #endpoints: Group;
  readonly #rooms: Group;

  constructor(
    readonly runtime: Runtime,
    public settings: DomainConfig,
    config: Config,
  ) {
    const { system } = runtime;
    this.metrics = runtime.metrics.domain(settings.domain);
    this.roomSizes = new RoomSizes(this.metrics);
    this.limits = limitsOf(config, settings);
    this.memory = new Memory(this.metrics, () => this.limits);
    this.mailboxes = runtime.store && new Mailboxes(this, runtime.clock, runtime.store);
    this.#endpoints = system.group(`endpoints ${settings.domain}`);
    this.#rooms = system.group(`rooms ${settings.domain}`);
    this.cluster = runtime.cluster?.(this) ?? null;
    this.router = system.spawn(system.group(`router ${settings.domain}`), 'router', router, this.table);
    this.#startServices();
  }

  get name(): string {
    return this.settings.domain;
  }

  /** How many endpoints are online; in a cluster, on all nodes. */
  get online(): number {
    return this.cluster?.online ?? this.metrics.endpointsOnline;
  }

  /** How many rooms there are; in a cluster, on all nodes. */
  get roomCount(): number {
    const here = this.registry.rooms.size;
    return this.cluster === null ? here : Math.max(here, this.metrics.rooms);
  }

  /** Why nothing is taken in that needs more memory; null: it is. */
  get shortage(): ReplyError | null {
    return heap.isHigh || this.memory.isOver ? OUT_OF_MEMORY : null;
  }

  hasRoom(address: Address): boolean {
    return this.registry.rooms.has(address) || (this.cluster?.memberCount(address) ?? 0) > 0;
  }

  /** Takes over keys, limits, origins and services from a reloaded configuration. */
  reload(settings: DomainConfig, config: Config): void {
    this.settings = settings;
    this.limits = limitsOf(config, settings);
    for (const { actor } of this.registry.endpoints.values()) {
      this.runtime.system.tell(actor, { kind: 'configure' });
    }
    this.#startServices();
  }

  /** Ends all its actors and their clients: it is no more configured, or the server ends. */
  end(): void {
    const { system } = this.runtime;
    for (const { actor } of [...this.registry.endpoints.values()]) system.stop(actor as Ref<never>);
    for (const actor of [...this.registry.rooms.values()]) system.stop(actor as Ref<never>);
    for (const end of this.onEnd) end();
    this.mailboxes?.close();
    this.memory.end();
  }

  serviceConfig(id: string): ServiceConfig | undefined {
    return this.settings.services.get(id);
  }

  /** The endpoint's actor, spawned where there is none yet. */
  endpoint(target: Target): Ref<EndpointMessage> {
    const found = this.registry.endpoints.get(target.address);
    if (found) return found.actor;
    const entry: Writable<EndpointEntry> = {
      actor: undefined as unknown as Ref<EndpointMessage>,
      nick: '',
      show: 'available',
      status: '',
      appearance: null,
      rooms: NO_ROOMS,
      watching: NO_FILTERS,
    };
    const state = newEndpoint(this, target, entry);
    entry.actor = this.runtime.system.spawn(this.#endpoints, `${target.node}.${target.id}`, endpoint, state);
    this.registry.endpoints.set(target.address, entry);
    state.subscription = this.#subscribe(target.address, entry.actor);
    return entry.actor;
  }

  /** The room's actor, spawned where there is none yet. */
  room(address: Address): Ref<RoomMessage> {
    const found = this.registry.rooms.get(address);
    if (found) return found;
    const state = newRoom(this, address);
    const actor = this.runtime.system.spawn(this.#rooms, address, room, state);
    this.registry.rooms.set(address, actor);
    this.memory.add(FOOTPRINT.room);
    state.subscription = this.#subscribe(address, actor);
    return actor;
  }

  /**
   * Tells a packet to whom its topic leads, `except` left out; `only` names the one terminal it is for. Answers false
   * where that is nobody.
   */
  route(packet: Packet, only: string | null = null, except: Ref<never> | null = null): boolean {
    const owner = this.#owner(packet.topic);
    const found = route(this.runtime.system, this.table, { kind: 'deliver', packet, only }, owner, except);
    if (this.trace !== null) this.trace.routed(packet, found || except !== null);
    return found;
  }

  /** How others see an endpoint, on whichever node it lives; null where it is offline to them. */
  appearance(address: Address): Appearance | null {
    return this.cluster === null ? this.registry.appearance(address) : this.cluster.appearance(address);
  }

  /** The nick of an endpoint that is online, on whichever node; empty where there is none. */
  nick(address: Address): string {
    return this.registry.endpoints.get(address)?.nick ?? this.cluster?.nick(address) ?? '';
  }

  /** Whether anybody watches a topic by MQTT; may say so where nobody does. */
  isHeard(topic: string): boolean {
    return this.table.wildcards > 0 || this.table.has(topic);
  }

  /** The same for what another node has sent: to this node's own, who have no others to tell. */
  routeRelayed(packet: Packet): void {
    const deliver: Deliver = { kind: 'deliver', packet, only: null, relayed: true };
    const found = route(this.runtime.system, this.table, deliver, this.#owner(packet.topic));
    if (this.trace !== null) this.trace.routed(packet, found);
  }

  /** Tells the endpoint or room that a packet's topic names, and nobody who watches it; false where there is none. */
  routeToOwner(deliver: Deliver): boolean {
    const owner = this.#owner(deliver.packet.topic);
    if (owner === null) return false;
    this.runtime.system.tell(owner, deliver);
    return true;
  }

  #owner(address: Address): Ref<Deliver> | null {
    return (this.registry.endpoints.get(address)?.actor ??
      this.registry.rooms.get(address) ??
      null) as Ref<Deliver> | null;
  }

  /** The topic of a broadcast: no endpoint's address. */
  get everyone(): Address {
    return `/domain/${this.name}/broadcast` as Address;
  }

  shortId(address: Address): string {
    return shortId(this.name, address);
  }

  /** The site speaks for an endpoint. Goes through its actor where there is one, so that the order of its packets holds. */
  push(from: Target, outgoing: Outgoing, handled?: Handled): void {
    const found = this.registry.endpoints.get(from.address);
    if (found) {
      this.runtime.system.tell(found.actor, { kind: 'send', client: null, outgoing, handled });
      return;
    }
    const id = shortIdOf(from.node, from.id);
    const topic = outgoing.target?.address ?? this.everyone;
    const isKept = this.dispatch(complete(outgoing, id, id, topic, from.address), outgoing.target);
    handled?.(isKept);
  }

  /**
   * Routes a packet to its target, or to everybody. One for somebody offline is kept where the domain has that, else
   * dropped and counted. Answers whether it is kept, and on disk with the next commit.
   */
  dispatch(packet: Packet, target: Target | null): boolean {
    this.metrics.accepted[packet.kind] += 1;
    if (this.cluster !== null || target === null) {
      if (this.cluster !== null) this.cluster.dispatch(packet, target);
      else this.broadcast(packet);
      return false;
    }
    const { address, node, client } = target;
    const isAway = node !== 'gid' && client === null && !this.registry.endpoints.has(address);
    const isHeard = this.route(packet, client);
    if (isAway && this.keep(packet, address)) return true;
    if (!isHeard) this.drop(packet, 'offline', address);
    return false;
  }

  /** A packet for `receiver` goes no further. */
  drop(packet: Packet, reason: DropReason, receiver: Address): void {
    this.metrics.drop(reason, receiver);
    if (packet.trace !== null) packet.trace.hop('dropped', packet, receiver, reason);
  }

  /** Whether a message to a target would have to be kept and the disk has no room for it. */
  isDiskFull({ node, client, address }: Target, bytes: number): boolean {
    if (!this.settings.offline || !this.mailboxes || node === 'gid' || client !== null) return false;
    return !this.registry.endpoints.has(address) && !this.mailboxes.hasRoom(bytes);
  }

  /** Keeps a message for an endpoint that is offline; false where it is no message or none are kept. */
  keep(packet: Packet, address: Address): boolean {
    if (packet.kind !== 'message' || !this.settings.offline || !this.mailboxes) return false;
    if (packet.fromClient && !this.mailboxes.seen.has(address)) return false;
    this.mailboxes.keep(address, packet);
    return true;
  }

  /** To every online endpoint of this node, and to those here who watch the domain. */
  broadcast(packet: Packet, relayed?: true, isOrigin = true): void {
    const { system } = this.runtime;
    const deliver: Deliver = relayed
      ? { kind: 'deliver', packet, only: null, relayed }
      : { kind: 'deliver', packet, only: null };
    for (const { actor } of this.registry.endpoints.values()) system.tell(actor, deliver);
    route(system, this.table, isOrigin ? { kind: 'deliver', packet, only: null } : deliver, null);
    if (this.trace !== null) this.trace.routed(packet, true);
  }

  #subscribe(owner: Address, actor: Ref<EndpointMessage> | Ref<RoomMessage>): Subscription {
    const subscription: Subscription = { actor: actor as Subscription['actor'], owner };
    this.runtime.system.tell(this.router, { kind: 'subscribe', filters: [owner], subscription });
    return subscription;
  }

  /** A service with a webhook is there although no client answers for it. */
  #startServices(): void {
    for (const [id, { webhook }] of this.settings.services) {
      if (webhook === null) continue;
      const address = addressOf(this.name, 'sid', id);
      this.runtime.system.tell(this.endpoint({ address, node: 'sid', id, client: null }), { kind: 'configure' });
    }
  }
}
