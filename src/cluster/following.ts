/**
 * Receives all messages of a JetStream stream after a given sequence, in order, by a push consumer without acknowledgements
 * and with JetStream's flow control. The consumer numbers its messages: where a number is missing, or where JetStream is
 * silent, a new consumer continues after the last message that arrived.
 */
import { createInbox, type Msg } from '@nats-io/transport-node';
import type { JetStreamPort } from './jetstream-port.js';

const HEARTBEAT_MS = 2000;
/** After this long without a message or heartbeat the consumer is given up. */
const SILENCE_MS = 5000;
/** JetStream deletes a consumer that has had no listener for this long. */
const FORGET_MS = 30_000;
const NANOSECONDS = 1_000_000;
const STATUS = 100;
/** Words of a message's reply subject: `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`. */
const [STREAM_SEQUENCE, CONSUMER_SEQUENCE, PENDING] = [5, 6, 8];
const LAST_CONSUMER = 'Nats-Last-Consumer';

/** The receiver of a stream's messages. */
export interface Follower {
  /** Called for each message, in the order of the stream. `data` is empty where the record of the subject was removed. */
  message(sequence: number, key: string, data: string): void;
  /** Called when all messages that were in the stream when the following began, or began again, have arrived. */
  caughtUp(): void;
  /** Calls `done` when the follower can take more messages; a follower without this method always can. */
  settle?(done: () => void): void;
  /** Called when JetStream is lost, or makes no consumer; the following begins again when JetStream is back, unless it has ended. */
  lost?(): void;
}

export class Following {
  #last: number;
  #consumed = 0;
  #end: (() => void) | null = null;
  /** The name of the consumer; empty where it could not be made. */
  #consumer: Promise<string> = Promise.resolve('');
  #timer: NodeJS.Timeout | null = null;
  #isBehind = true;

  constructor(
    private readonly jetstream: JetStreamPort,
    private readonly name: string,
    private readonly prefix: string,
    after: number,
    private readonly follower: Follower,
    /** Which keys are followed. */
    private readonly filter: string,
  ) {
    this.#last = after;
  }

  /** Makes a new consumer; called when the stream becomes available, and after a gap in the consumer's numbers. */
  begin(): void {
    this.pause();
    this.#isBehind = true;
    this.#consumed = 0;
    const { jetstream, name } = this;
    const inbox = createInbox();
    const unsubscribe = jetstream.subscribe(inbox, (message) => this.#received(message));
    this.#end = unsubscribe;
    this.#listen();
    const config = {
      deliver_subject: inbox,
      ...(this.filter === '>' ? {} : { filter_subject: this.prefix + this.filter }),
      deliver_policy: 'by_start_sequence',
      opt_start_seq: this.#last + 1,
      ack_policy: 'none',
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: HEARTBEAT_MS * NANOSECONDS,
      inactive_threshold: FORGET_MS * NANOSECONDS,
      mem_storage: true,
      num_replicas: 1,
    };
    const created = jetstream.ask<{ num_pending: number; name: string }>(`CONSUMER.CREATE.${name}`, {
      ...{ stream_name: name, config },
    });
    this.#consumer = created.then(
      ({ num_pending, name: consumer }) => {
        if (this.#end === unsubscribe && num_pending === 0) this.#caughtUp();
        return consumer;
      },
      // No message will come: the timer of #listen leads to the next attempt, where the follower does not give up.
      () => {
        if (this.#end === unsubscribe) this.follower.lost?.();
        return '';
      },
    );
  }

  lost(): void {
    this.pause();
    this.follower.lost?.();
  }

  /** Ends for good: JetStream need not find out that nobody listens. */
  end(): void {
    this.pause();
    const { jetstream, name } = this;
    void this.#consumer.then((consumer) => {
      if (consumer === '' || !jetstream.available) return;
      return jetstream.ask(`CONSUMER.DELETE.${name}.${consumer}`).catch(() => undefined);
    });
  }

  pause(): void {
    this.#end?.();
    this.#end = null;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #received(message: Msg): void {
    this.#listen();
    if (message.headers?.code === STATUS) return this.#status(message);
    const words = (message.reply ?? '').split('.');
    const consumed = Number(words[CONSUMER_SEQUENCE]);
    if (consumed !== this.#consumed + 1) return this.begin();
    this.#consumed = consumed;
    this.#last = Number(words[STREAM_SEQUENCE]);
    this.jetstream.metrics.received += 1;
    this.follower.message(this.#last, message.subject.slice(this.prefix.length), message.string());
    if (words[PENDING] === '0') this.#caughtUp();
  }

  /** Handles a status message: a heartbeat, or (with a reply subject) flow control, which asks whether this node keeps up. */
  #status(message: Msg): void {
    if (message.reply) {
      const goOn = (): void => void message.respond();
      return this.follower.settle ? this.follower.settle(goOn) : goOn();
    }
    const last = message.headers?.get(LAST_CONSUMER) ?? '';
    if (last !== '' && Number(last) !== this.#consumed) this.begin();
  }

  #caughtUp(): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.follower.caughtUp();
  }

  /** Starts the timer of `SILENCE_MS` anew. */
  #listen(): void {
    if (this.#timer) return void this.#timer.refresh();
    this.#timer = setTimeout(() => {
      // The stream may have been deleted or made anew: `doubt` has it checked before `begin` is called again.
      if (this.#end) this.jetstream.doubt(`the stream ${this.name} is silent`);
    }, SILENCE_MS).unref();
  }
}
