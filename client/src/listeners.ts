/** Who listens to what. What a listener throws reaches no other listener and nobody who tells. */
export class Listeners<Events> {
  readonly #all = new Map<keyof Events, Set<(event: never) => void>>();

  constructor(private readonly report: (error: unknown) => void) {}

  add<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const some = this.#all.get(name) ?? new Set();
    this.#all.set(name, some.add(listener));
    return () => void some.delete(listener);
  }

  tell<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...(this.#all.get(name) ?? [])]) {
      try {
        const answer: unknown = (listener as (event: Events[Name]) => unknown)(event);
        if (answer instanceof Promise) answer.catch(this.report);
      } catch (error) {
        this.report(error);
      }
    }
  }
}
