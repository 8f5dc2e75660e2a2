/**
 * What the site itself knows, in memory: its people, who is signed in, and a short history of every conversation.
 * A real site has a database here.
 */
import { randomBytes } from 'node:crypto';

export const ROOM = { id: 'lobby', name: 'Lobby' } as const;

export const SHOWS: ReadonlySet<string> = new Set(['available', 'away', 'dnd', 'busy', 'invisible']);

const NAME_CHARS = 40;
const PEOPLE = 500;
const SESSIONS = 2000;
const TICKETS_PER_SESSION = 16;
const CONVERSATIONS = 2000;
const MESSAGES_PER_CONVERSATION = 200;

export interface Person {
  /** The id the message server knows: the name in lower case, without what addresses forbid. */
  id: string;
  nick: string;
  show: string;
  status: string;
  inRoom: boolean;
  /** Conversation → time of the last message this person has seen. */
  read: Map<string, number>;
}

/** One browser tab's right to act as a person, and the tickets its page was given. */
export interface Session {
  token: string;
  person: Person;
  tickets: Set<string>;
}

export interface SavedMessage {
  from: string;
  nick: string;
  body: string;
  /** Milliseconds; no two messages of the site have the same, so the time identifies a message. */
  time: number;
}

/** A conversation as one of its two sides (or a room's member) names it: `user:bob`, `room:lobby`. */
export interface Place {
  kind: 'user' | 'room';
  id: string;
}

export function parsePlace(text: unknown): Place | undefined {
  const match = typeof text === 'string' ? /^(user|room):([^,]+)$/u.exec(text) : null;
  const id = match?.[2];
  if (!id || Buffer.byteLength(id) > 256) return undefined;
  return match[1] === 'room' ? { kind: 'room', id } : { kind: 'user', id };
}

export function placeName({ kind, id }: Place): string {
  return `${kind}:${id}`;
}

/** The name as people will read it, or nothing when it is no name. */
export function tidyName(name: unknown): string | undefined {
  if (typeof name !== 'string') return undefined;
  const tidy = name
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return tidy && [...tidy].length <= NAME_CHARS ? tidy : undefined;
}

/** An id for any name: what addresses forbid, and the colon of the prefixes, is escaped, so no two names collide. */
export function idOf(nick: string): string {
  return nick.toLowerCase().replace(/[%/+#,:]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}

function forgetOldest<K>(map: Map<K, unknown> | Set<K>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

export class Community {
  readonly people = new Map<string, Person>();
  readonly #sessions = new Map<string, Session>();
  readonly #history = new Map<string, SavedMessage[]>();
  #lastTime = 0;

  /** Signs a person in, newly met or not; nothing when the site is full. */
  signIn(nick: string): { session: Session; newcomer: boolean } | undefined {
    const id = idOf(nick);
    const known = this.people.get(id);
    if (!known && this.people.size >= PEOPLE) return undefined;
    const person = known ?? { id, nick, show: 'available', status: '', inRoom: true, read: new Map() };
    person.nick = nick;
    this.people.set(id, person);
    const session: Session = { token: randomBytes(24).toString('hex'), person, tickets: new Set() };
    this.#sessions.set(session.token, session);
    forgetOldest(this.#sessions, SESSIONS);
    return { session, newcomer: known === undefined };
  }

  session(token: unknown): Session | undefined {
    return typeof token === 'string' ? this.#sessions.get(token) : undefined;
  }

  signOut(session: Session): void {
    this.#sessions.delete(session.token);
  }

  addTicket(session: Session, ticket: string): void {
    session.tickets.add(ticket);
    forgetOldest(session.tickets, TICKETS_PER_SESSION);
  }

  /** A time no other message has. */
  nextTime(): number {
    this.#lastTime = Math.max(Date.now(), this.#lastTime + 1);
    return this.#lastTime;
  }

  save(person: Person, place: Place, message: SavedMessage): void {
    const key = historyKey(person, place);
    const messages = this.#history.get(key) ?? [];
    messages.push(message);
    if (messages.length > MESSAGES_PER_CONVERSATION) messages.shift();
    // Deleted and set again, the conversation that was silent longest is the first to be forgotten.
    this.#history.delete(key);
    this.#history.set(key, messages);
    forgetOldest(this.#history, CONVERSATIONS);
  }

  unsave(person: Person, place: Place, message: SavedMessage): void {
    const messages = this.#history.get(historyKey(person, place));
    const at = messages?.indexOf(message) ?? -1;
    if (at >= 0) messages?.splice(at, 1);
  }

  history(person: Person, place: Place): readonly SavedMessage[] {
    return this.#history.get(historyKey(person, place)) ?? [];
  }

  markRead(person: Person, place: Place): void {
    const last = this.history(person, place).at(-1);
    if (last) person.read.set(placeName(place), last.time);
  }

  /** How many messages of others came after the last one this person has seen. */
  unread(person: Person, place: Place): number {
    const seen = person.read.get(placeName(place)) ?? 0;
    return this.history(person, place).filter(({ from, time }) => from !== person.id && time > seen).length;
  }
}

/** Both sides of a conversation share its history. Ids hold no comma, so the pair reads back in one way only. */
function historyKey(person: Person, place: Place): string {
  return place.kind === 'room' ? `room:${place.id}` : [person.id, place.id].sort().join(',');
}
