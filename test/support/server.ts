import type { Clock } from '../../src/clock.js';
import { loadConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { type Answer, exchange, type HttpRequest, keepAliveAgent } from './http.js';
import { Site } from './site.js';
import { settledWhile } from './until.js';

/** What a test hands in: only the part of tap's test object that cleaning up needs. */
export interface Cleaner {
  teardown(fn: () => unknown): void;
}

export interface Settings {
  [key: string]: unknown;
}

export interface Closeable {
  close(): void;
}

/** The two sites that most tests serve; what belongs to one must never be seen in the other. */
export const siteA = { domain: 'a.example', apikey: 'key-a' };
export const siteB = { domain: 'b.example', apikey: 'key:b' };

const settings: Settings = {
  host: '127.0.0.1',
  port: 0,
  mqtt: { port: 0 },
  admin: { port: 0 },
  domains: [siteA, siteB],
  presence: { clientIdleMs: 600_000, graceMs: 600_000 },
  poll: { timeoutMs: 600_000 },
  limits: { comingsPerMinute: 0 },
  data: 'none',
};

/** An idle time and a grace for tests that have them pass by a clock of their own. */
export const times = { clientIdleMs: 1000, graceMs: 500 };

/** Lets the idle time of clients that have no connection pass, then the grace of endpoints that have no client. */
export async function expire(server: TestServer, clock: { advance(ms: number): void }): Promise<void> {
  clock.advance(times.clientIdleMs);
  await server.settled();
  clock.advance(times.graceMs);
}

/** Sends OFFLINE for somebody's only client, and lets the grace pass after which others are told. */
export async function goOffline(
  person: { offline(): Promise<void> },
  clock: { advance(ms: number): void },
): Promise<void> {
  await person.offline();
  clock.advance(times.graceMs);
}

function isPlain(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function merge(base: Settings, overrides: Settings): Settings {
  const merged = { ...base };
  for (const [key, value] of Object.entries(overrides)) {
    const below = merged[key];
    merged[key] = isPlain(below) && isPlain(value) ? merge(below, value) : value;
  }
  return merged;
}

export function configOf(overrides: Settings) {
  const loaded = loadConfig(merge(settings, overrides));
  if ('errors' in loaded) throw new Error(`refused configuration: ${loaded.errors.join('; ')}`);
  return loaded.config;
}

type Running = Awaited<ReturnType<typeof startServer>>;

/** One server under test, and everything that a test opened towards it. */
export class TestServer {
  readonly agent = keepAliveAgent();
  readonly #running: Running;
  readonly #owned = new Set<Closeable>();
  #isClosed = false;

  constructor(running: Running) {
    this.#running = running;
  }

  get port(): number {
    return this.#running.port;
  }

  get adminPort(): number {
    return this.#running.adminPort ?? 0;
  }

  get mqttPort(): number {
    return this.#running.mqttPort ?? 0;
  }

  get mqttTlsPort(): number {
    return this.#running.mqttTlsPort ?? 0;
  }

  get metrics(): Running['metrics'] {
    return this.#running.metrics;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** A backend that signs its calls as `siteA`, unless told otherwise. */
  site(credentials: { domain: string; apikey: string } = siteA): Site {
    return new Site(this, credentials);
  }

  request(request: HttpRequest): Promise<Answer> {
    return exchange(this.port, { agent: this.agent, ...request }).answer;
  }

  /** Keeps a client so that it is closed with the server. */
  own<T extends Closeable>(client: T): T {
    this.#owned.add(client);
    return client;
  }

  /** After two whole exchanges the server has read all that was written to it before. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) await this.request({ path: '/v5/settled' });
  }

  settledWhile(isStill: () => boolean | Promise<boolean>): Promise<void> {
    return settledWhile(this, isStill);
  }

  reload(overrides: Settings): ReturnType<Running['reload']> {
    return this.#running.reload(configOf(overrides));
  }

  drain(): ReturnType<Running['drain']> {
    return this.#running.drain();
  }

  /** Closes the clients, then the server. */
  async close(): Promise<void> {
    for (const client of this.#owned) client.close();
    this.#owned.clear();
    await this.stop();
  }

  /** Closes the server alone; clients that are still connected are cut off. */
  async stop(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#running.close();
    this.agent.destroy();
  }
}

/** Starts a server on a free port; the test's end closes it with all clients that it owns. */
export async function testServer(t: Cleaner, overrides: Settings = {}, clock?: Clock): Promise<TestServer> {
  const server = new TestServer(await startServer(configOf(overrides), clock));
  t.teardown(() => server.close());
  return server;
}
