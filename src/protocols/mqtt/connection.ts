/**
 * One network connection, whatever carries it: bytes in → packets → its owner; packets out → bytes, gathered and written
 * once a turn. Knows sizes, aliases and timers; what packets mean is its owner's business.
 */
import type { Publication, Qos } from '../../actors/publication.js';
import type { Stranger, Strangers } from '../strangers.js';
import { Aliases, ReceivedAliases } from './aliases.js';
import { decode } from './decode.js';
import { encodeDisconnect, encodePublish, encodeRefusal } from './encode.js';
import type { Connect, Incoming, Publish, Refused, Version } from './packets.js';
import { REASON, webSocketCodeOf } from './reason.js';
import { Receipts } from './receipts.js';
import { type PacketTaker, type SplitFault, Splitter } from './splitter.js';
import type { Carrier } from './tunnel.js';
import type { Wire } from './wire.js';

/** Bytes gathered in one turn before they are written without waiting for its end. */
const GATHERED_BYTES = 256 * 1024;
/** Bytes that wait for the network before publications wait in their session instead. */
const CONGESTED_BYTES = 1024 * 1024;
/** Bytes, besides one whole packet, that wait for a client before the server stops reading from it: nearly all answers fit. */
const CHOKED_BYTES = 2 * CONGESTED_BYTES;

/** Characters of the longest topic that a connection remembers, to recognize it when it comes again. */
const REMEMBERED_TOPIC = 256;

const NO_IDENTIFIERS: readonly number[] = [];

/** What a connection belongs to and hands its packets to: a backend's session, or a ticket's client. */
export interface ConnectionOwner {
  received(packet: Incoming): void;
  /** The client broke the standard: it is to be told so and ended, once what came before has been answered. */
  refused(refused: Refused): void;
  /** The network connection is lost; what came before it has been received. */
  lost(): void;
  /** The connection can take publications again. */
  drained(): void;
}

/** What all connections of a server share. */
export interface Host {
  readonly topicAliasMaximum: number;
  readonly maxPacketBytes: number;
  /** A connection begins; its CONNECT is due. */
  connecting(connection: Connection): void;
  readonly strangers: Strangers;
  /** CONNECT has come: answers the connection's owner, or null where it was refused and ended, or is not known yet. */
  connect(connection: Connection, packet: Connect): ConnectionOwner | null;
  /** A packet came; `limitMs` of silence from now on end the connection. */
  heard(connection: Connection, limitMs: number): void;
  /** When a packet came last, in milliseconds since the epoch; null: the connection has no keep alive. */
  heardAt(connection: Connection): number | null;
  /** The connection has ended: its timers stop. */
  forget(connection: Connection): void;
  /** The connection has something to write at the end of the turn. */
  schedule(connection: Connection): void;
  now(): number;
  countMalformed(): void;
  countUnavailable(): void;
}

export interface Outgoing {
  readonly qos: Qos;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly id: number;
  readonly identifiers?: readonly number[];
}

export class Connection implements Stranger, PacketTaker {
  /** The protocol version of CONNECT; null before CONNECT has come. */
  version: Version | null = null;
  requestProblem = true;
  /** Milliseconds of silence that end the connection; 0: silence never does. */
  keepAliveMs = 0;
  /** The keep alive, in seconds, that CONNACK names instead of the client's own; null: the client's own holds. */
  serverKeepAliveS: number | null = null;
  /** QoS 1 publications received whose acknowledgement has not been written yet. */
  unacknowledged = 0;
  /** QoS 2 publications received on this connection and not released yet; those of earlier ones do not count, section 4.9. */
  unreleased = 0;
  /** PUBACK, PUBREC and PUBCOMP that wait for the disk. */
  readonly receipts = new Receipts();
  /** How many PUBACK wait for the disk. */
  unstored = 0;
  /** Whether the connection belongs to a backend's session, whose actor decides when the connection ends. */
  isSession = false;
  /** Whether too much waits for the network, so that further publications are to wait with the owner. */
  congested = false;
  #owner: ConnectionOwner | null = null;
  /** CONNECT and what came after it, while it is not known where the connection belongs. */
  #held: Buffer[] | null = null;
  #heldBytes = 0;
  #carrier: Carrier | null = null;
  #ended = false;
  /** The client has broken the standard: what follows is not looked at. */
  #deaf = false;
  #choked = false;
  #scheduled = false;
  #withheld = false;
  #out: Buffer[] = [];
  #outBytes = 0;
  #maximumPacketSize = Number.POSITIVE_INFINITY;
  #aliases: Aliases | null = null;
  #received: ReceivedAliases | null = null;
  /** The topic of the last PUBLISH: most publishers have few, and many have one. */
  #topic = '';
  /** Whole packets received. */
  #packets = 0;
  readonly #splitter: Splitter;

  constructor(
    private readonly host: Host,
    readonly wire: Wire,
  ) {
    this.#splitter = new Splitter(host.maxPacketBytes, this);
    host.connecting(this);
  }

  get kind(): Wire['kind'] {
    return this.wire.kind;
  }

  get heardAt(): number | null {
    return this.host.heardAt(this);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the first `end` bytes; they may change once this has returned. */
  receive(chunk: Buffer, end = chunk.length): void {
    if (this.#ended || this.#deaf) return;
    if (this.#carrier) return this.#carrier.carry(chunk.subarray(0, end));
    if (this.#held) return this.#keep(chunk.subarray(0, end));
    const before = this.#packets;
    // Fields of CONNECT, and what comes with it, may be kept.
    const bytes = this.version === null ? Buffer.from(chunk.subarray(0, end)) : chunk;
    const fault = this.#splitter.feed(bytes, end);
    // Whole packets count, not bytes [MQTT-3.1.2-22]: a byte now and then keeps no connection open.
    if (this.keepAliveMs > 0 && this.#packets > before && !this.#ended) this.host.heard(this, this.keepAliveMs);
    // A client that has not sent its CONNECT yet is not answered.
    if (fault) this.#refuse(this.version === null ? { ...fault, silent: true } : fault);
    else if (this.version === null) this.host.strangers.hold(this, this.wire.unseenBytes + this.#splitter.keptBytes);
  }

  /** Ends a connection whose CONNECT is not whole: all such strangers together take too much memory. */
  drop(): void {
    this.host.countUnavailable();
    this.wire.drop();
    this.end();
  }

  takePacket(bytes: Buffer, start: number, body: number, end: number): boolean {
    this.#packets += 1;
    // A length takes no more bytes than it needs; 3.1.1 does not say so [MQTT-1.5.5-1].
    if (this.version === 5 && body - start > 2 && bytes[body - 1] === 0) {
      this.#refuse({ reason: REASON.malformed, silent: false });
      return false;
    }
    const packet = decode(bytes, start, body, end, this.version, this.#topic);
    if (packet.cmd === 'refused') {
      this.#refuse(packet);
      return false;
    }
    if (packet.cmd === 'connect') {
      this.#connect(packet);
      if (this.#held) return this.#keepAll(bytes, start, end);
    } else if (packet.cmd !== 'publish' || this.#resolveAlias(packet)) this.#owner?.received(packet);
    return !this.#ended && !this.#deaf;
  }

  /** Called while CONNECT is handled, once or more: what follows waits until it is known where the connection belongs. */
  hold(): void {
    this.#held ??= [];
  }

  /** The owner is known: what came meanwhile goes there. Null: the connection has been refused and ended, or waits on. */
  resumeAs(owner: ConnectionOwner | null): void {
    if (owner === null) return;
    const [, ...rest] = this.#release();
    this.#owner = owner;
    for (const chunk of rest) this.receive(chunk);
  }

  /** From now on all bytes, those of CONNECT first, are carried to another node. */
  carryBy(carrier: Carrier): void {
    this.#carrier = carrier;
    for (const chunk of this.#release()) carrier.carry(chunk);
  }

  #keepAll(bytes: Buffer, start: number, end: number): boolean {
    this.#held = [Buffer.from(bytes.subarray(start, end))];
    if (end < bytes.length) this.#keep(bytes.subarray(end));
    return false;
  }

  #keep(chunk: Buffer): void {
    this.#held?.push(Buffer.from(chunk));
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > GATHERED_BYTES) this.wire.pause();
  }

  #release(): readonly Buffer[] {
    const held = this.#held ?? [];
    this.#held = null;
    if (this.#heldBytes > GATHERED_BYTES) this.wire.resume();
    this.#heldBytes = 0;
    return held;
  }

  #connect(packet: Connect): void {
    this.version = packet.version;
    this.host.strangers.release(this);
    this.requestProblem = packet.requestProblem;
    this.#maximumPacketSize = packet.maximumPacketSize;
    if (packet.topicAliasMaximum > 0) this.#aliases = new Aliases(packet.topicAliasMaximum);
    this.#owner = this.host.connect(this, packet);
  }

  /** Remembers the topic, and puts in the one that an alias stands for; false where the alias stands for none. */
  #resolveAlias(packet: Publish): boolean {
    if (packet.topic.length <= REMEMBERED_TOPIC) this.#topic = packet.topic;
    if (packet.alias === 0) return true;
    if (packet.alias > this.host.topicAliasMaximum) {
      this.#refuse({ reason: REASON.topicAliasInvalid, silent: false }); // [MQTT-3.3.2-9]
      return false;
    }
    this.#received ??= new ReceivedAliases();
    if (packet.topic !== '') {
      if (this.#received.set(packet.alias, packet.topic)) return true;
      this.#refuse({ reason: REASON.quotaExceeded, silent: false });
      return false;
    }
    const topic = this.#received.get(packet.alias);
    if (topic === undefined) {
      this.#refuse({ reason: REASON.protocolError, silent: false });
      return false;
    }
    packet.topic = topic;
    return true;
  }

  /** Publishing to this topic is refused: the topic need not be kept for its alias. */
  refuseTopic({ alias, topic }: Publish): void {
    if (alias > 0) this.#received?.refuse(alias, topic);
  }

  /** What came before is answered first, so the owner ends the connection. Without an owner CONNECT itself was wrong. */
  #refuse({ reason, silent }: SplitFault | Refused): void {
    this.host.countMalformed();
    this.#deaf = true;
    if (this.#owner) {
      this.#owner.refused({ cmd: 'refused', reason, silent });
      this.#owner = null;
      return;
    }
    if (!silent && (this.version === null || this.version === 5)) this.sendRefusal(5, reason);
    this.end(webSocketCodeOf(reason));
  }

  /** Sends a CONNACK that refuses. `text`: for people, in 5.0 only. */
  sendRefusal(version: Version, reason: number, text = ''): void {
    const bytes = encodeRefusal(version, reason, text);
    if (bytes) this.send(bytes);
  }

  /** Nothing goes out until `letOut`, or until the connection ends: what CONNACK says is not on disk yet. */
  withhold(): void {
    this.#withheld = true;
  }

  letOut(): void {
    if (!this.#withheld) return;
    this.#withheld = false;
    if (this.#choked) this.wire.resume();
    this.#choked = false;
    this.#schedule();
  }

  /** Adds a packet to what goes out at the end of the turn. False where the packet is larger than the client accepts. */
  send(bytes: Buffer): boolean {
    if (bytes.length > this.#maximumPacketSize) return false; // [MQTT-3.1.2-24]
    if (this.#ended) return true;
    // Mostly there is one in a turn: a list that grows keeps room for 16 more.
    if (this.#out.length === 0) this.#out = [bytes];
    else this.#out.push(bytes);
    this.#outBytes += bytes.length;
    if (this.#outBytes > GATHERED_BYTES) this.#write();
    else this.#schedule();
    return true;
  }

  /** Sends a PUBLISH, by an alias where the client takes aliases. False where it is larger than the client accepts. */
  publish(publication: Publication, outgoing: Outgoing): boolean {
    const { topic } = publication;
    const known = this.#aliases?.known(topic) ?? 0;
    const alias = known > 0 ? known : (this.#aliases?.next ?? 0);
    if (this.send(this.#encode(publication, outgoing, alias, known > 0))) {
      if (known === 0 && alias > 0) this.#aliases?.assign(topic);
      return true;
    }
    // The alias is the server's own idea: a message that fits without it is not too large [MQTT-3.1.2-25].
    return alias > 0 && this.send(this.#encode(publication, outgoing, 0, false));
  }

  #encode(
    publication: Publication,
    { qos, dup, retain, id, identifiers = NO_IDENTIFIERS }: Outgoing,
    alias: number,
    omitTopic: boolean,
  ): Buffer {
    const version = this.version ?? 4;
    const now = publication.expiresAt === Number.POSITIVE_INFINITY ? 0 : this.host.now();
    return encodePublish(publication, { version, qos, dup, retain, id, alias, omitTopic, identifiers, now });
  }

  /** The client has been silent for longer than its keep alive allows. */
  expire(): void {
    if (this.#ended || this.#deaf) return;
    this.#deaf = true;
    if (this.#owner) this.#owner.refused({ cmd: 'refused', reason: REASON.keepAliveTimeout, silent: false });
    else this.end();
  }

  /** Ends the connection with a DISCONNECT, where the version has one for a server; the owner is told nothing. */
  disconnect(reason: number, webSocketCode = 1000): void {
    if (this.version === 5) this.send(encodeDisconnect(reason));
    this.end(webSocketCode);
  }

  /** Ends the connection once everything is out; the owner is told nothing. */
  end(webSocketCode = 1000): void {
    if (this.#ended) return;
    this.#withheld = false;
    this.flush();
    this.#ended = true;
    this.#owner = null;
    this.#carrier?.lost();
    this.#carrier = null;
    this.#held = null;
    this.#splitter.clear();
    this.host.forget(this);
    this.wire.end(webSocketCode);
  }

  /** Called by the wire when the client's side has ended or the network connection has gone. */
  lost(): void {
    if (this.#ended) return;
    const owner = this.#owner;
    this.#owner = null;
    if (owner) owner.lost();
    else this.end();
  }

  /** Called by the wire when the network has taken everything. */
  drained(): void {
    this.#carrier?.drained();
    if (this.#choked) this.wire.resume();
    this.#choked = false;
    this.#relieve();
  }

  /** The turn is over: writes what has been gathered. */
  flush(): void {
    this.#scheduled = false;
    this.#write();
    if (this.congested && !this.#withheld && this.wire.buffered <= CONGESTED_BYTES / 2) this.#relieve();
  }

  #write(): void {
    if (!this.#withheld) this.unacknowledged = 0;
    if (this.#out.length === 0 || this.#ended) return;
    if (!this.#withheld) {
      const out = this.#out;
      this.#out = [];
      this.#outBytes = 0;
      this.wire.write(out);
    }
    const buffered = this.#withheld ? this.#outBytes : this.wire.buffered;
    if (buffered > CONGESTED_BYTES) this.congested = true;
    if (!this.#choked && buffered > CHOKED_BYTES + this.host.maxPacketBytes) {
      this.#choked = true;
      this.wire.pause();
    }
  }

  #relieve(): void {
    if (!this.congested) return;
    this.congested = false;
    this.#owner?.drained();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.host.schedule(this);
  }
}
