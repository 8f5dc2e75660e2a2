/**
 * One stream of JetStream, which keeps the latest message of each subject. A record is stored once `write` reports its revision.
 * `read` and `compareAndSet` are for records that one node at a time may change; `follow` is for a copy of the whole stream.
 */
import { type Follower, Following } from './following.js';
import { JetStreamError, type JetStreamPort, jsonOf } from './jetstream-port.js';
import { Removals } from './removals.js';

export interface StreamOptions {
  /** JetStream deletes messages older than this, in milliseconds; absent: it keeps all. */
  readonly ageMs?: number;
}

/** A record, and its revision: the sequence of its message, which is higher with every change. */
export interface Record {
  readonly revision: number;
  readonly data: string;
}

/** The fields of JetStream's `STREAM.INFO` answer that are used here. */
interface Info {
  readonly created: string;
  readonly config: { readonly num_replicas: number; readonly max_age: number; readonly allow_direct?: boolean };
  readonly state: { readonly first_seq: number; readonly last_seq: number };
}

/** The subjects that the same answer has where they are asked for: a page of them, and how many there are on all pages. */
interface Subjects {
  readonly total?: number;
  readonly state: { readonly subjects?: object | null };
}

const NANOSECONDS = 1_000_000;
const NOT_FOUND = 404;
/** So many records are read by a request for each; for more a consumer is made, which costs as much as several requests. */
const FEW = 8;

interface Found extends Record {
  readonly key: string;
}

export class KeptStream {
  /** When the stream was created, as JetStream writes it: a stream that was created anew has other sequences. Empty: not known yet. */
  created = '';
  readonly name: string;
  readonly #prefix: string;
  /** Whether any server that has the stream may answer for its leader: where the stream has one copy, that server is the leader. */
  #isDirect = false;
  readonly #following = new Set<Following>();
  readonly #removals: Removals;

  constructor(
    private readonly jetstream: JetStreamPort,
    kind: string,
    private readonly options: StreamOptions,
  ) {
    const { cluster } = jetstream;
    this.name = `${cluster}_${kind}`;
    this.#prefix = `${cluster}.kept.${kind}.`;
    this.#removals = new Removals(
      (what) => (typeof what === 'number' ? this.erase(what) : this.purge(what)),
      () => {
        jetstream.metrics.removalsForgotten += 1;
      },
    );
  }

  /**
   * Writes a record (empty data removes it), and calls `done` with the new revision or a JetStreamError; after `unavailable` the
   * record may have been written nevertheless. Writes reach the stream in the order of the calls. `key`: words of a subject.
   * `expected`: the revision that the present record must have, 0 where there must be no record; null: any.
   */
  write(
    key: string,
    data: string,
    done: (revision: number | JetStreamError) => void,
    expected: number | null = null,
  ): void {
    const { metrics } = this.jetstream;
    metrics.written += 1;
    const acknowledged = (revision: number | JetStreamError): void => {
      if (revision instanceof JetStreamError) {
        if (revision.reason === 'conflict') metrics.conflicts += 1;
        else metrics.failed += 1;
      }
      done(revision);
    };
    this.jetstream.send(
      this.#prefix + key,
      data,
      (answer) => {
        if (answer instanceof JetStreamError) return acknowledged(answer);
        const read = jsonOf(answer);
        acknowledged(read instanceof JetStreamError ? read : Number((read as { seq?: unknown }).seq));
      },
      expected,
    );
  }

  /**
   * Writes a record if its revision is still `expected` (0: there is no record). Resolves with the new revision, rejects with a
   * JetStreamError; after `unavailable` the record may have been written, and has to be read to find that out.
   */
  compareAndSet(key: string, data: string, expected: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const done = (revision: number | JetStreamError): void => {
        if (revision instanceof JetStreamError) reject(revision);
        else resolve(revision);
      };
      this.write(key, data, done, expected);
    });
  }

  /** The latest record of a key, as the stream's leader has it; null where there is no record. Rejects with a JetStreamError. */
  async read(key: string): Promise<Record | null> {
    if (this.#isDirect) return this.#readDirect(key);
    try {
      const body = { last_by_subj: this.#prefix + key };
      const { message } = await this.jetstream.ask<{ message: { seq: number; data?: string } }>(
        `STREAM.MSG.GET.${this.name}`,
        body,
      );
      const data = Buffer.from(message.data ?? '', 'base64').toString();
      return data === '' ? null : { revision: message.seq, data };
    } catch (error) {
      if (error instanceof JetStreamError && error.reason === 'notFound') return null;
      throw error;
    }
  }

  /** Reads a record without JetStream's queue of calls, and without JSON and Base64 around it. */
  #readDirect(key: string): Promise<Record | null> {
    return new Promise((resolve, reject) => {
      this.jetstream.send(`$JS.API.DIRECT.GET.${this.name}.${this.#prefix}${key}`, '', (answer) => {
        if (answer instanceof JetStreamError) return reject(answer);
        const { headers } = answer;
        if (headers?.code === NOT_FOUND) return resolve(null);
        const revision = Number(headers?.get('Nats-Sequence') ?? 0);
        if (!(revision > 0)) return reject(new JetStreamError('unavailable', headers?.description || 'no record'));
        const data = answer.string();
        resolve(data === '' ? null : { revision, data });
      });
    });
  }

  /** The latest records of all keys with a prefix, ordered by revision. Rejects with a JetStreamError. */
  async readAll(prefix: string): Promise<readonly Found[]> {
    const found: Found[] = [];
    for (let seq = 1; found.length < FEW; ) {
      const next = await this.#readFrom(`${this.#prefix}${prefix}>`, seq);
      if (!next) return found;
      if (next.data !== '') found.push(next);
      seq = next.revision + 1;
    }
    const last = found.at(-1)?.revision ?? 0;
    await this.readEach(`${prefix}>`, (record) => found.push(record), last);
    // A record that was changed meanwhile has come twice.
    return [...new Map(found.map((record) => [record.key, record])).values()];
  }

  /**
   * Gives all records whose keys match a filter of NATS, and whose revisions are higher than `after`, to `take`, ordered by revision; one
   * that changes meanwhile may come twice. Rejects with a JetStreamError.
   */
  readEach(filter: string, take: (record: Found) => void, after = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (): void => reject(new JetStreamError('unavailable', 'JetStream was lost'));
      if (!this.jetstream.available) return failed();
      const end = this.follow(
        after,
        {
          message: (revision, key, data) => {
            if (data !== '') take({ key, revision, data });
          },
          caughtUp: () => {
            end();
            resolve();
          },
          lost: () => {
            end();
            failed();
          },
        },
        filter,
      );
    });
  }

  async #readFrom(subject: string, seq: number): Promise<Found | null> {
    try {
      const { message } = await this.jetstream.ask<{ message: { subject: string; seq: number; data?: string } }>(
        `STREAM.MSG.GET.${this.name}`,
        { seq, next_by_subj: subject },
      );
      const data = Buffer.from(message.data ?? '', 'base64').toString();
      return { key: message.subject.slice(this.#prefix.length), revision: message.seq, data };
    } catch (error) {
      if (error instanceof JetStreamError && error.reason === 'notFound') return null;
      throw error;
    }
  }

  /** The keys of all records with a prefix. Rejects with a JetStreamError. */
  async keys(prefix: string): Promise<readonly string[]> {
    const subjects_filter = `${this.#prefix}${prefix}>`;
    const found: string[] = [];
    for (;;) {
      const info = await this.jetstream.ask<Subjects>(`STREAM.INFO.${this.name}`, {
        subjects_filter,
        offset: found.length,
      });
      const subjects = Object.keys(info.state.subjects ?? {});
      found.push(...subjects);
      if (subjects.length === 0 || found.length >= (info.total ?? 0)) break;
    }
    return found.map((subject) => subject.slice(this.#prefix.length));
  }

  /** Deletes the record of a key, or of all keys with a prefix (`prefix>`). Followers of the stream are not told of the deletion. */
  async purge(key: string): Promise<void> {
    await this.jetstream.ask(`STREAM.PURGE.${this.name}`, { filter: this.#prefix + key });
  }

  /** Deletes one message of the stream. Rejects with a JetStreamError where that fails. */
  async erase(sequence: number): Promise<void> {
    await this.jetstream.ask(`STREAM.MSG.DELETE.${this.name}`, { seq: sequence, no_erase: true });
  }

  /** Deletes a message by its sequence, or the records of a key (or `prefix>`): at once, or as soon as JetStream can. */
  remove(what: number | string): void {
    this.#removals.add(what);
  }

  /**
   * Gives a follower all messages after a sequence, also new ones, and across losses of JetStream; of records whose keys match `filter`
   * alone. Returns a function that ends that.
   */
  follow(after: number, follower: Follower, filter = '>'): () => void {
    const following = new Following(this.jetstream, this.name, this.#prefix, after, follower, filter);
    this.#following.add(following);
    if (this.jetstream.available) following.begin();
    return () => {
      this.#following.delete(following);
      following.end();
    };
  }

  /** Creates the stream where it does not exist, and updates its number of replicas and its age limit to the configured ones. */
  async ensure(): Promise<void> {
    const { created, config } = await this.#info();
    // The sequences of a stream that was made anew are those of other messages.
    if (created !== this.created) this.#removals.forgetSequences();
    this.created = created;
    const { replicas } = this.jetstream;
    this.#isDirect = config.allow_direct === true && replicas === 1;
    const ageNs = (this.options.ageMs ?? 0) * NANOSECONDS;
    if (config.num_replicas === replicas && config.max_age === ageNs) return;
    await this.jetstream.ask(`STREAM.UPDATE.${this.name}`, { ...config, num_replicas: replicas, max_age: ageNs });
  }

  async #info(): Promise<Info> {
    try {
      return await this.jetstream.ask<Info>(`STREAM.INFO.${this.name}`);
    } catch (error) {
      if (!(error instanceof JetStreamError) || error.reason !== 'notFound') throw error;
      return this.jetstream.ask<Info>(`STREAM.CREATE.${this.name}`, {
        name: this.name,
        subjects: [`${this.#prefix}>`],
        retention: 'limits',
        storage: 'file',
        discard: 'old',
        num_replicas: this.jetstream.replicas,
        max_msgs_per_subject: 1,
        max_msgs: -1,
        max_bytes: -1,
        max_age: (this.options.ageMs ?? 0) * NANOSECONDS,
        allow_direct: true,
      });
    }
  }

  /** Begins all followings, as the stream has become available. */
  begin(): void {
    this.#removals.retry();
    for (const following of this.#following) following.begin();
  }

  /** Pauses all followings while JetStream is lost. */
  pause(): void {
    for (const following of [...this.#following]) following.lost();
  }

  close(): void {
    this.pause();
    this.#following.clear();
    this.#removals.close();
  }
}
