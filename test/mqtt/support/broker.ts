/** A broker under test: domains and MQTT only, without HTTP; and what a test needs to bring clients of it online. */
import { parseTarget } from '../../../src/actors/address.js';
import { Domain, type Runtime } from '../../../src/actors/domain.js';
import { Restarts } from '../../../src/actors/restarts.js';
import { createSystem } from '../../../src/actors/system.js';
import { newTimers } from '../../../src/actors/timers.js';
import { ServedCertificate } from '../../../src/certificate.js';
import { type Clock, systemClock } from '../../../src/clock.js';
import { type Config, loadConfig } from '../../../src/config.js';
import { SharedState } from '../../../src/directory/shared-state.js';
import { isReplyError } from '../../../src/errors.js';
import { Metrics } from '../../../src/metrics.js';
import { ApiKeys } from '../../../src/protocols/api-keys.js';
import { ComingAgain } from '../../../src/protocols/coming-again.js';
import { offline, online } from '../../../src/protocols/commands.js';
import { ConnectionCounts } from '../../../src/protocols/connection-counts.js';
import type { Context } from '../../../src/protocols/context.js';
import { FairShare } from '../../../src/protocols/fair-share.js';
import { encodePacket } from '../../../src/protocols/frame.js';
import { Gate } from '../../../src/protocols/gate.js';
import { push } from '../../../src/protocols/messages.js';
import { MqttHost } from '../../../src/protocols/mqtt/host.js';
import { type MqttServer, startMqtt } from '../../../src/protocols/mqtt/server.js';
import { Parameters } from '../../../src/protocols/parameters.js';
import { Strangers } from '../../../src/protocols/strangers.js';
import type { Store } from '../../../src/store/store.js';
import { Usage } from '../../../src/usage/usage.js';
import type { Cleaner, Settings } from '../../support/server.js';

export const own = { domain: 'a.example', apikey: 'key-a' };
export const foreign = { domain: 'b.example', apikey: 'key-b' };

const settings: Settings = {
  host: '127.0.0.1',
  port: 0,
  mqtt: { port: -1 },
  admin: { port: 0 },
  domains: [own, foreign],
  presence: { clientIdleMs: 600_000, graceMs: 600_000 },
  data: 'none',
};

/** The settings of all tests with those of one test over them; of a section, only the keys that the one test names. */
function merge(overrides: Settings): Settings {
  const merged = { ...settings };
  for (const [key, value] of Object.entries(overrides)) {
    const isSection = typeof value === 'object' && value !== null && !Array.isArray(value);
    merged[key] = isSection ? { ...(merged[key] as object | undefined), ...value } : value;
  }
  return merged;
}

function configOf(overrides: Settings): Config {
  const loaded = loadConfig(merge(overrides));
  if ('errors' in loaded) throw new Error(`refused configuration: ${loaded.errors.join('; ')}`);
  return loaded.config;
}

function newRuntime(config: Config, clock: Clock, store: Store | null = null, era = 'e'): Runtime {
  const metrics = new Metrics();
  const system = createSystem({ metrics });
  const post = () => () => undefined;
  return {
    system,
    metrics,
    clock,
    ...newTimers(clock, config),
    post,
    encode: encodePacket,
    cluster: null,
    store,
    era,
  };
}

export interface OnlineOptions {
  readonly rooms?: string;
  readonly buddies?: string;
  readonly client?: string;
  readonly domain?: string;
}

export class TestBroker {
  constructor(
    readonly mqtt: MqttServer,
    readonly context: Context,
    readonly domains: Map<string, Domain>,
  ) {}

  get port(): number {
    return this.mqtt.port ?? 0;
  }

  get metrics(): Runtime['metrics'] {
    return this.context.runtime.metrics;
  }

  domain(name = own.domain): Domain {
    const domain = this.domains.get(name);
    if (!domain) throw new Error(`no domain ${name}`);
    return domain;
  }

  /** ONLINE: answers the ticket. */
  online(name: string, { domain, ...options }: OnlineOptions = {}): Promise<string> {
    const fields = new Parameters([['name', name], ['nick', name], ...Object.entries(options)]);
    return new Promise((resolve, reject) => {
      online(this.domain(domain), fields, (result) =>
        isReplyError(result) ? reject(new Error(result.detail)) : resolve(result.ticket),
      );
    });
  }

  /** OFFLINE. */
  offline(ticket: string): Promise<void> {
    return new Promise((resolve, reject) => {
      offline(this.domain(), new Parameters([['ticket', ticket]]), (result) =>
        result ? reject(new Error(result.detail)) : resolve(),
      );
    });
  }

  push(from: string, to: string, body: string, type = 'chat'): void {
    const fields = new Parameters(Object.entries({ from, to, body, type }));
    push(this.domain(), fields, (result) => {
      if (result && isReplyError(result)) throw new Error(`push was refused: ${result.detail}`);
    });
  }

  async close(): Promise<void> {
    await this.mqtt.close();
    const { runtime } = this.context;
    runtime.idle.close();
    runtime.grace.close();
    runtime.kept?.close();
    runtime.system.close();
  }
}

function newContext(config: Config, domains: ReadonlyMap<string, Domain>, runtime: Runtime): Context {
  const gate = new Gate();
  gate.open();
  return {
    config: () => config,
    domains,
    served: { isFixed: () => true, isLeaving: () => false, names: () => domains.keys(), onAdded: new Set() },
    state: new SharedState(runtime, false, () => config),
    runtime,
    node: null,
    connections: new ConnectionCounts(),
    strangers: new Strangers(),
    comingAgain: new ComingAgain(() => runtime.clock.now()),
    apiKeys: new ApiKeys(
      () => runtime.clock.now(),
      () => config.lockout,
    ),
    usage: new Usage(null),
    fair: new FairShare(runtime.system),
    reload: () => null,
    gate,
    isDraining: () => false,
  };
}

export interface Machine {
  readonly host: MqttHost;
  readonly domain: Domain;
  readonly metrics: Runtime['metrics'];
}

export interface RestartingMachine extends Machine {
  readonly restarts: Restarts;
  /** Lets go of all that a process that is killed lets go of. */
  readonly abandon: () => void;
}

function machine(overrides: Settings, clock: Clock, store: Store | null) {
  const config = configOf({ ...overrides, mqtt: { anonymousDomain: own.domain, ...(overrides.mqtt as object) } });
  const domains = new Map<string, Domain>();
  const restarts = store && new Restarts(store, domains, config, []);
  const runtime = newRuntime(config, clock, store, restarts?.era);
  for (const settings of config.domains) domains.set(settings.domain, new Domain(runtime, settings, config));
  const host = new MqttHost(newContext(config, domains, runtime));
  const abandon = (): void => {
    host.close();
    for (const timer of [runtime.idle, runtime.returning, runtime.grace, runtime.kept]) timer?.close();
    runtime.system.close();
  };
  return { host, domain: domains.get(own.domain) as Domain, metrics: runtime.metrics, restarts, abandon };
}

/** The state machine alone: anonymous clients are backends of the tests' own domain, and nothing listens. */
export function testMachine(
  t: Cleaner,
  overrides: Settings = {},
  clock: Clock = systemClock,
  store: Store | null = null,
): Machine {
  const made = machine(overrides, clock, store);
  t.teardown(made.abandon);
  return made;
}

/** A state machine that goes on from what a store has, once it is told `restarts.restore`. */
export function restartingMachine(overrides: Settings, clock: Clock, store: Store): RestartingMachine {
  const made = machine(overrides, clock, store);
  return { ...made, restarts: made.restarts as Restarts };
}

/** Starts a broker on a free port; the test's end closes it. */
export async function testBroker(t: Cleaner, overrides: Settings = {}, clock = systemClock): Promise<TestBroker> {
  const config = configOf(overrides);
  const runtime = newRuntime(config, clock);
  const domains = new Map(config.domains.map((domain) => [domain.domain, new Domain(runtime, domain, config)]));
  const context = newContext(config, domains, runtime);
  const certificate = config.tls && ServedCertificate.load(config.tls, clock);
  t.teardown(() => certificate?.close());
  const broker = new TestBroker(await startMqtt(context, certificate?.current ?? null), context, domains);
  t.teardown(() => broker.close());
  return broker;
}

/** The address of a short id in the tests' own domain. */
export function address(id: string): string {
  const target = parseTarget(own.domain, id);
  if (!target) throw new Error(`${id} is no id`);
  return target.address;
}
