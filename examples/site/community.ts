/**
 * What the site itself knows, in memory: its people, who is signed in, and what is pinned to its board. A real site has a
 * database here. The chat is no part of it: the message server keeps that.
 */
import { randomBytes } from 'node:crypto';

const NAME_CHARACTERS = 40;
const POST_CHARACTERS = 500;
const PEOPLE = 500;
const SESSIONS = 2000;
const POSTS = 50;

export interface Person {
  /** The id that the message server knows: the name in lower case, without what addresses forbid. */
  readonly id: string;
  readonly nick: string;
  readonly about: string;
}

export interface Post {
  readonly author: Person;
  readonly body: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** The text on one line, at most `longest` characters; null where there is none, or too much. */
function tidy(text: string | null, longest: number): string | null {
  const line = (text ?? '')
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return line !== '' && [...line].length <= longest ? line : null;
}

/** An id for any name: what addresses forbid, and the colon of the prefixes, is escaped, so no two names collide. */
export function idOf(nick: string): string {
  return nick.toLowerCase().replace(/[%/+#,:]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}

export class Community {
  /** By id, in the order in which they came. */
  readonly people = new Map<string, Person>();
  /** The latest first. */
  readonly posts: Post[] = [];
  readonly #sessions = new Map<string, Person>();

  constructor() {
    const now = Date.now();
    for (const [nick, about, body, hoursAgo] of FIRST) {
      const author = this.#know(nick, about);
      if (author) this.posts.push({ author, body, time: now - hoursAgo * 3_600_000 });
    }
  }

  /** Signs a person in, newly met or not; answers the session's secret. null: that is no name, or the site is full. */
  signIn(name: string | null): string | null {
    const nick = tidy(name, NAME_CHARACTERS);
    const person = nick === null ? null : this.#know(nick, 'New in the harbour');
    if (!person) return null;
    const session = randomBytes(24).toString('hex');
    this.#sessions.set(session, person);
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= SESSIONS) break;
      this.#sessions.delete(oldest);
    }
    return session;
  }

  signedIn(session: string | undefined): Person | null {
    return (session !== undefined && this.#sessions.get(session)) || null;
  }

  /** Ends all sessions of a person. */
  signOut(person: Person): void {
    for (const [session, { id }] of this.#sessions) if (id === person.id) this.#sessions.delete(session);
  }

  /** Pins a text to the board; null where there is none, or too much. */
  post(author: Person, text: string | null): Post | null {
    const body = tidy(text, POST_CHARACTERS);
    if (body === null) return null;
    const post = { author, body, time: Date.now() };
    this.posts.unshift(post);
    this.posts.length = Math.min(this.posts.length, POSTS);
    return post;
  }

  #know(nick: string, about: string): Person | null {
    const id = idOf(nick);
    const known = this.people.get(id);
    if (known) return known;
    if (this.people.size >= PEOPLE) return null;
    const person = { id, nick, about };
    this.people.set(id, person);
    return person;
  }
}

const FIRST: readonly (readonly [nick: string, about: string, body: string, hoursAgo: number])[] = [
  ['Mara', 'Harbour master', 'The fuel dock is closed on Thursday until noon: the pump gets a new meter.', 2],
  ['Jonas', 'Sails a Folkboat', 'Has anybody seen a red dinghy, number 41? It went for a walk last night.', 5],
  ['Yusuf', 'Boat builder', 'Two berths at the east pier are free for the winter. Ask me before the weekend.', 26],
];
