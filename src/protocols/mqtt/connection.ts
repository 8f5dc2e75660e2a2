/**
 * One network connection, whatever carries it: bytes in → packets → its owner; packets
 * out → bytes, gathered and written once a turn. Knows sizes, aliases and timers; what packets mean is its
 * owner's business.
 */
import type { Publication, Qos } from '../../actors/publication.js';
import type { Stranger, Strangers } from '../strangers.js';
import { Aliases, ReceivedAliases } from './aliases.js';
import { checkFirst, decode } from './decode.js';
import { encodeDisconnect, encodePublish, encodeRefusal } from './encode.js';
import type { Connect, Incoming, Publish, Refused, Version } from './packets.js';
import { REASON, webSocketCodeOf } from './reason.js';
import { Receipts } from './receipts.js';
import { type SplitFault, Splitter } from './splitter.js';
import type { Wire } from './wire.js';

/** Bytes gathered in one turn before they are written without waiting for its end. */
const GATHERED_BYTES = 256 * 1024;
/** Bytes that wait for the network before publications wait in their session instead. */
const CONGESTED_BYTES = 1024 * 1024;
/** Bytes, besides one whole packet and nearly all answers, that wait before the server stops reading from who does not take them. */
const CHOKED_BYTES = 2 * CONGESTED_BYTES;

const NO_IDENTIFIERS: readonly number[] = [];

/** What a connection belongs to and hands its packets to: a backend's session, or a ticket's client. */
export interface ConnectionOwner {
  received(packet: Incoming): void;
  /** The client broke the standard: it is to be told and ended, after what came before. */
  refused(refused: Refused): void;
  /** The network connection has gone, after what came before. */
  lost(): void;
  /** It can take publications again. */
  drained(): void;
}

/** What carries a connection's bytes to another node. */
export interface Carrier {
  carry(bytes: Buffer): void;
  /** The client's network has taken everything. */
  drained(): void;
  lost(): void;
}

/** What all connections of a server share. */
export interface Host {
  readonly topicAliasMaximum: number;
  readonly maxPacketBytes: number;
  /** A connection without a CONNECT yet. */
  connecting(connection: Connection): void;
  readonly strangers: Strangers;
  /** The first packet: answers the owner, or null where it was refused and ended. */
  connect(connection: Connection, packet: Connect): ConnectionOwner | null;
  /** Something came; `limitMs` of silence end the connection. */
  heard(connection: Connection, limitMs: number): void;
  /** It has ended: no timers any more. */
  forget(connection: Connection): void;
  /** It has something to write at the end of the turn. */
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

export class Connection implements Stranger {
  /** Null until CONNECT. */
  version: Version | null = null;
  requestProblem = true;
  /** Milliseconds of silence that end it; 0: it may be silent. */
  keepAliveMs = 0;
  /** What CONNACK names instead of the client's own keep alive; null: nothing. */
  serverKeepAliveS: number | null = null;
  /** QoS 1 publications received whose acknowledgement has not been written yet. */
  unacknowledged = 0;
  /** QoS 2 publications that it received and that have not been released; those of earlier connections do not count, section 4.9. */
  unreleased = 0;
  /** PUBACK, PUBREC and PUBCOMP that wait for the disk. */
  readonly receipts = new Receipts();
  /** How many of them are PUBACK. */
  unstored = 0;
  /** A session's actor decides when it ends. */
  isSession = false;
  /** Too much waits for the network: publications are to wait elsewhere. */
  congested = false;
  #owner: ConnectionOwner | null = null;
  /** Its CONNECT and what came behind, while it is not known where it belongs. */
  #held: Buffer[] | null = null;
  #heldBytes = 0;
  #carrier: Carrier | null = null;
  #ended = false;
  /** It has broken the standard: what follows is not looked at. */
  #deaf = false;
  #choked = false;
  #scheduled = false;
  #out: Buffer[] = [];
  #outBytes = 0;
  #maximumPacketSize = Number.POSITIVE_INFINITY;
  #aliases: Aliases | null = null;
  #received: ReceivedAliases | null = null;
  /** Whole packets received. */
  #packets = 0;
  readonly #splitter: Splitter;

  constructor(
    private readonly host: Host,
    readonly wire: Wire,
  ) {
    this.#splitter = new Splitter(host.maxPacketBytes, (first) => checkFirst(first, this.version));
    host.connecting(this);
  }

  get kind(): Wire['kind'] {
    return this.wire.kind;
  }

  get ended(): boolean {
    return this.#ended;
  }

  receive(chunk: Buffer): void {
    if (this.#ended || this.#deaf) return;
    if (this.#carrier) return this.#carrier.carry(chunk);
    if (this.#held) return this.#keep(chunk);
    const before = this.#packets;
    const fault = this.#splitter.feed(chunk, this.#onPacket);
    // Whole packets count, not bytes [MQTT-3.1.2-22]: who sends one byte of a packet now and then keeps nothing open.
    if (this.keepAliveMs > 0 && this.#packets > before && !this.#ended) this.host.heard(this, this.keepAliveMs);
    // Who has not even said CONNECT is not answered.
    if (fault) this.#refuse(this.version === null ? { ...fault, silent: true } : fault);
    else if (this.version === null) this.host.strangers.hold(this, this.wire.unseenBytes + this.#splitter.keptBytes);
  }

  /** Before its CONNECT is whole: strangers together take too much. */
  drop(): void {
    this.host.countUnavailable();
    this.wire.drop();
    this.end();
  }

  readonly #onPacket = (bytes: Buffer, start: number, body: number, end: number): boolean => {
    this.#packets += 1;
    // A length takes no more bytes than it needs; 3.1.1 does not say so [MQTT-1.5.5-1].
    if (this.version === 5 && body - start > 2 && bytes[body - 1] === 0) {
      this.#refuse({ reason: REASON.malformed, silent: false });
      return false;
    }
    const packet = decode(bytes, start, body, end, this.version);
    if (packet.cmd === 'refused') {
      this.#refuse(packet);
      return false;
    }
    if (packet.cmd === 'connect') {
      this.#connect(packet);
      if (this.#held) return this.#keepAll(bytes, start, end);
    } else if (packet.cmd !== 'publish' || this.#resolveAlias(packet)) this.#owner?.received(packet);
    return !this.#ended && !this.#deaf;
  };

  /** To be called while its CONNECT is looked at: what follows waits until it is known where it belongs. */
  hold(): void {
    this.#held = [];
  }

  /** Its owner is known: what came meanwhile goes there. */
  resumeAs(owner: ConnectionOwner | null): void {
    const [, ...rest] = this.#release();
    this.#owner = owner;
    for (const chunk of rest) this.receive(chunk);
  }

  /** It is carried elsewhere, its CONNECT and all. */
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

  /** Puts in the topic that an alias stands for; false where that is none. */
  #resolveAlias(packet: Publish): boolean {
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

  /** Publishing to this topic is refused: what its alias stood for need not be kept. */
  refuseTopic({ alias, topic }: Publish): void {
    if (alias > 0) this.#received?.refuse(alias, topic);
  }

  /** What came before is answered first, so the owner decides when. Without an owner, CONNECT itself was wrong. */
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

  /** CONNACK with a reason that is no success. */
  sendRefusal(version: Version, reason: number): void {
    const bytes = encodeRefusal(version, reason);
    if (bytes) this.send(bytes);
  }

  /** Adds a packet to what goes out at the end of the turn. False where it is larger than the client accepts. */
  send(bytes: Buffer): boolean {
    if (bytes.length > this.#maximumPacketSize) return false; // [MQTT-3.1.2-24]
    if (this.#ended) return true;
    this.#out.push(bytes);
    this.#outBytes += bytes.length;
    if (this.#outBytes > GATHERED_BYTES) this.#write();
    else this.#schedule();
    return true;
  }

  /** PUBLISH, by an alias where the client takes them. False where it is larger than the client accepts. */
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
    const now = this.host.now();
    return encodePublish(publication, { version, qos, dup, retain, id, alias, omitTopic, identifiers, now });
  }

  /** It has been silent for longer than its keep alive allows. */
  expire(): void {
    if (this.#ended || this.#deaf) return;
    this.#deaf = true;
    if (this.#owner) this.#owner.refused({ cmd: 'refused', reason: REASON.keepAliveTimeout, silent: false });
    else this.end();
  }

  /** Ends it with a DISCONNECT, where the version has one for a server; its owner hears nothing of it. */
  disconnect(reason: number, webSocketCode = 1000): void {
    if (this.version === 5) this.send(encodeDisconnect(reason));
    this.end(webSocketCode);
  }

  /** Ends it after what has been sent; its owner hears nothing of it. */
  end(webSocketCode = 1000): void {
    if (this.#ended) return;
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

  /** Called by the wire when it has got everything out. */
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
    if (this.congested && this.wire.buffered <= CONGESTED_BYTES / 2) this.#relieve();
  }

  #write(): void {
    this.unacknowledged = 0;
    if (this.#out.length === 0 || this.#ended) return;
    const out = this.#out;
    this.#out = [];
    this.#outBytes = 0;
    this.wire.write(out);
    const { buffered } = this.wire;
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
