/**
 * One session's way out: what is in flight to its client, and what waits. Owned by the session's actor.
 *
 * Bounded: at most the client's receive maximum is in flight; what waits, by the domain's `queuePackets` and
 * `queueBytes`. What overflows: publications of QoS 0 first, then the oldest; counted as `queueOverflow`. QoS 0 for a
 * client that is not connected is dropped, as `offline`. What the domain's memory has no room for is dropped, as
 * `quotaExceeded`; a publication counts there once, however many sessions have it.
 */

import type { Memory } from '../../actors/memory.js';
import type { Publication, Qos } from '../../actors/publication.js';
import { exceededBound, type QueueLimits } from '../../actors/queue-limits.js';
import type { Ref } from '../../actors/system.js';
import type { DomainMetrics } from '../../metrics.js';
import type { Connection } from './connection.js';
import { encodeAck } from './encode.js';
import { type InFlight, Inflight } from './inflight.js';
import type { Ack } from './packets.js';
import type { SessionJournal } from './session-journal.js';
import type { GroupMessage } from './shared.js';

/** Bytes that an item takes besides its publication. */
const ITEM_BYTES = 200;

/** A publication on its way to one client. */
export interface Item {
  readonly publication: Publication;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
  /** The shared subscription it came by, which gets it back where its client never receives it; null: none. */
  readonly group: Ref<GroupMessage> | null;
  /** The journal's key of it; for the journal alone. */
  key?: number;
}

/** Bytes that keeping its publication takes; 0 where somebody keeps it already. */
function newBytes({ publication }: Item): number {
  return publication.holders > 0 ? 0 : publication.bytes;
}

export class Outbound {
  readonly #inflight = new Inflight<Item>();
  #queue: Item[] = [];
  #queueBytes = 0;
  #queuedQos0 = 0;

  constructor(
    private readonly metrics: DomainMetrics,
    private readonly now: () => number,
    private readonly memory: Memory,
    /** Where publications are written that are to survive a restart; null: none survives. */
    private readonly journal: SessionJournal | null,
    /** Told of each publication that begins to wait (`by` 1), or does so no more (-1). */
    private readonly waiting: (publication: Publication, by: 1 | -1) => void,
  ) {}

  get queued(): number {
    return this.#queue.length;
  }

  get inFlight(): number {
    return this.#inflight.size;
  }

  /** Whether one publication more would go to the client at once. */
  takes(qos: Qos, connection: Connection): boolean {
    if (connection.congested || this.#queue.length > 0 || !this.#inflight.isCaughtUp) return false;
    return qos === 0 || this.#inflight.hasQuota;
  }

  /** Sends a publication, or lets it wait. */
  push(item: Item, connection: Connection | null, limits: QueueLimits): void {
    if (connection && !connection.congested) {
      if (item.qos === 0) return this.#send(item, connection);
      if (this.takes(item.qos, connection)) return this.#send(item, connection);
    } else if (item.qos === 0 && !connection) {
      this.metrics.dropped.offline += 1;
      return;
    }
    if (!this.memory.hasRoom(ITEM_BYTES + newBytes(item))) {
      this.metrics.dropped.quotaExceeded += 1;
      return;
    }
    if (item.qos > 0) this.journal?.put(item);
    this.#queue.push(item);
    this.#count(item, 1);
    this.#trim(limits);
  }

  /** Removes the first waiting publication for which `isWanted` is true. Answers whether there was one. */
  takeOut(isWanted: (publication: Publication) => boolean): boolean {
    const at = this.#queue.findIndex(({ publication }) => isWanted(publication));
    const [gone] = at < 0 ? [] : this.#queue.splice(at, 1);
    if (!gone) return false;
    this.#count(gone, -1);
    this.journal?.remove(gone);
    return true;
  }

  /** Removes all waiting publications for which `isGone` is true. Answers how many there were. */
  takeOutAll(isGone: (publication: Publication) => boolean): number {
    const gone = new Set(this.#queue.filter(({ publication }) => isGone(publication)));
    if (gone.size === 0) return 0;
    this.#replaceQueue(this.#queue.filter((item) => !gone.has(item)));
    for (const item of gone) this.journal?.remove(item);
    return gone.size;
  }

  /** A client has connected: what was in flight goes out again, then what waits. */
  connected(connection: Connection, receiveMaximum: number): void {
    this.#inflight.connected(receiveMaximum);
    this.flush(connection);
  }

  /** The connection is lost; answers what waits by way of shared subscriptions, for other members to have. */
  disconnected(): Item[] {
    this.#inflight.disconnected();
    const shared = this.#queue.filter(({ group }) => group !== null);
    for (const item of shared) this.journal?.remove(item);
    if (shared.length > 0) this.#replaceQueue(this.#queue.filter(({ group }) => group === null));
    return shared;
  }

  /**
   * The session ends; answers what came by way of shared subscriptions, for other members to have in this order: what its
   * client was sent at QoS 1 and has not acknowledged, then what waits. What it was sent at QoS 2 goes to nobody else
   * [MQTT-4.8.2-5].
   */
  ended(): Item[] {
    const sent: Item[] = [];
    for (const entry of this.#inflight.entries()) {
      const { item } = entry;
      if (item.group === null || item.qos !== 1) continue;
      sent.push(item);
      this.#land(entry);
      this.journal?.remove(item);
    }
    return [...sent, ...this.disconnected()];
  }

  /** Brings back what was on its way when the server ended, in the order in which it came. */
  restore(entries: readonly { readonly item: Item; readonly id: number; readonly released: boolean }[]): void {
    for (const { item, id, released } of entries) {
      if (id === 0) {
        this.#queue.push(item);
        this.#count(item, 1);
      } else {
        this.#inflight.restore(id, item, item.qos === 2 ? 2 : 1, released);
        this.#hold(item);
      }
    }
  }

  /** All publications for the client, those in flight first, each in the order in which they came. `id`: 0 while one waits. */
  stored(): { readonly item: Item; readonly id: number; readonly released: boolean }[] {
    const inFlight = [...this.#inflight.entries()].map(({ item, id, released }) => ({ item, id, released }));
    return [...inFlight, ...this.#queue.map((item) => ({ item, id: 0, released: false }))];
  }

  /** Forgets everything: the session ends. */
  clear(): void {
    for (const item of this.#queue) this.journal?.remove(item);
    this.#replaceQueue([]);
    for (const entry of this.#inflight.entries()) {
      this.journal?.remove(entry.item);
      this.#land(entry);
    }
    this.#inflight.clear();
  }

  /** Sends what waits, as far as the client and its network take it. */
  flush(connection: Connection): void {
    for (let entry = this.#inflight.nextAgain(); entry && !connection.congested; entry = this.#inflight.nextAgain()) {
      if (entry.released) {
        this.#sendRelease(entry.id, connection);
        this.#inflight.sent(entry);
      } else {
        if (!this.#inflight.hasQuota) return;
        this.#transmit(entry, connection, true);
      }
    }
    let taken = 0;
    for (const item of this.#queue) {
      if (connection.congested || (item.qos > 0 && !this.#inflight.hasQuota)) break;
      taken += 1;
      // Sent before it stops counting as queued: its publication is held all the time, and needs no room again.
      this.#send(item, connection);
      this.#count(item, -1);
    }
    if (taken > 0) this.#queue.splice(0, taken);
  }

  /** Takes PUBACK, PUBREC or PUBCOMP. False where it does not answer what was sent. */
  acknowledge(packet: Ack, connection: Connection): boolean {
    const acknowledged = this.#inflight.acknowledge(packet);
    switch (acknowledged.kind) {
      case 'unknown':
        return true;
      case 'breach':
        return false;
      case 'release':
        if (acknowledged.entry) this.journal?.put(acknowledged.entry.item, packet.id, true);
        this.#sendRelease(packet.id, connection);
        return true;
      case 'completed':
        this.journal?.remove(acknowledged.entry.item);
        this.#release(acknowledged.entry.item);
        if (!this.#inflight.isCaughtUp || this.#queue.length > 0) this.flush(connection);
        return true;
    }
  }

  #sendRelease(id: number, connection: Connection): void {
    connection.send(encodeAck(connection.version ?? 4, 'pubrel', id));
  }

  #send(item: Item, connection: Connection): void {
    const { publication, qos, retain, identifiers } = item;
    if (publication.expiresAt !== Number.POSITIVE_INFINITY && publication.expiresAt <= this.now()) {
      this.metrics.dropped.expired += 1; // [MQTT-3.3.2-5]
      this.journal?.remove(item);
      return;
    }
    if (qos === 0) {
      if (connection.publish(publication, { qos, dup: false, retain, id: 0, identifiers })) this.metrics.mqtt.sent += 1;
      else this.metrics.dropped.packetTooLarge += 1;
      return;
    }
    if (!this.memory.hasRoom(newBytes(item))) {
      this.metrics.dropped.quotaExceeded += 1;
      this.journal?.remove(item);
      return;
    }
    const entry = this.#inflight.add(item, qos);
    this.journal?.put(item, entry.id);
    this.#hold(item);
    this.#transmit(entry, connection, false);
  }

  /** A publication that the client does not accept for its size counts as delivered, section 3.1.2.11.4. */
  #transmit(entry: InFlight<Item>, connection: Connection, dup: boolean): void {
    const { id, item } = entry;
    const { publication, qos, retain, identifiers } = item;
    if (connection.publish(publication, { qos, dup, retain, id, identifiers })) {
      this.#inflight.sent(entry);
      this.metrics.mqtt.sent += 1;
    } else {
      this.journal?.remove(item);
      this.#land(entry);
      this.metrics.dropped.packetTooLarge += 1;
    }
  }

  /** A publication is in flight no more. */
  #land(entry: InFlight<Item>): void {
    this.#inflight.remove(entry);
    this.#release(entry.item);
  }

  #hold({ publication }: Item): void {
    this.memory.add(ITEM_BYTES);
    this.memory.hold(publication);
  }

  #release({ publication }: Item): void {
    this.memory.subtract(ITEM_BYTES);
    this.memory.release(publication);
  }

  #count(item: Item, sign: 1 | -1): void {
    if (sign > 0) this.#hold(item);
    else this.#release(item);
    const bytes = sign * item.publication.bytes;
    this.#queueBytes += bytes;
    this.waiting(item.publication, sign);
    this.metrics.queuedPackets += sign;
    this.metrics.queuedBytes += bytes;
    if (item.qos === 0) this.#queuedQos0 += sign;
  }

  #replaceQueue(queue: Item[]): void {
    for (const item of this.#queue) this.#count(item, -1);
    this.#queue = queue;
    for (const item of queue) this.#count(item, 1);
  }

  #trim(limits: QueueLimits): void {
    while (this.#queue.length > 1) {
      const bound = exceededBound(this.#queue.length, this.#queueBytes, limits);
      if (!bound) return;
      this.metrics.exceed(bound);
      const gone = this.#takeFirstToGo();
      if (gone) {
        this.#count(gone, -1);
        this.journal?.remove(gone);
      }
      this.metrics.dropped.queueOverflow += 1;
    }
  }

  /** Looks at the ends of the queue first: that costs nothing, and nearly always what goes stands there. */
  #takeFirstToGo(): Item | undefined {
    if (this.#queuedQos0 === 0 || this.#queue[0]?.qos === 0) return this.#queue.shift();
    if (this.#queuedQos0 === 1 && this.#queue.at(-1)?.qos === 0) return this.#queue.pop();
    const at = this.#queue.findIndex(({ qos }) => qos === 0);
    return this.#queue.splice(at, 1)[0];
  }
}
