/**
 * The port for what must outlive the process. Actors write to it and go on: a write is visible to `get` at once and on
 * disk a moment later, in the order in which writes were made. Whoever promises that something is kept asks `hasRoom`
 * before, and says so when it is `committed`. lmdb.ts implements the port; in a cluster replicated.ts does, and "on disk" then
 * means in JetStream; a server that keeps nothing has no store.
 */

/**
 * A key of several parts of fixed meaning, the most general first: keys that share their first parts lie together, in
 * order.
 */
export type Key = readonly [string, ...(string | number)[]];

/** Values are plain data: texts, numbers, lists, objects, Buffers. */
export interface Table<V> {
  put(key: Key, value: V): void;
  remove(key: Key): void;
  get(key: Key): V | undefined;
  /**
   * Records whose keys begin with `prefix` (a text: with that part), in the order of keys, as they are when the first is
   * asked for. Looks at every write of the table that is not on disk yet, in a cluster at those that share the first two parts of
   * `prefix`: for tables that are seldom written, and for starting.
   */
  entries(prefix: string | Key, range?: Range): Iterable<readonly [key: Key, value: V]>;
  /** The first parts of the keys that are on disk, each once; in a cluster also of those that are on their way there. */
  firsts(): Iterable<string>;
  /**
   * From now on calls `changed` for what other nodes write to keys that begin with `first`; `value` is undefined where the key is
   * removed. Of several writes in quick succession only the last may be told. Answers a function that ends the watch.
   */
  watch(first: string, changed: (key: Key, value: V | undefined) => void): () => void;
}

/** Where to begin among the records of a prefix, and which way to go. */
export interface Range {
  /** The part after the prefix at which to begin, included; absent: at the end from which it goes. */
  readonly from?: string | number;
  /** The last key first. */
  readonly reverse?: boolean;
}

export interface Store {
  /** The name of this node where the store is a cluster's and other nodes write to it too; null where it belongs to this server alone. */
  readonly node: string | null;
  /** The table of a name; the same object each time. */
  table<V>(name: TableName): Table<V>;
  /** Whether something new of so many bytes can be taken. False: its disk is nearly full. */
  hasRoom(bytes?: number): boolean;
  /** Calls `done` once all that was written before is on disk: at once where it is already. */
  committed(done: () => void): void;
  /** Tells from now on when its disk is nearly full, and when there is room again; at once where it is full. */
  watch(changed: (full: boolean) => void): void;
  /** Resolves when all that was written before is on disk. What a full disk keeps from being written is not waited for. */
  flush(): Promise<void>;
  /** Notes that the data on disk is whole: the process is about to end, and the next one need not examine the data. */
  markWhole(): void;
  /** Flushes, and lets go of the folder. */
  close(): Promise<void>;
}

export const TABLES = [
  'offline',
  'seen',
  'signOuts',
  'signedOutTickets',
  'webhooks',
  'messageIds',
  'retained',
  'sessions',
  'subscriptions',
  'received',
  'publications',
  'outbound',
  'gathered',
  'conversations',
  'messages',
  'participants',
  'authors',
  'ages',
  'reads',
  'endpoints',
  'queues',
  'packets',
  'unconfirmed',
  'unconfirmedMessages',
  'runs',
  'domains',
  'audit',
  'bans',
  'usage',
  'history',
] as const;
export type TableName = (typeof TABLES)[number];
