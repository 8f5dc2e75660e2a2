import type { Key, Store, Table, TableName } from '../../../src/store/store.js';

/** A disk that writes when it is told to. It was empty when the server started. */
export class SlowDisk implements Store {
  readonly node: string | null = null;
  isFull = false;
  readonly #tables = new Map<TableName, Map<string, unknown>>();
  #waiting: (() => void)[] = [];

  table<V>(name: TableName): Table<V> {
    const values = this.#tables.get(name) ?? new Map<string, unknown>();
    this.#tables.set(name, values);
    return {
      put: (key, value) => void values.set(nameOf(key), value),
      remove: (key) => void values.delete(nameOf(key)),
      get: (key) => values.get(nameOf(key)) as V | undefined,
      entries: () => [],
      watch: () => () => undefined,
      firsts: () => [],
    };
  }

  /** What a table holds, on disk or on its way there. */
  values(name: TableName): unknown[] {
    return [...(this.#tables.get(name)?.values() ?? [])];
  }

  hasRoom(): boolean {
    return !this.isFull;
  }

  committed(done: () => void): void {
    this.#waiting.push(done);
  }

  commit(): void {
    for (const done of this.#waiting.splice(0)) done();
  }

  watch(): void {}

  async flush(): Promise<void> {}

  markWhole(): void {}

  async close(): Promise<void> {}
}

function nameOf(key: Key): string {
  return key.join(' ');
}
