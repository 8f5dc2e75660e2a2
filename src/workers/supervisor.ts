/**
 * `--workers N`: this process serves nobody itself. It starts N workers, each a node of the cluster, which share its
 * ports; replaces a worker that ends, passes on reload and drain, writes the log of all workers and answers the admin
 * port for all. Where no NATS is configured it starts one for them.
 *
 * The HTTP port is shared by the kernel (SO_REUSEPORT, which uWebSockets.js sets). Node 20 cannot ask for that, so MQTT's
 * ports are accepted here and handed out in turn by node:cluster.
 */
import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Measured } from '../admin/admin.js';
import type { Listener } from '../admin/listener.js';
import type { Config } from '../config.js';
import { log } from '../log.js';
import { findNatsServer } from '../nats-program.js';
import type { ReloadAnswer } from '../protocols/context.js';
import { removeLeft, sayUnread, takeFolder } from '../store/folder.js';
import { startWorkersAdmin } from './admin.js';
import { workerExecArgv } from './exec-argv.js';
import { Heartbeats } from './heartbeats.js';
import type { Ports } from './messages.js';
import { NatsServer } from './nats-server.js';
import { claimPorts } from './ports.js';
import type { WorkerPort } from './requests.js';
import { WorkerProcess } from './worker-process.js';

/** A worker that ends is replaced after this; the delay doubles each time that the replacement soon ends as well. */
const firstDelayMs = 100;
const longestDelayMs = 10_000;

/** A worker that has served for so long is sound: when it ends, the delay begins anew. */
const provenMs = 30_000;

const loopback = '127.0.0.1';

/** The place of one worker: its process may be replaced, its name stays. */
interface Slot {
  readonly name: string;
  process: WorkerProcess;
  /** Null while the process does not serve. */
  adminPort: number | null;
  restarts: number;
}

class Supervisor {
  readonly #names: readonly string[];
  readonly #ending = new AbortController();
  /** Reloads where an operator asks for it by the admin port; null: there is nothing to reload. */
  onReload: (() => ReloadAnswer) | null = null;
  #slots: readonly Slot[] = [];
  #config: Config;
  #isReloaded = true;
  #ports: Ports = { port: 0, mqttPort: null, mqttTlsPort: null, adminPort: null };
  #admin: Listener | null = null;
  /** Opens the workers' own admin ports to this process alone. */
  readonly #token = randomBytes(16).toString('hex');
  readonly #heartbeats = new Heartbeats();
  /** Where no NATS is configured. */
  #nats: NatsServer | null = null;
  /** Gives up the data folder, where this process has taken it. */
  #release = (): void => undefined;

  constructor(config: Config, count: number) {
    // On a nats-server of their own there are no other nodes, and by its name a worker finds what an earlier start of it has left.
    const made = config.cluster.nats.length > 0 ? randomBytes(4).toString('hex') : 'worker';
    const node = config.cluster.node ?? made;
    this.#config = config;
    this.#names = Array.from({ length: count }, (_, i) => `${node}-${i + 1}`);
  }

  get port(): number {
    return this.#ports.port;
  }

  get mqttPort(): number | null {
    return this.#ports.mqttPort;
  }

  get mqttTlsPort(): number | null {
    return this.#ports.mqttTlsPort;
  }

  get adminPort(): number | null {
    return this.#admin?.port ?? null;
  }

  /** Rejects where a port is taken or a worker cannot start; then no worker is left running. */
  async start(): Promise<void> {
    this.#config = await claimPorts(this.#config);
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    cluster.setupPrimary({
      exec: fileURLToPath(new URL(file, import.meta.url)),
      args: [],
      execArgv: workerExecArgv(process.execArgv, process.env.NODE_OPTIONS ?? ''),
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    try {
      await this.#startNats();
      this.#admin = await startWorkersAdmin(
        () => this.#config,
        () => this.#workerPorts(),
        this.#heartbeats,
        () => this.onReload?.() ?? null,
      );
      this.#slots = this.#names.map((name) => ({ name, process: this.#launch(name), adminPort: null, restarts: 0 }));
      // A signal may end this process before they serve: a worker that loses its parent so early ends with a stack.
      process.once('exit', () => {
        for (const { process } of this.#slots) process.kill();
      });
      const [ports] = await Promise.all(this.#slots.map((slot) => this.#started(slot)));
      if (ports) this.#ports = ports;
    } catch (error) {
      await this.close();
      throw error;
    }
    for (const slot of this.#slots) void this.#keep(slot);
  }

  async #startNats(): Promise<void> {
    const { cluster, data } = this.#config;
    const { nats, server, store } = cluster;
    if (nats.length > 0) return;
    const isKept = store === 'jetstream' && data !== 'none';
    // Two servers must not keep JetStream's data in the same folder.
    if (isKept) {
      this.#release = takeFolder(data);
      sayUnread(data, 'data.mdb');
      // Of more workers than there are now, which were killed.
      removeLeft(data, 'copy-');
    }
    const folder = isKept ? resolve(data, 'jetstream') : null;
    this.#nats = new NatsServer(findNatsServer(server), store === 'jetstream' ? { folder } : null);
    await this.#nats.start();
  }

  /** Gives a changed configuration to every worker, and to those that start later. */
  reload(config: Config): void {
    this.#config = config;
    this.#isReloaded = true;
    for (const { name, process } of this.#slots) process.reload(this.#configOf(name));
  }

  refuseReload(): void {
    this.#isReloaded = false;
    for (const { process } of this.#slots) process.refuseReload();
  }

  /** Resolves when every worker has told its clients and ended. */
  async drain(): Promise<void> {
    await this.#end((process) => process.drain());
  }

  /** Kills all workers at once. */
  async close(): Promise<void> {
    await this.#end((process) => process.kill());
  }

  async #end(how: (process: WorkerProcess) => void): Promise<void> {
    this.#ending.abort();
    for (const { process } of this.#slots) how(process);
    await Promise.all(this.#slots.map(({ process }) => process.ended));
    await this.#admin?.close();
    await this.#nats?.close();
    this.#release();
  }

  /** A worker is a node of its own, and its admin port is for this process, which answers for all workers. */
  #configOf(name: string): Config {
    const { cluster, admin } = this.#config;
    const own = { host: loopback, port: admin.port === 0 ? 0 : -1, token: this.#token, metricsDomains: 0 };
    const nats = this.#nats ? [this.#nats.url] : cluster.nats;
    return { ...this.#config, cluster: { ...cluster, nats, node: name }, admin: own };
  }

  #workerPorts(): WorkerPort[] {
    return this.#slots.map(({ name, adminPort, restarts }) => ({
      name,
      url: adminPort === null ? null : `http://${loopback}:${adminPort}`,
      token: this.#token,
      restarts,
    }));
  }

  #launch(name: string): WorkerProcess {
    const siblings = new Set(this.#names.filter((other) => other !== name));
    const measured = (measured: Measured): void => this.#heartbeats.take(name, measured);
    return new WorkerProcess(name, this.#configOf(name), this.#isReloaded, siblings, measured);
  }

  async #started(slot: Slot): Promise<Ports> {
    const ports = await slot.process.started;
    slot.adminPort = ports.adminPort;
    return ports;
  }

  /** Replaces the process of a slot whenever it ends. */
  async #keep(slot: Slot): Promise<void> {
    let failures = 0;
    let startedMs = performance.now();
    for (;;) {
      const end = await slot.process.ended;
      if (this.#ending.signal.aborted) return;
      if (performance.now() - startedMs >= provenMs) failures = 0;
      const delayMs = Math.min(firstDelayMs * 2 ** failures, longestDelayMs);
      failures += 1;
      slot.restarts += 1;
      slot.adminPort = null;
      this.#heartbeats.forget(slot.name);
      const ended = { event: 'worker-ended', worker: slot.name, end, delayMs };
      log[end === 0 ? 'info' : 'error'](ended, `${slot.name} ended: another follows`);
      try {
        await sleep(delayMs, undefined, { signal: this.#ending.signal });
      } catch {
        return;
      }
      slot.process = this.#launch(slot.name);
      startedMs = performance.now();
      await this.#announce(slot);
    }
  }

  async #announce(slot: Slot): Promise<void> {
    const { name, process } = slot;
    try {
      await this.#started(slot);
      log.info({ event: 'worker-started', worker: name, pid: process.pid }, `${name} serves`);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      log.error({ event: 'worker-failed', worker: name, problem }, `${name} cannot start: ${problem}`);
      process.kill();
    }
  }
}

/** Starts `count` workers; rejects as startServer does, where a port is taken or one of them cannot start. */
export async function startWorkers(config: Config, count: number): Promise<Supervisor> {
  const supervisor = new Supervisor(config, count);
  await supervisor.start();
  return supervisor;
}
