/** What is asked of JetStream, and what it answers where something was not done. */
import type { Msg } from '@nats-io/transport-node';
import type { JetStreamMetrics } from '../metrics.js';

/** Called once; what came of it is the answer, which jsonOf reads, or why there is none. */
export type Done = (answer: JetStreamError | Msg) => void;

/** The connection to JetStream as its streams see it. */
export interface JetStreamPort {
  readonly available: boolean;
  readonly metrics: JetStreamMetrics;
  /** Name of the cluster: its streams and subjects begin so. */
  readonly cluster: string;
  /** How many servers of NATS keep each stream. */
  readonly replicas: number;
  /**
   * Sends a message to JetStream, and calls `done` once with its answer. Messages reach JetStream in the order in which they are
   * sent. `expected`: the sequence of the subject's present message, 0 where there is none, or nothing is written and the answer is a `conflict`.
   */
  send(subject: string, payload: string | Uint8Array, done: Done, expected?: number | null): void;
  /** Asks JetStream's own interface; resolves with the JSON that is answered, rejects with a JetStreamError. */
  ask<T>(call: string, body?: object): Promise<T>;
  /** What was asked of JetStream has failed for its sake: it is looked at anew. */
  doubt(why: string): void;
  /** What is published to the subject, for a consumer; answers how to end that. Only while there is a connection. */
  subscribe(subject: string, receive: (message: Msg) => void): () => void;
}

const NOT_FOUND = 404;
/** The two words of JetStream for it: before and from version 2.11 on. */
const WRONG_LAST_SEQUENCE: readonly unknown[] = [10_071, 10_164];

/**
 * Why something was not done. `unavailable`: there is no JetStream, no majority of it, or no answer, and it may be done all
 * the same; `conflict`: somebody else has written the subject; `notFound`: there is no such message or stream; `refused`: JetStream
 * does not do this at all, nor would it later.
 */
export class JetStreamError extends Error {
  constructor(
    readonly reason: 'unavailable' | 'conflict' | 'notFound' | 'refused',
    message: string,
  ) {
    super(message);
  }
}

interface Failed {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** The JSON of an answer, or what it says has failed. */
export function jsonOf(message: Msg): unknown {
  let json: { readonly error?: Failed };
  try {
    json = message.json();
  } catch {
    return new JetStreamError('unavailable', 'an answer of JetStream cannot be read');
  }
  if (!json.error) return json;
  const { code, err_code, description = `error ${err_code}` } = json.error;
  if (WRONG_LAST_SEQUENCE.includes(err_code)) return new JetStreamError('conflict', description);
  if (code === NOT_FOUND) return new JetStreamError('notFound', description);
  return new JetStreamError(code >= 500 ? 'unavailable' : 'refused', description);
}
