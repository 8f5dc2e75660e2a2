/** A store in memory that writes when it is told to, and can be cut off between any two writes, as a process that is killed is. */
import type { Key, Store, Table, TableName } from '../../src/store/store.js';

interface Record {
  readonly key: Key;
  readonly value: unknown;
}

interface Write extends Record {
  readonly table: TableName;
}

type Tables = Map<TableName, Map<string, Record>>;

const nameOf = (key: Key): string => key.join(' ');

function apply(tables: Tables, { table, key, value }: Write): void {
  const records = tables.get(table) ?? new Map<string, Record>();
  tables.set(table, records);
  if (value === undefined) records.delete(nameOf(key));
  else records.set(nameOf(key), { key, value });
}

function copy(tables: Tables): Tables {
  return new Map([...tables].map(([name, records]) => [name, new Map(records)]));
}

/** By parts: numbers as numbers. */
function compare(a: Key, b: Key): number {
  for (const [i, part] of a.entries()) {
    const other = b[i] ?? '';
    if (part !== other) return part < other ? -1 : 1;
  }
  return 0;
}

export class MemoryStore implements Store {
  readonly node = null;
  isFull = false;
  /** Called before all that was written goes to disk because somebody waits for that: a process may be killed then. */
  beforeFlush: () => void = () => undefined;
  readonly #disk: Tables;
  readonly #now: Tables;
  #writes: Write[] = [];
  #waiting: (() => void)[] = [];
  readonly #watchers: ((full: boolean) => void)[] = [];

  constructor(disk: Tables = new Map()) {
    this.#disk = copy(disk);
    this.#now = copy(disk);
  }

  table<V>(table: TableName): Table<V> {
    const write = (key: Key, value: unknown): void => {
      const one = { table, key, value };
      this.#writes.push(one);
      apply(this.#now, one);
    };
    return {
      put: write,
      remove: (key) => write(key, undefined),
      get: (key) => this.#now.get(table)?.get(nameOf(key))?.value as V | undefined,
      watch: () => () => undefined,
      firsts: () => new Set(Array.from(this.#now.get(table)?.values() ?? [], ({ key }) => key[0])),
      entries: (prefix, { from, reverse = false } = {}) => {
        const first: Key = typeof prefix === 'string' ? [prefix] : prefix;
        const found = [...(this.#now.get(table)?.values() ?? [])]
          .filter(({ key }) => first.every((part, i) => key[i] === part))
          .sort((a, b) => compare(a.key, b.key) * (reverse ? -1 : 1))
          .map(({ key, value }) => [key, value as V] as const);
        if (from === undefined) return found;
        return found.filter(([key]) => compare([...first, from] as unknown as Key, key) * (reverse ? -1 : 1) <= 0);
      },
    };
  }

  /** How many records a table has, on disk or on their way there. */
  size(table: TableName): number {
    return this.#now.get(table)?.size ?? 0;
  }

  /** Writes that are not on disk. */
  get uncommitted(): number {
    return this.#writes.length;
  }

  commit(): void {
    for (const write of this.#writes.splice(0)) apply(this.#disk, write);
    for (const done of this.#waiting.splice(0)) done();
  }

  /** What a process finds that opens the folder after this one was killed when so many of its last writes were on disk. */
  killed(written = 0): MemoryStore {
    const disk = copy(this.#disk);
    for (const write of this.#writes.slice(0, written)) apply(disk, write);
    return new MemoryStore(disk);
  }

  /** What the next process finds after this one has ended in order. */
  reopened(): MemoryStore {
    return this.killed(this.#writes.length);
  }

  hasRoom(): boolean {
    return !this.isFull;
  }

  committed(done: () => void): void {
    if (this.#writes.length === 0) done();
    else this.#waiting.push(done);
  }

  watch(changed: (full: boolean) => void): void {
    this.#watchers.push(changed);
  }

  async flush(): Promise<void> {
    this.beforeFlush();
    this.commit();
  }

  markWhole(): void {}

  async close(): Promise<void> {
    this.commit();
  }
}
