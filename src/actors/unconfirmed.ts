/**
 * The messages that clients have not confirmed, on disk: of domains whose `durability` is `always`. PROTOCOL.md section 20.
 * Told by queues of each message that comes into one or leaves it. A message is written once, however many queues have it;
 * what stands in a queue refers to it by its number. Messages that the offline store has are on disk there.
 */
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import type { Address } from './address.js';
import type { Domain } from './domain.js';
import { type KeptPacket, type KeptQueues, keptPacket, packetOf } from './kept.js';
import type { Packet } from './packet.js';

/** The name of an endpoint's queue of messages that wait for the next client. */
export const UNSEEN = '/unseen';
/** Under this name stand the queued messages of an endpoint of which the site was told that the endpoint was not there. */
const TOLD = '/told';

interface Held {
  readonly number: number;
  queues: number;
  /** The endpoints of which the site was told that they were not there for the message; null: none. */
  told: Set<Address> | null;
}

/** The queues as they were when the server was killed. */
export interface HeldQueues {
  readonly queues: readonly KeptQueues[];
  /** The packet of a number in these queues. */
  readonly packetOf: (number: number) => Packet | null;
  /** Removes records that no queue has, after all queues have been restored and are on disk. */
  readonly forget: () => void;
}

export class Unconfirmed {
  readonly #held = new Map<Packet, Held>();
  /** Numbers of messages that may come into a queue again: they keep their place. */
  readonly #numbers = new WeakMap<Packet, number>();
  readonly #part: string;
  readonly #queues: Table<1>;
  readonly #messages: Table<KeptPacket>;
  #last = 0;
  #isClosed = false;
  /** While queues are restored: keys written since, which `forget` must not remove; null: no restore is under way. */
  #restored: Set<string> | null = null;

  constructor(
    private readonly domain: Domain,
    private readonly store: Store,
  ) {
    this.#part = part(domain.name);
    this.#queues = store.table('unconfirmed');
    this.#messages = store.table('unconfirmedMessages');
  }

  /** A message stands in a queue from now on. */
  hold(owner: Address, queue: string, packet: Packet): void {
    const { settings, mailboxes, events } = this.domain;
    if (settings.durability !== 'always' || this.#isClosed || mailboxes?.placeOf(packet)) return;
    let held = this.#held.get(packet);
    if (!held) {
      const known = this.#numbers.get(packet);
      if (known === undefined) this.#last += 1;
      held = { number: known ?? this.#last, queues: 0, told: null };
      this.#held.set(packet, held);
      this.#numbers.set(packet, held.number);
      this.#put(this.#messages, [this.#part, held.number], keptPacket(packet));
    }
    held.queues += 1;
    this.#put(this.#queues, this.#keyOf(owner, queue, held.number), 1);
    if (events?.undelivered.isTold(packet, owner)) this.told(owner, packet);
  }

  /** Notes that the site was told that an endpoint was not there for a message. */
  told(owner: Address, packet: Packet): void {
    const held = this.#held.get(packet);
    if (!held || this.#isClosed || held.told?.has(owner)) return;
    held.told = (held.told ?? new Set()).add(owner);
    this.#put(this.#queues, this.#keyOf(owner, TOLD, held.number), 1);
  }

  #put<V>(table: Table<V>, key: Key, value: V): void {
    table.put(key, value);
    this.#restored?.add(key.join('\n'));
  }

  /** The number of a message; undefined: it has none. */
  numberOf(packet: Packet): number | undefined {
    return this.#numbers.get(packet);
  }

  /** A message has this number since before a restart: messages keep their order through any number of these. */
  number(packet: Packet, number: number): void {
    this.#numbers.set(packet, number);
    this.#last = Math.max(this.#last, number);
  }

  /** A message has left a queue. */
  release(owner: Address, queue: string, packet: Packet): void {
    const held = this.#held.get(packet);
    if (!held || this.#isClosed) return;
    this.#queues.remove(this.#keyOf(owner, queue, held.number));
    held.queues -= 1;
    if (held.queues > 0) return;
    for (const told of held.told ?? []) this.#queues.remove(this.#keyOf(told, TOLD, held.number));
    this.#held.delete(packet);
    this.#messages.remove([this.#part, held.number]);
  }

  /** The server ends in order, and the next start has the queues: nothing is written any more. */
  close(): void {
    this.#isClosed = true;
  }

  #keyOf(owner: Address, queue: string, number: number): Key {
    return [this.#part, owner.slice(this.domain.name.length + '/domain//'.length), queue, number];
  }

  read(): HeldQueues {
    const messages = new Map<number, Packet | null>();
    const keys: [Table<unknown>, Key][] = [];
    for (const [key, kept] of this.#messages.entries(this.#part)) {
      const number = Number(key[1]);
      const packet = packetOf(kept, key, () => null);
      keys.push([this.#messages, key]);
      messages.set(number, packet);
      if (packet) this.number(packet, number);
    }
    const found = new Map<string, Map<string, number[]>>();
    for (const [key] of this.#queues.entries(this.#part)) {
      const [, owner, queue, number] = key as [string, string, string, number];
      keys.push([this.#queues, key]);
      const queues = found.get(owner) ?? new Map<string, number[]>();
      found.set(owner, queues);
      const numbers = queues.get(queue);
      if (numbers) numbers.push(number);
      else queues.set(queue, [number]);
    }
    const restored = new Set<string>();
    this.#restored = restored;
    const forget = (): void => {
      this.#restored = null;
      const left = keys.filter(([, key]) => !restored.has(key.join('\n')));
      this.store.committed(() => {
        for (const [table, key] of left) table.remove(key);
      });
    };
    return { queues: [...found].map(keptQueues), packetOf: (number) => messages.get(number) ?? null, forget };
  }
}

function keptQueues([owner, queues]: readonly [string, ReadonlyMap<string, readonly number[]>]): KeptQueues {
  const [node = '', id = ''] = owner.split('/');
  const clients = [...queues].filter(([name]) => name !== UNSEEN && name !== TOLD);
  return {
    node,
    id,
    clients: clients.map(([name, entries]) => ({
      name,
      accepted: entries.length,
      sent: 0,
      entries,
      elders: null,
      given: [],
      connectedMs: null,
      session: null,
    })),
    unseen: queues.get(UNSEEN) ?? [],
    told: queues.get(TOLD) ?? [],
    turns: [],
  };
}
