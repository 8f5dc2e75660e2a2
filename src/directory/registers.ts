/**
 * What a domain of the directory is made of: registers, of which the latest value counts. Every node has all of them, takes
 * changes in whatever order they come, and comes to the same values as every other node.
 *
 * A domain has the registers `settings`, one for each key and one for each ban. A register belongs to one life of its
 * domain, which is named by the stamp of its creation (`born`): what was said of an earlier life counts no more. `removed`
 * is the latest removal: lives that began before it are over, whatever else is said of them.
 */

/** JSON as it is stored and told to other nodes. */
export type Plain = Readonly<Record<string, unknown>>;

export interface Register {
  /** Later than the stamp of the value before. */
  readonly stamp: number;
  /** The stamp with which this life of the domain began. */
  readonly born: number;
  /** null: taken away. */
  readonly value: Plain | null;
}

/** Some registers of one domain, by their names, as told to others. */
export interface Change {
  readonly domain: string;
  /** The stamp of the latest removal; 0: it was never removed. */
  readonly removed: number;
  readonly registers: readonly (readonly [name: string, register: Register])[];
}

export const SETTINGS = 'settings';

/**
 * A later life counts before a later change of an earlier one, which may be over without this node knowing of it yet. Of
 * values of one stamp the greater text counts: any rule will do, if all nodes have the same.
 */
function isLater(a: Register, b: Register): boolean {
  if (a.born !== b.born) return a.born > b.born;
  if (a.stamp !== b.stamp) return a.stamp > b.stamp;
  return JSON.stringify(a.value) > JSON.stringify(b.value);
}

/** All that is known of one domain. */
export class Registers {
  readonly #registers = new Map<string, Register>();
  #removed = 0;

  get removed(): number {
    return this.#removed;
  }

  /** The life that the domain is in; 0: there is no such domain now. */
  get born(): number {
    const settings = this.#registers.get(SETTINGS);
    return settings?.value ? settings.born : 0;
  }

  get settings(): Plain | null {
    return this.#registers.get(SETTINGS)?.value ?? null;
  }

  get(name: string): Register | undefined {
    return this.#registers.get(name);
  }

  /** Registers of this life that hold something and whose names begin so, by their names. */
  *named(prefix: string): Iterable<readonly [name: string, value: Plain]> {
    const { born } = this;
    for (const [name, register] of this.#registers) {
      if (register.value && register.born === born && name.startsWith(prefix)) yield [name, register.value];
    }
  }

  /** All registers, the settings first. */
  all(): (readonly [name: string, register: Register])[] {
    const settings = this.#registers.get(SETTINGS);
    const others = [...this.#registers].filter(([name]) => name !== SETTINGS);
    return settings ? [[SETTINGS, settings], ...others] : others;
  }

  /** Takes what is later than what is known. Answers the names of the registers that changed, and those that are gone. */
  take({ removed, registers }: Omit<Change, 'domain'>): { readonly changed: string[]; readonly gone: string[] } {
    this.#removed = Math.max(this.#removed, removed);
    const gone: string[] = [];
    // First what is over: a change of a life that has ended must not stand in the way of the next life.
    for (const [name, { born }] of this.#registers) if (born <= this.#removed) gone.push(name);
    for (const name of gone) this.#registers.delete(name);
    const changed: string[] = [];
    for (const [name, register] of registers) {
      const known = this.#registers.get(name);
      if (register.born <= this.#removed || (known && !isLater(register, known))) continue;
      this.#registers.set(name, register);
      changed.push(name);
    }
    return { changed, gone: gone.filter((name) => !this.#registers.has(name)) };
  }

  /** Forgets the oldest of the registers that hold nothing, where there are more than so many. Answers their names. */
  prune(most: number): string[] {
    const empty = [...this.#registers].filter(([, { value }]) => value === null);
    empty.sort(([, a], [, b]) => a.stamp - b.stamp);
    const names = empty.slice(0, Math.max(0, empty.length - most)).map(([name]) => name);
    for (const name of names) this.#registers.delete(name);
    return names;
  }
}
