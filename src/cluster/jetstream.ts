/**
 * The connection to JetStream, NATS's store: data that has to outlive this node is kept there in a few streams (kept-stream.ts),
 * in `cluster.replicas` copies. The connection is separate from that of the mesh, so that reads and writes of the store do not
 * delay items between nodes. It reconnects for ever; while JetStream is not there, or has no majority, requests fail at once or
 * after `ANSWER_MS`. No request is kept here for later: its writers repeat it, within their own bounds.
 *
 * JetStream is spoken to in text and JSON over the NATS client (docs.nats.io, "JetStream wire API"): a write is one message and
 * one acknowledgement, without a promise for each.
 */
import { connect, createInbox, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import type { Conditions } from '../conditions.js';
import { log } from '../log.js';
import type { JetStreamMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import { type Done, JetStreamError, type JetStreamPort, jsonOf } from './jetstream-port.js';
import { KeptStream, type StreamOptions } from './kept-stream.js';
import { connectOptions, hostsOf, natsProblem, RETRY_MS } from './nats.js';

/** After this long a request without an answer counts as failed; it may have been carried out nevertheless. */
const ANSWER_MS = 5000;
/** How often requests are checked for `ANSWER_MS`, and a JetStream that is not available is tried again. */
const LOOK_MS = 500;
/** Bytes of NATS's longest message that are reserved for the subject and headers. */
const FRAME_BYTES = 4096;
const DEFAULT_PAYLOAD_BYTES = 1_048_576;
const NO_RESPONDERS = 503;
const EXPECTED = 'Nats-Expected-Last-Subject-Sequence';

export interface JetStreamOptions {
  readonly urls: readonly string[];
  /** The name of the cluster, with which the names of its streams and subjects begin. */
  readonly cluster: string;
  readonly node: string;
  /** How many servers of NATS keep each stream: 1, 3 or 5. */
  readonly replicas: number;
  /** What its streams keep, in words for the log. */
  readonly keeps: string;
  readonly conditions: Conditions;
  readonly metrics: JetStreamMetrics;
}

interface Asked {
  readonly done: Done;
  readonly until: number;
}

export class JetStream implements JetStreamPort {
  /** Whether JetStream can be used: all streams were found at the last check, and nothing has failed since. */
  available = false;
  /** Called with the new value of `available` whenever that changes. */
  readonly watchers = new Set<(available: boolean) => void>();
  /** Called when JetStream has become available, before the following of its streams begins. */
  beforeFound: () => void = () => undefined;
  readonly #streams: KeptStream[] = [];
  readonly #asked = new Map<number, Asked>();
  readonly #inbox = createInbox();
  #connection: NatsConnection | null = null;
  #connected = false;
  #number = 0;
  #settling: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retry: NodeJS.Timeout | null = null;
  #complained = false;
  #closed = false;

  constructor(private readonly options: JetStreamOptions) {}

  get metrics(): JetStreamMetrics {
    return this.options.metrics;
  }

  get cluster(): string {
    return this.options.cluster;
  }

  get replicas(): number {
    return this.options.replicas;
  }

  /**
   * Declares the stream of a kind; to be called before `start`. JetStream creates the stream where it does not exist yet. The
   * stream keeps the latest message of each subject. `kind`: letters, digits and `-`.
   */
  stream(kind: string, options: StreamOptions = {}): KeptStream {
    const stream = new KeptStream(this, kind, options);
    this.#streams.push(stream);
    return stream;
  }

  /** Resolves when the first attempt to connect has succeeded or failed; after a failure further attempts follow. */
  async start(): Promise<void> {
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    const { urls, cluster, node } = this.options;
    try {
      const connection = await connect(connectOptions(urls, `${cluster}.${node} store`));
      if (this.#closed) return void (await connection.close());
      this.#connection = connection;
      connection.subscribe(`${this.#inbox}.*`, {
        callback: (error, message) => void (error ?? this.#answered(message)),
      });
      void this.#watch(connection);
      this.#connected = true;
      await this.#settle();
    } catch (error) {
      if (this.#closed) return;
      this.#lost(natsProblem(error));
      this.#retry = setTimeout(() => void this.start(), RETRY_MS);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearInterval(this.#timer);
    if (this.#retry) clearTimeout(this.#retry);
    for (const stream of this.#streams) stream.close();
    const connection = this.#connection;
    const wasConnected = this.#connected;
    this.#connected = false;
    if (connection && wasConnected) {
      await Promise.race([connection.flush().catch(() => undefined), connection.closed()]);
    }
    await connection?.close();
    this.#failAll('this node ends');
  }

  /** The longest payload of one message, in bytes. */
  get mostBytes(): number {
    return (this.#connection?.info?.max_payload ?? DEFAULT_PAYLOAD_BYTES) - FRAME_BYTES;
  }

  send(subject: string, payload: string | Uint8Array, done: Done, expected: number | null = null): void {
    const connection = this.#connection;
    if (!connection || !this.#connected) {
      return queueMicrotask(() => done(new JetStreamError('unavailable', 'no connection to NATS')));
    }
    // From Node's pool: the NATS client would make memory of its own for each text.
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    if (bytes.length > this.mostBytes) {
      const problem = `a message of ${bytes.length} bytes is longer than NATS takes`;
      return queueMicrotask(() => done(new JetStreamError('refused', problem)));
    }
    this.#number += 1;
    this.#asked.set(this.#number, { done, until: performance.now() + ANSWER_MS });
    const reply = `${this.#inbox}.${this.#number}`;
    if (expected === null) return connection.publish(subject, bytes, { reply });
    const head = headers();
    head.set(EXPECTED, String(expected));
    connection.publish(subject, bytes, { reply, headers: head });
  }

  ask<T>(call: string, body: object = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      this.send(`$JS.API.${call}`, JSON.stringify(body), (answer) => {
        const read = answer instanceof JetStreamError ? answer : jsonOf(answer);
        if (read instanceof JetStreamError) reject(read);
        else resolve(read as T);
      });
    });
  }

  subscribe(subject: string, receive: (message: Msg) => void): () => void {
    const found = this.#connection?.subscribe(subject, {
      callback: (error, message) => void (error ?? receive(message)),
    });
    return () => found?.unsubscribe();
  }

  doubt(why: string): void {
    if (!this.#closed) this.#lost(why);
  }

  #answered(message: Msg): void {
    const number = Number(message.subject.slice(this.#inbox.length + 1));
    const asked = this.#asked.get(number);
    if (!asked) return;
    this.#asked.delete(number);
    const isNobody = message.headers?.code === NO_RESPONDERS;
    asked.done(
      isNobody ? new JetStreamError('unavailable', 'NATS runs without JetStream, or the stream is gone') : message,
    );
  }

  /** Fails requests that have waited longer than `ANSWER_MS`, and tries JetStream again where it is not available. */
  #look(): void {
    const now = performance.now();
    for (const [number, { done, until }] of this.#asked) {
      if (until > now) break;
      this.#asked.delete(number);
      this.options.metrics.unanswered += 1;
      done(new JetStreamError('unavailable', 'JetStream does not answer'));
    }
    if (!this.available) void this.#settle();
  }

  #failAll(why: string): void {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { done } of asked) done(new JetStreamError('unavailable', why));
  }

  /** Creates the streams that do not exist; only one attempt runs at a time. */
  #settle(): Promise<void> {
    if (!this.#connected || this.#closed) return Promise.resolve();
    this.#settling ??= this.#ensure().finally(() => {
      this.#settling = null;
    });
    return this.#settling;
  }

  async #ensure(): Promise<void> {
    const { replicas } = this.options;
    try {
      // For streams that exist such a server takes any number, and keeps one copy.
      if (replicas > 1 && this.#connection?.info?.cluster === undefined) {
        throw new Error(`cluster.replicas is ${replicas}, and the NATS server is not in a cluster`);
      }
      for (const stream of this.#streams) await stream.ensure();
      if (this.#connected && !this.#closed) this.#found();
    } catch (error) {
      if (!this.#closed) this.#lost(error instanceof Error ? error.message : String(error));
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#closed) return;
      if (status.type === 'disconnect' || status.type === 'staleConnection') {
        this.#connected = false;
        this.#lost('no connection to NATS');
        this.#failAll('the connection to NATS was lost');
      }
      if (status.type === 'reconnect') {
        this.#connected = true;
        void this.#settle();
      }
      if (status.type === 'slowConsumer' || status.type === 'error') {
        seldom.warn(`store ${status.type}`, { event: 'nats trouble', why: status.type }, 'NATS reports trouble');
      }
    }
  }

  #found(): void {
    if (this.available) return;
    this.available = true;
    this.#complained = false;
    this.options.metrics.available = 1;
    this.options.conditions.clear('store');
    const { replicas, keeps } = this.options;
    const server = this.#connection?.getServer();
    log.info({ event: 'store connected', server, replicas }, `JetStream is there, for ${keeps}`);
    this.beforeFound();
    for (const stream of this.#streams) stream.begin();
    for (const watcher of this.watchers) watcher(true);
  }

  #lost(why: string): void {
    const servers = hostsOf(this.options.urls);
    const detail = `JetStream cannot be used (${servers.join(', ')}: ${why}): what must survive waits in memory`;
    this.options.conditions.raise('store', detail, { ready: true });
    if (!this.#complained) {
      log.warn(
        { event: 'store lost', why, servers },
        `JetStream cannot be used for ${this.options.keeps}, tried again and again`,
      );
    }
    this.#complained = true;
    this.options.metrics.available = 0;
    if (!this.available) return;
    this.available = false;
    for (const stream of this.#streams) stream.pause();
    for (const watcher of this.watchers) watcher(false);
  }
}
