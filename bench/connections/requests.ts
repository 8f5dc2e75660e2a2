/** What a process of clients sends, as bytes. What is known before users come is made before they come. */
import { httpRequest } from '../clients/http.js';
import { restForm, restRequest, ringBuddies, userId } from '../clients/nextalk.js';
import { messageBody } from './frames.js';
import type { Share } from './holder.js';

const ticketStart = Buffer.from('"ticket":"');
const quote = '"'.charCodeAt(0);

/** The ONLINE of each user of a process, in their order. */
export function onlineRequests({ first, count, users, buddies }: Share): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const name = userId(first + index);
    return restRequest('presences/online', { name, nick: name, buddies: ringBuddies(first + index, users, buddies) });
  });
}

/** The ticket in an answer to ONLINE, from `start` to `end`; null: there is none. */
export function ticketIn(bytes: Buffer, start: number, end: number): string | null {
  const at = bytes.indexOf(ticketStart, start);
  if (at < 0 || at >= end) return null;
  const from = at + ticketStart.length;
  return bytes.toString('latin1', from, bytes.indexOf(quote, from));
}

/** MESSAGES; `ticket` as a form has it. No other field needs escapes, and a plus sign is a space. */
export function messageRequest(ticket: string, to: string, id: number, dueMs: number): Buffer {
  const body = messageBody(id, dueMs).replaceAll(' ', '+');
  return restForm('messages', `ticket=${ticket}&to=${to}&body=${body}&timestamp=1`);
}

/** The same to bare uWebSockets.js, which sends what it is given. */
export function bareMessageRequest(to: string, id: number, dueMs: number): Buffer {
  return httpRequest(`/send/${to}`, '', `{"status":"ok","messages":[{"body":"${messageBody(id, dueMs)}"}]}`);
}
