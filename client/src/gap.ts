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

/** As much of a chat as reads the history. */
interface Reader {
  readonly id: string | null;
  conversations(range: object): Promise<{ readonly conversations: readonly Json[]; readonly next?: string }>;
  history(id: string, range: object): Promise<{ readonly messages: readonly Message[]; readonly next?: string }>;
}

function timeOf(message: unknown): number {
  return isObject(message) ? Number(message.timestamp) || 0 : 0;
}

/**
 * The messages that others have written since `since` (milliseconds) and that are not known. Rejects where the server keeps
 * no history for this client.
 */
export async function catchUp(chat: Reader, since: number, isKnown: (message: Message) => boolean): Promise<Gap> {
  const isLate = (message: unknown): boolean => timeOf(message) >= since - TOLERANCE_MS;
  const { conversations, next } = await chat.conversations({ limit: CONVERSATIONS });
  const changed = conversations.filter(({ last }) => isLate(last));
  const isWhole = !next || changed.length < conversations.length;
  const found: Message[] = [];
  for (const { with: other } of changed) {
    let own: Message[] = [];
    let before: string | undefined;
    // Back to what is known, or to what is older.
    do {
      const page = await chat.history(String(other), { limit: MESSAGES, before });
      const { messages } = page;
      const last = messages.map(isKnown).lastIndexOf(true);
      const missed = messages.slice(last + 1).filter((message) => last >= 0 || isLate(message));
      own = [...missed, ...own];
      before = missed.length < messages.length ? undefined : page.next;
    } while (before);
    found.push(...own.filter(({ from }) => from !== chat.id));
  }
  return { messages: found, isWhole };
}
