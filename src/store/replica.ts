/**
 * Keeps this node's copy of one JetStream stream up to date. Reads the stream anew after JetStream was out of reach for so long
 * that a removal may have been missed. Where JetStream has lost the stream, the nodes write the records of their copies to it again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { JetStreamError } from '../cluster/jetstream-port.js';
import type { KeptStream } from '../cluster/kept-stream.js';
import { damaged } from '../damaged.js';
import { log } from '../log.js';
import { Erasing, HEARD_MS } from './erasing.js';
import type { ReplicatedTable } from './replicated-table.js';
import type { Key, TableName } from './store.js';
import { keyOf, parse, subjectOf, textOf } from './wire.js';

/** How many records of the copy are compared with the stream in one turn of the event loop. */
const PAGE = 500;

/** A message of the stream: one write of a record. */
interface Told {
  /** Names the process that made the write. */
  readonly origin: string;
  readonly number: number;
  /** The record's value (wire.ts); empty where the write removes the record. */
  readonly text: string;
}

export function messageOf(origin: string, number: number, value: unknown): string {
  return `${origin} ${number} ${value === undefined ? '' : textOf(value)}`;
}

function toldBy(data: string): Told {
  const first = data.indexOf(' ');
  const second = data.indexOf(' ', first + 1);
  return {
    origin: data.slice(0, first),
    number: Number(data.slice(first + 1, second)),
    text: data.slice(second + 1),
  };
}

/** The value of a record's text, or the error where it is damaged. */
function read(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    return error;
  }
}

type Copied = readonly [Key, unknown];

/** The records of a table's copy whose keys begin with `first`, in pages, each read when it is asked for. */
function* pagesOf(table: ReplicatedTable<unknown>, first: string): Iterable<readonly Copied[]> {
  let from: string | number | undefined;
  do {
    const page: Copied[] = [];
    const begun: string | number | undefined = from;
    from = undefined;
    for (const record of table.copied(first, begun)) {
      const [, second] = record[0];
      // A page ends between two second parts, at which the next one can begin.
      if (page.length >= PAGE && second !== page.at(-1)?.[0][1]) {
        from = second;
        break;
      }
      page.push(record);
    }
    yield page;
  } while (from !== undefined);
}

export class Replica {
  readonly #erasing: Erasing;
  #created = '';
  #lostAt: number | null = null;
  /** Whether JetStream has lost the stream, and has not taken all records of the copy again since. */
  #isFilling = false;
  /** The subjects that the stream has, while it is read anew to be compared with the copy; null: it is not. */
  #heard: Set<string> | null = null;
  #end: () => void = () => undefined;

  constructor(
    readonly stream: KeptStream,
    private readonly tables: ReadonlyMap<TableName, ReplicatedTable<unknown>>,
    /** Names this process in the messages that it writes. */
    private readonly origin: string,
    /** Calls `done` when all messages received so far are written to this node's copy. */
    private readonly settle: (done: () => void) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#erasing = new Erasing(stream, now);
  }

  /** Resolves when this node's copy holds all that the stream holds. */
  follow(): Promise<void> {
    return new Promise((resolve) => this.#follow(resolve));
  }

  lost(): void {
    this.#lostAt ??= this.now();
  }

  /** JetStream can be used again; called before it goes on to follow its streams. */
  found(): void {
    const lostAt = this.#lostAt;
    this.#lostAt = null;
    if (this.#created !== '' && this.stream.created !== this.#created) {
      log.error({ event: 'stream lost', stream: this.stream.name }, 'JetStream has lost a stream: it is filled again');
      this.#isFilling = true;
      this.#erasing.forget();
    }
    if (!this.#isFilling && (lostAt === null || this.now() - lostAt < HEARD_MS / 2)) return;
    this.#end();
    const heard = new Set<string>();
    this.#heard = heard;
    this.#follow(() => void this.#compare(heard));
  }

  close(): void {
    this.#heard = null;
    this.#end();
    this.#erasing.close();
  }

  #follow(whole: () => void): void {
    let isWhole = false;
    this.#created = this.stream.created;
    this.#end = this.stream.follow(0, {
      message: (sequence, subject, data) => {
        this.#heard?.add(subject);
        this.#received(sequence, subject, data);
      },
      caughtUp: () => {
        this.#created = this.stream.created;
        if (!isWhole) whole();
        isWhole = true;
      },
      settle: this.settle,
    });
  }

  #received(sequence: number, subject: string, data: string): void {
    const { table: name, key } = keyOf(subject);
    const table = this.tables.get(name);
    // A newer version of the server has written the record to a table that this version does not know.
    if (!table) return;
    const { origin, number, text } = toldBy(data);
    const value = text === '' ? undefined : read(text);
    if (value instanceof SyntaxError) return void damaged(name, subject);
    if (value === undefined) this.#erasing.add(sequence);
    if (origin === this.origin) table.confirmed(subject, number, key, value);
    else table.told(subject, key, value, sequence);
  }

  /**
   * Records of the copy that the stream does not have are removed; where JetStream lost the stream, they are written to it, a page
   * when the one before is answered. What comes meanwhile is in `heard` too. Ends early where the stream is read anew once more.
   */
  async #compare(heard: ReadonlySet<string>): Promise<void> {
    const isFilling = this.#isFilling;
    let isWhole = true;
    for (const [name, table] of this.tables) {
      for (const first of [...table.firsts()]) {
        for (const page of pagesOf(table, first)) {
          const missing = page.filter(([key]) => !heard.has(subjectOf(name, key)));
          if (!isFilling) for (const [key] of missing) table.told(subjectOf(name, key), key, undefined, 0);
          else isWhole = (await this.#fill(name, missing)) && isWhole;
          await nextTurn();
          if (this.#heard !== heard) return;
        }
      }
    }
    this.#heard = null;
    if (isWhole) this.#isFilling = false;
  }

  /** Writes records to the stream. Resolves with whether JetStream has answered all of these writes. */
  async #fill(name: TableName, records: readonly Copied[]): Promise<boolean> {
    const write = ([key, value]: Copied): Promise<boolean> =>
      new Promise((resolve) => {
        const answered = (answer: number | JetStreamError): void =>
          resolve(typeof answer === 'number' || answer.reason !== 'unavailable');
        // Expecting revision 0, JetStream refuses this write where another node has written the key since.
        this.stream.write(subjectOf(name, key), messageOf(this.origin, 0, value), answered, 0);
      });
    return (await Promise.all(records.map(write))).every((isAnswered) => isAnswered);
  }
}
