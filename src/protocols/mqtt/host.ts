/** MQTT on one server: its connections, their timers, and whom each CONNECT belongs to. */
import { randomUUID } from 'node:crypto';
import type { NamedClient } from '../../actors/client.js';
import type { ClusterSessions, RemoteNode } from '../../actors/cluster.js';
import type { Domain } from '../../actors/domain.js';
import { Timeouts } from '../../clock.js';
import { type Peer, peerOf } from '../../cluster/peer.js';
import { CLOSE, OUT_OF_MEMORY, UNAVAILABLE } from '../../errors.js';
import type { RefusalReason } from '../../metrics.js';
import type { Context } from '../context.js';
import { findTicket } from '../credentials.js';
import type { Strangers } from '../strangers.js';
import { flappingRefusal, isBanned, roomRefusal } from '../unwelcome.js';
import { Broker } from './broker.js';
import { ClientTransport } from './client-session.js';
import { connackOf } from './connect.js';
import type { Connection, ConnectionOwner, Host } from './connection.js';
import { encodeConnack } from './encode.js';
import { expiryOf } from './expiry.js';
import { type Elsewhere, type Login, login } from './login.js';
import { BackendConnection, FairOwner } from './owners.js';
import type { Connect } from './packets.js';
import { REASON } from './reason.js';
import { publishSystem } from './sys.js';
import { noteKey } from './taken-keys.js';
import { acceptTunnel, type Origin, TunnelCarrier } from './tunnel.js';

/** Milliseconds after which a connection without CONNECT ends, PROTOCOL.md section 8. */
const CONNECT_MS = 10_000;
const SYSTEM_MS = 10_000;
/** In how many seconds a client comes again whose session cannot be found yet. */
const LATER_S = 1;
/** Of a CONNACK that refuses, without the characters of its text. */
const REFUSAL_BYTES = 8;

/** Why somebody who has said who it is may not connect, as it is answered and counted; null: it may. */
function unwelcomeReason(
  { domain, client }: Login,
  clientId: string,
  address: string,
): readonly [reason: number, counted: RefusalReason, againS?: number] | null {
  const { bans } = domain.quotas;
  const isBannedHere = client ? isBanned(domain, client, address) : bans.find({ address, clientId }) !== null;
  if (isBannedHere) return [REASON.banned, 'banned'];
  const full = roomRefusal(domain);
  if (full) return [REASON.quotaExceeded, 'tooManyConnections', full.retryAfterS];
  const flapping = client && flappingRefusal(domain, client.token);
  return flapping ? [REASON.connectionRateExceeded, 'flapping', flapping.retryAfterS] : null;
}

/** A client id for a client that brings none [MQTT-3.1.3-6]. */
function newClientId(): string {
  return `auto-${randomUUID()}`;
}

export class MqttHost implements Host {
  readonly connections = new Set<Connection>();
  /** Called when the host closes: the carriers of connections end their timers. */
  readonly onClose: (() => void)[] = [];
  readonly #brokers = new Map<Domain, Broker>();
  readonly #connecting: Timeouts<Connection>;
  /** Connections that may not be silent, by the milliseconds that they may be. */
  readonly #keepAlive = new Map<number, Timeouts<Connection>>();
  #scheduled: Connection[] = [];
  #cancelSystem: (() => void) | null = null;

  constructor(readonly context: Context) {
    const { clock, metrics, system } = context.runtime;
    this.#connecting = new Timeouts(clock, CONNECT_MS, (connection) => {
      metrics.refused.connectTimeout += 1;
      connection.end();
    });
    system.endOfTurn.add(this.#flush);
    const { node, domains, runtime, served } = context;
    if (node) node.tunnels.accept = (tunnel, origin) => acceptTunnel(this, tunnel, origin as Origin);
    // Stored sessions and those that other nodes tell of receive publications before the first client connects.
    if (!node && !runtime.store) return;
    for (const domain of domains.values()) this.broker(domain);
    const added = (domain: Domain): void => void this.broker(domain);
    served.onAdded.add(added);
    this.onClose.push(() => served.onAdded.delete(added));
  }

  get topicAliasMaximum(): number {
    return this.context.config().mqtt.topicAliasMaximum;
  }

  get maxPacketBytes(): number {
    return this.context.config().mqtt.maxPacketBytes;
  }

  now(): number {
    return this.context.runtime.clock.now();
  }

  connecting(connection: Connection): void {
    this.connections.add(connection);
    this.#connecting.start(connection);
    this.strangers.hold(connection, connection.wire.unseenBytes);
    if (!this.#cancelSystem) this.#publishSystem();
  }

  get strangers(): Strangers {
    return this.context.strangers;
  }

  heard(connection: Connection, limitMs: number): void {
    let timeouts = this.#keepAlive.get(limitMs);
    if (!timeouts) {
      timeouts = new Timeouts(this.context.runtime.clock, limitMs, (silent) => silent.expire());
      this.#keepAlive.set(limitMs, timeouts);
    }
    timeouts.start(connection);
  }

  heardAt(connection: Connection): number | null {
    return this.#keepAlive.get(connection.keepAliveMs)?.startedAt(connection) ?? null;
  }

  forget(connection: Connection): void {
    this.connections.delete(connection);
    this.#connecting.cancel(connection);
    this.strangers.release(connection);
    if (connection.keepAliveMs > 0) this.#keepAlive.get(connection.keepAliveMs)?.cancel(connection);
  }

  schedule(connection: Connection): void {
    this.#scheduled.push(connection);
    this.context.runtime.system.wake();
  }

  /** Gives a connection what was read from its socket; other sockets may be read before the next turn. */
  read(connection: Connection, bytes: Buffer, end: number): void {
    const { system } = this.context.runtime;
    system.beginRead();
    try {
      connection.receive(bytes, end);
    } finally {
      if (system.endRead()) this.#flush();
    }
  }

  countMalformed(): void {
    this.context.runtime.metrics.refused.malformed += 1;
  }

  countUnavailable(): void {
    this.context.runtime.metrics.refused.unavailable += 1;
  }

  connect(connection: Connection, packet: Connect): ConnectionOwner | null {
    this.#connecting.cancel(connection);
    const { gate } = this.context;
    if (gate.isOpen) return this.#connect(connection, packet);
    connection.hold();
    const refuse = (): void => void this.#refuseUnavailable(connection, packet);
    gate.pass(
      () => {
        if (!connection.ended) connection.resumeAs(this.#connect(connection, packet));
      },
      () => (connection.ended ? undefined : refuse()),
      connection.wire.unseenBytes,
    );
    return null;
  }

  #connect(connection: Connection, packet: Connect, find?: typeof findTicket): ConnectionOwner | null {
    if (this.context.isDraining()) return this.#refuseUnavailable(connection, packet);
    // Enhanced authentication: this server knows no method [MQTT-4.12.0-1].
    if (packet.authenticationMethod !== null) {
      return this.#refuse(connection, packet, REASON.badAuthenticationMethod, 'badRequest');
    }
    // 3.1 has no empty client id, 3.1.1 only for a clean session [MQTT-3.1.3-8].
    if (packet.clientId === '' && (packet.version === 3 || (packet.version === 4 && !packet.clean))) {
      return this.#refuse(connection, packet, REASON.clientIdNotValid, 'badRequest');
    }
    const who = login(this.context, packet, connection.wire, find);
    if (typeof who === 'number') {
      const isLockedOut = who === REASON.connectionRateExceeded;
      return this.#refuse(connection, packet, who, isLockedOut ? 'lockedOut' : 'authenticationFailed');
    }
    if (who.elsewhere) return this.#locate(connection, packet, who.domain, who.elsewhere);
    const unwelcome = unwelcomeReason(who, packet.clientId, connection.wire.address);
    if (unwelcome) return this.#refuse(connection, packet, ...unwelcome);
    this.#keepAliveOf(connection, packet);
    return who.client
      ? this.#ticket(connection, packet, who.domain, who.client)
      : this.#session(connection, packet, who);
  }

  /** Silence of one and a half times the keep alive ends a connection [MQTT-3.1.2-22]. */
  #keepAliveOf(connection: Connection, packet: Connect): void {
    const { maxKeepAlive } = this.context.config().mqtt;
    const { keepAliveS, version } = packet;
    const isLonger = version === 5 && maxKeepAlive > 0 && (keepAliveS === 0 || keepAliveS > maxKeepAlive);
    if (isLonger) connection.serverKeepAliveS = maxKeepAlive;
    connection.keepAliveMs = (isLonger ? maxKeepAlive : keepAliveS) * 1500;
    if (connection.keepAliveMs > 0) this.heard(connection, connection.keepAliveMs);
  }

  #session(connection: Connection, packet: Connect, { domain, anonymous, key }: Login): ConnectionOwner | null {
    const broker = this.broker(domain);
    if (broker.isFull(packet.clientId, expiryOf(packet)))
      return this.#refuse(connection, packet, REASON.quotaExceeded, 'quotaExceeded');
    // A session that exists may connect: what waits in it is sent, which makes room.
    if (domain.shortage && !broker.sessions.has(packet.clientId))
      return this.#refuse(connection, packet, REASON.quotaExceeded, 'outOfMemory', OUT_OF_MEMORY.retryAfterS);
    const assigned = packet.clientId === '';
    const clientId = assigned ? newClientId() : packet.clientId;
    // An anonymous client gets no topic of its own.
    const responseInformation = packet.requestResponse && !anonymous ? `response/${clientId}` : null;
    if (key !== null) noteKey(connection, key);
    const begin = () => {
      const session = broker.session(clientId);
      session.tell({ kind: 'connect', connection, packet, assigned, responseInformation });
      connection.isSession = true;
      const { fair } = this.context;
      return new FairOwner(new BackendConnection(session, connection), domain, connection, fair);
    };
    if (assigned || broker.sessions.has(clientId)) return begin();
    return this.#find(connection, packet, domain.cluster, begin);
  }

  /**
   * Connects to a session that is not on this node: on the node where it lives, or, once all nodes know of it, to a new one here, or one
   * whose node is gone.
   */
  #find(
    connection: Connection,
    packet: Connect,
    { sessions }: { readonly sessions: ClusterSessions },
    begin: () => ConnectionOwner,
  ): ConnectionOwner | null {
    const { clientId } = packet;
    const home = sessions.home(clientId);
    if (home) return this.#carry(connection, peerOf(home));
    let owner: ConnectionOwner | null = null;
    let isHeld = false;
    const found = (where: RemoteNode | 'here' | 'later' | null): void => {
      const isNone = where === null || where === 'here';
      if (!isNone || (connection.ended && where === null)) sessions.release(clientId);
      if (connection.ended) return;
      if (!isHeld) owner = begin();
      else if (isNone) connection.resumeAs(begin());
      else if (where === 'later') this.#refuseUnavailable(connection, packet, LATER_S);
      else this.#carryHeld(connection, peerOf(where));
    };
    sessions.claim(clientId, () => {
      const elsewhere = sessions.home(clientId);
      if (elsewhere) found(elsewhere);
      else sessions.find(clientId, found);
    });
    if (owner !== null) return owner;
    isHeld = true;
    connection.hold();
    return null;
  }

  /** Asks where a ticket lives that this node does not know: that node then takes the connection, or this one if the ticket has come here. */
  #locate(connection: Connection, packet: Connect, domain: Domain, { address, token }: Elsewhere): null {
    connection.hold();
    const resume = (): void => {
      if (!connection.ended) connection.resumeAs(this.#connect(connection, packet, findTicket));
    };
    domain.cluster.locate(address, token, (found, laterS = LATER_S) => {
      if (connection.ended) return;
      // The answer may come at once, while CONNECT is still being handled.
      if (found === 'here') setImmediate(resume);
      else if (found === 'later') this.#refuseUnavailable(connection, packet, laterS);
      else if (found) this.#carryHeld(connection, peerOf(found));
      else this.#refuse(connection, packet, REASON.badCredentials, 'authenticationFailed');
    });
    return null;
  }

  /** The connection belongs to another node: this one carries its bytes there. */
  #carry(connection: Connection, home: Peer): null {
    connection.hold();
    setImmediate(() => this.#carryHeld(connection, home));
    return null;
  }

  #carryHeld(connection: Connection, home: Peer): void {
    const { node } = this.context;
    if (connection.ended || !node) return;
    const { kind, origin, address } = connection.wire;
    let carrier: TunnelCarrier;
    const tunnel = node.tunnels.open(home, { kind, origin, address } satisfies Origin, () =>
      TunnelCarrier.events(() => carrier),
    );
    carrier = new TunnelCarrier(connection.wire, tunnel, (code) => connection.end(code || undefined));
    if (connection.keepAliveMs > 0) this.#keepAlive.get(connection.keepAliveMs)?.cancel(connection);
    connection.keepAliveMs = 0;
    connection.carryBy(carrier);
  }

  #ticket(connection: Connection, packet: Connect, domain: Domain, client: NamedClient): ConnectionOwner | null {
    const { mqtt, presence } = this.context.config();
    const assigned = packet.clientId === '' ? newClientId() : null;
    const idleS = Math.ceil(presence.clientIdleMs / 1000);
    const { clients } = this.broker(domain);
    const transport = new ClientTransport(domain, client, connection, clients, packet, mqtt.receiveMaximum);
    const properties = connackOf(mqtt, assigned, connection.serverKeepAliveS, null);
    // The session ends with its ticket, so CONNACK says how long that holds: section 3.2.2.3.2.
    if ((packet.sessionExpiryS ?? 0) > idleS) properties.sessionExpiryInterval = idleS;
    if (!connection.send(encodeConnack(packet.version, transport.sessionPresent, properties))) {
      // The CONNACK is larger than the client accepts; the connection has taken over all the same, and ends.
      transport.attach();
      transport.lost();
      return null;
    }
    transport.attach();
    return new FairOwner(transport, domain, connection, this.context.fair);
  }

  #refuseUnavailable(connection: Connection, packet: Connect, againS = UNAVAILABLE.retryAfterS): null {
    return this.#refuse(connection, packet, REASON.serverUnavailable, 'unavailable', againS);
  }

  /** `againS`: in how many seconds the client may come again, which those of MQTT 5 are told; absent: it may not. */
  #refuse(connection: Connection, packet: Connect, reason: number, counted: RefusalReason, againS?: number): null {
    const text = againS === undefined ? '' : `try again later, in ${this.context.comingAgain.inS(againS)} s`;
    const { version, username, maximumPacketSize } = packet;
    const domain = username !== null && this.context.domains.has(username) ? username : '';
    this.context.runtime.metrics.refuse(counted, { domain, address: connection.wire.address });
    // [MQTT-3.2.2-19]
    connection.sendRefusal(version, reason, text.length + REFUSAL_BYTES > maximumPacketSize ? '' : text);
    connection.end();
    return null;
  }

  broker(domain: Domain): Broker {
    let broker = this.#brokers.get(domain);
    if (!broker) {
      broker = new Broker(domain, this.context);
      this.#brokers.set(domain, broker);
      domain.onEnd.add(() => this.#end(domain));
    }
    return broker;
  }

  /** A domain has gone from the configuration, and its sessions go with it. */
  #end(domain: Domain): void {
    const broker = this.#brokers.get(domain);
    this.#brokers.delete(domain);
    broker?.end();
  }

  /** The server drains: for each connection, a function that ends it. */
  farewells(): (() => void)[] {
    const { mqttReason, webSocketCode } = CLOSE.shutdown;
    for (const { clients } of this.#brokers.values()) clients.isEnding = true;
    const sessions = [...this.#brokers.values()].flatMap((broker) => [...broker.sessions.values()]);
    const connections = [...this.connections].filter(({ isSession }) => !isSession);
    return [
      ...sessions.map((session) => () => session.tell({ kind: 'shutdown' })),
      ...connections.map((connection) => () => connection.disconnect(mqttReason, webSocketCode)),
    ];
  }

  /** Ends everything that would keep the process or a test alive. */
  close(): void {
    this.context.runtime.system.endOfTurn.delete(this.#flush);
    this.#cancelSystem?.();
    for (const broker of this.#brokers.values()) broker.end();
    for (const connection of [...this.connections]) connection.end(CLOSE.shutdown.webSocketCode);
    this.#connecting.close();
    for (const end of this.onClose) end();
    for (const timeouts of this.#keepAlive.values()) timeouts.close();
  }

  readonly #flush = (): void => {
    const scheduled = this.#scheduled;
    if (scheduled.length === 0) return;
    this.#scheduled = [];
    for (const connection of scheduled) connection.flush();
  };

  /** Publishes `$SYS` from time to time, while anybody is connected. */
  #publishSystem(): void {
    this.#cancelSystem = this.context.runtime.clock.after(SYSTEM_MS, () => {
      this.#cancelSystem = null;
      for (const broker of this.#brokers.values()) publishSystem(broker);
      if (this.connections.size > 0) this.#publishSystem();
    });
  }
}
