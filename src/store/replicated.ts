/**
 * The store of a cluster: the records are in JetStream, and each node reads a copy of its own. A node sends each write to
 * JetStream, a message for each key, and the write is `committed` when JetStream has acknowledged it; writes of other nodes come
 * in the order in which JetStream stores them. Each start makes the copy anew: `open` resolves when it is whole.
 *
 * While JetStream cannot be used, the node serves on and its writes wait here; beyond `MOST_BYTES` of them nothing new has room.
 */
import { randomBytes } from 'node:crypto';
import type { JetStream } from '../cluster/jetstream.js';
import { log } from '../log.js';
import { Commits } from './commits.js';
import { messageOf, Replica } from './replica.js';
import { ReplicatedTable } from './replicated-table.js';
import type { Key, Store, Table, TableName } from './store.js';
import { keyOf } from './wire.js';
import { type Write, Writes } from './writes.js';

/** The streams and the tables whose records each of them holds. Any other table belongs to this node alone and is only in its copy. */
export const KINDS = {
  directory: ['domains', 'audit', 'bans', 'signOuts', 'usage'],
  outboxes: ['webhooks'],
  offline: ['offline', 'seen'],
  retained: ['retained'],
  history: ['conversations', 'messages', 'participants', 'authors', 'ages', 'reads', 'history'],
} as const satisfies Record<string, readonly TableName[]>;

/** The most bytes of writes that JetStream has not stored or that have not come back from it. */
const MOST_BYTES = 32 * 1024 * 1024;
/** About how many bytes of memory a write takes besides its text. */
const WRITE_BYTES = 200;

export class ReplicatedStore implements Store {
  /** Called when the store is closed and its copy is not used any more. */
  onClosed: () => void = () => undefined;
  readonly #commits = new Commits();
  readonly #writes: Writes;
  readonly #tables = new Map<TableName, ReplicatedTable<unknown>>();
  readonly #replicas = new Map<TableName, Replica>();
  /** Names this process, not only the node: a node that is started again numbers its writes from 1 again. */
  readonly #origin: string;
  readonly #watchers: ((full: boolean) => void)[] = [];
  #number = 0;
  #bytes = 0;
  #isFull = false;
  #closed = false;

  constructor(
    private readonly jetstream: JetStream,
    /** This node's copy of the records in JetStream. */
    private readonly copy: Store,
    readonly node: string,
    private readonly waits: (writes: number, bytes: number) => void,
  ) {
    this.#writes = new Writes(
      jetstream,
      this.#commits,
      (write) => this.#tableOf(write)?.isLatest(write) ?? false,
      (write) => this.#tableOf(write)?.acknowledged(write),
      (write) => this.#tableOf(write)?.forget(write),
    );
    this.#origin = `${node}~${randomBytes(4).toString('hex')}`;
    for (const [kind, names] of Object.entries(KINDS)) {
      const tables = new Map<TableName, ReplicatedTable<unknown>>();
      const settle = (done: () => void): void => copy.committed(done);
      const replica = new Replica(jetstream.stream(kind), tables, this.#origin, settle);
      for (const name of names) {
        this.#replicas.set(name, replica);
        const table = new ReplicatedTable<unknown>(name, copy.table(name), this.#write, (write) => this.#done(write));
        tables.set(name, table);
        this.#tables.set(name, table);
      }
    }
    copy.watch(() => this.#look());
  }

  /** Resolves when the copy is whole; waits for JetStream without a limit of time. */
  async open(): Promise<void> {
    await this.jetstream.start();
    if (!this.jetstream.available) {
      const words = 'waits for JetStream before it serves anybody: `nextalk doctor` says what is wrong';
      log.warn({ event: 'store awaited' }, words);
    }
    const replicas = [...new Set(this.#replicas.values())];
    this.jetstream.watchers.add((available) => {
      for (const replica of replicas) if (!available) replica.lost();
    });
    this.jetstream.beforeFound = () => {
      for (const replica of replicas) replica.found();
    };
    await Promise.all(replicas.map((replica) => replica.follow()));
  }

  table<V>(name: TableName): Table<V> {
    return (this.#tables.get(name) as Table<V> | undefined) ?? this.copy.table(name);
  }

  hasRoom(bytes = 0): boolean {
    return this.#bytes + bytes <= MOST_BYTES && this.copy.hasRoom(bytes);
  }

  committed(done: () => void): void {
    this.#commits.after(done);
  }

  watch(changed: (full: boolean) => void): void {
    if (this.#isFull) changed(true);
    this.#watchers.push(changed);
  }

  /** Does nothing: the copy is made anew at each start. */
  markWhole(): void {}

  /** Does not wait for writes while JetStream cannot be used. */
  async flush(): Promise<void> {
    await new Promise<void>((resolve) => {
      const lost = (available: boolean): void => {
        if (!available) done();
      };
      const done = (): void => {
        this.jetstream.watchers.delete(lost);
        resolve();
      };
      this.jetstream.watchers.add(lost);
      if (this.jetstream.available) this.committed(done);
      else done();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.flush();
    this.#closed = true;
    for (const replica of this.#replicas.values()) replica.close();
    await this.jetstream.close();
    await this.copy.close();
    this.onClosed();
  }

  readonly #write = (table: TableName, subject: string, key: Key, value: unknown): Write => {
    const number = ++this.#number;
    const text = messageOf(this.#origin, number, value);
    const { stream } = this.#replicas.get(table) as Replica;
    const write: Write = {
      stream,
      subject,
      key,
      value,
      text,
      number,
      commit: this.#commits.begin(),
      sequence: 0,
      heard: 0,
    };
    this.#count(text.length + WRITE_BYTES);
    if (!this.#closed) this.#writes.add(write);
    return write;
  };

  #tableOf({ subject }: Write): ReplicatedTable<unknown> | undefined {
    return this.#tables.get(keyOf(subject).table);
  }

  #done({ text }: Write): void {
    this.#count(-text.length - WRITE_BYTES);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.waits(this.#writes.waiting, this.#bytes);
    this.#look();
  }

  /** Tells the watchers when the store becomes full, and when it has room again. */
  #look(): void {
    // A store that was full needs a tenth of its room free, so that it does not alternate between full and not full.
    const isFull = !this.hasRoom(this.#isFull ? MOST_BYTES / 10 : 0);
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    for (const watcher of this.#watchers) watcher(isFull);
  }
}
