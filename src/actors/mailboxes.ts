/**
 * A domain's offline messages: those to an endpoint that is offline, kept in the store until one of its clients confirms them.
 * Written by the domain's endpoints and by senders; the messages are on disk, their sizes in memory.
 *
 * Bounded for each endpoint by `queuePackets` and `queueBytes`: the oldest message goes, counted as `queueOverflow`; for the
 * domain by `offlineBytes`: a message beyond it, or for which the disk has no room, is not kept, counted as `quotaExceeded`; and by
 * `offlineAgeS`: an older message goes, counted as `expired`, as does one that its sender gave less time. Messages sent by
 * clients take at most half of `offlineBytes`, and those of one sender a hundredth: a visitor must not leave a site
 * without room for its own.
 *
 * In the store of a cluster every node knows all offline messages: any node may keep one, the node to which the endpoint comes reads
 * it, and the node whose client confirms it removes it.
 */
import type { Clock } from '../clock.js';
import type { Limits } from '../config.js';
import { damaged } from '../damaged.js';
import type { DomainMetrics } from '../metrics.js';
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Address } from './address.js';
import { type Deletion, isDeleted, type MessageDeletion, nameOfDeleted } from './deletions.js';
import { type Entry, entryOf, isKept, type Kept } from './mailbox-entry.js';
import { type MessageFields, markOf, messageName, Packet } from './packet.js';
import { exceededBound, type QueueLimits } from './queue-limits.js';
import { Seen } from './seen.js';

const SWEEP_MS = 60_000;
/** Mailboxes that one sweep looks at. */
const SWEPT = 10_000;
/** The fractions of `offlineBytes` for messages of all clients together, and for those of one sender. */
const CLIENTS_SHARE = 1 / 2;
const SENDER_SHARE = 1 / 100;
const ORDERS_PER_MS = 1024;

interface Mailbox {
  entries: Entry[];
  bytes: number;
}

interface Owner {
  readonly name: string;
  readonly limits: Limits;
  readonly metrics: DomainMetrics;
}

export class Mailboxes {
  readonly seen: Seen;
  readonly #boxes = new Map<Address, Mailbox>();
  /** For messages to rooms: the message's mark → how many messages of this mark each endpoint has. */
  readonly #ofRooms = new Map<number, Map<Address, number>>();
  /** Bytes of the kept messages that clients have sent, by sending endpoint. */
  readonly #sent = new Map<Address, number>();
  readonly #table: Table<Kept>;
  readonly #part: string;
  /** The entries of messages that were read: a message may have to stay, or to be kept again with the age that it had. */
  readonly #read = new WeakMap<Packet, Entry>();
  /** In the store of a cluster: all entries, by the last part of their keys; null: only this server uses the store. */
  readonly #shared: Map<string, { readonly address: Address; readonly entry: Entry }> | null;
  /** Entries that another node has removed. */
  readonly #gone = new WeakSet<Entry>();
  /** Entries whose messages were read and so given to their endpoint. */
  readonly #given = new WeakSet<Entry>();
  readonly #unwatch: () => void;
  /** Called when another node has kept a message, since its endpoint may have come to this node meanwhile; `read` gets the message. */
  arrived: (address: Address, read: () => Packet | null) => void = () => undefined;
  #next = 0;
  #order = 0;
  #bytes = 0;
  #clientBytes = 0;
  #sweeping: Iterator<[Address, Mailbox]> | null = null;
  #cancel: (() => void) | null = null;
  #closed = false;

  constructor(
    private readonly owner: Owner,
    private readonly clock: Clock,
    private readonly store: Store,
  ) {
    this.#table = store.table('offline');
    this.#part = part(owner.name);
    this.seen = new Seen(store, this.#part);
    this.#shared = store.node === null ? null : new Map();
    this.#unwatch = this.#table.watch(this.#part, (key, kept) => this.#told(key, kept));
    const found: (readonly [Address, Entry])[] = [];
    for (const [key, kept] of this.#table.entries(this.#part)) {
      if (!isKept(kept)) {
        damaged('offline', key.join(' '));
        continue;
      }
      if (!this.#shared) this.#next = Number(key[1]);
      found.push([kept.to, entryOf(this.#next++, key, kept)]);
    }
    for (const [to, entry] of found.sort(([, a], [, b]) => a.order - b.order)) this.#add(to, entry);
    this.#schedule();
  }

  /** Called when another node has kept a message, or (`kept` undefined) removed one. */
  #told(key: Key, kept: Kept | undefined): void {
    const known = this.#shared?.get(String(key[1]));
    if (kept && !known) {
      const entry = entryOf(this.#next++, key, kept);
      this.#add(kept.to, entry);
      this.#schedule();
      this.arrived(kept.to, () => this.#packetOf(kept.to, entry));
    }
    if (kept || !known) return;
    const { address, entry } = known;
    this.#gone.add(entry);
    const box = this.#boxes.get(address);
    const at = box?.entries.indexOf(entry) ?? -1;
    if (!box || at < 0) return;
    box.entries.splice(at, 1);
    this.#forget(box, entry, address);
    if (box.entries.length === 0) this.#boxes.delete(address);
  }

  /** The key of a message. In a cluster it is made of the message's names, so that several nodes that keep it write one record. */
  #keyOf(address: Address, { from, to, id }: MessageFields): Key {
    if (!this.#shared) return [this.#part, this.#next];
    return [this.#part, part(`${address}\n${from}\n${to}\n${id}`)];
  }

  #nextOrder(packet: Packet): number {
    const { order } = this.#read.get(packet) ?? {};
    this.#order = Math.max(this.#order + 1, this.clock.now() * ORDERS_PER_MS);
    return order ?? this.#order;
  }

  /** Keeps a message for an endpoint that is offline; false where there is no room for it, which is counted. */
  keep(address: Address, packet: Packet): boolean {
    const { limits, metrics } = this.owner;
    const { bytes, sender, fromClient, expiresAt } = packet;
    const client = fromClient ? sender : null;
    const key = this.#keyOf(address, packet.fields as MessageFields);
    if (this.#shared?.has(String(key[1]))) return true;
    const isFull = this.#isFull(bytes, client);
    if (isFull) metrics.exceed('offlineBytes');
    if (isFull || !this.store.hasRoom(bytes)) {
      metrics.drop('quotaExceeded', address);
      return false;
    }
    const at = this.#read.get(packet)?.at ?? this.clock.now();
    const kept: Kept = {
      to: address,
      fields: packet.fields as MessageFields,
      sender,
      bytes,
      at,
      mark: markOf(messageName(packet.fields as MessageFields)),
      ...(fromClient ? { fromClient } : {}),
      ...(expiresAt === null ? {} : { expiresAt }),
      ...(this.#shared ? { order: this.#nextOrder(packet) } : {}),
    };
    const entry = entryOf(this.#next++, key, kept);
    this.#table.put(key, kept);
    const box = this.#add(address, entry);
    for (let bound = boundOf(box, limits); bound; bound = boundOf(box, limits)) {
      this.#forget(box, box.entries.shift() as Entry, address);
      metrics.exceed(bound);
      metrics.drop('queueOverflow', address);
    }
    this.#schedule();
    return true;
  }

  /** An endpoint's messages, the oldest first. They stay until they are confirmed. */
  read(address: Address): Packet[] {
    const box = this.#boxes.get(address);
    if (!box) return [];
    this.#expire(address, box);
    return box.entries.flatMap((entry) => this.#packetOf(address, entry) ?? []);
  }

  #packetOf(address: Address, entry: Entry): Packet | null {
    const kept = this.#table.get(entry.key);
    if (!kept) return null;
    this.#given.add(entry);
    const packet = new Packet('message', kept.fields, address, kept.sender);
    packet.fromClient = kept.fromClient === true;
    packet.expiresAt = entry.expiresAt;
    this.#read.set(packet, entry);
    return packet;
  }

  /** The place of a message that was read from the offline store; null: it was not read from there. */
  placeOf(packet: Packet): { readonly address: Address; readonly sequence: number } | null {
    const entry = this.#read.get(packet);
    return entry ? { address: packet.topic, sequence: entry.sequence } : null;
  }

  /** One message of an endpoint; null: it is not kept any more. */
  readOne(address: Address, sequence: number): Packet | null {
    const entry = this.#boxes.get(address)?.entries.find((kept) => kept.sequence === sequence);
    return entry ? this.#packetOf(address, entry) : null;
  }

  /** A client of the endpoint has confirmed a message that was read. */
  forget(address: Address, packet: Packet): void {
    const box = this.#boxes.get(address);
    const entry = this.#read.get(packet);
    const at = box && entry ? box.entries.indexOf(entry) : -1;
    if (!box || !entry || at < 0) return;
    box.entries.splice(at, 1);
    this.#forget(box, entry, address);
    if (box.entries.length === 0) this.#boxes.delete(address);
  }

  /**
   * Forgets a message that its sender has deleted, for one endpoint, or, where `address` is null, for all that it is kept for.
   * Answers whether it was kept.
   */
  delete(address: Address | null, deletion: MessageDeletion): boolean {
    const mark = markOf(nameOfDeleted(deletion));
    const holders = address === null ? [...(this.#ofRooms.get(mark)?.keys() ?? [])] : [address];
    const found = holders.map((holder) => this.#deleteOf(holder, mark, deletion));
    return found.includes(true);
  }

  /**
   * Forgets all messages of a conversation or user that are kept, one message being looked at in each step of the iteration.
   * `among`: the endpoints for which they may be kept; null: any.
   */
  *deleteAll(deletion: Deletion, among: readonly Address[] | null): Iterable<void> {
    for (const address of among ?? this.#boxes.keys()) {
      const box = this.#boxes.get(address);
      if (!box) continue;
      for (const entry of box.entries.slice()) {
        this.#deleteEntry(address, box, entry, deletion);
        yield;
      }
    }
  }

  #deleteOf(address: Address, mark: number, deletion: MessageDeletion): boolean {
    const box = this.#boxes.get(address);
    const same = box?.entries.filter((entry) => entry.mark === mark) ?? [];
    return box !== undefined && same.some((entry) => this.#deleteEntry(address, box, entry, deletion));
  }

  /** Forgets a message where it is one of the deleted ones, and is still kept. */
  #deleteEntry(address: Address, box: Mailbox, entry: Entry, deletion: Deletion): boolean {
    if (deletion.other !== null && entry.isOfRoom !== deletion.isOfRoom) return false;
    const kept = this.#table.get(entry.key);
    const at = kept !== undefined && isDeleted(deletion, kept.fields) ? box.entries.indexOf(entry) : -1;
    if (at < 0) return false;
    box.entries.splice(at, 1);
    this.#forget(box, entry, address);
    if (box.entries.length === 0) this.#boxes.delete(address);
    this.owner.metrics.drop('deleted', address);
    return true;
  }

  /** The endpoint goes offline without having seen `packets`: keeps exactly these. Those already kept stay even on a full disk. */
  replace(address: Address, packets: readonly Packet[]): void {
    const box = this.#boxes.get(address);
    const read = new Set(packets.map((packet) => this.#read.get(packet)));
    // A message that another node has kept meanwhile was never given to the endpoint, so it stays.
    const isStaying = (entry: Entry): boolean => read.has(entry) || (this.#shared !== null && !this.#given.has(entry));
    const gone = box?.entries.filter((entry) => !isStaying(entry)) ?? [];
    if (box && gone.length > 0) {
      box.entries = box.entries.filter(isStaying);
      for (const entry of gone) this.#forget(box, entry, address);
    }
    const kept = new Set(box?.entries);
    for (const packet of packets) {
      const entry = this.#read.get(packet);
      // An entry that another node has removed was confirmed by a client there, so it is not kept again.
      if (!entry || (!kept.has(entry) && !this.#gone.has(entry))) this.keep(address, packet);
    }
    if (box?.entries.length === 0) this.#boxes.delete(address);
  }

  /** Whether the disk has room for a message of so many bytes. */
  hasRoom(bytes: number): boolean {
    return this.store.hasRoom(bytes);
  }

  /** Stops the sweep and the watch of the store; kept messages stay on disk. */
  close(): void {
    this.#closed = true;
    this.#unwatch();
    this.#cancel?.();
    this.#cancel = null;
  }

  #isFull(bytes: number, client: Address | null): boolean {
    const { offlineBytes } = this.owner.limits;
    if (offlineBytes === 0) return false;
    if (this.#bytes + bytes > offlineBytes) return true;
    if (client === null) return false;
    const sent = this.#sent.get(client) ?? 0;
    return this.#clientBytes + bytes > offlineBytes * CLIENTS_SHARE || sent + bytes > offlineBytes * SENDER_SHARE;
  }

  /** Adds an entry's bytes to the totals; `bytes` is negative for an entry that is removed. */
  #count({ client }: Entry, bytes: number): void {
    this.#bytes += bytes;
    if (client === null) return;
    this.#clientBytes += bytes;
    const sent = (this.#sent.get(client) ?? 0) + bytes;
    if (sent > 0) this.#sent.set(client, sent);
    else this.#sent.delete(client);
  }

  #add(address: Address, entry: Entry): Mailbox {
    let box = this.#boxes.get(address);
    if (!box) {
      box = { entries: [], bytes: 0 };
      this.#boxes.set(address, box);
    }
    // Messages that other nodes have kept may come late, but by little.
    let at = box.entries.length;
    while (at > 0 && (box.entries[at - 1] as Entry).order > entry.order) at -= 1;
    box.entries.splice(at, 0, entry);
    this.#shared?.set(String(entry.key[1]), { address, entry });
    box.bytes += entry.bytes;
    if (entry.isOfRoom) this.#countOfRoom(entry, address, 1);
    this.#count(entry, entry.bytes);
    this.owner.metrics.offlineMessages += 1;
    return box;
  }

  /** Forgets an entry that the caller has taken out of its mailbox, and removes it from the store. */
  #forget(box: Mailbox, entry: Entry, address: Address): void {
    if (entry.isOfRoom) this.#countOfRoom(entry, address, -1);
    box.bytes -= entry.bytes;
    this.#count(entry, -entry.bytes);
    this.owner.metrics.offlineMessages -= 1;
    this.#shared?.delete(String(entry.key[1]));
    this.#table.remove(entry.key);
  }

  #countOfRoom({ mark }: Entry, address: Address, by: 1 | -1): void {
    const holders = this.#ofRooms.get(mark) ?? new Map<Address, number>();
    const count = (holders.get(address) ?? 0) + by;
    if (count > 0) this.#ofRooms.set(mark, holders.set(address, count));
    else holders.delete(address);
    if (holders.size === 0) this.#ofRooms.delete(mark);
  }

  #expire(address: Address, box: Mailbox): void {
    const { limits, metrics } = this.owner;
    const now = this.clock.now();
    const oldest = limits.offlineAgeS === 0 ? Number.NEGATIVE_INFINITY : now - limits.offlineAgeS * 1000;
    const isOver = ({ at, expiresAt }: Entry): boolean => at <= oldest || (expiresAt !== null && expiresAt <= now);
    const expired = box.entries.filter(isOver);
    if (expired.length === 0) return;
    box.entries = box.entries.filter((entry) => !isOver(entry));
    for (const entry of expired) {
      this.#forget(box, entry, address);
      metrics.drop('expired', address);
    }
    if (box.entries.length === 0) this.#boxes.delete(address);
  }

  #schedule(): void {
    if (this.#boxes.size > 0 && !this.#closed) this.#cancel ??= this.clock.after(SWEEP_MS, this.#sweep);
  }

  /** Removes expired messages from the next `SWEPT` mailboxes, so that they go even where their endpoint never comes back. */
  readonly #sweep = (): void => {
    this.#cancel = null;
    this.#sweeping ??= this.#boxes.entries();
    for (let i = 0; i < SWEPT; i++) {
      const { done, value } = this.#sweeping.next();
      if (done) {
        this.#sweeping = null;
        break;
      }
      this.#expire(...(value as [Address, Mailbox]));
    }
    this.#schedule();
  };
}

/** The bound that a mailbox exceeds; null: none. A single message never exceeds one. */
function boundOf({ entries, bytes }: Mailbox, limits: Limits): keyof QueueLimits | null {
  return entries.length > 1 ? exceededBound(entries.length, bytes, limits) : null;
}
