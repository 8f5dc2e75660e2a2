/**
 * The store in LMDB. Writes gather and are committed together by a thread of the library, so that no actor waits for the
 * disk; until then they are kept here, for those who read them back.
 *
 * On a full disk the library ends the process. Before that (space.ts) nothing new is taken, and then nothing is written
 * at all: changes wait here, bounded by what is in the file, and are written when there is room again.
 */
import { statfsSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import { log } from '../log.js';
import { Commits } from './commits.js';
import { markWhole, probeFolder, takeFolder } from './folder.js';
import { beginsWith } from './keys.js';
import { type Pending, pendingIn, withPending } from './overlay.js';
import { decoded, readable } from './readable.js';
import { type Measured, Space } from './space.js';
import { type Key, type Range, type Store, TABLES, type Table, type TableName } from './store.js';

/** How often a full disk is measured again. */
const LOOK_MS = 1000;
/** About as many bytes as a record takes besides its texts and Buffers. */
const RECORD_BYTES = 64;

/** About as many bytes as a value takes on disk. */
function bytesOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 8;
  if (Buffer.isBuffer(value)) return value.length;
  let bytes = 8;
  for (const [name, part] of Object.entries(value)) bytes += name.length + bytesOf(part);
  return bytes;
}

/** A write of a key that is not on disk yet. */
interface Write<V> extends Pending<V> {
  readonly bytes: number;
  /** The number in `Commits` that ends with this write: that of the earliest write of the key that this one replaces. */
  readonly number: number;
}

class LmdbTable<V> implements Table<V> {
  /** Writes that LMDB has not committed yet, or that wait for room; by key. */
  readonly #pending = new Map<string, Write<V>>();
  /** The pending writes that wait for room on the disk, by key. */
  readonly #waiting = new Map<string, Write<V>>();

  constructor(
    private readonly name: TableName,
    readonly database: Database<V, (string | number)[]>,
    private readonly store: Writing,
  ) {}

  put(key: Key, value: V): void {
    this.#write(key, value, RECORD_BYTES + bytesOf(value));
  }

  remove(key: Key): void {
    this.#write(key, undefined, 0);
  }

  get(key: Key): V | undefined {
    const name = key.join(' ');
    const pending = this.#pending.get(name);
    return pending ? pending.value : decoded(() => this.database.get([...key]), this.name, name);
  }

  entries(prefix: string | Key, range: Range = {}): Iterable<readonly [Key, V]> {
    const parts: Key = typeof prefix === 'string' ? [prefix] : prefix;
    const pending = pendingIn(this.#pending.values(), parts, range);
    const stored = this.#stored(parts, range);
    return pending.length === 0 ? stored : withPending(stored, pending, range);
  }

  *#stored(prefix: Key, range: Range): Iterable<readonly [Key, V]> {
    const records = this.database.getRange(boundsOf(prefix, range));
    for (const { key, value } of readable(records, this.name, prefix.join(' '))) {
      // A key of one part comes back as that part.
      const stored = (Array.isArray(key) ? key : [key]) as unknown as Key;
      if (!beginsWith(stored, prefix)) return;
      yield [stored, value];
    }
  }

  *firsts(): Iterable<string> {
    for (let after: string | null = null; ; ) {
      const start = after === null ? {} : { start: [`${after}\u0000`] };
      const [key] = this.database.getKeys({ ...start, limit: 1 });
      if (!Array.isArray(key)) return;
      after = String(key[0]);
      yield after;
    }
  }

  /** Never calls back: no other node writes to this table. */
  watch(): () => void {
    return () => undefined;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Writes what waits, as far as that is safe; whether that was all. */
  resume(): boolean {
    for (const [name, write] of this.#waiting) {
      if (!this.store.space.isSafe(write.bytes)) return false;
      this.#waiting.delete(name);
      this.#hand(write);
    }
    return true;
  }

  #write(key: Key, value: V | undefined, bytes: number): void {
    const name = key.join(' ');
    const { commits } = this.store;
    const waits = this.#waiting.get(name);
    // An earlier write of the key that still waits is not written any more: when this write is on disk, both count as written.
    const write = { key, value, bytes, number: waits?.number ?? commits.begin() };
    this.#pending.set(name, write);
    if (waits || !this.store.mayWrite(bytes)) this.#waiting.set(name, write);
    else this.#hand(write);
  }

  #hand(write: Write<V>): void {
    const { space, commits } = this.store;
    const { key, value, bytes } = write;
    space.open(bytes);
    const written = value === undefined ? this.database.remove([...key]) : this.database.put([...key], value);
    written.then(
      () => {
        space.close(bytes);
        // A later write of the key may be on its way.
        const name = key.join(' ');
        if (this.#pending.get(name) === write) this.#pending.delete(name);
        commits.end(write.number);
        this.store.written();
      },
      (error: unknown) => {
        space.close(bytes);
        this.#retry(write, error);
      },
    );
  }

  /** Puts a write that failed back among those that wait, unless a later write of the key has taken its place. */
  #retry(write: Write<V>, error: unknown): void {
    const name = write.key.join(' ');
    const last = this.#pending.get(name);
    if (last === undefined) this.store.commits.end(write.number);
    else this.#waiting.set(name, { ...last, number: Math.min(last.number, write.number) });
    this.store.failed(error);
  }
}

/** After every part of a key that is a number or a text of ASCII. */
const END = '\uffff';

function boundsOf(prefix: Key, { from, reverse = false }: Range): { start: (string | number)[]; reverse: boolean } {
  const start = from === undefined ? [...prefix] : [...prefix, from];
  return { start: reverse ? [...start, END] : start, reverse };
}

export interface LmdbOptions {
  readonly statfs?: typeof statfsSync;
  /** No later process reads the folder, so commits do not wait for the disk. */
  readonly isScratch?: boolean;
}

/** What the tables need of the store. */
interface Writing {
  readonly commits: Commits;
  readonly space: Space;
  mayWrite(bytes: number): boolean;
  written(): void;
  failed(error: unknown): void;
}

type Root = RootDatabase<unknown, (string | number)[]>;

const openRoots = new Set<Root>();

/**
 * Ends the group of writes that a turn of the event loop has begun. When a process exits within a turn, LMDB's writing thread
 * would otherwise wait for the end of that turn, and the process for the thread: for ever.
 */
process.on('exit', () => {
  // The function only ends the batch of writes; its name comes from the library's tests.
  for (const root of openRoots) (root as unknown as { _triggerError(): void })._triggerError();
});

class LmdbStore implements Store, Writing {
  readonly node = null;
  readonly commits = new Commits();
  readonly space: Space;
  readonly #root: Root;
  readonly #tables = new Map<TableName, LmdbTable<unknown>>();
  readonly #watchers: ((full: boolean) => void)[] = [];
  /** Whether changes wait for room; then all later ones wait behind them. */
  #holds = false;
  #failed = false;
  #isMeasured = true;
  #closed = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly folder: string,
    private readonly release: () => void,
    { statfs = statfsSync, isScratch = false }: LmdbOptions,
  ) {
    // A commit is on disk when it is done: no thread of its own is still writing it out when the folder is closed.
    this.#root = open({ path: folder, maxDbs: 32, noSubdir: false, overlappingSync: false, noSync: isScratch });
    for (const name of TABLES) {
      const database = this.#root.openDB<unknown, (string | number)[]>(name, {});
      this.#tables.set(name, new LmdbTable(name, database, this));
    }
    this.space = new Space(() => this.#measure(statfs), this.#changed);
    openRoots.add(this.#root);
  }

  table<V>(name: TableName): Table<V> {
    return this.#tables.get(name) as unknown as Table<V>;
  }

  hasRoom(bytes = 0): boolean {
    return this.space.hasRoom(bytes) && !this.#holds;
  }

  committed(done: () => void): void {
    this.commits.after(done);
  }

  /** A commit is done, so there may be room for the writes that wait. */
  written(): void {
    if (this.#holds && this.space.isIdle) this.#resume();
  }

  watch(changed: (full: boolean) => void): void {
    if (!this.hasRoom()) changed(true);
    this.#watchers.push(changed);
  }

  mayWrite(bytes: number): boolean {
    // Measures the disk before the write, so that a full disk is noticed in time even if nobody calls `hasRoom`.
    this.space.hasRoom(0);
    if (this.#holds || !this.space.isSafe(bytes)) this.#hold();
    return !this.#holds;
  }

  failed(error: unknown): void {
    if (!this.#failed)
      log.error({ event: 'store failed', err: error }, 'durable state could not be written; tried again');
    this.#failed = true;
    this.#hold();
  }

  async flush(): Promise<void> {
    if (this.#closed) return;
    for (let before = Number.POSITIVE_INFINITY, waiting = this.#waiting; ; waiting = this.#waiting) {
      this.#resume();
      await this.#root.committed;
      await this.#root.flushed;
      // Goes on only while writing makes room for more of the writes that wait.
      if (waiting === 0 || waiting >= before) return;
      before = waiting;
    }
  }

  markWhole(): void {
    markWhole(this.folder);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.flush();
    this.#closed = true;
    if (this.#timer) clearInterval(this.#timer);
    openRoots.delete(this.#root);
    await this.#root.close();
    this.markWhole();
    this.release();
  }

  /** Writes that wait for room. */
  get #waiting(): number {
    let waiting = 0;
    for (const table of this.#tables.values()) waiting += table.waiting;
    return waiting;
  }

  #hold(): void {
    this.#holds = true;
    this.#lookAgain();
  }

  readonly #changed = (full: boolean): void => {
    const { folder } = this;
    if (full) {
      log.error(
        { event: 'disk full', folder },
        'too little is free on the disk of the data folder: nothing new is kept',
      );
      this.#lookAgain();
    } else log.info({ event: 'disk has room', folder }, 'there is room on the disk of the data folder again');
    for (const watcher of this.#watchers) watcher(full);
  };

  #lookAgain(): void {
    if (this.#closed) return;
    this.#timer ??= setInterval(() => {
      this.#resume();
      if (!this.space.hasRoom(0) || this.#holds || this.#timer === null) return;
      clearInterval(this.#timer);
      this.#timer = null;
    }, LOOK_MS).unref();
  }

  /** Writes what waits, commit by commit, as soon as that is safe. */
  #resume(): void {
    if (!this.#holds || this.#closed) return;
    for (const table of this.#tables.values()) if (!table.resume()) return;
    this.#holds = false;
    this.#failed = false;
  }

  /** Measures the disk. Where that fails, no space counts as free. */
  #measure(statfs: typeof statfsSync): Measured {
    try {
      const measured = this.#measureNow(statfs);
      this.#isMeasured = true;
      return measured;
    } catch (err) {
      // It is measured each second from then on, and the log needs to say it once.
      if (this.#isMeasured)
        log.error({ event: 'disk not measured', err }, 'what is free on the disk of the data folder is not known');
      this.#isMeasured = false;
      return { free: 0, total: 0, reusable: 0, used: 0 };
    }
  }

  #measureNow(statfs: typeof statfsSync): Measured {
    const { bavail, blocks, bsize } = statfs(this.folder);
    const of = ({ treeBranchPageCount, treeLeafPageCount, overflowPages }: Pages): number =>
      treeBranchPageCount + treeLeafPageCount + overflowPages;
    const { pageSize, lastPageNumber, root, free } = this.#root.getStats() as Stats;
    let pages = of(root) + of(free);
    for (const { database } of this.#tables.values()) pages += of(database.getStats() as Pages);
    // Pages 0 and 1 say where the others are.
    const reusable = Math.max(0, lastPageNumber - 1 - pages);
    return { free: bavail * bsize, total: blocks * bsize, reusable: reusable * pageSize, used: pages * pageSize };
  }
}

/** LMDB's count of the pages of a table. */
interface Pages {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface Stats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly root: Pages;
  readonly free: Pages;
}

/** Opens the store of a folder, which is made where there is none. Throws an Error whose message is for the operator. */
export function openLmdb(folder: string, options: LmdbOptions = {}): Store {
  const release = takeFolder(folder);
  try {
    probeFolder(folder);
    return new LmdbStore(folder, release, options);
  } catch (error) {
    release();
    throw error;
  }
}
