/**
 * The store in LMDB. Writes gather and are committed together by a thread of the library, so that no actor waits for the
 * disk; until then they are kept here, for those who read them back.
 */
import { type Database, open } from 'lmdb';
import { log } from '../log.js';
import { probeFolder, takeFolder } from './folder.js';
import { type Key, type Store, TABLES, type Table, type TableName } from './store.js';

class LmdbTable<V> implements Table<V> {
  /** Not committed yet, by key; undefined: removed. */
  readonly #pending = new Map<string, V | undefined>();

  constructor(
    private readonly database: Database<V, (string | number)[]>,
    private readonly failed: (error: unknown) => void,
  ) {}

  put(key: Key, value: V): void {
    this.#write(key, value, this.database.put([...key], value));
  }

  remove(key: Key): void {
    this.#write(key, undefined, this.database.remove([...key]));
  }

  get(key: Key): V | undefined {
    const name = key.join(' ');
    return this.#pending.has(name) ? this.#pending.get(name) : this.database.get([...key]);
  }

  *entries(first: string): Iterable<readonly [Key, V]> {
    for (const { key, value } of this.database.getRange({ start: [first] })) {
      if (key[0] !== first) return;
      yield [key as unknown as Key, value];
    }
  }

  #write(key: Key, value: V | undefined, written: Promise<boolean>): void {
    const name = key.join(' ');
    // A value of its own for each write, so that an earlier one's commit does not forget a later one.
    this.#pending.set(name, value);
    const forget = () => {
      if (this.#pending.get(name) === value) this.#pending.delete(name);
    };
    written.then(forget, (error: unknown) => {
      forget();
      this.failed(error);
    });
  }
}

class LmdbStore implements Store {
  readonly #root;
  readonly #tables = new Map<TableName, Table<unknown>>();
  readonly #release: () => void;
  #closed = false;
  /** A disk that is full fails every write: said once. */
  #failed = false;

  constructor(folder: string, release: () => void) {
    this.#release = release;
    // A commit is on disk when it is done: no thread of its own is still writing it out when the folder is closed.
    this.#root = open({ path: folder, maxDbs: 32, noSubdir: false, overlappingSync: false });
    for (const name of TABLES) {
      this.#tables.set(name, new LmdbTable(this.#root.openDB<unknown, (string | number)[]>(name, {}), this.#report));
    }
  }

  table<V>(name: TableName): Table<V> {
    return this.#tables.get(name) as Table<V>;
  }

  async flush(): Promise<void> {
    if (this.#closed) return;
    await this.#root.committed;
    await this.#root.flushed;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.flush();
    this.#closed = true;
    await this.#root.close();
    this.#release();
  }

  readonly #report = (err: unknown): void => {
    if (this.#failed) return;
    this.#failed = true;
    log.error({ event: 'store failed', err }, 'durable state is not written any more');
  };
}

/** Opens the store of a folder, which is made where there is none. Throws an Error whose message is for the operator. */
export function openLmdb(folder: string): Store {
  const release = takeFolder(folder);
  try {
    probeFolder(folder);
    return new LmdbStore(folder, release);
  } catch (error) {
    release();
    throw error;
  }
}
