/**
 * Hears all that a stream of JetStream has after a sequence, in order: a consumer that JetStream pushes to, without
 * acknowledgements, with its flow control. Each message has a number of the consumer: where one is missing, or JetStream
 * is silent, a new consumer goes on from the last message that came.
 */
import { createInbox, type Msg } from '@nats-io/transport-node';
import type { JetStreamPort } from './jetstream-port.js';

const HEARTBEAT_MS = 2000;
/** So long without a word, and the consumer is given up. */
const SILENCE_MS = 5000;
/** JetStream forgets a consumer that nobody listens to after this time. */
const FORGET_MS = 30_000;
const NANOSECONDS = 1_000_000;
const STATUS = 100;
/** Words of the subject of acknowledgements: `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`. */
const [STREAM_SEQUENCE, CONSUMER_SEQUENCE, PENDING] = [5, 6, 8];
const LAST_CONSUMER = 'Nats-Last-Consumer';

/** What follows a stream. */
export interface Follower {
  /** A message, in the order of the stream. `data` is empty where the subject's record was removed. */
  message(sequence: number, key: string, data: string): void;
  /** All that was in the stream when this began, or began again, has come. */
  caughtUp(): void;
  /** Calls `done` when it can take more; absent: it always can. */
  settle?(done: () => void): void;
}

export class Following {
  #last: number;
  #consumed = 0;
  #end: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isBehind = true;

  constructor(
    private readonly jetstream: JetStreamPort,
    private readonly name: string,
    private readonly prefix: string,
    after: number,
    private readonly follower: Follower,
  ) {
    this.#last = after;
  }

  /** The stream is there, or there again. */
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
    jetstream.ask<{ num_pending: number }>(`CONSUMER.CREATE.${name}`, { stream_name: name, config }).then(
      ({ num_pending }) => {
        if (this.#end === unsubscribe && num_pending === 0) this.#caughtUp();
      },
      // The silence that follows has it tried again.
      () => undefined,
    );
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

  /** A heartbeat, or the question whether this end keeps up. */
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

  /** Waits for the next word. */
  #listen(): void {
    if (this.#timer) return void this.#timer.refresh();
    this.#timer = setTimeout(() => {
      // The stream may be gone, or another one: it is looked at before this begins again.
      if (this.#end) this.jetstream.doubt(`the stream ${this.name} is silent`);
    }, SILENCE_MS).unref();
  }
}
