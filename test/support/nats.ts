/** A real nats-server of the test's own, and nodes of a cluster on it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net, { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectToNats } from '@nats-io/transport-node';
import { freePort } from './ports.js';
import { childEnvironment, type NexTalkProcess, nextalk, spawnTethered } from './process.js';
import { program } from './programs.js';
import { type Cleaner, merge, type Settings, siteA, TestServer, testServer } from './server.js';
import { SteadyClock } from './steady-clock.js';
import { until } from './until.js';

/** Resolves when somebody listens on a port of loopback. */
export async function listening(port: number): Promise<void> {
  await until(`somebody who listens on port ${port}`, async () => {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    return isOpen;
  });
}

export class NatsServer {
  #child: ChildProcess | null = null;

  constructor(
    readonly port: number,
    /** The folder of its JetStream; null: it has none. */
    private readonly folder: string | null = null,
    /** Further arguments of its command line. */
    private readonly more: readonly string[] = [],
  ) {}

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const path = program('nats-server');
    if (path === undefined) throw new Error('nats-server is not installed');
    const store = this.folder === null ? [] : ['--jetstream', '--store_dir', this.folder];
    const args = ['--addr', '127.0.0.1', '--port', String(this.port), ...store, ...this.more];
    this.#child = spawnTethered(path, args, { stdio: 'ignore', env: childEnvironment() });
    await listening(this.port);
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

export async function natsServer(t: Cleaner): Promise<NatsServer> {
  const nats = new NatsServer(await freePort());
  await nats.start();
  t.teardown(() => nats.stop());
  return nats;
}

/** One with JetStream, whose streams outlive its process as long as the test goes on. */
export async function jetStreamServer(t: Cleaner): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-jetstream-'));
  const nats = new NatsServer(await freePort(), folder);
  await nats.start();
  t.teardown(async () => {
    await nats.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return nats;
}

/** Three servers that are one JetStream, which goes on with any two of them. */
export async function jetStreamServers(t: Cleaner): Promise<[NatsServer, NatsServer, NatsServer]> {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-jetstreams-'));
  const routes: string[] = [];
  for (let n = 0; n < 3; n++) routes.push(`nats://127.0.0.1:${await freePort()}`);
  const servers: NatsServer[] = [];
  for (const [n, route] of routes.entries()) {
    const name = ['--name', `nats${n}`, '--cluster_name', 'nats', '--cluster', route, '--routes', routes.join()];
    servers.push(new NatsServer(await freePort(), join(folder, String(n)), name));
  }
  t.teardown(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  });
  await Promise.all(servers.map((server) => server.start()));
  return servers as [NatsServer, NatsServer, NatsServer];
}

/** Resolves when NATS knows that a node is gone. */
export async function noneReads(nats: NatsServer, node: string): Promise<void> {
  const connection = await connectToNats({ servers: nats.url });
  const ask = () => connection.request(`nextalk.node.${Buffer.from(node).toString('hex')}`, '', { timeout: 1000 });
  await until(`nobody at ${node}`, () =>
    ask().then(
      () => false,
      (error) => /no responders/i.test(String(error)),
    ),
  );
  await connection.close();
}

let clusters = 0;

/** Settings of a cluster of its own; nodes that share them belong together. Its lease ends in no test unless that gives a shorter one. */
export function clusterSettings(nats: NatsServer, overrides: Settings = {}): Settings {
  clusters += 1;
  return merge({ cluster: { nats: [nats.url], name: `test${clusters}`, leaseMs: 10_000 } }, overrides);
}

interface Nodes {
  1: [TestServer];
  2: [TestServer, TestServer];
  3: [TestServer, TestServer, TestServer];
}

/** Nodes `n1`, `n2`, … of one cluster in this process, each of which knows the others. */
export async function testCluster<Count extends keyof Nodes>(
  t: Cleaner,
  nats: NatsServer,
  count: Count,
  overrides: Settings = {},
): Promise<Nodes[Count]> {
  const settings = clusterSettings(nats, overrides);
  const clock = SteadyClock.start(t);
  const nodes: TestServer[] = [];
  for (let n = 1; n <= count; n++) {
    nodes.push(await testServer(t, merge(settings, { cluster: { node: `n${n}` } }), clock));
  }
  return nodes as Nodes[Count];
}

/** Several nodes behind one address, as a load balancer shows them: every request and connection goes to the next. */
export class Balancer extends TestServer {
  #turn = 0;

  constructor(private readonly nodes: readonly TestServer[]) {
    super(undefined as never);
  }

  #next(): TestServer {
    this.#turn += 1;
    return this.nodes[this.#turn % this.nodes.length] as TestServer;
  }

  override get port(): number {
    return this.#next().port;
  }

  override get mqttPort(): number {
    return this.#next().mqttPort;
  }

  override async settled(): Promise<void> {
    for (const node of this.nodes) await node.settled();
  }

  override async stop(): Promise<void> {
    this.agent.destroy();
  }
}

export function balancer(t: Cleaner, nodes: readonly TestServer[]): Balancer {
  const front = new Balancer(nodes);
  t.teardown(() => front.close());
  return front;
}

/** What a node sends, or what it receives. */
export type Direction = 'said' | 'told';

/** What stands between a node and NATS, so that the node can be cut off, also in one direction. */
export class NatsProxy {
  readonly #sockets = new Set<net.Socket>();
  readonly #ways: Record<Direction, Map<net.Socket, net.Socket>> = { said: new Map(), told: new Map() };
  readonly #held = new Set<Direction>();
  #isCut = false;
  readonly #server = net.createServer((socket) => this.#carry(socket));

  constructor(private readonly nats: NatsServer) {}

  static async start(t: Cleaner, nats: NatsServer): Promise<NatsProxy> {
    const proxy = new NatsProxy(nats);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => proxy.close());
    return proxy;
  }

  get url(): string {
    const { port } = this.#server.address() as net.AddressInfo;
    return `nats://127.0.0.1:${port}`;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Bytes of one direction wait, as in a network that loses them all and sends them again. */
  hold(direction: Direction): void {
    this.#held.add(direction);
    for (const [from, to] of this.#ways[direction]) from.unpipe(to).pause();
  }

  restore(): void {
    this.#isCut = false;
    for (const direction of this.#held) for (const [from, to] of this.#ways[direction]) from.pipe(to);
    this.#held.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #carry(socket: net.Socket): void {
    if (this.#isCut) return void socket.destroy();
    const onward = net.connect(this.nats.port, '127.0.0.1');
    for (const end of [socket, onward]) {
      this.#sockets.add(end);
      // Small writes both ways would wait for each other's acknowledgements.
      end.setNoDelay(true);
      end.on('error', () => undefined);
      end.on('close', () => {
        this.#sockets.delete(end);
        for (const ways of Object.values(this.#ways)) ways.delete(end);
        socket.destroy();
        onward.destroy();
      });
    }
    this.#carryOn('said', socket, onward);
    this.#carryOn('told', onward, socket);
  }

  #carryOn(direction: Direction, from: net.Socket, to: net.Socket): void {
    this.#ways[direction].set(from, to);
    if (!this.#held.has(direction)) from.pipe(to);
  }
}

/** A node in a process of its own, that can be killed and stopped. */
export class ProcessNode extends TestServer {
  constructor(
    readonly process: NexTalkProcess,
    private readonly listening: number,
  ) {
    super(undefined as never);
  }

  static async start(
    t: Cleaner,
    url: string,
    node: string,
    settings: Readonly<Record<string, unknown>>,
  ): Promise<ProcessNode> {
    const sets = Object.entries({ ...settings, 'cluster.node': node }).flatMap(([path, value]) => [
      '--set',
      `${path}=${value}`,
    ]);
    const flags = ['--nats', url, '--port', '0', '--mqtt-port', '0', '--admin-port', '0', '--data', 'none'];
    const { domain, apikey } = siteA;
    const started = nextalk(t, [...flags, '--domain', `${domain}:${apikey}`, ...sets]);
    const { url: at } = await started.event('started');
    const running = new ProcessNode(started, Number(new URL(String(at)).port));
    t.teardown(() => running.close());
    return running;
  }

  override get port(): number {
    return this.listening;
  }

  override async stop(): Promise<void> {
    this.agent.destroy();
  }
}
