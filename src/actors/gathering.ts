/** What a history has taken and not written yet, a conversation at a time. Whoever adds writes it when it is much. */
import { BoundedMap } from '../bounded-map.js';
import { part } from '../store/keys.js';
import { type Address, isRoom } from './address.js';
import type { Packet } from './packet.js';

/** So much is written at once, however short the time. */
const MUCH = 2000;
const MUCH_BYTES = 1_048_576;

const KEYS = 1000;

/** What has been taken of one conversation. */
export interface Gathered {
  readonly key: string;
  /** The two endpoints, or the room alone. */
  readonly sides: readonly Address[];
  readonly messages: { readonly sequence: number; readonly packet: Packet }[];
  /** By who has read: the ids that were said last. */
  readonly reads: Map<Address, string[]>;
}

/** What one says to have read of a conversation at once; each is searched for. */
const MOST_READS = 4;

export class Gathering {
  readonly #conversations = new Map<string, Gathered>();
  /** Keys of conversations by their names: to hash costs more than all else that is done for a message here. */
  readonly #keys = new BoundedMap<string, string>(() => KEYS);
  #count = 0;
  #bytes = 0;

  constructor(private readonly domain: string) {}

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get isMuch(): boolean {
    return this.#count >= MUCH || this.#bytes >= MUCH_BYTES;
  }

  message(sender: Address, to: Address, sequence: number, packet: Packet): void {
    this.#of(sender, to).messages.push({ sequence, packet });
    this.#count += 1;
    this.#bytes += packet.bytes;
  }

  /** `by` says to have read up to the message of this id. */
  read(by: Address, to: Address, id: string): void {
    const { reads } = this.#of(by, to);
    const ids = reads.get(by) ?? [];
    if (ids.length === 0) reads.set(by, ids);
    ids.push(id);
    if (ids.length > MOST_READS) ids.shift();
    else this.#count += 1;
  }

  /** What has been taken of the conversations that have waited longest, at most so many: it is gathered no more. */
  take(most: number): Gathered[] {
    const taken: Gathered[] = [];
    for (const [name, gathered] of this.#conversations) {
      if (taken.length >= most) break;
      this.#conversations.delete(name);
      taken.push(gathered);
      this.#count -= gathered.messages.length;
      for (const ids of gathered.reads.values()) this.#count -= ids.length;
      for (const { packet } of gathered.messages) this.#bytes -= packet.bytes;
    }
    return taken;
  }

  #of(sender: Address, to: Address): Gathered {
    const name = conversationOf(this.domain, sender, to);
    let gathered = this.#conversations.get(name);
    if (!gathered) {
      const sides = isRoom(this.domain, to) ? [to] : [sender, to];
      gathered = { key: this.#keyOf(name), sides, messages: [], reads: new Map() };
      this.#conversations.set(name, gathered);
    }
    return gathered;
  }

  #keyOf(name: string): string {
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = part(name);
      this.#keys.set(name, key);
    }
    return key;
  }
}

/** The key under which the store has a conversation, whoever of the two asks. */
export function keyOf(domain: string, user: Address, other: Address): string {
  return part(conversationOf(domain, user, other));
}

/** What names a conversation, whoever of the two asks. */
function conversationOf(domain: string, user: Address, other: Address): string {
  if (isRoom(domain, other)) return other;
  return user < other ? `${user},${other}` : `${other},${user}`;
}
