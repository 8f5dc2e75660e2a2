/**
 * Keeps messages that clients have not confirmed in JetStream, for domains of a cluster whose `durability` is `always` (PROTOCOL.md
 * section 20). Queues report each message that enters or leaves them. A message is written once for an endpoint, however many of the
 * endpoint's queues have it, under a subject of this node's part: a node that takes the part over reads all of the part's messages.
 */
import type { Address } from '../actors/address.js';
import type { MessageKeeper } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import { Commits } from '../store/commits.js';
import type { JetStreamError } from './jetstream-port.js';
import type { KeptStream } from './kept-stream.js';
import { subjectOf, word } from './ticket-records.js';
import { packet as isWirePacket } from './validators.js';
import { packetOf, type WirePacket } from './wire.js';

const RETRY_MS = 1000;
/** The record of one message for one endpoint. */
interface Held {
  queues: number;
  /** The sequence of the record in JetStream; 0: JetStream has not acknowledged it yet. */
  revision: number;
  isGone: boolean;
}

/** The name of a node and its incarnation: a node that is started again numbers its messages from 1 again. */
export type Home = readonly [node: string, incarnation: number];

function prefixOf(domain: string, owner: Address, [node, incarnation]: Home): string {
  return `${subjectOf(domain, owner)}.${word(node)}.${incarnation}.`;
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

  constructor(
    private readonly stream: KeptStream,
    private readonly node: { readonly name: string; readonly mesh: { readonly incarnation: number } },
  ) {}

  /** Records that a message stands in one more queue of an endpoint. `text` returns the record's JSON: `[packet, fromClient, now]`. */
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
    const number = this.#commits.begin();
    const { name, mesh } = this.node;
    this.#write({ key: `${prefixOf(domain, owner, [name, mesh.incarnation])}${number}`, text: text(), number, held });
  }

  #write(write: Failed): void {
    const { key, text, number, held } = write;
    this.stream.write(key, text, (revision: number | JetStreamError) => {
      if (typeof revision !== 'number' && revision.reason !== 'refused' && !held.isGone) return this.#writeLater(write);
      if (typeof revision === 'number') {
        held.revision = revision;
        if (held.isGone) this.#erase(revision);
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
    if (held.revision > 0) this.#erase(held.revision);
  }

  /** Calls `done` when all messages held so far are in JetStream. */
  committed(done: () => void): void {
    this.#commits.after(done);
  }

  /** The messages of the part of an endpoint that a start of a node had, in the order in which it held them. Rejects with a JetStreamError. */
  async read(domain: string, owner: Address, home: Home): Promise<readonly Packet[]> {
    const packets: Packet[] = [];
    const prefix = prefixOf(domain, owner, home);
    const found = await this.stream.readAll(prefix);
    // A write that was tried again has a higher revision than later ones.
    const numberOf = ({ key }: { readonly key: string }): number => Number(key.slice(prefix.length));
    for (const { data } of [...found].sort((a, b) => numberOf(a) - numberOf(b))) {
      const [wire, fromClient, at] = JSON.parse(data) as [unknown, unknown, unknown];
      if (!isWirePacket(wire, domain)) continue;
      const packet = packetOf(wire as WirePacket, Number(at));
      packet.fromClient = fromClient === 1;
      packets.push(packet);
    }
    return packets;
  }

  /** Deletes the messages of such a part, after another node, or the same one started again, has taken them over and written them for itself. */
  forget(domain: string, owner: Address, home: Home): void {
    this.stream.purge(`${prefixOf(domain, owner, home)}>`).catch(() => undefined);
  }

  #erase(revision: number): void {
    this.stream.erase(revision).catch(() => undefined);
  }
}

/** The held messages of one domain, as its queues report them. */
export class DomainMessages implements MessageKeeper {
  constructor(
    private readonly domain: Pick<Domain, 'name' | 'settings' | 'mailboxes'>,
    private readonly messages: HeldMessages,
    /** The JSON of a packet as it is sent between nodes. */
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
