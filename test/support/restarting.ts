/** A server that is ended or killed and started again on its folder, as a process of its own. */
import { open } from 'lmdb';
import { exchange, type Params } from './http.js';
import { type NexTalkProcess, nextalk } from './process.js';
import { type Cleaner, siteA } from './server.js';
import { until } from './until.js';

/** How many records of a table are on disk. */
export async function records(data: string, table: string): Promise<number> {
  const root = open({ path: data, noSubdir: false, readOnly: true, maxDbs: 32 });
  try {
    return [...root.openDB(table, {}).getKeys()].length;
  } finally {
    await root.close();
  }
}

/** Waits until a table has so many records on disk. */
export async function written(data: string, table: string, count: number): Promise<void> {
  await until(`${count} records of ${table}`, async () => (await records(data, table)) === count);
}

export interface Online {
  readonly ticket: string;
  readonly presences: Readonly<Record<string, string>>;
}

/** Calls that a site makes, wherever its server listens now. */
export class RestartingServer {
  process!: NexTalkProcess;
  port = 0;
  mqtt = '';

  constructor(
    private readonly t: Cleaner,
    readonly data: string,
    /** Settings of the domain. */
    public domain: object = {},
    public settings: Readonly<Record<string, string | number>> = {},
  ) {}

  async start(): Promise<void> {
    this.launch();
    const { url, mqtt } = await this.process.event('started');
    this.port = Number(new URL(String(url)).port);
    this.mqtt = String(mqtt).replace('tcp:', 'mqtt:');
  }

  /** Starts the process, and does not wait until it listens. */
  launch(): void {
    const domains = JSON.stringify([{ ...siteA, ...this.domain }]);
    const set = Object.entries({
      'mqtt.port': -1,
      'presence.graceMs': 600_000,
      'presence.clientIdleMs': 600_000,
      domains,
      ...this.settings,
    });
    const flags = set.flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    this.process = nextalk(this.t, ['--port', '0', '--admin-port', '0', '--data', this.data, ...flags]);
  }

  /** Waits until a table has so many records on disk. */
  async written(table: string, count: number): Promise<void> {
    await written(this.data, table, count);
  }

  /** Answers the exit code, or the name of the signal that ended the process. */
  async stop(signal: NodeJS.Signals): Promise<number | string> {
    this.process.kill(signal);
    return await this.process.ended;
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  async call(path: string, form: Params): Promise<unknown> {
    const { status, text, body } = await exchange(this.port, { method: 'POST', path, form, auth: siteA }).answer;
    if (status !== 200) throw new Error(`${path} answered ${status} ${text}`);
    return body;
  }

  async get(path: string, query: Params): Promise<unknown> {
    return (await exchange(this.port, { path, query, auth: siteA }).answer).body;
  }

  async online(name: string, more: Params = {}): Promise<Online> {
    return (await this.call('/v5/presences/online', { name, nick: name.toUpperCase(), ...more })) as Online;
  }

  async push(from: string, to: string, body: string, more: Params = {}): Promise<void> {
    await this.call('/v5/messages', { from, to, body, ...more });
  }

  /** A poll of a client that keeps no position. */
  async poll(ticket: string): Promise<unknown> {
    return (await exchange(this.port, { path: '/v5/packets', query: { domain: siteA.domain, ticket } }).answer).body;
  }
}

export async function restartingServer(
  t: Cleaner & { testdir(): string },
  domain: object = {},
  settings: Readonly<Record<string, string | number>> = {},
): Promise<RestartingServer> {
  const server = new RestartingServer(t, `${t.testdir()}/data`, domain, settings);
  await server.start();
  return server;
}
