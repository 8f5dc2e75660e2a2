/**
 * One stream of JetStream: the latest message of each subject. What is written is kept when `write` says so; `read` and
 * `compareAndSet` are for records that one node at a time may change; `follow` is for who wants to have all of it here.
 */
import { type Follower, Following } from './following.js';
import { JetStreamError, type JetStreamPort, jsonOf } from './jetstream-port.js';

export interface StreamOptions {
  /** Messages older than this go by themselves, in ms; absent: none do. */
  readonly ageMs?: number;
}

/** A record, and its revision: the sequence of its message, which is higher with every change. */
export interface Record {
  readonly revision: number;
  readonly data: string;
}

/** What JetStream says of a stream. */
interface Info {
  readonly created: string;
  readonly config: { readonly num_replicas: number; readonly max_age: number };
  readonly state: { readonly first_seq: number; readonly last_seq: number };
}

const NANOSECONDS = 1_000_000;

export class KeptStream {
  /** When the stream was made, in JetStream's words: one that was made anew has other sequences. Empty: not known yet. */
  created = '';
  readonly name: string;
  readonly #prefix: string;
  readonly #following = new Set<Following>();

  constructor(
    private readonly jetstream: JetStreamPort,
    kind: string,
    private readonly options: StreamOptions,
  ) {
    const { cluster } = jetstream;
    this.name = `${cluster}_${kind}`;
    this.#prefix = `${cluster}.kept.${kind}.`;
  }

  /**
   * Writes a record, empty for one that is removed, and calls `done` with its revision, or with why there is none: a
   * `conflict`, or `unavailable`, and then it may be written all the same. Writes reach the stream in their order. `key`: a
   * subject's words. `expected`: the revision that is to be there, 0 for none; null: whatever is.
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
   * Writes a record if its revision is still the expected one, 0: there is none; resolves with the new revision, rejects with a JetStreamError.
   * After `unavailable` the record has to be read to know what holds.
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

  /** The latest record of a key, as the stream's leader has it; null: there is none. Rejects with a JetStreamError. */
  async read(key: string): Promise<Record | null> {
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

  /** The latest records of all keys that begin so, in their order. Rejects with a JetStreamError. */
  async readAll(prefix: string): Promise<readonly (Record & { readonly key: string })[]> {
    const found: (Record & { readonly key: string })[] = [];
    for (let seq = 1; ; ) {
      const next = await this.#readFrom(`${this.#prefix}${prefix}>`, seq);
      if (!next) return found;
      if (next.data !== '') found.push(next);
      seq = next.revision + 1;
    }
  }

  async #readFrom(subject: string, seq: number): Promise<(Record & { readonly key: string }) | null> {
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

  /** Removes records for good: of a key, or with a `>` at its end of all that begin so. Who follows the stream hears nothing of it. */
  async purge(key: string): Promise<void> {
    await this.jetstream.ask(`STREAM.PURGE.${this.name}`, { filter: this.#prefix + key });
  }

  /** Removes one message for good, if it is still there. */
  async erase(sequence: number): Promise<void> {
    await this.jetstream.ask(`STREAM.MSG.DELETE.${this.name}`, { seq: sequence, no_erase: true });
  }

  /** Tells all that is in the stream after a sequence, and what comes, also after a loss of JetStream. Answers how to end that. */
  follow(after: number, follower: Follower): () => void {
    const following = new Following(this.jetstream, this.name, this.#prefix, after, follower);
    this.#following.add(following);
    if (this.jetstream.available) following.begin();
    return () => {
      this.#following.delete(following);
      following.pause();
    };
  }

  /** Makes the stream where it is not there, and has it kept as many times as configured. */
  async ensure(): Promise<void> {
    const { created, config } = await this.#info();
    this.created = created;
    const { replicas } = this.jetstream;
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

  /** The stream is there. */
  begin(): void {
    for (const following of this.#following) following.begin();
  }

  /** JetStream is lost. */
  pause(): void {
    for (const following of this.#following) following.pause();
  }

  close(): void {
    this.pause();
    this.#following.clear();
  }
}
