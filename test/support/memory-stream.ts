import type { Follower } from '../../src/cluster/following.js';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';

/** A stream of JetStream in memory. */
export class MemoryStream {
  readonly records = new Map<string, { readonly key: string; readonly revision: number; readonly data: string }>();
  isLost = false;
  /** Called after each write; where it loses the stream, the answer is lost too. */
  onWrite: () => void = () => undefined;
  /** How many records were asked for by their keys, and how often the stream was looked through. */
  reads = 0;
  scans = 0;
  #last = 0;

  write(
    key: string,
    data: string,
    done: (answer: number | JetStreamError) => void,
    expected: number | null = null,
  ): void {
    if (this.isLost) return done(new JetStreamError('unavailable', 'lost'));
    if (expected !== null && (this.records.get(key)?.revision ?? 0) !== expected) {
      return done(new JetStreamError('conflict', 'another was first'));
    }
    this.#last += 1;
    this.records.set(key, { key, revision: this.#last, data });
    this.onWrite();
    done(this.isLost ? new JetStreamError('unavailable', 'lost') : this.#last);
  }

  compareAndSet(key: string, data: string, expected: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.write(key, data, (answer) => (typeof answer === 'number' ? resolve(answer) : reject(answer)), expected);
    });
  }

  async read(key: string) {
    this.reads += 1;
    if (this.isLost) throw new JetStreamError('unavailable', 'lost');
    return this.records.get(key) ?? null;
  }

  async readAll(prefix: string) {
    if (this.isLost) throw new JetStreamError('unavailable', 'lost');
    this.scans += 1;
    return [...this.records.values()].filter(({ key }) => key.startsWith(prefix));
  }

  /** Gives a follower what is in the stream now. */
  follow(_after: number, follower: Follower, filter = '>'): () => void {
    let isOver = false;
    setImmediate(() => {
      if (isOver) return;
      for (const { key, revision, data } of this.#matching(filter)) follower.message(revision, key, data);
      follower.caughtUp();
    });
    return () => {
      isOver = true;
    };
  }

  async keys(prefix: string): Promise<readonly string[]> {
    return (await this.readAll(prefix)).map(({ key }) => key);
  }

  async purge(filter: string): Promise<void> {
    if (this.isLost) throw new JetStreamError('unavailable', 'lost');
    for (const key of [...this.records.keys()]) if (key.startsWith(filter.slice(0, -1))) this.records.delete(key);
  }

  remove(what: number | string): void {
    if (typeof what === 'number') void this.erase(what);
    else if (what.endsWith('>')) void this.purge(what);
    else this.records.delete(what);
  }

  async readEach(filter: string, take: (record: { readonly key: string; readonly data: string }) => void) {
    if (this.isLost) throw new JetStreamError('unavailable', 'lost');
    for (const record of this.#matching(filter)) take(record);
  }

  #matching(filter: string) {
    const words = filter.split('.').map((word) => (word === '*' ? '[^.]+' : word === '>' ? '.+' : word));
    const matching = new RegExp(`^${words.join('\\.')}$`);
    return [...this.records.values()].filter(({ key }) => matching.test(key));
  }

  async erase(revision: number): Promise<void> {
    if (this.isLost) throw new JetStreamError('unavailable', 'lost');
    for (const [key, record] of [...this.records]) if (record.revision === revision) this.records.delete(key);
  }

  /** The stream as a node has it until it dies. */
  portOf(node: { readonly isDead: boolean }): KeptStream {
    const never = new Promise<never>(() => undefined);
    return new Proxy(this as unknown as KeptStream, {
      get: (stream, method) => {
        const found = Reflect.get(stream, method) as (...args: readonly unknown[]) => unknown;
        return (...args: readonly unknown[]) => (node.isDead ? never : found.apply(this, [...args]));
      },
    });
  }
}
