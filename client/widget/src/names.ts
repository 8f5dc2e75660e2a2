/** How people are called, as their packets say. The names that were told longest ago are forgotten. */
const NAMES = 5_000;

export class Names {
  readonly #names = new Map<string, string>();

  get(id: string): string | undefined {
    return this.#names.get(id);
  }

  learn(id: string, nick: string): void {
    if (!nick || this.#names.get(id) === nick) return;
    this.#names.set(id, nick);
    for (const oldest of this.#names.keys()) {
      if (this.#names.size <= NAMES) break;
      this.#names.delete(oldest);
    }
  }

  /** Takes an answer of `presences` with `full`: objects by id. */
  take(answer: unknown): void {
    for (const [id, person] of Object.entries((answer ?? {}) as object)) {
      const { nick } = (typeof person === 'object' && person !== null ? person : {}) as { readonly nick?: unknown };
      if (typeof nick === 'string') this.learn(id, nick);
    }
  }
}
