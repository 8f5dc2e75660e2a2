/** Topic aliases towards one client, section 3.3.2.3.4: which topic each stands for on this connection. */

/** However many a client allows, no more are remembered. */
const LIMIT = 1024;

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

  /** The client has been sent the topic with `next`. */
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
