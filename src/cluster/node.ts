/** This node of the cluster: its name, its domains' parts, and what it exchanges with the other nodes. */
import type { Address } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { answerForget } from '../actors/forgetting.js';
import type { Packet } from '../actors/packet.js';
import type { System } from '../actors/system.js';
import { Timers } from '../clock.js';
import { log } from '../log.js';
import { inSlices } from '../slices.js';
import type { OrphanFinder, SessionStore } from './adopted.js';
import { Adoption } from './adoption.js';
import type { ClaimOptions } from './claims.js';
import { ClusteredDomain } from './domain.js';
import { tellDropped } from './dropped.js';
import { EndingNodes } from './ending-nodes.js';
import { takeBack } from './endpoint-packets.js';
import { Grace } from './grace.js';
import { HybridClock } from './hybrid-clock.js';
import { take } from './incoming.js';
import { Leaving } from './leaving.js';
import { type LocalNode, nodeOfToken, RANDOM_DIGITS } from './local-node.js';
import { Mesh } from './mesh.js';
import type { MeshEvents } from './mesh-events.js';
import { MovingSessions } from './moving-sessions.js';
import { NodeStore, type NodeStoreOptions } from './node-store.js';
import type { Item, Peer, Taken } from './peer.js';
import { Rpc, type RpcHandler } from './rpc.js';
import { Tunnels } from './tunnels.js';

/** What all nodes have of each other beside what belongs to a domain that is served: items whose kinds begin with `d`. */
export interface SharedItems {
  /** Another node tells of a domain: it is made where it is served and nobody has asked for it yet. */
  wake(domain: string): void;
  take(item: Item): Taken;
  /** All shared items, for the snapshot of a node that has come. */
  items(): Iterable<string>;
}

/** How many unknown kinds of items are logged, and how many characters of each: a kind is whatever a peer says. */
const UNKNOWN_KINDS = 16;
/** After this many leases a node that has started knows the other nodes. */
const SETTLED_LEASES = 2;
const KIND_CHARACTERS = 16;

export interface NodeOptions extends Omit<NodeStoreOptions, 'node'> {
  /** The name of this node. */
  readonly name: string;
  readonly system: System;
  /** Names of the other workers of this server. */
  readonly siblings: ReadonlySet<string>;
  /** A packet's JSON. */
  readonly encode: (packet: Packet) => string;
  readonly shared: SharedItems;
}

type AnswerFor = (cluster: ClusteredDomain, ...call: Parameters<RpcHandler>) => void;

export class ClusterNode implements LocalNode, MeshEvents {
  readonly name: string;
  readonly tokenPrefix: string;
  readonly encode: (packet: Packet) => string;
  readonly mesh: Mesh;
  readonly rpc: Rpc;
  readonly stamps: HybridClock;
  readonly tunnels: Tunnels;
  readonly domains = new Map<string, ClusteredDomain>();
  readonly leaving: Leaving;
  readonly ending = new EndingNodes();
  readonly isKept = (cluster: ClusteredDomain): boolean => this.#store?.keeps(cluster) === true;
  isAnswering = false;
  readonly #adoption: Adoption;
  readonly #sessions: MovingSessions;
  /** null where `cluster.store` is not `jetstream`: the clients of a node are then lost with it. */
  readonly #store: NodeStore | null;
  readonly timers: Timers;
  readonly #grace: Grace;
  readonly #unknown = new Set<string>();
  /** Peers whose snapshot is coming in. */
  readonly #telling = new Set<Peer>();
  /** Whether a domain has been added of which other nodes may have told earlier. */
  #hasMissed = false;
  readonly #endOfTurn = () => this.mesh.flush();

  constructor(private readonly options: NodeOptions) {
    const { config, name, clock, metrics, system, siblings, encode } = options;
    this.name = name;
    this.tokenPrefix = Buffer.from(this.name).toString('hex');
    this.encode = encode;
    this.mesh = new Mesh(
      {
        urls: config.nats,
        cluster: config.name,
        node: this.name,
        leaseMs: config.leaseMs,
        workers: siblings,
        clock,
        metrics: metrics.cluster,
        conditions: metrics.conditions,
        wake: () => system.wake(),
      },
      this,
    );
    this.stamps = new HybridClock(clock);
    this.timers = new Timers(clock);
    this.rpc = new Rpc(this.mesh, clock, metrics.cluster);
    this.#grace = new Grace({
      ...{ graceMs: options.graceMs, leaseMs: config.leaseMs, timers: this.timers, rpc: this.rpc },
      peers: this.mesh.peers,
      now: () => clock.now(),
      isBusy: () => this.#store?.orphans.isBusy === true,
    });
    this.tunnels = new Tunnels(this.mesh);
    this.#sessions = new MovingSessions(this, clock, metrics.cluster);
    this.leaving = new Leaving(this, clock, metrics.cluster, this.#sessions);
    this.#adoption = new Adoption({
      ...{ name, clock, metrics: metrics.cluster, mesh: this.mesh },
      domain: (domain) => this.domainOf(domain),
      isLeaving: () => this.leaving.isActive,
    });
    this.#store =
      config.store === 'jetstream'
        ? new NodeStore({ config, graceMs: options.graceMs, clock, metrics, node: this })
        : null;
    system.endOfTurn.add(this.#endOfTurn);
    this.#answer();
  }

  journalOf(domain: Domain): ReturnType<NodeStore['journalOf']> | null {
    return this.#store?.journalOf(domain) ?? null;
  }

  heldOf(domain: Domain, items: Pick<ClusteredDomain['items'], 'wire'>): ReturnType<NodeStore['heldOf']> | null {
    return this.#store?.heldOf(domain, items) ?? null;
  }

  idsOf(domain: Domain): ClaimOptions['whenKnown'] {
    return this.#store?.idsOf(domain) ?? (() => false);
  }

  orphansOf(domain: Domain): OrphanFinder | null {
    return this.#store?.orphansOf(domain) ?? null;
  }

  sessionsOf(domain: Domain): SessionStore | null {
    return this.#store?.sessionsOf(domain) ?? null;
  }

  /** Registers the handlers of the calls that other nodes make. */
  #answer(): void {
    this.rpc.handle('adopt', (peer, fields, reply) => this.#adoption.receive(peer, fields, reply));
    this.rpc.handle('adopted', (_peer, fields, reply) => {
      this.#adoption.passed(fields);
      reply(true);
    });
    this.rpc.handle('sessions', (peer, [name, ...fields], reply) => {
      this.#sessions.receive(peer, this.domainOf(name as string), fields, reply);
    });
    this.rpc.handle('sessionsPassed', (_peer, [name, clientIds], reply) => {
      const { mover } = this.domainOf(name as string)?.sessions ?? {};
      for (const clientId of Array.isArray(clientIds) ? clientIds : []) mover?.passed(clientId as string);
      reply(true);
    });
    this.rpc.handle('known', (_peer, fields, reply) => this.#adoption.known(fields, reply));
    this.rpc.handle('arrived', (_peer, _fields, reply) => reply(true));
    this.#answerFor('pass', ({ handover }, _peer, [address, to], reply) => {
      handover.pass(address as Address, to as string, () => reply(true));
    });
    this.#answerFor('claim', ({ claims }, peer, fields, reply) => claims.answer(peer, fields, reply));
    this.#answerFor('forget', ({ forgetting }, _peer, fields, reply) => forgetting.answer(fields, reply));
    this.rpc.handle('forgetMoved', (_peer, [domain, ...fields], reply) => {
      answerForget(this.domainOf(domain as string)?.domain, fields, reply);
    });
    this.#answerFor('outcomes', ({ claims }, _peer, fields, reply) => claims.answerOutcomes(fields, reply));
    this.rpc.handle('visit', (_peer, [name, address, token, counting], reply) => {
      const { domain } = this.domains.get(name as string) ?? {};
      const find = (): void => {
        const client = domain?.tickets.find(token as string);
        // Where this node is about to leave the client in JetStream, that is taken over when this node is gone.
        if (client?.address === address) return this.leaving.isOver && this.#store ? undefined : reply(client?.name);
        // An empty name: the ticket was ended by a sign-out, and a connection that attaches to it is stopped (remote-transport.ts).
        // Where the ticket is unknown the answer is false; null stands for a node that has not answered.
        reply(counting && domain?.signOuts.hasEnded(token as string) ? '' : false);
      };
      this.#whenSettled(address as Address, find, () => reply(null));
    });
  }

  /** Registers a handler of calls that are about a domain, the first of their fields; where this node has no such domain the answer is null. */
  #answerFor(kind: string, answer: AnswerFor): void {
    this.rpc.handle(kind, (peer, [domain, ...fields], reply) => {
      const cluster = this.domainOf(domain as string);
      if (cluster) answer(cluster, peer, fields, reply);
      else reply(null);
    });
  }

  /** Calls `done` when an endpoint is neither on its way from this node nor being taken over by it; `full` where too many wait for that. */
  #whenSettled(address: Address, done: () => void, full: () => void): void {
    const { orphans } = this.#store ?? {};
    this.leaving.whenMoved(address, () => (orphans ? orphans.whenTaken(address, done, full) : done()));
  }

  /** Resolves when this node is in the cluster and knows what the others know, or cannot join for now. */
  async start(): Promise<void> {
    await this.#store?.start();
    await this.mesh.start();
  }

  /** Takes over endpoints that an earlier start of this node has left. Resolves when that is done, or goes on behind other work. */
  async restore(): Promise<void> {
    await this.#store?.restore();
  }

  joined(): void {
    this.#store?.joined();
    const what = { event: 'cluster joined', node: this.name, pid: process.pid, nodes: this.mesh.peers.size + 1 };
    log.info(what, `this is node ${this.name}`);
  }

  async close(): Promise<void> {
    this.options.system.endOfTurn.delete(this.#endOfTurn);
    this.timers.close();
    this.#adoption.close();
    this.#sessions.close();
    await this.#store?.lastRecords();
    this.rpc.close();
    await this.mesh.close();
    await this.#store?.close();
  }

  domain(domain: Domain): ClusteredDomain {
    const cluster = new ClusteredDomain(this, domain);
    this.domains.set(domain.name, cluster);
    // The work of other nodes is taken over only when it is known which nodes there are.
    const cancel = this.timers.after(SETTLED_LEASES * this.options.config.leaseMs, () => {
      domain.takeOver();
      this.#store?.sweep(cluster);
    });
    domain.onEnd.add(() => {
      cancel();
      this.domains.delete(domain.name);
      cluster.remoteClients.end();
      cluster.tracker.end();
    });
    // What the others told of the domain before it was configured here has been ignored.
    this.#hasMissed = true;
    setImmediate(() => this.#askForMissed());
    return cluster;
  }

  /** Asks other nodes for snapshots, once for all domains added, and not while a snapshot comes in, which may tell of further domains. */
  #askForMissed(): void {
    if (!this.#hasMissed || this.#telling.size > 0) return;
    this.#hasMissed = false;
    this.mesh.askForEverything();
  }

  /** The living node that issued a token; null where this node issued it, or where the node that did is gone. */
  homeOf(token: string): Peer | null {
    if (token.length <= RANDOM_DIGITS) return null;
    const peer = this.mesh.peers.get(nodeOfToken(token));
    return peer?.up ? peer : null;
  }

  received(peer: Peer, item: Item): void {
    const [kind, domain, ...fields] = item;
    if (kind === '=') return this.#took(peer, kind, this.tunnels.received(peer, item));
    if (kind === '?' || kind === '!') return this.#took(peer, kind, this.rpc.received(peer, item));
    if (kind.startsWith('d')) return this.#took(peer, kind, this.options.shared.take(item));
    const cluster = this.domainOf(domain as string);
    if (cluster) this.#took(peer, kind, take(cluster, peer, kind, fields));
  }

  domainOf(domain: string): ClusteredDomain | undefined {
    const known = this.domains.get(domain);
    if (known) return known;
    this.options.shared.wake(domain);
    return this.domains.get(domain);
  }

  #took(peer: Peer, kind: string, taken: Taken): void {
    if (taken === 'taken') return;
    if (taken === 'malformed') this.mesh.refuse(peer, kind);
    else this.#noteUnknown(peer, kind.slice(0, KIND_CHARACTERS));
  }

  /** Logs an item of an unknown kind, once for each kind, and no more kinds than a newer version may have. */
  #noteUnknown(peer: Peer, kind: string): void {
    if (this.#unknown.has(kind) || this.#unknown.size >= UNKNOWN_KINDS) return;
    this.#unknown.add(kind);
    const what = { event: 'item unknown', kind, node: peer.name };
    log.warn(what, 'a node of a newer version tells what this one cannot read');
  }

  *snapshot(peer: Peer, afterGap: boolean): Iterator<string> {
    // First which domains there are, so that what follows is taken.
    yield* this.options.shared.items();
    for (const cluster of this.domains.values()) {
      yield* cluster.snapshot(peer);
      if (afterGap) yield* cluster.remoteClients.renewals(peer);
    }
  }

  snapshotBegins(peer: Peer, afterGap: boolean): void {
    this.#telling.add(peer);
    if (afterGap) this.tunnels.broken(peer);
    for (const cluster of this.domains.values()) {
      const { tracker, remoteWatchers, interest, remoteTransports, remoteClients, topics, sessions } = cluster;
      sessions.expect(peer);
      tracker.expect(peer);
      remoteWatchers.doubt();
      interest.expect(peer);
      topics.expect(peer);
      if (!afterGap) continue;
      remoteTransports.expect(peer);
      remoteClients.renew(peer);
    }
  }

  snapshotEnded(peer: Peer): void {
    if (peer.lostAt > 0) this.#store?.orphans.back(peer);
    peer.lostAt = 0;
    this.#telling.delete(peer);
    this.#askForMissed();
    for (const { tracker, interest, remoteTransports, topics, sessions } of this.domains.values()) {
      sessions.settle(peer);
      tracker.settle(peer);
      interest.settle(peer);
      topics.settle(peer);
      remoteTransports.settle(peer);
    }
  }

  reset(peer: Peer, dropped: readonly string[]): void {
    this.tunnels.lost(peer);
    // A call that is being sent is answered when that has returned.
    if (dropped.length > 0) setImmediate(inSlices, tellDropped(this, peer, dropped));
  }

  hidden(peer: Peer): void {
    if (peer.lostAt === 0) peer.lostAt = performance.now();
    this.#store?.readIds(peer);
    takeBack(this, peer, false);
    this.#disconnect(peer);
    for (const { domain } of this.domains.values()) domain.takeOver();
    this.#store?.lost(peer);
    const hide = (): void => inSlices(this.#hiding(peer));
    // The peer's clients can be taken over by another node: they stay online for the time of a page reload, to come to one.
    if (this.#store && this.options.graceMs > 0) this.#grace.after(peer, hide);
    else hide();
  }

  /** Takes a peer's endpoints for offline, one a step, unless the peer is heard of meanwhile. */
  *#hiding(peer: Peer): Generator<void> {
    for (const { tracker } of this.domains.values()) {
      const steps = tracker.hide(peer);
      // A generator does its step before it says so: the peer is looked at first.
      while (!peer.up && !steps.next().done) yield;
    }
  }

  /** Calls that a peer has not answered fail, and connections that a peer carries, or that are carried to it, end. */
  #disconnect(peer: Peer): void {
    this.#telling.delete(peer);
    this.#adoption.lost(peer);
    this.#sessions.lost(peer);
    this.rpc.lost(peer);
    this.tunnels.lost(peer);
    for (const { remoteTransports, remoteClients } of this.domains.values()) {
      remoteTransports.lost(peer);
      remoteClients.lost(peer);
    }
  }

  gone(peer: Peer, inOrder: boolean): void {
    if (inOrder) this.#store?.readIds(peer);
    // It was heard of until now: it has ended in order, or was killed and started again within its lease.
    if (peer.hiddenAt === 0) takeBack(this, peer, inOrder);
    this.#disconnect(peer);
    this.#store?.orphans.gone(peer);
    this.#store?.lost(peer);
    if (inOrder) this.#store?.left(peer);
    const drop = () => {
      for (const cluster of this.domains.values()) {
        const { domain, tracker, remoteWatchers, interest, topics, sessions, remoteClients, awayCounts } = cluster;
        domain.takeOver();
        sessions.drop(peer);
        awayCounts.drop(peer);
        remoteClients.drop(peer);
        inSlices(tracker.drop(peer));
        remoteWatchers.doubt();
        interest.drop(peer);
        topics.drop(peer);
      }
    };
    // A node that ends in order has told its clients to come elsewhere: they have the time of a page reload to do so.
    if ((!inOrder && !this.#store) || this.options.graceMs === 0) return drop();
    this.#grace.after(peer, drop);
  }
}
