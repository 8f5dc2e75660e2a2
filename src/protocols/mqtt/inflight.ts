/**
 * Publications of QoS 1 and 2 that are in flight to one client: sent, and not acknowledged to the end. Outlives the
 * connection with its session. Knows packet identifiers, the client's receive maximum and the steps of QoS 2; bytes,
 * memory and disk are its owner's business. MQTT 5 sections 2.2.1, 4.3, 4.4 and 4.9.
 */
import type { Ack } from './packets.js';

/** The highest packet identifier. */
const MAX_ID = 65_535;
/** A PUBREC with this or a higher reason code refuses the publication. */
const REFUSED = 0x80;

export interface InFlight<T> {
  readonly id: number;
  item: T;
  readonly qos: 1 | 2;
  /** Whether PUBREC has come: on a new connection PUBREL is then sent in place of the publication. */
  released: boolean;
  /** Whether the publication was sent on an earlier connection and has not been sent on this one yet. */
  waits: boolean;
}

/**
 * What an acknowledgement means. `completed`: the client has the publication or refuses it, and its identifier is free.
 * `release`: PUBREL is due. `unknown`: nothing is in flight under the identifier. `breach`: it does not answer what was
 * sent under it.
 */
export type Acknowledged<T> =
  | { readonly kind: 'completed'; readonly entry: InFlight<T> }
  | { readonly kind: 'release'; readonly entry: InFlight<T> | null }
  | { readonly kind: 'unknown' | 'breach' };

export class Inflight<T> {
  /** One that went out while nothing else was in flight, as nearly all do: a Map makes a table anew for every few of them. */
  #alone: InFlight<T> | null = null;
  /** The others by their identifiers, all of them sent later; null: there were none yet. */
  #others: Map<number, InFlight<T>> | null = null;
  #lastId = 0;
  /** Identifiers of an earlier connection, the next to be sent again first; null: there are none. */
  #waiting: number[] | null = null;
  /** How many publications the client takes now. */
  #quota = 0;
  #receiveMaximum = 0;

  get size(): number {
    return (this.#alone === null ? 0 : 1) + (this.#others?.size ?? 0);
  }

  /** Whether the client takes one publication more. */
  get hasQuota(): boolean {
    return this.#quota > 0;
  }

  /** Whether nothing of an earlier connection is still to be sent again. */
  get isCaughtUp(): boolean {
    return this.#waiting === null;
  }

  /** All publications in flight, in the order in which they were first sent. */
  *entries(): IterableIterator<InFlight<T>> {
    if (this.#alone !== null) yield this.#alone;
    if (this.#others !== null) yield* this.#others.values();
  }

  /** A client has connected: what is in flight is to be sent again, in order [MQTT-4.4.0-1] [MQTT-4.6.0-1]. */
  connected(receiveMaximum: number): void {
    this.#receiveMaximum = receiveMaximum;
    this.#quota = receiveMaximum;
    this.#waiting = this.size === 0 ? null : Array.from(this.entries(), ({ id }) => id);
    for (const entry of this.entries()) entry.waits = true;
  }

  /** The connection has gone: nothing more can be sent. */
  disconnected(): void {
    this.#quota = 0;
  }

  /** The next that is to be sent again; it stays so until `sent` or `acknowledge`. Null: there is none any more. */
  nextAgain(): InFlight<T> | null {
    const waiting = this.#waiting ?? [];
    for (let [id] = waiting; id !== undefined; [id] = waiting) {
      const entry = this.#get(id);
      if (entry?.waits) return entry;
      waiting.shift();
    }
    this.#waiting = null;
    return null;
  }

  /** Takes an identifier for one more, counting up from 1, past those in flight [MQTT-2.2.1-4]. */
  add(item: T, qos: 1 | 2): InFlight<T> {
    do this.#lastId = (this.#lastId % MAX_ID) + 1;
    while (this.#get(this.#lastId) !== undefined);
    const entry = { id: this.#lastId, item, qos, released: false, waits: false };
    this.#put(entry);
    return entry;
  }

  /** Puts one back that was in flight when the server ended, in the order of their first sending. */
  restore(id: number, item: T, qos: 1 | 2, released: boolean): void {
    this.#put({ id, item, qos, released, waits: false });
    this.#lastId = id;
  }

  #get(id: number): InFlight<T> | undefined {
    return this.#alone?.id === id ? this.#alone : this.#others?.get(id);
  }

  #put(entry: InFlight<T>): void {
    if (this.size === 0) {
      this.#alone = entry;
    } else {
      this.#others ??= new Map();
      this.#others.set(entry.id, entry);
    }
  }

  /** The entry has gone out on this connection, or its PUBREL, which takes no part of the quota: section 4.9. */
  sent(entry: InFlight<T>): void {
    if (!entry.released) this.#quota -= 1;
    entry.waits = false;
  }

  /** Takes an entry out that was not acknowledged. */
  remove(entry: InFlight<T>): void {
    if (entry === this.#alone) this.#alone = null;
    else this.#others?.delete(entry.id);
  }

  clear(): void {
    this.#alone = null;
    this.#others = null;
    this.#waiting = null;
    this.#lastId = 0;
  }

  /** What PUBACK, PUBREC or PUBCOMP means here. */
  acknowledge({ cmd, id, reason }: Ack): Acknowledged<T> {
    const entry = this.#get(id);
    if (cmd === 'pubrec') return this.#received(entry, reason);
    if (!entry) return { kind: 'unknown' };
    if (cmd === 'puback' ? entry.qos !== 1 : !entry.released) return { kind: 'breach' };
    return this.#complete(entry);
  }

  /** PUBREC: answered with PUBREL [MQTT-4.3.3-4], unless it refuses the publication. */
  #received(entry: InFlight<T> | undefined, reason: number): Acknowledged<T> {
    if (!entry) return reason < REFUSED ? { kind: 'release', entry: null } : { kind: 'unknown' };
    if (entry.qos !== 2) return { kind: 'breach' };
    if (reason >= REFUSED) return this.#complete(entry);
    entry.released = true;
    return { kind: 'release', entry };
  }

  #complete(entry: InFlight<T>): Acknowledged<T> {
    this.remove(entry);
    if (this.#quota < this.#receiveMaximum) this.#quota += 1;
    return { kind: 'completed', entry };
  }
}
