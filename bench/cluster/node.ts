/**
 * One node of a simulated cluster: the server's own mesh, streams and tracker on a real NATS, with users that are
 * records of the tracker instead of people with browsers. Told what to do by the conductor (main.ts), over its channel.
 */
import type { Address } from '../../src/actors/address.js';
import { Domain, type Runtime } from '../../src/actors/domain.js';
import type { Show } from '../../src/actors/presence.js';
import { createSystem } from '../../src/actors/system.js';
import { systemClock, Timeouts } from '../../src/clock.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { ClusterNode } from '../../src/cluster/node.js';
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
}

export type Task =
  | { readonly kind: 'join' }
  /** Brings all its users online. */
  | { readonly kind: 'populate' }
  /** Changes shows at a rate, for a time. */
  | { readonly kind: 'change'; readonly rate: number; readonly ms: number }
  | { readonly kind: 'look' };

/** How a node sees the cluster, and what that has cost it so far. */
export interface View {
  /** Users that it takes for online, those of all nodes. */
  readonly online: number;
  /** Of these, users whose show is `away`. */
  readonly away: number;
  readonly cpuMs: number;
  readonly heapBytes: number;
  readonly residentBytes: number;
}

const domainName = 'sim.example';

/** Users brought online in one turn of the event loop. */
const usersInATurn = 500;

const addressOf = (user: number): Address => `/domain/${domainName}/uid/u${String(user).padStart(7, '0')}` as Address;

function createRuntime(metrics: Metrics, cluster: (domain: Domain) => ClusteredDomain): Runtime {
  const system = createSystem({ metrics });
  const nothing = (): void => undefined;
  return {
    system,
    metrics,
    clock: systemClock,
    idle: new Timeouts(systemClock, 10_000, nothing),
    returning: new Timeouts(systemClock, 60_000, nothing),
    grace: new Timeouts(systemClock, 8000, nothing),
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

  constructor(part: Part) {
    this.#part = part;
    const loaded = loadConfig({
      data: 'none',
      domains: [{ domain: domainName, apikey: 'key' }],
      cluster: { nats: [part.nats], node: part.name, leaseMs: part.leaseMs },
    });
    if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
    const { config } = loaded;
    let node: ClusterNode | undefined;
    const runtime = createRuntime(new Metrics(), (domain) => {
      node = new ClusterNode({
        config: config.cluster,
        name: part.name,
        graceMs: 0,
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
  }

  async populate(): Promise<void> {
    const { users } = this.#part;
    for (let user = 0; user < users; user += 1) {
      this.#update(user, 'available');
      if (user % usersInATurn === 0) await new Promise((resolve) => setImmediate(resolve));
    }
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
    return { online, away, cpuMs: (user + system) / 1000, heapBytes: heapUsed, residentBytes: rss };
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
