/**
 * A ticket's session and connection: one client of its endpoint, by MQTT. Carries the endpoint's packets as publications
 * of QoS 1, and what the client publishes to its endpoint's actor; PROTOCOL.md section 8. What waits for the client is
 * in its endpoint's queue until it is acknowledged; here is what of it is in flight, under which identifier.
 */
import { parseTarget } from '../../actors/address.js';
import type { NamedClient } from '../../actors/client.js';
import type { Domain } from '../../actors/domain.js';
import type { Packet } from '../../actors/packet.js';
import type { Transport } from '../../actors/transport.js';
import { CLOSE, type CloseReason } from '../../errors.js';
import { isMember } from '../sending.js';
import type { Batch, ClientSession, ClientSessions } from './client-sessions.js';
import type { Connection, ConnectionOwner } from './connection.js';
import { encodeAck, encodeSuback, encodeUnsuback, PINGRESP } from './encode.js';
import { expiryAfter, expiryOf } from './expiry.js';
import { publicationOf } from './frame-publication.js';
import type { InFlight } from './inflight.js';
import type { Ack, Connect, Disconnect, Incoming, Publish, Refused, Subscribe } from './packets.js';
import { refuse } from './publish.js';
import { type Outcome, sendTo } from './publish-to-address.js';
import { FAILURE_3, REASON, webSocketCodeOf } from './reason.js';
import {
  acknowledgeCopy,
  exceeds,
  floods,
  isCopy,
  mustEnd,
  type Pending,
  pend,
  REFUSED,
  release,
  settle,
} from './received.js';

/** Bytes of the packets that one publication gathers. */
const FRAME_BYTES = 64 * 1024;

const NONE: readonly Packet[] = [];

/** A client's connection: gets the endpoint's packets out, and hands on what the client says. */
export class ClientTransport implements ConnectionOwner, Transport {
  readonly kind: Connection['kind'];
  readonly acknowledges = true;
  readonly sessionPresent: boolean;
  readonly #session: ClientSession;
  readonly #granted = new Set<string>();
  #blocked = false;
  /** Whether the connection is lost, or another one has the client. */
  #hasLeft = false;
  /** Bytes that one publication gathers here: halved each time that a frame is larger than the client accepts. */
  #frameBytes = FRAME_BYTES;

  constructor(
    private readonly domain: Domain,
    private readonly client: NamedClient,
    private readonly connection: Connection,
    private readonly sessions: ClientSessions,
    connect: Connect,
    /** Publications of QoS 1 and 2 that the configuration allows in flight in each direction. */
    private readonly receiveMaximum: number,
  ) {
    const { session, present } = sessions.open(client, connect);
    this.#session = session;
    this.sessionPresent = present;
    this.kind = connection.kind;
    session.transport = this;
    session.expiryS = expiryOf(connect);
    session.will.connected(connect.will);
    sessions.changed(client);
    session.inflight.connected(Math.min(connect.receiveMaximum, receiveMaximum));
  }

  get address(): string {
    return this.connection.wire.address;
  }

  get heardAt(): number | null {
    return this.connection.heardAt;
  }

  /** Takes the place of the client's earlier transport. */
  attach(): void {
    const { client } = this;
    client.endpoint.tell({ kind: 'attach', client, transport: this });
  }

  deliver(packets: readonly Packet[]): number {
    if (this.#hasLeft) return 0;
    let taken = 0;
    while (taken < packets.length) {
      if (this.connection.congested || !this.#session.inflight.hasQuota) {
        this.#blocked = true;
        return taken;
      }
      taken += this.#sendAgain(packets, taken) || this.#sendNew(packets, taken);
    }
    return taken;
  }

  /** Sends what an earlier connection had in flight, as it was [MQTT-4.4.0-1]. Answers how many packets that were. */
  #sendAgain(packets: readonly Packet[], from: number): number {
    const { inflight } = this.#session;
    for (let entry = inflight.nextAgain(); entry; entry = inflight.nextAgain()) {
      // Some have had to go from the queue, have expired, or another transport has got them out meanwhile.
      const left: Packet[] = [];
      for (const packet of entry.item) if (packets[from + left.length] === packet) left.push(packet);
      entry.item = left;
      if (left.length > 0) return this.#transmit(entry, true) ? left.length : 0;
      inflight.remove(entry);
    }
    return 0;
  }

  /** Sends one publication of packets that follow each other on one topic and expire together. Answers how many that were. */
  #sendNew(packets: readonly Packet[], from: number): number {
    const first = packets[from] as Packet;
    let bytes = first.bytes;
    let to = from + 1;
    for (; to < packets.length; to++) {
      const packet = packets[to] as Packet;
      bytes += packet.bytes;
      if (packet.topic !== first.topic || packet.expiresAt !== first.expiresAt || bytes > this.#frameBytes) break;
    }
    const { inflight } = this.#session;
    if (this.#transmit(inflight.add([first, ...packets.slice(from + 1, to)], 1), false)) return to - from;
    if (to - from === 1) {
      this.domain.metrics.drop('packetTooLarge', this.client.address);
      this.#acknowledge([first], 'packetTooLarge');
      return 1;
    }
    this.#frameBytes = Math.min(this.#frameBytes, bytes) / 2;
    return this.#sendNew(packets.slice(from, from + 1), 0);
  }

  /** False where the publication is larger than the client accepts; then it is in flight no more. */
  #transmit(entry: InFlight<Batch>, dup: boolean): boolean {
    const { id, item } = entry;
    const publication = publicationOf(item);
    const isSent = this.connection.publish(publication, { qos: 1, dup, retain: false, id });
    if (isSent) this.#session.inflight.sent(entry);
    else this.#session.inflight.remove(entry);
    return isSent;
  }

  /** The endpoint ends the connection: another took its place, or OFFLINE was called. */
  close(reason: CloseReason): readonly Packet[] {
    const { will } = this.#session;
    const hasLeft = this.#hasLeft;
    // A ticket that has ended says nothing any more.
    if (!hasLeft && reason !== CLOSE.replaced) will.discard();
    this.leave();
    // The client goes on elsewhere before a delay is over.
    if (!hasLeft) will.resumed();
    this.connection.disconnect(reason.mqttReason, reason.webSocketCode);
    return NONE;
  }

  received(packet: Incoming): void {
    const { connection } = this;
    const version = connection.version ?? 4;
    switch (packet.cmd) {
      case 'publish':
        return this.#publish(packet);
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        return this.#acknowledged(packet);
      case 'pubrel':
        this.sessions.changed(this.client);
        return release(this.#session, connection, packet.id);
      case 'subscribe':
        return this.#answer(encodeSuback(version, packet.id, this.#subscribe(packet)));
      case 'unsubscribe': {
        const results = packet.filters.map((filter) =>
          this.#granted.delete(filter) ? REASON.success : REASON.noSubscriptionExisted,
        );
        return this.#answer(encodeUnsuback(version, packet.id, results));
      }
      case 'pingreq':
        return this.#answer(PINGRESP);
      case 'disconnect':
        return this.#disconnect(packet);
      case 'connect':
        return this.refused({ cmd: 'refused', reason: REASON.protocolError, silent: false });
    }
  }

  refused({ reason, silent }: Refused): void {
    if (silent) this.connection.end();
    else this.connection.disconnect(reason, webSocketCodeOf(reason));
    this.#gone();
  }

  lost(): void {
    this.connection.end();
    this.#gone();
  }

  drained(): void {
    if (!this.#blocked || !this.#session.inflight.hasQuota) return;
    this.#blocked = false;
    const { client } = this;
    client.endpoint.tell({ kind: 'drained', client, transport: this });
  }

  /** A client that does not accept an answer for its size would wait for it for ever: its connection ends. */
  #answer(bytes: Buffer): void {
    if (!this.connection.send(bytes)) this.#breach(REASON.packetTooLarge);
  }

  #breach(reason: number): void {
    this.refused({ cmd: 'refused', reason, silent: false });
  }

  #publish(packet: Publish): void {
    const { connection, domain, client } = this;
    const session = this.#session;
    const { qos } = packet;
    if (qos > 0 && floods(connection)) return this.#breach(REASON.receiveMaximumExceeded);
    if (isCopy(session, packet)) return acknowledgeCopy(session, connection, packet)();
    if (qos > 0 && exceeds(connection, this.receiveMaximum)) return this.#breach(REASON.receiveMaximumExceeded);
    const pending = qos > 0 ? pend(session, connection, packet) : null;
    const sent = sendTo(domain, client, packet, (outcome) => this.#known(packet, pending, outcome));
    if (sent.reason >= REFUSED) this.#known(packet, pending, sent);
  }

  /** What becomes of a publication is known; its client may be connected anew since it has sent it. `pending`: null at QoS 0. */
  #known(packet: Publish, pending: Pending | null, outcome: Outcome): void {
    const session = this.#session;
    if (outcome.reason >= REFUSED) refuse(this.domain, this.connection, packet, outcome);
    if (!pending) return;
    if (settle(session, pending, outcome)) this.sessions.changed(this.client);
    if (!mustEnd(pending)) return pending.ready();
    const { transport } = session;
    if (transport?.connection === pending.connection) transport.#breach(REASON.quotaExceeded);
  }

  #acknowledged(packet: Ack): void {
    if (this.#hasLeft) return;
    const acknowledged = this.#session.inflight.acknowledge(packet);
    switch (acknowledged.kind) {
      case 'breach':
        return this.#breach(REASON.protocolError);
      case 'release':
        return this.#answer(encodeAck(this.connection.version ?? 4, 'pubrel', packet.id));
      case 'completed':
        this.#acknowledge(acknowledged.entry.item, null);
        if (!this.connection.congested) this.drained();
    }
  }

  /** The client has these packets, or they are not for it, `dropped` says why. */
  #acknowledge(packets: readonly Packet[], dropped: string | null): void {
    const { client } = this;
    client.endpoint.tell({ kind: 'acknowledged', client, transport: this, packets, dropped });
  }

  /** What is in flight is a part of the queue, and is forgotten with it: the identifier alone stays taken. */
  dropped(packets: readonly Packet[]): void {
    const gone = new Set(packets);
    for (const entry of this.#session.inflight.entries()) {
      if (gone.size === 0) return;
      const left = entry.item.filter((packet) => !gone.delete(packet));
      if (left.length < entry.item.length) entry.item = left;
    }
  }

  /** The client's own queue and the rooms it is in are granted, and change nothing: their packets come anyway. */
  #subscribe({ wanted }: Subscribe): number[] {
    return wanted.map(({ filter, qos }) => {
      if (this.#mayHear(filter)) {
        this.#granted.add(filter);
        return Math.min(qos, 1);
      }
      return this.connection.version === 5 ? REASON.notAuthorized : FAILURE_3;
    });
  }

  #mayHear(filter: string): boolean {
    const { client, domain } = this;
    if (!filter.startsWith('/')) return false;
    const target = parseTarget(domain.name, filter);
    if (!target) return false;
    if (target.address === client.address) return target.client === null || target.client === client.name;
    return target.node === 'gid' && target.client === null && isMember(domain, client, target);
  }

  #disconnect(packet: Disconnect): void {
    const session = this.#session;
    const expiryS = expiryAfter(session.expiryS, packet);
    if (expiryS === null) return this.#breach(REASON.protocolError);
    session.expiryS = expiryS;
    this.sessions.changed(this.client);
    if (packet.reason === REASON.success) session.will.discard();
    this.connection.end();
    this.#gone();
  }

  /** The connection is lost; the client's idle time begins. */
  #gone(): void {
    const { client } = this;
    if (this.#hasLeft) return;
    this.leave();
    client.endpoint.tell({ kind: 'detach', client, transport: this, unsent: NONE });
  }

  /** The session has no connection any more, and ends with it or remembers what was in flight. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    const session = this.#session;
    session.transport = null;
    session.inflight.disconnected();
    if (session.expiryS === 0) this.sessions.end(session);
    session.will.lost(session.expiryS);
  }
}
