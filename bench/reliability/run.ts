/** One run: users who are written to all the time, what happens to their connections meanwhile, and what became of the messages. */
import { setTimeout as sleep } from 'node:timers/promises';
import { userId } from '../clients/nextalk.js';
import { each } from '../clients/wire.js';
import { cpuMicros } from '../meter.js';
import { Histogram } from '../statistics.js';
import { type Connection, type Person, TicketGone } from './clients.js';
import { type Apart, apartFrom, Ledger, type Outcome, outcomeOf, type Spent } from './ledger.js';
import { Link } from './link.js';
import type { BenchNode } from './node.js';
import { BenchServer, type Setup } from './servers.js';

export interface Job extends Setup {
  readonly scenario: string;
  readonly clients: number;
  readonly seconds: number;
  /** Messages a second to each user. */
  readonly rate: number;
  readonly seed: number;
}

/** Before a client tries again to connect. */
const PAUSE_MS = [50, 500] as const;
const CONNECT_ALL_MS = 60_000;
/** After the last message, for all that is still under way. */
const SETTLE_MS = 15_000;
const BACK_MS = 30_000;
/** How long before and after the death of a node the delays of messages to users apart from it are looked at. */
const APART_MS = 10_000;

/** A generator of random numbers in [0, 1), which makes the same numbers for the same seed (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class User implements Person {
  ticket = '';
  /** The node that gave the ticket. */
  home: BenchNode | null = null;
  /** Since when it is connected, of `performance.now()`; null: it is not. */
  upAt: number | null = null;
  #connection: Connection | null = null;
  #isOver = false;

  private constructor(
    readonly name: string,
    readonly link: Link,
    readonly ledger: Ledger,
    /** The node that the link leads to. */
    private readonly via: () => BenchNode,
    private readonly server: BenchServer,
    private readonly random: () => number,
  ) {}

  /**
   * A user who is not online yet. In a cluster a balancer takes its link to one node, and to another one when that is not there,
   * whichever node its ticket is from.
   */
  static make(index: number, job: Job, server: BenchServer, replays: Histogram, random: () => number): User {
    const { nodes } = server;
    let via = nodes[Math.floor(index / nodes.length) % nodes.length] as BenchNode;
    const link = new Link(() => {
      if (!via.serves) via = server.next;
      return job.target.isMqtt ? via.mqttPort : via.port;
    });
    return new User(userId(index), link, new Ledger(replays), () => via, server, random);
  }

  /** Whether the user is connected to a node. */
  isAt(node: BenchNode): boolean {
    return this.via() === node;
  }

  async comesOnline(home = this.server.next): Promise<void> {
    this.ticket = await this.server.online(this.name, home);
    this.home = home;
  }

  /** Connects, and again whenever the connection is lost, until `close`. */
  async live(): Promise<void> {
    const { connect } = this.server.setup.target;
    let client = connect(this);
    while (!this.#isOver) {
      this.ledger.begins(performance.now());
      try {
        this.#connection = await client.open();
        if (this.#isOver) this.#connection.close();
        this.upAt = performance.now();
        await this.#connection.ended;
      } catch (error) {
        if (error instanceof TicketGone && (await this.#comesOnlineAgain())) client = connect(this);
      }
      this.upAt = null;
      const [least, most] = PAUSE_MS;
      if (!this.#isOver) await sleep(least + this.random() * (most - least));
    }
  }

  close(): void {
    this.#isOver = true;
    this.#connection?.close();
  }

  /** Is written to so many times a second, one message after the other. */
  async hears(rate: number, isOver: () => boolean): Promise<void> {
    const { ledger } = this;
    await sleep(this.random() * (1000 / rate));
    for (let number = 1; !isOver(); number += 1) {
      const begun = performance.now();
      ledger.sends(number, begun);
      const called = await this.server.send(this.name, String(number));
      if (called === 'refused') ledger.refused += 1;
      else if (called === 'unanswered') ledger.unanswered += 1;
      else if (called.status === 200) ledger.accepts(number);
      else throw new Error(`a message was answered ${called.status} ${called.body}`);
      await sleep(Math.max(0, 1000 / rate - (performance.now() - begun)));
    }
  }

  async #comesOnlineAgain(): Promise<boolean> {
    try {
      await this.comesOnline();
    } catch {
      return false;
    }
    this.ledger.onlineAgain += 1;
    return true;
  }
}

async function until(condition: () => boolean, most: number): Promise<boolean> {
  const deadline = performance.now() + most;
  while (!condition() && performance.now() < deadline) await sleep(10);
  return condition();
}

/** What happens to the connections; answers how long it took until 99% were back, where that is asked. */
type Scenario = (world: World) => Promise<number | null>;

class World {
  isOver = false;
  /** When a node was killed, and the users who are apart from it. */
  death: { readonly at: number; readonly apart: readonly User[] } | null = null;

  constructor(
    readonly job: Job,
    readonly server: BenchServer,
    readonly users: readonly User[],
    readonly random: () => number,
  ) {}

  get ms(): number {
    return this.job.seconds * 1000;
  }

  get isCluster(): boolean {
    return this.server.nodes.length > 1;
  }

  /** Milliseconds from a moment until 99% of users are connected again, to another node than `left`. */
  async back(since: number, users = this.users, left: BenchNode | null = null): Promise<number> {
    const wanted = Math.ceil(users.length * 0.99);
    const isBack = (user: User): boolean => user.upAt !== null && user.upAt > since && !(left && user.isAt(left));
    await until(() => users.filter(isBack).length >= wanted, BACK_MS);
    return performance.now() - since;
  }

  /** Each link breaks again and again, on its own. */
  async breaks(link: Link, [least, most]: readonly [number, number], silentMs: number, awayMs: number): Promise<void> {
    while (!this.isOver) {
      const worksMs = Math.min(least + this.random() * (most - least), this.ms);
      const quietMs = Math.min(worksMs, this.random() * silentMs);
      await sleep(worksMs - quietMs);
      if (this.isOver) return;
      link.silence();
      await sleep(quietMs);
      link.isAway = awayMs > 0;
      link.cut();
      await sleep(awayMs);
      link.isAway = false;
    }
  }

  async breakAll(period: readonly [number, number], silentMs: number, awayMs: number): Promise<null> {
    const all = this.users.map(async ({ link }) => {
      // Else all links with a fixed period would break together.
      if (awayMs > 0) await sleep(this.random() * period[0]);
      await this.breaks(link, period, silentMs, awayMs);
    });
    await sleep(this.ms);
    this.isOver = true;
    await Promise.all(all);
    return null;
  }

  /** The server's process ends and is started again; answers how long after the start 99% are back. */
  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const [node] = this.server.nodes as [BenchNode];
    await sleep(this.ms / 2);
    await node.stop(signal);
    const started = performance.now();
    await node.start();
    const back = await this.back(started);
    await sleep(this.ms / 2);
    return back;
  }

  /** One node after the other ends in order and is started again; answers how long, at most, 99% of those who were connected to one were away. */
  async restartInTurn(): Promise<number> {
    const { nodes } = this.server;
    let longest = 0;
    for (const node of nodes) {
      await sleep(this.ms / nodes.length);
      const users = this.users.filter((user) => user.isAt(node));
      const since = performance.now();
      const ended = node.stop('SIGTERM');
      longest = Math.max(longest, await this.back(since, users, node));
      await ended;
      await node.start();
    }
    await sleep(this.ms / nodes.length);
    return longest;
  }

  /** A node is killed, and started again later; answers how long after its death 99% of those are back who were connected to it, or whose tickets are from it. */
  async killOne(): Promise<number> {
    const [node] = this.server.nodes as [BenchNode];
    await sleep(this.ms / 2);
    const touched = this.users.filter((user) => user.home === node || user.isAt(node));
    const at = performance.now();
    this.death = { at, apart: this.users.filter((user) => !touched.includes(user)) };
    await node.stop('SIGKILL');
    const [back] = await Promise.all([this.back(at, touched, node), sleep(Math.max(APART_MS, this.ms / 2))]);
    await node.start();
    await sleep(this.ms / 4);
    return back;
  }
}

export const scenarios: ReadonlyMap<string, { readonly title: string; readonly run: Scenario }> = new Map([
  [
    'jitter',
    {
      title: 'each link breaks every 2 to 5 s, after up to 2 s of silence',
      run: (world) => world.breakAll([2000, 5000], 2000, 0),
    },
  ],
  [
    'cycles',
    { title: 'each link works for 13 s and is away for 2', run: (world) => world.breakAll([13_000, 13_000], 0, 2000) },
  ],
  [
    'avalanche',
    {
      title: 'all connections are lost at once, after a second of silence',
      run: async (world) => {
        await sleep(world.ms / 2);
        for (const { link } of world.users) link.silence();
        await sleep(1000);
        const since = performance.now();
        for (const { link } of world.users) link.cut();
        const back = await world.back(since);
        await sleep(world.ms / 2);
        return back;
      },
    },
  ],
  [
    'deploy',
    {
      title: 'SIGTERM, and started again; one node after the other',
      run: (world) => (world.isCluster ? world.restartInTurn() : world.restart('SIGTERM')),
    },
  ],
  [
    'kill',
    {
      title: 'kill -9, and started again; of several nodes one, which stays away for ten seconds',
      run: (world) => (world.isCluster ? world.killOne() : world.restart('SIGKILL')),
    },
  ],
]);

/** Brings the users online and waits until all of them are connected. */
async function gather(
  job: Job,
  server: BenchServer,
  users: User[],
  replays: Histogram,
  lives: Promise<void>[],
): Promise<void> {
  const random = chance(job.seed);
  await each(job.clients, 32, async (index) => {
    const user = User.make(index, job, server, replays, random);
    users.push(user);
    await user.comesOnline(server.nodes[index % server.nodes.length]);
    lives.push(user.live());
    await until(() => user.upAt !== null, CONNECT_ALL_MS);
  });
  const areUp = await until(() => users.every(({ upAt }) => upAt !== null), CONNECT_ALL_MS);
  if (!areUp) throw new Error('not all clients could connect');
}

/** Processor time so far of the processes, by id, in microseconds. */
function cpuOf(pids: readonly number[]): ReadonlyMap<number, number> {
  return new Map(pids.map((pid) => [pid, cpuMicros(pid)]));
}

export async function run(job: Job): Promise<Outcome & { readonly spent: Spent; readonly apart: Apart | null }> {
  const server = await BenchServer.start(job);
  const users: User[] = [];
  const replays = new Histogram();
  const lives: Promise<void>[] = [];
  try {
    await gather(job, server, users, replays, lives);
    let isOver = false;
    const [begun, own] = [performance.now(), process.cpuUsage()];
    const [before, natsBefore] = [cpuOf(server.pids), cpuMicros(server.natsPid)];
    const senders = Promise.all(users.map((user) => user.hears(job.rate, () => isOver)));
    senders.catch(() => undefined);
    const world = new World(job, server, users, chance(job.seed));
    const back = (await scenarios.get(job.scenario)?.run(world)) ?? null;
    isOver = true;
    await senders;
    await until(() => users.every(({ ledger }) => ledger.isComplete), SETTLE_MS);
    const { user, system } = process.cpuUsage(own);
    const spentBy = [...cpuOf(server.pids)].map(([pid, micros]) => micros - (before.get(pid) ?? 0));
    const spent = {
      seconds: (performance.now() - begun) / 1000,
      server: spentBy.reduce((total, micros) => total + micros, 0) / 1e6,
      nats: (cpuMicros(server.natsPid) - natsBefore) / 1e6,
      clients: (user + system) / 1e6,
      absent: users.filter(({ upAt }) => upAt === null).length,
    };
    const ledgers = users.map(({ ledger }) => ledger);
    const { death } = world;
    const apart =
      death &&
      apartFrom(
        death.apart.map(({ ledger }) => ledger),
        death.at,
        APART_MS,
      );
    return { ...outcomeOf(ledgers, replays, back), spent, apart };
  } finally {
    for (const user of users) user.close();
    for (const { link } of users) link.close();
    await server.close();
    await Promise.all(lives);
  }
}
