/** What one conversation keeps: a bounded stretch of its messages, how many of them are unread, who is typing. */
import type { History, Range } from '../../src/chat.js';
import type { Message } from '../../src/wire.js';
import { type Line, lineOf, type Outcome } from './line.js';

/** Messages that an open conversation keeps; a closed one keeps fewer. */
export const KEPT = 600;
export const KEPT_CLOSED = 60;
const PAGE = 50;
/** Pages that are read to find what joins what is kept, and messages in each but the first. */
const WALK = 8;
const WALK_PAGE = 200;
const NEWER_PAGES = 4;
const TYPING_MS = 6_000;
const TYPISTS = 20;

/** The room of a conversation's id, `gid:` and the room; null: the id is somebody's. */
export function roomOf(id: string): string | null {
  return id.startsWith('gid:') ? id.slice(4) : null;
}

export type LoadHistory = (id: string, range: Range) => Promise<History>;

export interface Last {
  readonly nick: string;
  readonly body: string;
  readonly at: number;
  readonly isMine: boolean;
}

export function lastOf({ nick, body, at, isMine, image }: Line): Last {
  return { nick, body: body || (image ?? ''), at, isMine };
}

export class Conversation {
  /** A stretch without holes, the oldest first. */
  lines: readonly Line[] = [];
  /** The latest message, also where the stretch ends before it. */
  last: Last | null = null;
  unread = 0;
  draft = '';
  /** False: the stretch ends before the newest message, because its reader has gone far back. */
  isLive = true;
  isLoading = false;
  /** The oldest message that was unread when the conversation was opened. */
  firstUnread: string | null = null;
  readonly #typists = new Map<string, number>();
  readonly #keys = new Set<string>();
  /** Where the history goes on, backwards: undefined, from its newest message; null, it does not. */
  #before: string | undefined | null = undefined;
  /** There is no history to read. */
  #isClosed = false;
  /** With which `before` the pages were read that the stretch no longer has at its end, the newest first. */
  #after: (string | undefined)[] = [];
  /** The same of the pages that it has, with the key of the first message of each. */
  #pages: { readonly before: string | undefined; readonly first: string }[] = [];

  /** `id`: a short id, or `gid:` and a room. */
  constructor(readonly id: string) {}

  get isRoom(): boolean {
    return roomOf(this.id) !== null;
  }

  /** Whether the history may have older messages than those that are kept. */
  get hasOlder(): boolean {
    return this.#before !== null && !this.#isClosed;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Adds a message at the end; false where it is kept already. */
  add(line: Line, limit: number): boolean {
    if (this.has(line.key)) return false;
    if (!this.last || line.at >= this.last.at || this.isLive) this.last = lastOf(line);
    if (!this.isLive) return true;
    this.lines = [...this.lines, line];
    this.#keys.add(line.key);
    this.trimStart(limit);
    return true;
  }

  /** Puts `change` into a message that is kept. */
  update(key: string, change: Partial<Line>): void {
    if (this.has(key)) this.lines = this.lines.map((line) => (line.key === key ? { ...line, ...change } : line));
  }

  remove(key: string): void {
    if (this.has(key)) this.#set(this.lines.filter((line) => line.key !== key));
  }

  /** The other side has read the own messages up to this one. */
  markRead(id: string): void {
    const at = this.lines.findIndex((line) => line.isMine && line.id === id);
    const isNews = ({ isMine, outcome }: Line, i: number): boolean =>
      isMine && i <= at && outcome !== 'read' && outcome !== 'failed' && outcome !== 'sending';
    if (at < 0 || !this.lines.some(isNews)) return;
    const read: Outcome = 'read';
    this.lines = this.lines.map((line, i) => (isNews(line, i) ? { ...line, outcome: read } : line));
  }

  /** Forgets the oldest messages beyond `limit`; the history has them where there is one. */
  trimStart(limit: number): void {
    const surplus = this.lines.length - limit;
    if (surplus <= 0) return;
    for (const { key } of this.lines.slice(0, surplus)) this.#keys.delete(key);
    this.lines = this.lines.slice(surplus);
    this.#pages = [];
    this.#before = undefined;
  }

  /** Reads the page of history before the oldest message that is kept. Rejects where there is none. */
  async loadOlder(load: LoadHistory, self: string | null, now: number): Promise<void> {
    if (this.isLoading || !this.hasOlder) return;
    this.isLoading = true;
    try {
      let found: readonly Line[] = [];
      for (let step = 0; step < WALK && found.length === 0 && this.#before !== null; step++) {
        const before: string | undefined = this.#before;
        const limit = step === 0 ? PAGE : WALK_PAGE;
        const { messages, next } = await load(this.id, { limit, ...(before === undefined ? {} : { before }) });
        found = this.#unknown(messages, self, now);
        this.#before = next ?? null;
        const first = messages[0] && lineOf(messages[0], self, now).key;
        if (first !== undefined) this.#pages.push({ before, first });
      }
      this.#merge(found);
      this.#trimEnd();
    } finally {
      this.isLoading = false;
    }
  }

  /** Reads the page of history after the newest message that is kept. Rejects where there is none. */
  async loadNewer(load: LoadHistory, self: string | null, now: number): Promise<void> {
    if (this.isLoading || this.isLive) return;
    this.isLoading = true;
    try {
      const before = this.#after[this.#after.length - 1];
      const found = await this.#readNewer(load, before, (messages) => this.#unknown(messages, self, now));
      // More was written meanwhile than is read in one go.
      if (!found) return this.restart();
      this.#after.pop();
      const [first] = found;
      if (first) this.#pages.unshift({ before, first: first.key });
      this.#merge(found);
      this.#forgetOldest();
      this.isLive = this.#after.length === 0;
    } finally {
      this.isLoading = false;
    }
  }

  /** What follows the newest message that is kept; null: nothing of it joins that. */
  async #readNewer(
    load: LoadHistory,
    before: string | undefined,
    unknown: (messages: readonly Message[]) => readonly Line[],
  ): Promise<readonly Line[] | null> {
    const found: Line[] = [];
    let cursor = before;
    for (let step = 0; step < NEWER_PAGES; step++) {
      const { messages, next } = await load(this.id, {
        limit: PAGE,
        ...(cursor === undefined ? {} : { before: cursor }),
      });
      const news = unknown(messages);
      found.unshift(...news);
      // A page of which the cursor was kept joins by itself; the newest one does where it has something that is known.
      if (before !== undefined || news.length < messages.length || next === undefined) return found;
      cursor = next;
    }
    return null;
  }

  /** Begins again at the newest message; what is kept is forgotten unless it ends there. */
  restart(): void {
    if (this.isLive) return;
    this.#set([]);
    this.#before = undefined;
    this.#after = [];
    this.#pages = [];
    this.isLive = true;
  }

  /** Whether there is a history to read. */
  setHistory(isThere: boolean): void {
    this.#isClosed = !isThere;
  }

  typed(who: string, now: number): void {
    this.#typists.delete(who);
    this.#typists.set(who, now + TYPING_MS);
    for (const oldest of this.#typists.keys()) {
      if (this.#typists.size <= TYPISTS) break;
      this.#typists.delete(oldest);
    }
  }

  paused(who: string): boolean {
    return this.#typists.delete(who);
  }

  /** Who is typing now. */
  typists(now: number): readonly string[] {
    for (const [who, until] of this.#typists) if (until <= now) this.#typists.delete(who);
    return [...this.#typists.keys()];
  }

  #unknown(messages: readonly Message[], self: string | null, now: number): readonly Line[] {
    return messages.map((message) => lineOf(message, self, now)).filter(({ key }) => !this.has(key));
  }

  #merge(found: readonly Line[]): void {
    if (found.length === 0) return;
    // Stable: of messages of one millisecond the order of each list holds.
    this.#set([...found, ...this.lines].sort((one, other) => one.at - other.at));
    const newest = this.lines[this.lines.length - 1];
    if (newest && (!this.last || newest.at > this.last.at)) this.last = lastOf(newest);
  }

  /** Forgets the newest pages beyond what an open conversation keeps: their reader has gone far back. */
  #trimEnd(): void {
    while (this.lines.length > KEPT && this.#pages.length > 1) {
      const [newest] = this.#pages;
      const from = this.lines.findIndex(({ key }) => key === newest?.first);
      if (!newest || from <= 0) break;
      this.#pages.shift();
      this.#after.push(newest.before);
      this.#set(this.lines.slice(0, from));
      this.isLive = false;
    }
    if (this.lines.length <= KEPT + PAGE) return;
    this.#set(this.lines.slice(0, KEPT));
    this.#after = [undefined];
    this.isLive = false;
  }

  /** Forgets the oldest pages beyond what an open conversation keeps: their reader comes back to the newest. */
  #forgetOldest(): void {
    while (this.lines.length > KEPT && this.#pages.length > 1) {
      this.#before = this.#pages.pop()?.before;
      const first = this.#pages[this.#pages.length - 1]?.first;
      const from = this.lines.findIndex(({ key }) => key === first);
      this.#set(this.lines.slice(Math.max(0, from)));
    }
    this.trimStart(KEPT + PAGE);
  }

  #set(lines: readonly Line[]): void {
    this.lines = lines;
    this.#keys.clear();
    for (const { key } of lines) this.#keys.add(key);
  }
}
