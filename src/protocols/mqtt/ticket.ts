/**
 * A ticket's connection: one client of its endpoint, by MQTT. Carries the endpoint's packets as publications of QoS 1,
 * and what the client publishes to its endpoint's actor; PROTOCOL.md section 8. The client's queue is its endpoint's,
 * so nothing is kept here but what is in flight.
 */
import { parseTarget } from '../../actors/address.js';
import type { Client } from '../../actors/client.js';
import type { Domain } from '../../actors/domain.js';
import type { Packet } from '../../actors/packet.js';
import { Publication } from '../../actors/publication.js';
import type { Transport } from '../../actors/transport.js';
import { CLOSE, type CloseReason } from '../../errors.js';
import { encodeFrame } from '../frame.js';
import { isMember } from '../sending.js';
import { ACCEPTED, dropRefused, sendTo } from './addresses.js';
import type { Connection, Peer } from './connection.js';
import { later } from './disconnect.js';
import { encodeAck, encodeSuback, encodeUnsuback, PINGRESP } from './encode.js';
import type { Ack, Connect, Disconnect, Incoming, Publish, Refused, Subscribe, Will } from './packets.js';
import { exceeds, keep, receive, refuse, release } from './publish.js';
import { FAILURE_3, REASON, webSocketCodeOf } from './reason.js';

const MAX_ID = 65_535;
/** Packets that one frame gathers, in bytes. */
const FRAME_BYTES = 64 * 1024;
const NO_PROPERTIES = Buffer.alloc(0);

interface Batch {
  readonly id: number;
  readonly packets: readonly Packet[];
}

/** What outlives a connection, for the same client with the same client id. */
interface Session {
  readonly clientId: string;
  /** QoS 2 publications received and not released yet. */
  readonly received: Set<number>;
  lastId: number;
  /** Sent and not acknowledged when the last connection was lost: they go out again under the same identifiers. */
  again: readonly Batch[];
  cancelWill: (() => void) | null;
}

const sessions = new WeakMap<Client, Session>();

function newSession(clientId: string): Session {
  return { clientId, received: new Set(), lastId: 0, again: [], cancelWill: null };
}

/** The session a CONNECT resumes or begins, and whether it was there. */
function openSession(client: Client, { clientId, clean }: Connect): { session: Session; present: boolean } {
  const known = sessions.get(client);
  known?.cancelWill?.();
  if (known && known.clientId === clientId && !clean) return { session: known, present: true };
  const session = newSession(clientId);
  sessions.set(client, session);
  return { session, present: false };
}

export class TicketPeer implements Peer, Transport {
  readonly kind: Connection['kind'];
  readonly sessionPresent: boolean;
  readonly #session: Session;
  readonly #inFlight = new Map<number, readonly Packet[]>();
  readonly #granted = new Set<string>();
  #quota: number;
  #blocked = false;
  /** What it had in flight when its connection went; null: it is there. */
  #left: readonly Packet[] | null = null;
  #will: Will | null;
  #expiryS: number;

  constructor(
    private readonly domain: Domain,
    private readonly client: Client,
    private readonly connection: Connection,
    connect: Connect,
    /** Of config: QoS 1 and 2 in flight in each direction. */
    private readonly receiveMaximum: number,
  ) {
    const { session, present } = openSession(client, connect);
    this.#session = session;
    this.sessionPresent = present;
    this.kind = connection.kind;
    this.#quota = Math.min(connect.receiveMaximum, receiveMaximum);
    this.#will = connect.will;
    if (connect.version === 5) this.#expiryS = connect.sessionExpiryS ?? 0;
    else this.#expiryS = connect.clean ? 0 : Number.POSITIVE_INFINITY;
  }

  /** Takes the place of the client's earlier transport. */
  attach(): void {
    const { client } = this;
    client.endpoint.tell({ kind: 'attach', client, transport: this });
  }

  deliver(packets: readonly Packet[]): number {
    if (this.#left) return 0;
    let taken = 0;
    while (taken < packets.length) {
      if (this.connection.congested || this.#quota === 0) {
        this.#blocked = true;
        return taken;
      }
      taken += this.#sendAgain(packets, taken) || this.#sendNew(packets, taken);
    }
    return taken;
  }

  /** What an earlier connection had in flight goes out as it was [MQTT-4.4.0-1]. Answers how many packets that were. */
  #sendAgain(packets: readonly Packet[], from: number): number {
    const [batch, ...rest] = this.#session.again;
    if (!batch) return 0;
    const isSame = batch.packets.every((packet, i) => packets[from + i] === packet);
    this.#session.again = isSame ? rest : [];
    if (isSame) this.#transmit(batch, true);
    return isSame ? batch.packets.length : 0;
  }

  /** One publication of packets that follow each other on one topic. */
  #sendNew(packets: readonly Packet[], from: number): number {
    const first = packets[from] as Packet;
    let bytes = first.bytes;
    let to = from + 1;
    for (; to < packets.length; to++) {
      const packet = packets[to] as Packet;
      bytes += packet.bytes;
      if (packet.topic !== first.topic || bytes > FRAME_BYTES) break;
    }
    const batch = packets.slice(from, to);
    if (!this.#transmit({ id: this.#nextId(), packets: batch }, false)) {
      // Too large for this client together: each for itself.
      for (const packet of batch) {
        const isSent = this.#transmit({ id: this.#nextId(), packets: [packet] }, false);
        if (!isSent) this.domain.metrics.drop('packetTooLarge', this.client.address);
      }
    }
    return batch.length;
  }

  #transmit({ id, packets }: Batch, dup: boolean): boolean {
    const [first] = packets;
    if (!first) return true;
    const publication = new Publication({
      topic: first.topic,
      payload: encodeFrame(packets).bytes,
      qos: 1,
      retain: false,
      properties: NO_PROPERTIES,
      expiresAt: Number.POSITIVE_INFINITY,
      publisher: null,
    });
    if (!this.connection.publish(publication, { qos: 1, dup, retain: false, id })) return false;
    this.#quota -= 1;
    this.#inFlight.set(id, packets);
    return true;
  }

  #nextId(): number {
    const session = this.#session;
    const isTaken = (id: number) => this.#inFlight.has(id) || session.again.some((batch) => batch.id === id);
    do session.lastId = (session.lastId % MAX_ID) + 1;
    while (isTaken(session.lastId));
    return session.lastId;
  }

  /** The endpoint ends the connection: another took its place, or OFFLINE was called. */
  close(reason: CloseReason): readonly Packet[] {
    const will = this.#will;
    this.#will = null;
    // Its connection may have gone, and its endpoint not have heard of it yet.
    const unsent = this.#left ?? this.#leave();
    this.connection.disconnect(reason.mqttReason, reason.webSocketCode);
    // Its session goes on elsewhere before a delay is over; a ticket that has ended says nothing any more.
    if (reason === CLOSE.replaced && will?.delayS === 0) this.#publishWill(will);
    return unsent;
  }

  received(packet: Incoming): void {
    const { connection } = this;
    const version = connection.version ?? 4;
    switch (packet.cmd) {
      case 'publish':
        return this.#publish(packet);
      case 'puback':
      case 'pubrec':
      case 'pubrel':
      case 'pubcomp':
        return this.#acknowledge(packet);
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
    if (!this.#blocked || this.#quota === 0) return;
    this.#blocked = false;
    const { client } = this;
    client.endpoint.tell({ kind: 'drained', client, transport: this });
  }

  /** Who does not accept an answer for its size would wait for it for ever. */
  #answer(bytes: Buffer): void {
    if (!this.connection.send(bytes)) this.#breach(REASON.packetTooLarge);
  }

  #breach(reason: number): void {
    this.refused({ cmd: 'refused', reason, silent: false });
  }

  #publish(packet: Publish): void {
    const { connection, domain, client } = this;
    const { received } = this.#session;
    const { qos, id } = packet;
    if (qos === 2 && received.has(id)) {
      // [MQTT-4.3.3-10], behind the one of its first copy where that waits.
      return connection.receipts.add(() => void connection.send(encodeAck(connection.version ?? 4, 'pubrec', id)))();
    }
    if (qos > 0 && exceeds(connection, this.receiveMaximum)) return this.#breach(REASON.receiveMaximumExceeded);
    let outcome = ACCEPTED;
    const ready = qos > 0 ? receive(connection, packet, () => outcome) : () => undefined;
    outcome = sendTo(domain, client, packet.topic, packet.payload, ready);
    if (outcome.reason === 0) {
      if (qos === 2) keep(received, connection, id);
      return;
    }
    refuse(domain, connection, packet, outcome);
    ready();
  }

  #acknowledge({ cmd, id }: Ack): void {
    if (cmd === 'pubrel') return release(this.#session.received, this.connection, id);
    if (!this.#inFlight.has(id)) return;
    // Everything it is sent is QoS 1.
    if (cmd !== 'puback') return this.#breach(REASON.protocolError);
    for (const packet of this.#inFlight.get(id) ?? []) {
      if (packet.trace !== null) packet.trace.hop('acknowledged', packet, this.client.address, this.client.name);
    }
    this.#inFlight.delete(id);
    this.#quota += 1;
    if (!this.connection.congested) this.drained();
  }

  /** Its own queue and the rooms it is in are granted, and change nothing: their packets come anyway. */
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

  #disconnect({ reason, sessionExpiryS }: Disconnect): void {
    if (sessionExpiryS !== null && this.#expiryS === 0 && sessionExpiryS > 0) {
      return this.#breach(REASON.protocolError); // [MQTT-3.14.2-2]
    }
    this.#expiryS = sessionExpiryS ?? this.#expiryS;
    if (reason === REASON.success) this.#will = null; // [MQTT-3.14.4-3]
    this.connection.end();
    this.#gone();
  }

  /** The connection has gone; the idle time begins. */
  #gone(): void {
    const { client } = this;
    if (this.#left) return;
    const unsent = this.#leave();
    client.endpoint.tell({ kind: 'detach', client, transport: this, unsent });
    const will = this.#will;
    this.#will = null;
    if (!will) return;
    const delayS = Math.min(will.delayS, this.#expiryS);
    if (delayS === 0) this.#publishWill(will);
    else this.#session.cancelWill = later(this.domain.runtime.clock, delayS, () => this.#publishWill(will));
  }

  /** What was in flight, for another transport to get out; kept in mind for the same client to come back. */
  #leave(): readonly Packet[] {
    const batches = [...this.#inFlight].map(([id, packets]) => ({ id, packets }));
    this.#inFlight.clear();
    const { again } = this.#session;
    if (this.#expiryS > 0) this.#session.again = [...batches, ...again];
    else if (sessions.get(this.client) === this.#session) sessions.delete(this.client);
    this.#left = batches.flatMap(({ packets }) => packets);
    return this.#left;
  }

  /** A message of its endpoint, while the ticket holds. */
  #publishWill({ topic, payload }: Will): void {
    const { domain, client } = this;
    this.#session.cancelWill = null;
    if (domain.tickets.get(client.token) !== client) return;
    const outcome = sendTo(domain, client, topic, payload);
    if (outcome.reason !== 0) dropRefused(domain, topic, outcome);
  }
}

/** Cancels what a client's session waits for: the server closes. */
export function forgetSession(client: Client): void {
  sessions.get(client)?.cancelWill?.();
  sessions.delete(client);
}
