/** A node of a cluster whose store is in JetStream, in a process of its own that can be killed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsServer } from './nats.js';
import { type NexTalkProcess, nextalk } from './process.js';
import { type Cleaner, merge, type Settings, siteA, TestServer } from './server.js';

const OWN: Settings = {
  host: '127.0.0.1',
  port: 0,
  mqtt: { port: -1 },
  admin: { port: -1 },
  domains: [siteA],
  presence: { clientIdleMs: 60_000, graceMs: 200 },
  limits: { comingsPerMinute: 0 },
};

interface Ports {
  readonly port: number;
  readonly mqttPort: number;
  readonly adminPort: number;
}

export class KeptNode extends TestServer {
  constructor(
    readonly process: NexTalkProcess,
    private readonly ports: Ports,
  ) {
    super(undefined as never);
  }

  static async start(t: Cleaner, nats: NatsServer, node: string, settings: Settings = {}): Promise<KeptNode> {
    const folder = mkdtempSync(join(tmpdir(), 'nextalk-node-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'nextalk.json');
    const cluster = { nats: [nats.url], node, leaseMs: 2000, store: 'jetstream' };
    writeFileSync(file, JSON.stringify(merge(merge(OWN, { cluster }), settings)));
    // Its copy ends with the test, also where the process is killed.
    const started = nextalk(t, ['--config', file], { env: { TMPDIR: folder } });
    const { url, mqtt, admin } = await started.event('started');
    const portOf = (at: unknown): number => Number(new URL(String(at)).port);
    const running = new KeptNode(started, { port: portOf(url), mqttPort: portOf(mqtt), adminPort: portOf(admin) });
    t.teardown(() => running.close());
    return running;
  }

  override get port(): number {
    return this.ports.port;
  }

  override get mqttPort(): number {
    return this.ports.mqttPort;
  }

  override get adminPort(): number {
    return this.ports.adminPort;
  }

  /** As a machine that loses its power. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.process.ended;
  }

  /** As an operator ends it. */
  async end(): Promise<void> {
    this.process.kill('SIGTERM');
    await this.process.ended;
  }

  override async stop(): Promise<void> {
    this.agent.destroy();
  }
}
