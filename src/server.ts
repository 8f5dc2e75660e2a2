/** Wires actors, protocols and http together; nothing else does. */
import { randomBytes } from 'node:crypto';
import type { Runtime } from './actors/domain.js';
import { newEra } from './actors/position.js';
import { endDomains, Restarts, undelivered } from './actors/restarts.js';
import { createSystem } from './actors/system.js';
import { newTimers } from './actors/timers.js';
import { type Parent, startAdmin } from './admin/admin.js';
import type { Listener } from './admin/listener.js';
import { ServedCertificate } from './certificate.js';
import { type Clock, systemClock } from './clock.js';
import type { ClusterNode } from './cluster/node.js';
import type { Config, TlsConfig } from './config.js';
import { SharedState } from './directory/shared-state.js';
import { watchHeap } from './heap.js';
import { addRestApi } from './http/app.js';
import { addClientCalls } from './http/client-calls.js';
import { HttpListener } from './http/listener.js';
import { addReference } from './http/reference.js';
import { addWelcome } from './http/welcome.js';
import { isDevelopment } from './http/welcome-frames.js';
import { Metrics } from './metrics.js';
import { ApiKeys } from './protocols/api-keys.js';
import { ComingAgain } from './protocols/coming-again.js';
import { ConnectionCounts } from './protocols/connection-counts.js';
import { ConnectionLimits } from './protocols/connection-limits.js';
import type { Context, ReloadAnswer } from './protocols/context.js';
import { EventsAdapter } from './protocols/events.js';
import { FairShare } from './protocols/fair-share.js';
import { farewell, silence } from './protocols/farewell.js';
import { answerCalls } from './protocols/forwarded.js';
import { encodePacket } from './protocols/frame.js';
import { Gate } from './protocols/gate.js';
import { type Held, whenOpen, whenSound } from './protocols/headers.js';
import { PollAdapter } from './protocols/jsonp.js';
import { kick } from './protocols/kick.js';
import { type MqttServer, startMqtt } from './protocols/mqtt/server.js';
import { closeStaggered } from './protocols/staggered-close.js';
import { Strangers } from './protocols/strangers.js';
import { postToSite } from './protocols/webhook.js';
import { WebSocketAdapter } from './protocols/websocket.js';
import { DomainMap, ServedDomains } from './served-domains.js';
import { openStore } from './store/open.js';
import type { Store } from './store/store.js';
import { Tally } from './tally.js';
import { answerUsage } from './usage/gather.js';
import { Usage } from './usage/usage.js';
import type { TemplatedApp } from './uws.js';
import { packageVersion } from './version.js';

type Reloading = () => ReloadAnswer;

export interface Server {
  readonly port: number;
  /** null: off. */
  readonly mqttPort: number | null;
  readonly mqttTlsPort: number | null;
  readonly adminPort: number | null;
  readonly metrics: Metrics;
  /** Reloads where an operator asks for it by the admin port; null: there is nothing to reload. */
  onReload: Reloading | null;
  /** Takes over domains, keys, limits and certificates; drops nobody who is still welcome. */
  reload(config: Config): void;
  /** Notes that the configuration to be reloaded is wrong: the one in use stays. */
  refuseReload(): void;
  /** Lets no new clients in, answers open polls, ends connections. Resolves when all have been told. */
  drain(): Promise<void>;
  /** Ends at once. */
  close(): Promise<void>;
}

/** The share of `leaveMs` in which a node that ends hands endpoints over to other nodes; in the rest all remaining connections end. */
const HANDOVER_SHARE = 2 / 3;

/** How long a drain waits for connections to take their farewell. */

function createRuntime(config: Config, clock: Clock, metrics: Metrics, store: Store | null, era: string): Runtime {
  const system = createSystem({ metrics });
  const post: Runtime['post'] = (domain, url, body, done) => postToSite(clock, domain, url, body, done);
  store?.watch((full) => {
    const { conditions } = metrics;
    const what =
      store.node === null ? 'the disk of the data folder is full' : 'too much waits for JetStream, or the disk is full';
    if (full) conditions.raise('disk', `${what}: nothing new is kept`, { ready: true });
    else conditions.clear('disk');
  });
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

/** The class of a cluster's node, whose module only a server in a cluster loads; null: this server is not in a cluster. */
type Nodes = typeof ClusterNode | null;

function createNode(
  Node: Nodes,
  name: string | null,
  { cluster, presence }: Config,
  { clock, metrics, system }: Runtime,
  parent: Parent | null,
  state: SharedState,
): ClusterNode | null {
  return (
    Node &&
    new Node({
      config: cluster,
      name: name ?? '',
      graceMs: presence.graceMs,
      clock,
      metrics,
      system,
      siblings: parent?.siblings ?? new Set(),
      encode: encodePacket,
      shared: state,
    })
  );
}

/** What a server is made of while it runs. */
class RunningServer implements Server {
  readonly domains = new DomainMap();
  readonly #served: ServedDomains;
  readonly #state: SharedState;
  readonly #runtime: Runtime;
  /** Null: nothing is kept. */
  readonly #restarts: Restarts | null;
  readonly #node: ClusterNode | null;
  readonly #http: HttpListener;
  /** Null: no TLS. */
  readonly #certificate: ServedCertificate | null;
  readonly #polls: PollAdapter;
  readonly #events: EventsAdapter;
  readonly #sockets: WebSocketAdapter;
  readonly #connectionLimits: ConnectionLimits;
  readonly #context: Context;
  onReload: Reloading | null = null;
  #mqtt: MqttServer | null = null;
  #admin: Listener | null = null;
  readonly #tally: Tally;
  #draining = false;
  #endWatch = (): void => undefined;
  #config: Config;

  constructor(
    config: Config,
    clock: Clock,
    /** Null: this process is all of the server. */
    private readonly parent: Parent | null,
    /** The name of this node in its cluster; null: this server is not in a cluster. */
    name: string | null,
    metrics: Metrics,
    store: Store | null,
    nodes: Nodes,
  ) {
    this.#config = config;
    this.#state = new SharedState({ clock, store }, name !== null, () => this.#config);
    const kept = [...this.#state.directory.names()];
    // Only a server on its own goes on from its state before a restart; a node of a cluster does not.
    this.#restarts = store?.node === null ? new Restarts(store, this.domains, config, kept) : null;
    const runtime = createRuntime(config, clock, metrics, store, this.#restarts?.era ?? newEra());
    const node = createNode(nodes, name, config, runtime, parent, this.#state);
    this.#node = node;
    this.#state.broadcast = (item) => node?.mesh.broadcast(item);
    const usage = new Usage(store);
    const shared = { ...runtime, quotas: this.#state, usage };
    if (node) answerUsage(node, usage);
    this.#runtime = node ? { ...shared, cluster: (domain) => node.domain(domain) } : shared;
    this.#served = new ServedDomains(this.domains, this.#runtime, this.#state.directory, config);
    this.#endClients();
    this.#state.wake = (name) => void this.domains.get(name);
    this.#served.onRemoved = (name) => {
      this.#state.bans.forget(name);
      usage.forget(name);
    };
    this.#tally = new Tally(this.domains, this.#state, clock, usage, node?.name ?? null);
    const now = (): number => clock.now();
    this.#context = {
      config: () => this.#config,
      domains: this.domains,
      served: this.#served,
      state: this.#state,
      runtime: this.#runtime,
      node,
      connections: new ConnectionCounts(),
      strangers: new Strangers(),
      comingAgain: new ComingAgain(now),
      apiKeys: new ApiKeys(now, () => this.#config.lockout),
      gate: new Gate(),
      usage,
      fair: new FairShare(runtime.system),
      isDraining: () => this.#draining,
      reload: () => this.onReload?.() ?? null,
    };
    const { tls, host } = config;
    this.#certificate = tls && ServedCertificate.load(tls, clock);
    this.#http = new HttpListener(tls, host, parent !== null, (app) => this.#addRoutes(app));
    this.#connectionLimits = new ConnectionLimits(this.#context);
    this.#sockets = new WebSocketAdapter(this.#context, this.#connectionLimits);
    this.#polls = new PollAdapter(this.#context, this.#connectionLimits);
    this.#events = new EventsAdapter(this.#context, this.#connectionLimits);
  }

  get port(): number {
    return this.#http.port;
  }

  get mqttPort(): number | null {
    return this.#mqtt?.port ?? null;
  }

  get mqttTlsPort(): number | null {
    return this.#mqtt?.tlsPort ?? null;
  }

  get adminPort(): number | null {
    return this.#admin?.port ?? null;
  }

  get metrics(): Metrics {
    return this.#runtime.metrics;
  }

  /** Ends those whom an operator ends or bans, also as other nodes tell. */
  #endClients(): void {
    this.#state.kicked = (name, kind, value) => {
      const domain = this.domains.get(name);
      if (domain) kick(domain, { kind, value });
    };
    this.#state.bans.begins = ({ domain, kind, value }) => this.#state.kicked(domain, kind, value);
  }

  /** Listens first: who comes before all has been read that the server goes on from waits. */
  async start(): Promise<void> {
    const { conditions } = this.#runtime.metrics;
    conditions.raise('starting', 'the server reads what it goes on from', { ready: false });
    if (this.#node) {
      answerCalls(this.#node, this.domains);
      await this.#node.start();
    }
    this.#mqtt = await startMqtt(this.#context, this.#certificate?.current ?? null);
    await this.#http.listen(this.#config.port);
    this.#admin = await startAdmin(this.#context, this.parent);
    await this.#restarts?.restore();
    await this.#node?.restore();
    conditions.clear('starting');
    this.#context.gate.open();
    this.#tally.start();
    this.#endWatch = watchHeap(this.#runtime.clock, conditions);
  }

  reload(config: Config): void {
    this.#config = config;
    this.#served.configure(config);
    this.#restarts?.reload(config);
    this.#runtime.metrics.reloaded(config.tls === null || this.#reloadCertificate(config.tls));
  }

  refuseReload(): void {
    this.#runtime.metrics.reloaded(false);
  }

  /** Answers whether the certificate in these files is served. */
  #reloadCertificate(files: TlsConfig): boolean {
    const served = this.#certificate;
    if (!served) return true;
    const fresh = served.reread(files);
    if (!fresh) return served.isAccepted;
    try {
      this.#http.replaceCertificate(files);
    } catch (error) {
      served.refuse(`tls: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
    this.#mqtt?.replaceCertificate(fresh);
    served.replace(fresh);
    return true;
  }

  async drain(): Promise<void> {
    this.#draining = true;
    this.#context.fair.end();
    this.#runtime.metrics.conditions.raise('draining', 'the server is ending', { ready: false });
    // New clients go to the others who share the port; where there is nobody else they are answered 503.
    if (this.parent) this.#http.stop();
    this.#node?.mesh.leave();
    // One node, or the last one, has nobody to send its clients to.
    const leaveMs = this.#node ? this.#config.cluster.leaveMs : 0;
    const handed = (await this.#node?.leaving.handOver(leaveMs * HANDOVER_SHARE)) ?? 0;
    const restMs = handed > 0 ? leaveMs * (1 - HANDOVER_SHARE) : leaveMs;
    const overMs = this.#node?.leaving.restOf(restMs) ?? 0;
    const farewells = [this.#polls, this.#events, this.#sockets, this.#mqtt].flatMap(
      (adapter) => adapter?.farewells() ?? [],
    );
    await closeStaggered(this.#runtime.clock, overMs, farewells);
    this.#polls.close();
    this.#events.close();
    this.#sockets.close();
    await this.#mqtt?.drain();
    await farewell(this.#runtime, this.#node?.leaving.spentMs);
    // The others take over at once, instead of waiting for the end of a lease.
    await this.#node?.close();
    this.#tally.close();
    await (this.#restarts ? this.#restarts.end() : endDomains(this.domains, this.#runtime.store));
  }

  /** Refuses the calls of clients that do not know yet that the server ends, until no more come. */
  async linger(): Promise<void> {
    this.#http.stop();
    await silence(this.#runtime);
  }

  async close(): Promise<void> {
    this.#draining = true;
    this.#context.fair.end();
    this.#context.gate.close();
    this.#endWatch();
    this.#tally.close();
    this.#polls.close();
    this.#events.close();
    this.#sockets.close();
    await this.#mqtt?.close();
    // Before its endpoints end, so that the others take them for gone with the node, not one by one.
    await this.#node?.close();
    await this.#admin?.close();
    this.#http.close();
    this.#certificate?.close();
    const { idle, returning, grace, kept, system, store } = this.#runtime;
    await this.#restarts?.end();
    for (const timer of [idle, returning, grace, kept]) timer?.close();
    for (const domain of this.domains.values()) domain.end();
    await undelivered();
    system.close();
    this.#served.close();
    await store?.close();
  }

  #addRoutes(app: TemplatedApp): void {
    const mqtt = this.#mqtt;
    if (!mqtt) throw new Error('MQTT starts before HTTP, which names its ports');
    const { metrics } = this.#runtime;
    const held = (adapter: Held) => whenSound(metrics, whenOpen(this.#context, adapter));
    const get = held(this.#polls);
    const events = held(this.#events);
    const options = held({ get: (...request) => this.#polls.options(...request) });
    for (const version of ['v5', 'v4']) {
      for (const end of ['', '/']) {
        app.ws(`/${version}/wsocket${end}`, this.#sockets.behaviour);
        app.get(`/${version}/packets${end}`, get).options(`/${version}/packets${end}`, options);
        app.get(`/${version}/events${end}`, events).options(`/${version}/events${end}`, options);
      }
    }
    app.ws('/mqtt', mqtt.webSocketBehaviour(this.#connectionLimits));
    const ports = { mqtt: mqtt.port, mqtts: mqtt.tlsPort };
    addWelcome(app, metrics, this.#config.domains.some(isDevelopment));
    addReference(app, metrics, packageVersion(), this.#config.publicUrl);
    addClientCalls(app, this.#context);
    addRestApi(app, this.#context, () => ports);
  }
}

/**
 * Starts a server, or one of the workers of a server, which share their HTTP port. Rejects with the `code` of the
 * system's error and the `address` where a port cannot be had, or with the reason why the data folder cannot be had, or
 * MQTT or TLS cannot start.
 */
export async function startServer(
  config: Config,
  clock: Clock = systemClock,
  parent: Parent | null = null,
  open: typeof openStore = openStore,
): Promise<Server> {
  const { nats, node } = config.cluster;
  const nodes = nats.length > 0 ? (await import('./cluster/node.js')).ClusterNode : null;
  const name = nodes && (node ?? `n${randomBytes(4).toString('hex')}`);
  const metrics = new Metrics();
  const store = await open(config, name, metrics);
  let running: RunningServer;
  try {
    running = new RunningServer(config, clock, parent, name, metrics, store, nodes);
  } catch (error) {
    await store?.close();
    throw error;
  }
  try {
    await running.start();
    return running;
  } catch (error) {
    await running.close();
    throw error;
  }
}
