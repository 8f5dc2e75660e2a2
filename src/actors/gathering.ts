/** What a history has taken and not written yet, a conversation at a time. Whoever adds writes it when it is much. */
import { type Address, isRoom } from './address.js';
import type { Packet } from './packet.js';

/** So much is written at once, however short the time. */
const MUCH = 2000;
const MUCH_BYTES = 1_048_576;

/** What has been taken of one conversation. */
export interface Gathered {
  /** The two endpoints, or the room alone. */
  readonly sides: readonly Address[];
  readonly messages: { readonly sequence: number; readonly packet: Packet }[];
  readonly reads: { readonly by: Address; readonly id: string }[];
}

export class Gathering {
  #conversations = new Map<string, Gathered>();
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
    this.#of(by, to).reads.push({ by, id });
    this.#count += 1;
  }

  /** All of it, by the names of conversations; nothing is left. */
  empty(): ReadonlyMap<string, Gathered> {
    const all = this.#conversations;
    this.#conversations = new Map();
    this.#count = 0;
    this.#bytes = 0;
    return all;
  }

  #of(sender: Address, to: Address): Gathered {
    const name = conversationOf(this.domain, sender, to);
    let gathered = this.#conversations.get(name);
    if (!gathered) {
      const sides = isRoom(this.domain, to) ? [to] : [sender, to];
      gathered = { sides, messages: [], reads: [] };
      this.#conversations.set(name, gathered);
    }
    return gathered;
  }
}

/** What names a conversation, whoever of the two asks. */
export function conversationOf(domain: string, user: Address, other: Address): string {
  if (isRoom(domain, other)) return other;
  return user < other ? `${user},${other}` : `${other},${user}`;
}
