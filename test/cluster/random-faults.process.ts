/**
 * Users come, go, move and change at random while nodes stand still for longer than a lease, hear nobody or are heard by
 * nobody, NATS is away, or two of these at once. When the faults are over, all nodes and all users agree with what was done.
 *
 * `RANDOM_FAULTS_SEEDS=20` runs so many seeds and wants agreement within 15 s; `RANDOM_FAULTS_FIRST` is the first of them.
 */
import t from 'tap';
import { dice } from '../support/dice.js';
import { HANG_MS } from '../support/hang.js';
import { NatsProxy, type NatsServer, natsServer, ProcessNode } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { TestServer } from '../support/server.js';
import type { Person } from '../support/site.js';
import { disagreements, ROOMS, SHOWS, User } from '../support/tabs.js';
import { converges } from '../support/watching-user.js';

/** The first of three seeds that together have all faults: NATS away, nodes that stand still, are cut off or are not heard. */
const FIRST_SEED = 12;

const skip = skipWithout('nats-server');
const asked = Number(process.env.RANDOM_FAULTS_SEEDS ?? 0);
const first = Number(process.env.RANDOM_FAULTS_FIRST ?? (asked > 0 ? 1 : FIRST_SEED));
const seeds = asked > 0 ? asked : 3;
/** Unless many seeds are asked for, only a test that hangs may fail by time. */
const boundMs = asked > 0 ? 15_000 : HANG_MS;
const timeoutMs = HANG_MS * (1 + seeds);
if (asked > 0) t.setTimeout(timeoutMs);
const leaseMs = 800;
const usersOfSeed = 6;
/** What users do in one phase. */
const steps = 12;

type Roll = (sides: number) => number;

interface Fault {
  readonly name: string;
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
}

class Cluster {
  readonly paused = new Set<TestServer>();

  constructor(
    readonly nats: NatsServer,
    readonly nodes: readonly ProcessNode[],
    readonly proxies: readonly NatsProxy[],
    readonly watchers: readonly Person[],
  ) {}

  static async start(t: { teardown(fn: () => unknown): void }): Promise<Cluster> {
    const nats = await natsServer(t);
    const sets = { 'cluster.leaseMs': leaseMs, 'presence.graceMs': 50, 'presence.clientIdleMs': 1000 };
    const proxies = await Promise.all([1, 2, 3].map(() => NatsProxy.start(t, nats)));
    const starting = proxies.map(({ url }, i) => ProcessNode.start(t, url, `n${i + 1}`, sets));
    const nodes = await Promise.all(starting);
    const watchers = await Promise.all(nodes.map((node, i) => node.site().arrive(`watcher${i + 1}`)));
    return new Cluster(nats, nodes, proxies, watchers);
  }

  /** A node that runs. */
  node(roll: Roll): ProcessNode {
    const running = this.nodes.filter((node) => !this.paused.has(node));
    return running[roll(running.length)] as ProcessNode;
  }

  /** One or two different nodes. */
  faults(roll: Roll): readonly Fault[] {
    const [one, other] = [this.#fault(roll), this.#fault(roll)];
    return roll(2) === 0 || one.name === other.name ? [one] : [one, other];
  }

  #fault(roll: Roll): Fault {
    const at = roll(this.nodes.length);
    const node = this.nodes[at] as ProcessNode;
    const proxy = this.proxies[at] as NatsProxy;
    const name = `n${at + 1}`;
    const restore = (): void => proxy.restore();
    const faults: readonly Fault[] = [
      {
        name: `${name} stands still`,
        begin: () => {
          this.paused.add(node);
          node.process.kill('SIGSTOP');
        },
        end: () => {
          node.process.kill('SIGCONT');
          this.paused.delete(node);
        },
      },
      { name: `${name} is heard by nobody`, begin: () => proxy.hold('said'), end: restore },
      { name: `${name} hears nobody`, begin: () => proxy.hold('told'), end: restore },
      { name: `${name} is cut off`, begin: () => proxy.cut(), end: restore },
      { name: 'NATS is away', begin: () => this.nats.stop(), end: () => this.nats.start() },
    ];
    return faults[roll(faults.length)] as Fault;
  }
}

/** One action of one user, through nodes that run. */
async function step(cluster: Cluster, users: readonly User[], roll: Roll): Promise<void> {
  const user = users[roll(users.length)] as User;
  const tabs = user.alive.filter(({ home }) => !cluster.paused.has(home));
  const tab = tabs[roll(tabs.length || 1)];
  const room = ROOMS[roll(ROOMS.length)] as string;
  const others = users.filter((other) => other !== user).map(({ name }) => name);
  switch (tab ? roll(8) : 7) {
    case 0:
    case 1:
      return tab && user.set(tab, SHOWS[roll(SHOWS.length)] as string);
    case 2:
      return tab && user.join(tab, room);
    case 3:
      return tab && user.leave(tab, room);
    case 4:
      return tab && user.offline(tab);
    case 5:
      return tab?.close();
    case 6:
      return tab?.move(cluster.node(roll));
    default:
      if (user.tabs.length < 3) await user.arrive(cluster.node(roll), cluster.node(roll), others.join(','));
  }
}

async function stir(cluster: Cluster, users: readonly User[], roll: Roll, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    // A call fails where the ticket's node is not heard of, or has forgotten the ticket: then nothing has changed.
    await step(cluster, users, roll).catch(() => undefined);
  }
}

/** A message to each user comes once to each of the user's tabs. */
async function reaches({ nodes }: Cluster, users: readonly User[], mark: string): Promise<void> {
  const present = users.filter(({ alive }) => alive.length > 0);
  for (const { name } of present)
    for (const [i, node] of nodes.entries()) await node.site().push('x', name, `${mark} ${i}`);
  await converges(
    () =>
      present.flatMap(({ name, alive }) => {
        const heard = alive.map((tab) =>
          tab.heard
            .filter((body) => body.startsWith(mark))
            .sort()
            .join(),
        );
        const wanted = nodes.map((_, i) => `${mark} ${i}`).join();
        return heard.filter((bodies) => bodies !== wanted).map((bodies) => `${name} heard ${bodies}`);
      }),
    boundMs,
  );
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

t.test('after random faults all nodes and users agree with what was done', { skip, timeout: timeoutMs }, async (t) => {
  const cluster = await Cluster.start(t);
  for (let seed = first; seed < first + seeds; seed++) {
    const roll = dice(seed * 7919);
    const users = Array.from({ length: usersOfSeed }, (_, i) => new User(`s${seed}u${i + 1}`));
    await stir(cluster, users, roll, steps * 2);
    await converges(() => disagreements(users, cluster.watchers), boundMs);
    const faults = cluster.faults(roll);
    for (const fault of faults) {
      await fault.begin();
      await stir(cluster, users, roll, steps);
    }
    // The fault lasts for longer than a lease, or hardly as long.
    await pause(leaseMs * (0.5 + roll(4)));
    await stir(cluster, users, roll, steps);
    for (const fault of faults) await fault.end();
    const healed = Date.now();
    const what = `seed ${seed}: ${faults.map(({ name }) => name).join(', ')}`;
    await stir(cluster, users, roll, steps / 2);
    try {
      await converges(() => disagreements(users, cluster.watchers), boundMs);
      await reaches(cluster, users, `seed ${seed}`);
      t.pass(`${what}: ${Date.now() - healed} ms`);
    } catch (error) {
      t.fail(`${what}: ${(error as Error).message}`);
    }
    for (const user of users) for (const tab of user.alive) await user.offline(tab).catch(() => undefined);
  }
});
