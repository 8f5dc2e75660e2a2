/**
 * A cluster in one process: whole domains of several nodes, whose streams, and whose answers of JetStream, move on when a test says so.
 * Nodes are killed with what they have not sent yet, and are lost to each other node at a moment of its own.
 */
import { Domain } from '../../src/actors/domain.js';
import { createSystem } from '../../src/actors/system.js';
import { newTimers } from '../../src/actors/timers.js';
import { Adoption } from '../../src/cluster/adoption.js';
import { ClusteredDomain } from '../../src/cluster/domain.js';
import { DomainMessages, HeldMessages } from '../../src/cluster/held-messages.js';
import { HybridClock } from '../../src/cluster/hybrid-clock.js';
import { take } from '../../src/cluster/incoming.js';
import { ClusterJournal } from '../../src/cluster/journal.js';
import { Leaving } from '../../src/cluster/leaving.js';
import { LeftQueues } from '../../src/cluster/left-queues.js';
import { type LocalNode, nodeOfToken, RANDOM_DIGITS } from '../../src/cluster/local-node.js';
import { Orphans } from '../../src/cluster/orphans.js';
import { type Item, Peer } from '../../src/cluster/peer.js';
import { Rpc } from '../../src/cluster/rpc.js';
import { TicketRecords } from '../../src/cluster/ticket-records.js';
import { type Config, loadConfig } from '../../src/config.js';
import { Metrics } from '../../src/metrics.js';
import { encodePacket } from '../../src/protocols/frame.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { MemoryStore } from './memory-store.js';
import { MemoryStream } from './memory-stream.js';
import { ModelEnd } from './model-end.js';
import { slowPort } from './slow-port.js';

type Task = () => void;

export const DOMAIN = 'a.example';

export type Durability = 'always' | 'restart';

const settings = {
  host: '127.0.0.1',
  port: 0,
  mqtt: { port: -1 },
  admin: { port: 0 },
  presence: { clientIdleMs: 36_000_000, graceMs: 36_000_000 },
  limits: { comingsPerMinute: 0 },
  data: 'none',
};

function configOf(durability: Durability): Config {
  const loaded = loadConfig({ ...settings, domains: [{ domain: DOMAIN, apikey: 'key', durability }] });
  if ('errors' in loaded) throw new Error(loaded.errors.join('; '));
  return loaded.config;
}

/** A store that keeps nothing for long: what matters here is in JetStream. */
function storeOf(name: string): MemoryStore {
  const store = new MemoryStore();
  Object.assign(store, { node: name, committed: (done: Task) => done() });
  return store;
}

/** What is on its way, by its sender and receiver, each in order. */
export class Network {
  readonly clock = new ManualClock();
  readonly nodes: ModelNode[] = [];
  readonly streams = new Map<string, Task[]>();
  readonly tickets = new MemoryStream();
  readonly messages = new MemoryStream();
  readonly left = new MemoryStream();
  #times = 0;

  constructor(
    count: number,
    readonly durability: Durability = 'always',
  ) {
    for (let n = 1; n <= count; n += 1) this.nodes.push(new ModelNode(`n${n}`, this));
    for (const node of this.nodes) {
      for (const { name } of this.nodes) if (name !== node.name) node.meet(name);
    }
  }

  get living(): ModelNode[] {
    return this.nodes.filter(({ isDead }) => !isDead);
  }

  /** A time for what is accepted now: it is later each time, and earlier than all that the nodes' clock says. */
  next(): number {
    this.#times += 1;
    return this.clock.now() - 1000 + this.#times / 1000;
  }

  post(stream: string, task: Task): void {
    const tasks = this.streams.get(stream) ?? [];
    this.streams.set(stream, tasks);
    tasks.push(task);
  }

  /** The streams in which something is on its way. */
  get moving(): Task[][] {
    return [...this.streams.values()].filter(({ length }) => length > 0);
  }

  node(name: string): ModelNode {
    return this.nodes.find((node) => node.name === name) as ModelNode;
  }

  /** A node is killed: of what it has sent to each node the first few arrive. */
  kill(node: ModelNode): void {
    node.isDead = true;
    for (const [stream, tasks] of this.streams) {
      const [kind, from, to] = stream.split(' ');
      if (to === node.name || (kind === 'js' && from === node.name)) tasks.length = 0;
    }
    for (const other of this.living) {
      if (other.peers.get(node.name)?.up) this.ended(node, other, () => other.lose(node.name));
    }
  }

  /**
   * Another node comes to know that a node is dead or gone, behind what that has sent it. What the node has sent to others has arrived by
   * then too: a lease is longer than any frame's way, and what comes to a node comes in the order in which NATS has had it.
   */
  ended(node: ModelNode, other: ModelNode, task: Task): void {
    this.post(`items ${node.name} ${other.name}`, () => {
      for (const { name } of this.living) {
        const sent = this.streams.get(`items ${node.name} ${name}`) ?? [];
        while (sent.length > 1) sent.shift()?.();
      }
      task();
    });
  }
}

export class ModelNode implements LocalNode {
  readonly peers = new Map<string, Peer>();
  readonly tokenPrefix: string;
  readonly encode = encodePacket;
  readonly rpc: Rpc;
  readonly stamps: HybridClock;
  readonly leaving: Leaving;
  readonly mesh: LocalNode['mesh'] & { readonly incarnation: number };
  readonly domains = new Map<string, ClusteredDomain>();
  readonly domain: Domain;
  readonly cluster: ClusteredDomain;
  isAnswering = false;
  readonly isKept = (): boolean => false;
  isDead = false;
  /** Whether it takes no new clients, as it ends in order. */
  isEnding = false;
  /** Whether it leaves endpoints in JetStream as it ends. */
  hasLeft = false;
  readonly #adoption: Adoption;
  readonly #records: TicketRecords;
  readonly #held: HeldMessages;
  readonly #orphans: Orphans;
  readonly #ending: ModelEnd;
  readonly metrics = new Metrics();

  constructor(
    readonly name: string,
    private readonly network: Network,
  ) {
    const { clock } = network;
    const incarnation = 1;
    this.tokenPrefix = Buffer.from(name).toString('hex');
    this.mesh = {
      peers: this.peers,
      incarnation,
      hasUnsent: false,
      send: (peer, item) => this.#send(peer, item),
      broadcast: (item) => {
        for (const peer of this.peers.values()) this.#send(peer, item);
      },
      barrier: (done, nodes = this.peers.values()) => this.#barrier(done, nodes),
    };
    this.rpc = new Rpc(this.mesh, clock, this.metrics.cluster);
    this.stamps = new HybridClock(clock);
    const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
    this.#records = new TicketRecords({
      ...{ jetstream, stream: slowPort(network.tickets, network, this), node: name, incarnation },
      ...{ keptMs: Number.POSITIVE_INFINITY, now: () => clock.now() },
      onConflict: (_domain, address, found) => this.#orphans.conflict(this.cluster, address, found),
    });
    this.#held = new HeldMessages(slowPort(network.messages, network, this), this);
    const left = new LeftQueues(slowPort(network.left, network, this));
    this.#orphans = new Orphans({
      ...{ name, mesh: this.mesh, rpc: this.rpc, domains: this.domains, left },
      ...{ records: this.#records, held: this.#held },
      metrics: this.metrics.cluster,
      isYoung: () => false,
      isFirst: () => false,
      isQuiet: () => false,
      leaversOf: () => new Set(),
      now: () => clock.now(),
    });
    this.#ending = new ModelEnd({ node: this, records: this.#records, queues: left, orphans: this.#orphans });
    const sessions = { handOver: async () => 0, whenMoved: (done: Task) => done() };
    this.leaving = new Leaving(this, clock, this.metrics.cluster, sessions);
    this.#adoption = new Adoption({
      ...{ name, clock, metrics: this.metrics.cluster, mesh: this.mesh },
      domain: () => this.cluster,
      isLeaving: () => this.isEnding,
    });
    const config = configOf(network.durability);
    const system = createSystem({ metrics: this.metrics });
    let cluster: ClusteredDomain | undefined;
    const runtime = {
      ...{ system, metrics: this.metrics, clock, encode: encodePacket, store: storeOf(name), era: `e${name}` },
      ...newTimers(clock, config),
      post: () => () => undefined,
      cluster: (domain: Domain) => {
        cluster = new ClusteredDomain(this, domain);
        return cluster;
      },
    };
    this.domain = new Domain(runtime, config.domains[0] as never, config);
    this.cluster = cluster as unknown as ClusteredDomain;
    this.domains.set(DOMAIN, this.cluster);
    this.#answer();
  }

  meet(name: string): void {
    const peer = new Peer(name, 1, 0, false);
    peer.stream = { backlog: 0 } as Peer['stream'];
    this.peers.set(name, peer);
  }

  #send(peer: Peer, item: string): void {
    if (!peer.up || this.isDead) return;
    const other = this.network.node(peer.name);
    if (other.isDead) return void this.#unheard.push([peer, item, this.network.next()]);
    this.network.post(`items ${this.name} ${peer.name}`, () => other.receive(this.name, JSON.parse(item)));
  }

  receive(from: string, item: Item): void {
    const peer = this.peers.get(from);
    if (!peer?.up || this.isDead) return;
    const [kind, domain, ...fields] = item;
    if (kind === '~') this.lose(domain as string);
    else if (kind === '?' || kind === '!') this.rpc.received(peer, item);
    else if (take(this.cluster, peer, kind, fields) !== 'taken') throw new Error(`refused ${JSON.stringify(item)}`);
  }

  #barrier(done: Task, nodes: Iterable<Peer>): void {
    let waiting = 1;
    const finish = (): void => {
      waiting -= 1;
      if (waiting === 0) done();
    };
    for (const peer of nodes) {
      if (!peer.up) continue;
      waiting += 1;
      let isOver = false;
      const acknowledged = (): void => {
        if (!isOver) finish();
        isOver = true;
      };
      this.#released.set(peer, [...(this.#released.get(peer) ?? []), acknowledged]);
      this.network.post(`items ${this.name} ${peer.name}`, () =>
        this.network.post(`acks ${peer.name} ${this.name}`, acknowledged),
      );
    }
    finish();
  }

  readonly #released = new Map<Peer, Task[]>();
  /** Items that were sent to nodes which were dead by then, as NATS says. */
  #unheard: (readonly [Peer, string, at: number])[] = [];

  #answer(): void {
    const { rpc } = this;
    rpc.handle('adopt', (peer, fields, reply) => this.#adoption.receive(peer, fields, reply));
    rpc.handle('adopted', (_peer, fields, reply) => {
      this.#adoption.passed(fields);
      reply(true);
    });
    rpc.handle('taken', (peer, [addresses], reply) => {
      this.#orphans.taken(peer, addresses);
      reply(true);
    });
    rpc.handle('known', (_peer, fields, reply) => this.#adoption.known(fields, reply));
    rpc.handle('arrived', (_peer, _fields, reply) => reply(true));
    rpc.handle('pass', (_peer, [, address, to], reply) => {
      this.cluster.handover.pass(address as never, to as string, () => reply(true));
    });
    rpc.handle('claim', (peer, [, ...fields], reply) => this.cluster.claims.answer(peer, fields, reply));
    rpc.handle('outcomes', (_peer, [, ...fields], reply) => this.cluster.claims.answerOutcomes(fields, reply));
    rpc.handle('visit', (_peer, [, address, token], reply) => {
      this.leaving.whenMoved(address as never, () =>
        this.#orphans.whenTaken(
          address as never,
          () => {
            const client = this.domain.tickets.find(token as string);
            reply(client?.address === address ? client?.name : false);
          },
          () => reply(null),
        ),
      );
    });
  }

  /** Another node's lease is over. */
  lose(name: string): void {
    const peer = this.peers.get(name);
    if (!peer?.up) return;
    peer.up = false;
    peer.hiddenAt = peer.lostAt = performance.now();
    this.mesh.broadcast(JSON.stringify(['~', name]));
    this.cluster.relays.lost(peer);
    this.network.post(`time ${this.name}`, this.cluster.packets.letClientsFirst());
    this.#end(peer);
  }

  #end(peer: Peer): void {
    const unheard = this.#unheard.filter(([to]) => to === peer);
    this.#unheard = this.#unheard.filter(([to]) => to !== peer);
    for (const [, item, at] of unheard) {
      const [kind, , ...fields] = JSON.parse(item);
      this.cluster.packets.goOn(kind, fields, true, at);
    }
    for (const release of this.#released.get(peer) ?? []) release();
    this.#released.delete(peer);
    this.#adoption.lost(peer);
    this.rpc.lost(peer);
    this.cluster.remoteTransports.lost(peer);
    this.cluster.remoteClients.lost(peer);
    this.domain.takeOver();
  }

  /** Another node has ended in order. */
  gone(name: string): void {
    const peer = this.peers.get(name);
    if (!peer) return;
    peer.up = false;
    this.peers.delete(name);
    this.#end(peer);
    this.#orphans.gone(peer);
    this.cluster.remoteClients.drop(peer);
    // Nobody looks for an endpoint that was left before it has been taken over: the grace is longer.
    if (this.network.node(name).hasLeft) this.#ending.gone(this.cluster, peer);
    else for (const _step of this.cluster.tracker.drop(peer));
  }

  /** Ends in order; resolves when all is handed over, or is in JetStream. `isLeft`: nothing is handed over. */
  async leave(isLeft = false): Promise<void> {
    this.isEnding = true;
    for (const other of this.network.living) {
      const peer = other.peers.get(this.name);
      if (peer) peer.leaving = true;
    }
    if (!isLeft) await this.leaving.handOver(0);
    // What has come since, in a takeover that was under way, cannot be handed over any more.
    this.hasLeft = isLeft || [...this.cluster.tracker.here()].some(({ birth }) => birth > 0);
    await (this.hasLeft ? this.#ending.leave() : this.#ending.written());
    if (this.isDead) return;
    this.isDead = true;
    for (const other of this.network.living) {
      this.network.ended(this, other, () => other.gone(this.name));
    }
  }

  close(): void {
    const { idle, returning, grace, kept, system } = this.domain.runtime;
    for (const timer of [idle, returning, grace, kept]) timer?.close();
    system.close();
  }

  get ending(): ModelEnd['nodes'] {
    return this.#ending.nodes;
  }

  homeOf(token: string): Peer | null {
    if (token.length <= RANDOM_DIGITS) return null;
    const peer = this.peers.get(nodeOfToken(token));
    return peer?.up ? peer : null;
  }

  journalOf(domain: Domain): ClusterJournal {
    this.#ending.journal = new ClusterJournal(domain, this.network.clock, this.#records);
    return this.#ending.journal;
  }

  idsOf(): () => boolean {
    return () => false;
  }

  heldOf(domain: Domain, items: { wire(packet: never): string }): DomainMessages {
    return new DomainMessages(
      domain,
      this.#held,
      (packet) => items.wire(packet as never),
      () => this.network.clock.now(),
    );
  }

  orphansOf(domain: Domain): ReturnType<Orphans['of']> {
    return this.#orphans.of(domain);
  }

  sessionsOf(): null {
    return null;
  }
}
