/**
 * The messages that clients have not confirmed, in JetStream: of domains of a cluster whose `durability` is `always`. PROTOCOL.md
 * section 20. Told by queues of each message that comes into one or leaves it; an endpoint's message is written once, however many
 * of its queues have it, on a subject of the endpoint's part, so that whoever takes the part over reads it whole.
 */
import type { Address } from '../actors/address.js';
import type { MessageKeeper } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import type { JetStreamError } from './jetstream-port.js';
import type { KeptStream } from './kept-stream.js';
import { subjectOf, word } from './ticket-records.js';
import { packet as isWirePacket } from './validators.js';
import { packetOf, type WirePacket } from './wire.js';

const RETRY_MS = 1000;
/** One message of one endpoint. */
interface Held {
  queues: number;
  /** Of its record in JetStream; 0: it is not acknowledged yet. */
  revision: number;
  isGone: boolean;
}

export class HeldMessages {
  readonly #held = new Map<Packet, Map<Address, Held>>();
  /** Writes that are not acknowledged, in their order. */
  readonly #open = new Set<number>();
  #last = 0;
  #waiting: { readonly upTo: number; readonly done: () => void }[] = [];

  constructor(
    private readonly stream: KeptStream,
    private readonly node: string,
  ) {}

  /** A message stands in one more queue of an endpoint. `text`: the message as nodes write it, and whether a client has sent it. */
  hold(domain: string, owner: Address, packet: Packet, text: () => string): void {
    const owners = this.#held.get(packet) ?? new Map<Address, Held>();
    this.#held.set(packet, owners);
    const known = owners.get(owner);
    if (known) {
      known.queues += 1;
      return;
    }
    const held: Held = { queues: 1, revision: 0, isGone: false };
    owners.set(owner, held);
    this.#last += 1;
    const number = this.#last;
    this.#open.add(number);
    this.#write(`${subjectOf(domain, owner)}.${word(this.node)}.${number}`, text(), number, held);
  }

  #write(key: string, text: string, number: number, held: Held): void {
    this.stream.write(key, text, (revision: number | JetStreamError) => {
      if (typeof revision !== 'number' && revision.reason !== 'refused' && !held.isGone) {
        setTimeout(() => this.#write(key, text, number, held), RETRY_MS).unref();
        return;
      }
      this.#open.delete(number);
      if (typeof revision === 'number') {
        held.revision = revision;
        if (held.isGone) this.#erase(revision);
      }
      this.#settle();
    });
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
    if (held.revision > 0) this.#erase(held.revision);
  }

  /** Calls `done` when all that was held before is in JetStream. */
  committed(done: () => void): void {
    this.#waiting.push({ upTo: this.#last, done });
    this.#settle();
  }

  /** The messages of a part of an endpoint, in their order. Rejects with a JetStreamError. */
  async read(domain: string, owner: Address, node: string): Promise<readonly Packet[]> {
    const packets: Packet[] = [];
    for (const { data } of await this.stream.readAll(this.#prefixOf(domain, owner, node))) {
      const [wire, fromClient, at] = JSON.parse(data) as [unknown, unknown, unknown];
      if (!isWirePacket(wire, domain)) continue;
      const packet = packetOf(wire as WirePacket, Number(at));
      packet.fromClient = fromClient === 1;
      packets.push(packet);
    }
    return packets;
  }

  /** The messages of a part are held by another one. */
  forget(domain: string, owner: Address, node: string): void {
    this.stream.purge(`${this.#prefixOf(domain, owner, node)}>`).catch(() => undefined);
  }

  #prefixOf(domain: string, owner: Address, node: string): string {
    return `${subjectOf(domain, owner)}.${word(node)}.`;
  }

  #erase(revision: number): void {
    this.stream.erase(revision).catch(() => undefined);
  }

  #settle(): void {
    const [oldest = Number.POSITIVE_INFINITY] = this.#open;
    while (this.#waiting.length > 0 && (this.#waiting[0] as { upTo: number }).upTo < oldest)
      this.#waiting.shift()?.done();
  }
}

/** The same for one domain. */
export class DomainMessages implements MessageKeeper {
  constructor(
    private readonly domain: Pick<Domain, 'name' | 'settings' | 'mailboxes'>,
    private readonly messages: HeldMessages,
    /** A message as nodes write it. */
    private readonly wire: (packet: Packet) => string,
    private readonly now: () => number,
  ) {}

  hold(owner: Address, _queue: string, packet: Packet): void {
    const { name, settings, mailboxes } = this.domain;
    if (settings.durability !== 'always' || mailboxes?.placeOf(packet)) return;
    this.messages.hold(name, owner, packet, () => `[${this.wire(packet)},${packet.fromClient ? 1 : 0},${this.now()}]`);
  }

  release(owner: Address, _queue: string, packet: Packet): void {
    this.messages.release(owner, packet);
  }

  committed(done: () => void): void {
    this.messages.committed(done);
  }
}
