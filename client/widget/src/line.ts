/** One message, as a conversation keeps it. */
import { keyOf } from '../../src/roster.js';
import type { Message } from '../../src/wire.js';

/**
 * What became of an own message: what the server answered, `sending` until then, `failed` where it has not taken it, and
 * `read` once the other side has said so.
 */
export type Outcome = 'sending' | 'sent' | 'delivered' | 'queued' | 'stored' | 'dropped' | 'failed' | 'read';

export interface Line {
  /** `from` and `id`: together they tell messages apart. */
  readonly key: string;
  readonly id: string;
  readonly from: string;
  readonly nick: string;
  readonly body: string;
  /** When it was sent, in milliseconds since the epoch. */
  readonly at: number;
  readonly isMine: boolean;
  /** The address of an image that is part of the message. */
  readonly image: string | null;
  /** Of own messages only. */
  readonly outcome: Outcome | null;
  /** Why a message of outcome `failed` was not taken, as the server says it. */
  readonly reason: string;
}

const OUTCOMES: ReadonlySet<unknown> = new Set(['delivered', 'queued', 'stored', 'dropped']);

/** An answer's outcome; what is not one of those that mean something to a reader is `sent`. */
export function outcomeOf(value: unknown): Outcome {
  return OUTCOMES.has(value) ? (value as Outcome) : 'sent';
}

/** The image that a message brings beside its body: `{"image": url}`. */
function imageOf(data: unknown): string | null {
  if (typeof data !== 'object' || data === null) return null;
  const { image } = data as { readonly image?: unknown };
  return typeof image === 'string' && image !== '' ? image : null;
}

let unnamed = 0;

/** `self`: the user's own id. Messages of servers without message ids are told apart by the order in which they come. */
export function lineOf(message: Message, self: string | null, now: number): Line {
  const { from, nick, body, timestamp, data } = message;
  const id = typeof message.id === 'string' ? message.id : `#${++unnamed}`;
  const isMine = from === self;
  return {
    key: keyOf(from, id),
    id,
    from: String(from),
    nick: String(nick ?? ''),
    body: String(body ?? ''),
    at: Number(timestamp) || now,
    isMine,
    image: imageOf(data),
    outcome: isMine ? 'sent' : null,
    reason: '',
  };
}
