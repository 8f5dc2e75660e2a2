/**
 * Keeps messages that clients have not confirmed in JetStream, for domains of a cluster whose `durability` is `always` (PROTOCOL.md
 * section 20). Queues report each message that enters or leaves them. A message is written once for an endpoint, however many of the
 * endpoint's queues have it, under a subject of this node's part: a node that takes the part over reads all of the part's messages.
 */
import type { Address } from '../actors/address.js';
import type { MessageKeeper } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import { inOrder } from '../actors/in-order.js';
import type { Packet } from '../actors/packet.js';
import { nameOf } from '../actors/unseen.js';
import { damaged } from '../damaged.js';
import { Commits } from '../store/commits.js';
import { JetStreamError } from './jetstream-port.js';
import type { KeptStream } from './kept-stream.js';
import type { Mesh } from './mesh.js';
import { packetFrom } from './numbered-packets.js';
import { livingNode } from './peer.js';
import { type Start, subjectOf, word } from './ticket-records.js';
import type { ToWire } from './wire.js';

const RETRY_MS = 1000;
/** The record of one message for one endpoint. */
interface Held {
  /** Its place among the endpoint's messages: its number, or before a message half less than that one's. */
  readonly place: number;
  queues: number;
  /** The sequence of the record in JetStream; 0: JetStream has not acknowledged it yet. */
  revision: number;
  isGone: boolean;
}

export interface FoundMessages {
  readonly packets: readonly Packet[];
  /** By whom each of them was written, and its place there. */
  readonly written: ReadonlyMap<Packet, { readonly home: Start; readonly place: number }>;
  readonly homes: readonly Start[];
}

/** A node that is started again numbers its messages from 1 again. */
function prefixOf(domain: string, owner: Address, [node, incarnation]: Start): string {
  return `${subjectOf(domain, owner)}.${word(node)}.${incarnation}.`;
}

/** The start of the node that has written the message of a key. */
function startOf(key: string): Start {
  const [, , node = '', incarnation] = key.split('.');
  return [Buffer.from(node, 'base64url').toString(), Number(incarnation)];
}

/** Reads the record of a message; null where it is damaged. */
function readPacket(domain: string, key: string, data: string): Packet | null {
  try {
    const [wire, fromClient, at] = JSON.parse(data) as [unknown, unknown, unknown];
    return packetFrom([wire, fromClient], domain, Number(at)) ?? damaged('message', key);
  } catch {
    return damaged('message', key);
  }
}

/** A write that JetStream has not taken. */
interface Failed {
  readonly key: string;
  readonly text: string;
  readonly number: number;
  readonly held: Held;
}

export class HeldMessages {
  readonly #held = new Map<Packet, Map<Address, Held>>();
  /** Which writes JetStream has not acknowledged yet. */
  readonly #commits = new Commits();
  /** Writes that are tried again, all of them at one time; as many as messages in queues, which are bounded. */
  #failed: Failed[] = [];
  #retry: NodeJS.Timeout | null = null;
  /** The number of the next message. */
  #next = 1;

  constructor(
    private readonly stream: KeptStream,
    private readonly node: { readonly name: string; readonly mesh: Pick<Mesh, 'incarnation' | 'peers'> },
  ) {}

  /**
   * Records that a message stands in one more queue of an endpoint. `text` returns the record's JSON: `[packet, fromClient, now]`. `before`:
   * a message before which it stands. Of several before one message the one that comes last is the first.
   */
  hold(domain: string, owner: Address, packet: Packet, text: () => string, before?: Packet): void {
    const owners = this.#held.get(packet) ?? new Map<Address, Held>();
    this.#held.set(packet, owners);
    const known = owners.get(owner);
    if (known) {
      known.queues += 1;
      return;
    }
    const number = this.#commits.begin();
    this.#next = number + 1;
    const next = before && this.#held.get(before)?.get(owner);
    const behind = next ? Math.ceil(next.place) : null;
    const held: Held = { place: behind === null ? number : behind - 0.5, queues: 1, revision: 0, isGone: false };
    owners.set(owner, held);
    const { name, mesh } = this.node;
    const place = behind === null ? `${number}` : `${behind}.${number}`;
    this.#write({ key: `${prefixOf(domain, owner, [name, mesh.incarnation])}${place}`, text: text(), number, held });
  }

  #write(write: Failed): void {
    const { key, text, number, held } = write;
    this.stream.write(key, text, (revision: number | JetStreamError) => {
      if (typeof revision !== 'number' && revision.reason !== 'refused' && !held.isGone) return this.#writeLater(write);
      if (typeof revision === 'number') {
        held.revision = revision;
        if (held.isGone) this.stream.remove(revision);
      }
      this.#commits.end(number);
    });
  }

  #writeLater(write: Failed): void {
    this.#failed.push(write);
    this.#retry ??= setTimeout(() => {
      const failed = this.#failed;
      this.#failed = [];
      this.#retry = null;
      for (const one of failed) {
        if (one.held.isGone) this.#commits.end(one.number);
        else this.#write(one);
      }
    }, RETRY_MS).unref();
  }

  release(owner: Address, packet: Packet): void {
    const owners = this.#held.get(packet);
    const held = owners?.get(owner);
    if (!owners || !held) return;
    held.queues -= 1;
    if (held.queues > 0) return;
    owners.delete(owner);
    if (owners.size === 0) this.#held.delete(packet);
    held.isGone = true;
    if (held.revision > 0) this.stream.remove(held.revision);
  }

  /** The least place of these messages of an endpoint, which need not be that of the first one; of none: that of the next message. */
  firstOf(owner: Address, packets: readonly Packet[]): number {
    let first = this.#next;
    for (const packet of packets) first = Math.min(first, this.#held.get(packet)?.get(owner)?.place ?? first);
    return first;
  }

  /** Calls `done` when all messages held so far are in JetStream. */
  committed(done: () => void): void {
    this.#commits.after(done);
  }

  /**
   * The messages that starts of nodes, and earlier starts of these nodes, had for an endpoint: each once, in an order that is that of each
   * node, as far as these agree. `homes`: which starts had any. Rejects with a JetStreamError.
   */
  async read(domain: string, owner: Address, homes: readonly Start[]): Promise<FoundMessages> {
    const packets = new Map<string, Packet>();
    const found = new Map<string, Start>();
    const written = new Map<Packet, { readonly home: Start; readonly place: number }>();
    const lists: (readonly Packet[])[] = [];
    for (const [node, last] of homes) {
      const list = new Set<Packet>();
      for (const { incarnation, place, packet } of await this.#readOf(domain, owner, [node, last])) {
        const home: Start = [node, incarnation];
        found.set(home.join(' '), home);
        const name = nameOf(packet);
        const known = packets.get(name);
        list.add(known ?? packet);
        if (known) continue;
        packets.set(name, packet);
        written.set(packet, { home, place });
      }
      lists.push([...list]);
    }
    return { packets: inOrder(lists), written, homes: [...found.values()] };
  }

  async #readOf(
    domain: string,
    owner: Address,
    [node, last]: Start,
  ): Promise<readonly { readonly incarnation: number; readonly place: number; readonly packet: Packet }[]> {
    const prefix = `${subjectOf(domain, owner)}.${word(node)}.`;
    const records = (await this.stream.readAll(prefix)).map(({ key, data }) => {
      const [incarnation = 0, number = 0, own = null] = key.slice(prefix.length).split('.').map(Number);
      return { incarnation, place: own === null ? number : number - 0.5, own: own ?? number, key, data };
    });
    // A write that was tried again has a higher revision than later ones: the numbers have the order.
    records.sort((a, b) => a.incarnation - b.incarnation || a.place - b.place || b.own - a.own);
    return records.flatMap(({ incarnation, place, key, data }) => {
      const packet = incarnation > last ? null : readPacket(domain, key, data);
      return packet ? [{ incarnation, place, packet }] : [];
    });
  }

  /**
   * Deletes messages that starts of nodes which are gone have for endpoints (`owners` null: for all of a domain). Of each message it asks
   * `isForgotten`. Rejects with a JetStreamError.
   */
  async forgetOrphans(
    domain: string,
    owners: readonly Address[] | null,
    isForgotten: (packet: Packet) => boolean,
  ): Promise<void> {
    const prefixes = owners ? owners.map((owner) => `${subjectOf(domain, owner)}.`) : [`${word(domain)}.`];
    for (const prefix of prefixes) {
      for (const key of await this.stream.keys(prefix)) {
        if (livingNode(this.node, ...startOf(key)) === null) await this.#forgetRecord(domain, key, isForgotten);
      }
    }
  }

  async #forgetRecord(domain: string, key: string, isForgotten: (packet: Packet) => boolean): Promise<void> {
    const record = await this.stream.read(key);
    const packet = record && readPacket(domain, key, record.data);
    if (!record || !packet || !isForgotten(packet)) return;
    await this.stream.erase(record.revision).catch(async (error: unknown) => {
      // A node that has taken the endpoint over, or its client, may have been faster.
      if (await this.stream.read(key)) throw error;
    });
  }

  /** Deletes such messages, after another node, or the same one started again, has taken them over and written them for itself. */
  forget(domain: string, owner: Address, homes: readonly Start[]): void {
    for (const home of homes) this.stream.remove(`${prefixOf(domain, owner, home)}>`);
  }
}

/** The held messages of one domain, as its queues report them. */
export class DomainMessages implements MessageKeeper {
  constructor(
    private readonly domain: Pick<Domain, 'name' | 'settings' | 'mailboxes'>,
    private readonly messages: HeldMessages,
    private readonly wire: ToWire,
    private readonly now: () => number,
  ) {}

  hold(owner: Address, _queue: string, packet: Packet, before?: Packet): void {
    const { name, settings, mailboxes } = this.domain;
    if (settings.durability !== 'always' || mailboxes?.placeOf(packet)) return;
    const text = (): string => `[${this.wire(packet)},${packet.fromClient ? 1 : 0},${this.now()}]`;
    this.messages.hold(name, owner, packet, text, before);
  }

  release(owner: Address, _queue: string, packet: Packet): void {
    this.messages.release(owner, packet);
  }

  firstOf(owner: Address, packets: readonly Packet[]): number {
    return this.messages.firstOf(owner, packets);
  }

  forget(
    owners: readonly Address[] | null,
    isForgotten: (packet: Packet) => boolean,
    done: (isDone: boolean) => void,
  ): void {
    const { name, settings } = this.domain;
    if (settings.durability !== 'always') return done(true);
    this.messages.forgetOrphans(name, owners, isForgotten).then(
      () => done(true),
      (error) => {
        if (!(error instanceof JetStreamError)) throw error;
        done(false);
      },
    );
  }

  committed(done: () => void): void {
    this.messages.committed(done);
  }
}
