/** What the history has of a time in which a client received nothing (section 18). */
import { isObject, type Json, type Message } from './wire.js';

/** Clocks of senders and servers differ a little. */
const TOLERANCE_MS = 2_000;
const CONVERSATIONS = 50;
const MESSAGES = 200;

export interface Gap {
  /** The messages, of each conversation the oldest first. */
  readonly messages: readonly Message[];
  /** False where there may be more messages than these. */
  readonly isWhole: boolean;
}

function timeOf(message: unknown): number {
  return isObject(message) ? Number(message.timestamp) || 0 : 0;
}

/**
 * The messages that others have written since `since` (milliseconds) and that are not known. Rejects where the server keeps
 * no history for this client.
 */
export async function catchUp(
  history: (params: Json) => Promise<Json>,
  self: string | null,
  since: number,
  isKnown: (message: Message) => boolean,
): Promise<Gap> {
  const { conversations } = await history({ limit: CONVERSATIONS });
  const all: readonly unknown[] = Array.isArray(conversations) ? conversations : [];
  const changed = all.filter((item) => isObject(item) && timeOf(item.last) >= since - TOLERANCE_MS);
  let isWhole = changed.length < CONVERSATIONS;
  const found: Message[] = [];
  for (const item of changed) {
    const answer = await history({ with: (item as Json).with, limit: MESSAGES });
    const messages: readonly Message[] = Array.isArray(answer.messages) ? answer.messages : [];
    const last = messages.map(isKnown).lastIndexOf(true);
    const missed = messages.slice(last + 1).filter((message) => last >= 0 || timeOf(message) >= since - TOLERANCE_MS);
    if (missed.length === MESSAGES) isWhole = false;
    found.push(...missed.filter(({ from }) => from !== self));
  }
  return { messages: found, isWhole };
}
