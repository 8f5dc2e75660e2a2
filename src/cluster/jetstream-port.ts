/** The interface to JetStream that its streams use, and the errors with which JetStream refuses a request. */
import type { Msg } from '@nats-io/transport-node';
import type { JetStreamMetrics } from '../metrics.js';

/** Called once with JetStream's answer, which `jsonOf` reads, or with the reason why there is no answer. */
export type Done = (answer: JetStreamError | Msg) => void;

/** The connection to JetStream as seen by its streams. */
export interface JetStreamPort {
  readonly available: boolean;
  readonly metrics: JetStreamMetrics;
  /** The name of the cluster, with which the names of its streams and subjects begin. */
  readonly cluster: string;
  /** How many servers of NATS keep each stream. */
  readonly replicas: number;
  /**
   * Sends a message to JetStream, and calls `done` once with the answer. Messages reach JetStream in the order in which they are
   * sent. `expected`: the sequence that the subject's latest message must have, 0 for no message; otherwise the answer is a `conflict`.
   */
  send(subject: string, payload: string | Uint8Array, done: Done, expected?: number | null): void;
  /** Calls JetStream's API (`$JS.API.…`); resolves with the JSON of the answer, rejects with a JetStreamError. */
  ask<T>(call: string, body?: object): Promise<T>;
  /** Takes JetStream for lost, for the reason `why`, until its streams have been checked again. */
  doubt(why: string): void;
  /** Subscribes to the subject that a consumer delivers to; returns a function that unsubscribes. Works only while connected to NATS. */
  subscribe(subject: string, receive: (message: Msg) => void): () => void;
}

const NOT_FOUND = 404;
/** JetStream's error codes for a wrong last sequence: the first before version 2.11 of NATS, the second since. */
const WRONG_LAST_SEQUENCE: readonly unknown[] = [10_071, 10_164];

/**
 * Why JetStream did not do what was asked. `unavailable`: JetStream is not there, has no majority, or did not answer; the request
 * may have been carried out nevertheless. `conflict`: another writer has written the subject. `notFound`: there is no such message
 * or stream. `refused`: JetStream does not carry out this request, and a repetition would not help.
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

/** Reads the JSON of an answer; returns a JetStreamError where the answer reports an error or is not JSON. */
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
