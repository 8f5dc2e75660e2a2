/**
 * One node of a simulated cluster: the server's own mesh, streams and tracker on a real NATS, with users that are
 * records of the tracker instead of people with browsers. Told what to do by the conductor (main.ts), over its channel.
 */
import type { Address } from '../../src/actors/address.js';
import { Domain, type Runtime } from '../../src/actors/domain.js';
import type { Show } from '../../src/actors/presence.js';
import { createSystem } from '../../src/actors/system.js';
import { hashOf } from '../../src/actors/tickets.js';
import { systemClock, Timeouts } from '../../src/clock.js';
import type { Adopted } from '../../src/cluster/adopted.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { JetStream } from '../../src/cluster/jetstream.js';
import { ClusterNode } from '../../src/cluster/node.js';
import { TicketRecords } from '../../src/cluster/ticket-records.js';
import { loadConfig } from '../../src/config.js';
import { Metrics } from '../../src/metrics.js';
import { encodePacket } from '../../src/protocols/frame.js';

/** What one node is. */
export interface Part {
  readonly name: string;
  readonly nats: string;
  readonly leaseMs: number;
  /** Its first user, and how many it has. */
  readonly first: number;
  readonly users: number;
  /** Whether its users' tickets are kept in JetStream, from which other nodes take them over. */
  readonly isKept: boolean;
}

export type Task =
  | { readonly kind: 'join' }
  /** Brings all its users online. */
  | { readonly kind: 'populate' }
  /** Changes shows at a rate, for a time. */
  | { readonly kind: 'change'; readonly rate: number; readonly ms: number }
  /** Takes over users of a node that is gone, as if they all had come here at once, each with its ticket. */
  | { readonly kind: 'adopt'; readonly node: string; readonly first: number; readonly users: number }
  | { readonly kind: 'look' };

/** How a node sees the cluster, and what that has cost it so far. */
export interface View {
  /** Users that it takes for online, those of all nodes. */
  readonly online: number;
  /** Of these, users whose show is `away`. */
  readonly away: number;
  /** Users taken over, and how often one was told to come later. */
  readonly adopted: number;
  readonly delayed: number;
  /** Milliseconds that each answer of another node has taken since the last look. */
  readonly hopsMs: readonly number[];
  readonly cpuMs: number;
  readonly heapBytes: number;
  readonly residentBytes: number;
}

const domainName = 'sim.example';

/** How long users of a node that is gone stay online where they can be taken over, as `presence.graceMs` has it by default. */
const graceMs = 8000;

/** Users brought online in one turn of the event loop. */
const usersInATurn = 500;

/** How often a node asks another one for an answer, to see how long that takes; and how long it waits for one at most. */
const hopEveryMs = 20;
const hopLimitMs = 10_000;

const userOf = (user: number): string => `u${String(user).padStart(7, '0')}`;
const tokenOf = (node: string, user: number): string =>
  Buffer.from(node).toString('hex') + userOf(user).padStart(32, '0');

const addressOf = (user: number): Address => `/domain/${domainName}/uid/${userOf(user)}` as Address;

function createRuntime(metrics: Metrics, cluster: (domain: Domain) => ClusteredDomain): Runtime {
  const system = createSystem({ metrics });
  const nothing = (): void => undefined;
  return {
    system,
    metrics,
    clock: systemClock,
    idle: new Timeouts(systemClock, 10_000, nothing),
    returning: new Timeouts(systemClock, 60_000, nothing),
    grace: new Timeouts(systemClock, graceMs, nothing),
    kept: null,
    encode: encodePacket,
    store: null,
    era: 'e',
    post: () => {
      throw new Error('nobody has a webhook here');
    },
    cluster,
  };
}

class SimulatedNode {
  readonly #part: Part;
  readonly #node: ClusterNode;
  readonly #domain: Domain;
  readonly #shows: Show[] = [];
  #hopsMs: number[] = [];

  constructor(part: Part) {
    this.#part = part;
    const loaded = loadConfig({
      data: 'none',
      domains: [{ domain: domainName, apikey: 'key' }],
      cluster: {
        ...{ nats: [part.nats], node: part.name, leaseMs: part.leaseMs },
        store: part.isKept ? 'jetstream' : 'none',
      },
    });
    if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
    const { config } = loaded;
    let node: ClusterNode | undefined;
    const runtime = createRuntime(new Metrics(), (domain) => {
      node = new ClusterNode({
        config: config.cluster,
        name: part.name,
        graceMs: part.isKept ? graceMs : 0,
        clock: systemClock,
        metrics: domain.runtime.metrics,
        system: domain.runtime.system,
        siblings: new Set(),
        encode: encodePacket,
        shared: { take: () => 'unknown', items: () => [], wake: () => undefined },
      });
      return node.domain(domain);
    });
    const [settings] = config.domains;
    if (!settings) throw new Error('no domain');
    const domain = new Domain(runtime, settings, config);
    if (!node) throw new Error('the domain has not asked for its cluster');
    this.#node = node;
    this.#domain = domain;
  }

  async join(): Promise<void> {
    await this.#node.start();
    if (this.#part.isKept) setInterval(() => this.#hop(), hopEveryMs).unref();
  }

  /** Asks another node that lives for an answer, as a message between their users would be sent. */
  #hop(): void {
    const { mesh, rpc } = this.#node;
    const peer = [...mesh.peers.values()].find(({ up }) => up);
    if (!peer) return;
    const startMs = performance.now();
    rpc.call(peer, 'arrived', [], hopLimitMs, () => void this.#hopsMs.push(performance.now() - startMs));
  }

  async populate(): Promise<void> {
    const { users, isKept } = this.#part;
    const records = isKept ? await this.#records() : null;
    for (let user = 0; user < users; user += 1) {
      this.#update(user, 'available');
      if (records) this.#keep(records, user);
      if (user % usersInATurn > 0) continue;
      if (records)
        await new Promise<void>((resolve) => records.written(domainName, addressOf(this.#part.first + user), resolve));
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** A writer of records beside the node's own: the records of users that are no endpoints. */
  async #records(): Promise<TicketRecords> {
    const { name, nats } = this.#part;
    const { jetstream: metrics, conditions } = this.#domain.runtime.metrics;
    const jetstream = new JetStream({
      urls: [nats],
      cluster: 'nextalk',
      node: name,
      replicas: 1,
      keeps: 'tickets',
      conditions,
      metrics,
    });
    const stream = jetstream.stream('tickets');
    await jetstream.start();
    const onConflict = (): never => {
      throw new Error('two nodes have one user');
    };
    const { incarnation } = this.#node.mesh;
    const time = { keptMs: Number.POSITIVE_INFINITY, now: Date.now };
    return new TicketRecords({ jetstream, stream, node: name, incarnation, ...time, onConflict });
  }

  #keep(records: TicketRecords, user: number): void {
    const { name, first } = this.#part;
    const hash = hashOf(tokenOf(name, first + user));
    const clients = [{ hash, name: '1', isNamed: false, isAway: false }];
    const nick = `User ${first + user}`;
    const kept = { nick, show: 'available', status: '', buddies: [], rooms: [], isAway: false, clients } as const;
    records.put(domainName, addressOf(first + user), kept);
  }

  /**
   * Has the clients of a dead node's users come to this node, which takes each user over; resolves when it has all of them. A client that
   * is told when to come again waits for once to twice that time, as the browser library does.
   */
  async adopt(node: string, first: number, users: number): Promise<void> {
    const { orphans } = this.#domain.cluster as ClusteredDomain;
    if (!orphans) throw new Error('nothing is kept');
    const come = async (user: number): Promise<void> => {
      const find = (): Promise<Adopted> =>
        new Promise((resolve) => orphans.find(addressOf(user), tokenOf(node, user), resolve));
      for (let found = await find(); found !== 'here'; found = await find()) {
        if (found !== 'later') throw new Error(`user ${user} is not known`);
        const laterMs = orphans.laterS() * 1000;
        await new Promise((resolve) => setTimeout(resolve, laterMs * (1 + Math.random())));
      }
    };
    await Promise.all(Array.from({ length: users }, (_, index) => come(first + index)));
  }

  /** Users in turn become away and available again. */
  async change(rate: number, ms: number): Promise<void> {
    const startMs = performance.now();
    const total = Math.round((rate * ms) / 1000);
    for (let changes = 0; changes < total; ) {
      const due = Math.min(total, Math.ceil(((performance.now() - startMs) * rate) / 1000));
      for (; changes < due; changes += 1) {
        const user = changes % this.#part.users;
        this.#update(user, this.#shows[user] === 'away' ? 'available' : 'away');
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #update(user: number, show: Show): void {
    this.#shows[user] = show;
    const index = this.#part.first + user;
    const { tracker } = this.#domain;
    tracker.update(tracker.record(addressOf(index)), { nick: `User ${index}`, show, status: '' }, [], [], {
      type: 'grponline',
    });
  }

  look(): View {
    let online = 0;
    let away = 0;
    for (const { appearance, show } of this.#domain.tracker.records.values()) {
      if (appearance === null) continue;
      online += 1;
      if (show === 'away') away += 1;
    }
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    const { adopted, adoptionsDelayed: delayed } = this.#domain.runtime.metrics.cluster;
    const hopsMs = this.#hopsMs;
    this.#hopsMs = [];
    const cpuMs = (user + system) / 1000;
    return { online, away, adopted, delayed, hopsMs, cpuMs, heapBytes: heapUsed, residentBytes: rss };
  }
}

export type Told =
  | { readonly kind: Task['kind']; readonly view: View }
  | { readonly kind: 'failed'; readonly why: string };

function main(part: Part): void {
  const node = new SimulatedNode(part);
  const tell = (told: Told): void => void process.send?.(told);
  const work = (task: Task): Promise<void> => {
    if (task.kind === 'join') return node.join();
    if (task.kind === 'populate') return node.populate();
    if (task.kind === 'adopt') return node.adopt(task.node, task.first, task.users);
    return task.kind === 'change' ? node.change(task.rate, task.ms) : Promise.resolve();
  };
  process.on('message', (task: Task) => {
    const { kind } = task;
    work(task).then(
      () => tell({ kind, view: node.look() }),
      (error: unknown) => tell({ kind: 'failed', why: String(error) }),
    );
  });
  process.on('disconnect', () => process.exit());
}

main(JSON.parse(process.argv[2] ?? '{}'));
