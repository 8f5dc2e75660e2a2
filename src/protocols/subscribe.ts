/** The first text of a WebSocket, PROTOCOL.md sections 7 and 12. */
import { type Asked, parseAsked } from '../actors/position.js';

interface Wanted {
  readonly domain: string;
  readonly ticket: string;
  /** What the client asks to resume from; null for `subscribe`, whose client keeps no position. */
  readonly asked: Asked | null;
}

/**
 * `subscribe {domain} {ticket}` or `resume {domain} {position} {ticket}`: the ticket is everything after the last space
 * (section 10). Answers null where the text is neither of the two.
 */
export function parseSubscribe(text: string): Wanted | null {
  const old = /^subscribe ([^ ]+) (.+)$/s.exec(text);
  if (old) return { domain: old[1] as string, ticket: old[2] as string, asked: null };
  const [, domain = '', position = '', ticket = ''] = /^resume ([^ ]+) ([^ ]+) (.+)$/s.exec(text) ?? [];
  const asked = parseAsked(position);
  return asked === null ? null : { domain, ticket, asked };
}
