/** Topic aliases, section 3.3.2.3.4: which topic each stands for on one connection, in each direction. */

/** Aliases that are used towards a client, however many it allows. */
const LIMIT = 1024;

/** Aliases that the server gives to topics, towards one client. */
export class Aliases {
  /** Topic → alias, the one assigned longest ago first. */
  readonly #aliases = new Map<string, number>();
  readonly #maximum: number;

  constructor(maximum: number) {
    this.#maximum = Math.min(maximum, LIMIT);
  }

  /** The alias that stands for the topic; 0: none yet. */
  known(topic: string): number {
    return this.#aliases.get(topic) ?? 0;
  }

  /** The alias that `assign` will give; 0: the client allows none [MQTT-3.3.2-9]. */
  get next(): number {
    if (this.#aliases.size < this.#maximum) return this.#aliases.size + 1;
    for (const alias of this.#aliases.values()) return alias;
    return 0;
  }

  /** The client has been sent the topic with the alias `next`. */
  assign(topic: string): void {
    const alias = this.next;
    if (this.#aliases.size >= this.#maximum) {
      for (const oldest of this.#aliases.keys()) {
        this.#aliases.delete(oldest);
        break;
      }
    }
    this.#aliases.set(topic, alias);
  }
}

/** Bytes of topics that one client's aliases may stand for together. */
const RECEIVED_BYTES = 128 * 1024;
/** Stands for any topic that a client may not publish to: nobody may publish to this one, section 4.8.2. */
const REFUSED = '$share/';

/** Aliases that a client has given to topics. */
export class ReceivedAliases {
  readonly #topics = new Map<number, string>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get(alias: number): string | undefined {
    return this.#topics.get(alias);
  }

  /** False where all topics together would be too long; then the alias stands for the topic that it stood for before. */
  set(alias: number, topic: string): boolean {
    const bytes = this.#bytes + Buffer.byteLength(topic) - Buffer.byteLength(this.#topics.get(alias) ?? '');
    if (bytes > RECEIVED_BYTES) return false;
    this.#bytes = bytes;
    this.#topics.set(alias, topic);
    return true;
  }

  /** The client may not publish to the topic: publishing by its alias is refused again, without the topic being kept. */
  refuse(alias: number, topic: string): void {
    if (this.#topics.get(alias) === topic && topic.length > REFUSED.length) this.set(alias, REFUSED);
  }
}
