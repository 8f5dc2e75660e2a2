/**
 * The connection to NATS: subjects in, texts out. Keeps trying for ever. While there is no connection nothing is
 * kept for later: the streams do that, within their bounds.
 */
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Conditions } from '../conditions.js';
import { log } from '../log.js';
import { seldom } from '../seldom.js';
import { connectOptions, hostsOf, natsProblem, RETRY_MS } from './nats.js';

export interface BusOptions {
  readonly urls: readonly string[];
  /** Shown in the monitoring of NATS. */
  readonly name: string;
  readonly conditions: Conditions;
  /** Receivers by subject, called for everything that other nodes or NATS publish there, never for this node's own texts. */
  readonly subjects: ReadonlyMap<string, (text: string, subject: string) => void>;
  readonly onConnected: () => void;
  readonly onLost: () => void;
  /** A text came that no node of this version writes. */
  readonly onRefused: () => void;
}

export class Bus {
  connected = false;
  #connection: NatsConnection | null = null;
  #closed = false;
  #retry: NodeJS.Timeout | null = null;
  #complained = false;
  readonly #answers = new Map<string, () => string>();

  constructor(private readonly options: BusOptions) {}

  /** Resolves when the first attempt has succeeded or failed; goes on trying. */
  async start(): Promise<void> {
    try {
      const connection = await connect(connectOptions(this.options.urls, this.options.name));
      if (this.#closed) return void (await connection.close());
      this.#begin(connection);
    } catch (error) {
      if (this.#closed) return;
      this.#lost(natsProblem(error));
      this.#retry = setTimeout(() => void this.start(), RETRY_MS);
    }
  }

  /**
   * Drops the text while the connection is lost, and answers false. `reply`: where NATS says (by an empty text) that nobody has the
   * subject; a node that reads what comes does not answer there.
   */
  publish(subject: string, text: string, reply?: string): boolean {
    if (!this.connected || !this.#connection) return false;
    // From Node's pool: the NATS client would make memory of its own for each text.
    this.#connection.publish(subject, Buffer.from(text), reply === undefined ? undefined : { reply });
    return true;
  }

  /** The first answer to a question on the subject; null where nobody answers in time. */
  async ask(subject: string, timeoutMs: number): Promise<string | null> {
    if (!this.connected || !this.#connection) return null;
    try {
      return (await this.#connection.request(subject, '', { timeout: timeoutMs })).string();
    } catch {
      return null;
    }
  }

  /** Answers what others ask on the subject. */
  answer(subject: string, text: () => string): void {
    this.#answers.set(subject, text);
    if (this.#connection) this.#subscribeAnswer(this.#connection, subject, text);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    const connection = this.#connection;
    const flushed = this.connected;
    this.connected = false;
    if (!connection) return;
    if (flushed) await Promise.race([connection.flush().catch(() => undefined), connection.closed()]);
    await connection.close();
  }

  #begin(connection: NatsConnection): void {
    this.#connection = connection;
    for (const [subject, receive] of this.options.subjects) {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (!error) this.#receive(message.string(), message.subject, receive);
        },
      });
    }
    for (const [subject, text] of this.#answers) this.#subscribeAnswer(connection, subject, text);
    void this.#watch(connection);
    this.#found();
  }

  #receive(text: string, subject: string, receive: (text: string, subject: string) => void): void {
    try {
      receive(text, subject);
    } catch (err) {
      this.options.onRefused();
      seldom.warn('nats message', { event: 'nats message refused', err }, 'something on NATS is not of this cluster');
    }
  }

  #subscribeAnswer(connection: NatsConnection, subject: string, text: () => string): void {
    connection.subscribe(subject, {
      callback: (error, message) => {
        if (!error) message.respond(text());
      },
    });
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#closed) return;
      if (status.type === 'disconnect' || status.type === 'staleConnection') this.#lost(status.type);
      if (status.type === 'reconnect') this.#found();
      if (status.type === 'slowConsumer' || status.type === 'error') {
        seldom.warn(`nats ${status.type}`, { event: 'nats trouble', why: status.type }, 'NATS reports trouble');
      }
    }
  }

  #found(): void {
    if (this.connected) return;
    this.connected = true;
    this.#complained = false;
    this.options.conditions.clear('cluster');
    log.info({ event: 'nats connected', server: this.#connection?.getServer() }, 'connected to NATS');
    this.options.onConnected();
  }

  #lost(why: string): void {
    // The node stays ready and serves its own clients: taking every node out at once would help nobody.
    const servers = hostsOf(this.options.urls);
    const detail = `no connection to NATS (${servers.join(', ')}): only clients of this node are reached`;
    this.options.conditions.raise('cluster', detail, { ready: true });
    const found = { event: 'nats lost', why, servers };
    if (!this.#complained)
      log.warn(found, 'no connection to NATS, tried again and again: this node serves its own clients');
    this.#complained = true;
    if (!this.connected) return;
    this.connected = false;
    this.options.onLost();
  }
}
