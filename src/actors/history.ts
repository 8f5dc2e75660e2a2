/**
 * A domain's history: the last messages of each conversation, between two endpoints or in a room. PROTOCOL.md section 18.
 *
 * `take` notes what is dispatched, and that is all that a message's way costs. Within a second what has gathered is noted on
 * disk as it is (gathering.ts), and some seconds later written together, a conversation at a time; who reads has what is
 * asked for written at once. A server that is killed has lost at most what was not noted.
 *
 * Bounded for each conversation by the domain's `history` (messages and days), and for the domain by `historyBytes`: beyond
 * that the oldest go, and where all is of the current period, or the disk is full, what is new is not kept. Each of these is counted.
 */
import type { Clock } from '../clock.js';
import type { HistoryConfig, Limits } from '../config.js';
import type { DomainMetrics } from '../metrics.js';
import { part } from '../store/keys.js';
import type { Store, Table } from '../store/store.js';
import { type Address, shortId } from './address.js';
import {
  type Change,
  Conversations,
  type Head,
  isFrom,
  type Message,
  type Page,
  pageOf,
  SEQUENCES_PER_MS,
} from './conversation.js';
import { bytesOf, type Gathered, Gathering, keyOf } from './gathering.js';
import { GATHER_MS, HistoryWrites } from './history-writes.js';
import type { MessageFields, Packet, StatusFields } from './packet.js';
import { type Listed, Participants, periodOf, startOf } from './participants.js';

const SWEEP_MS = 60_000;
/** Conversations that one sweep looks at. */
const SWEPT = 200;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Characters of messages that a list of conversations or a search for what has been read looks at; the page ends there. */
const LOOKED_AT = 4_194_304;
/** What a page says of messages that it has read, as PROTOCOL.md has it among statuses. */
const READ = 'read ';

/** What a history needs of its domain. */
interface Owner {
  readonly name: string;
  readonly limits: Limits;
  readonly metrics: DomainMetrics;
}

/** Which messages of a conversation, or which conversations, to read. Positions are those of a page's `next`. */
export interface Asked {
  readonly before: number | null;
  readonly after: number | null;
  readonly limit: number;
}

/** One conversation of a list. */
export interface Summary {
  /** The other endpoint, or the room. */
  readonly other: Address;
  /** The JSON of its latest message. */
  readonly last: string;
  /** Messages of others after the one that was said to have been read. */
  readonly unread: number;
}

interface Totals {
  readonly messages: number;
  readonly bytes: number;
  /** The last sequence: also where the clock was set back, later ones are higher. */
  readonly sequence: number;
}

const NOTHING: Totals = Object.freeze({ messages: 0, bytes: 0, sequence: 0 });

export class History {
  readonly #conversations: Conversations;
  readonly #participants: Participants;
  /** Up to which sequence a room's members have read. */
  readonly #reads: Table<number>;
  readonly #totals: Table<Totals>;
  readonly #part: string;
  readonly #gathering: Gathering;
  readonly #writes: HistoryWrites;
  #sequence = 0;
  #messages: number;
  #bytes: number;
  #cancelSweep: (() => void) | null = null;
  #closed = false;

  constructor(
    private readonly owner: Owner,
    private readonly clock: Clock,
    private readonly store: Store,
    public settings: HistoryConfig,
    private readonly encode: (packet: Packet) => string,
  ) {
    this.#part = part(owner.name);
    this.#gathering = new Gathering(owner.name, store);
    this.#writes = new HistoryWrites(this.#gathering, clock, store, (gathered) => this.#keepAll(gathered));
    this.#conversations = new Conversations(store, this.#part);
    this.#participants = new Participants(store, this.#part);
    this.#reads = store.table('reads');
    this.#totals = store.table('history');
    const { messages, bytes, sequence } = this.#totals.get([this.#part]) ?? NOTHING;
    this.#messages = messages;
    this.#bytes = bytes;
    const latest = (key: string): number => this.#conversations.head(key)?.latest ?? 0;
    this.#sequence = Math.max(sequence, this.#gathering.restore(latest, clock.now()));
    this.#tell();
    this.#schedule();
    this.#writes.goOn();
  }

  /** Notes a message, or that messages have been read; whatever else is dispatched is none of a history's. */
  take(packet: Packet, to: Address): void {
    const { kind, sender } = packet;
    if (sender === null) return;
    if (kind === 'message') {
      // What nobody is to receive after a time is nobody's to read later.
      if (packet.expiresAt !== null) return;
      this.#gathering.message(sender, to, this.#nextSequence(), this.encode(packet), this.clock.now());
    } else {
      const { show } = packet.fields as StatusFields;
      if (kind !== 'status' || !show.startsWith(READ)) return;
      this.#gathering.read(sender, to, show.slice(READ.length), this.clock.now());
    }
    this.#writes.came();
  }

  /** Writes what has gathered to its conversations; on disk it is with the store's next commit. */
  write(): void {
    this.#writes.all();
  }

  #keepAll(taken: readonly Gathered[]): void {
    const isFull = !this.#makeRoom();
    for (const gathered of taken) {
      const { key, sequences, reads } = gathered;
      if (sequences.length > 0) this.#keep(gathered, isFull);
      for (const [by, ids] of reads) for (const id of ids) this.#read(key, by, id);
    }
    this.#tell();
    this.#schedule();
  }

  /** The messages of a conversation, each as its JSON, the oldest first. */
  messages(user: Address, other: Address, { before, after, limit }: Asked): Page<string> {
    this.#writes.these(this.#gathering.takeOf(user, other));
    const key = keyOf(this.owner.name, user, other);
    const head = this.#conversations.head(key);
    if (!head) return { items: [], next: null };
    const oldest = this.#oldest();
    const below = before ?? Number.POSITIVE_INFINITY;
    if (after === null) {
      const { items, next } = pageOf(this.#conversations.backwards(key, head, oldest, below), limit);
      return { items: items.map(({ json }) => json).reverse(), next };
    }
    const found = pageOf(this.#conversations.forwards(key, head, Math.max(after, oldest - 1)), limit, below);
    return { items: found.items.map(({ json }) => json), next: found.next };
  }

  /** The conversations of an endpoint that is in these rooms, the newest first; `after` is not looked at. */
  conversations(user: Address, rooms: readonly Address[], { before, limit }: Asked): Page<Summary> {
    this.#writes.these(this.#gathering.takeOfAll(user, new Set(rooms)));
    const below = before ?? Number.POSITIVE_INFINITY;
    const oldest = this.#oldest();
    const find = (key: string) => this.#conversations.head(key);
    const direct = this.#participants.latest(user, { below, oldest, count: limit + 1 }, find);
    const inRooms: Listed[] = rooms.flatMap((room) => {
      const key = part(room);
      const head = find(key);
      return head && head.latest < below && head.latest >= oldest ? { key, head } : [];
    });
    const all = [...direct, ...inRooms].sort((a, b) => b.head.latest - a.head.latest);
    const looked = { characters: 0 };
    const items: Summary[] = [];
    let shown = 0;
    for (; shown < Math.min(limit, all.length) && looked.characters < LOOKED_AT; shown++) {
      const summary = this.#summary(user, all[shown] as Listed, oldest, looked);
      if (summary) items.push(summary);
    }
    return { items, next: all.length > shown ? (all[shown - 1]?.head.latest ?? null) : null };
  }

  /** Forgets a conversation, for both of its endpoints. */
  forgetConversation(user: Address, other: Address): void {
    this.write();
    const key = keyOf(this.owner.name, user, other);
    const head = this.#conversations.head(key);
    if (head) this.#forget(key, head);
    this.#tell();
  }

  /**
   * Forgets one message of a conversation: that of `user` with this id, or else another's. Answers whose it was (a short
   * id); null: there is none.
   */
  forgetMessage(user: Address, other: Address, id: string): string | null {
    this.write();
    const key = keyOf(this.owner.name, user, other);
    const head = this.#conversations.head(key);
    const message = head && this.#conversations.find(key, head, id, shortId(this.owner.name, user));
    if (!head || !message) return null;
    this.#filter(key, head, ({ sequence }) => sequence === message.sequence);
    this.#tell();
    return (JSON.parse(message.json) as MessageFields).from;
  }

  /** Forgets some of a user's conversations, or messages of theirs in a room; answers whether there may be more. */
  forgetSome(user: Address): boolean {
    this.write();
    const from = shortId(this.owner.name, user);
    const some = this.#participants.some(user);
    for (const key of some.conversations) {
      const head = this.#conversations.head(key);
      if (head) this.#forget(key, head);
    }
    for (const key of some.rooms) {
      const head = this.#conversations.head(key);
      if (head) this.#filter(key, head, (message) => isFrom(message, from));
      this.#participants.forgetAuthor(user, key);
    }
    this.#tell();
    return some.conversations.length + some.rooms.length > 0;
  }

  /** Writes what has gathered, and forgets its timers: what comes later is written at once. */
  close(): void {
    this.#closed = true;
    this.#writes.close();
    this.#cancelSweep?.();
    this.#cancelSweep = null;
  }

  #nextSequence(): number {
    this.#sequence = Math.max(this.#sequence + 1, this.clock.now() * SEQUENCES_PER_MS);
    return this.#sequence;
  }

  /** Messages with a lower sequence are older than the domain keeps them. */
  #oldest(): number {
    return (this.clock.now() - this.settings.days * DAY_MS) * SEQUENCES_PER_MS;
  }

  #keep(gathered: Gathered, isFull: boolean): void {
    const { history } = this.owner.metrics;
    const { key, sides, sequences, authors } = gathered;
    const count = sequences.length;
    const old = this.#conversations.head(key) ?? null;
    if (isFull || !this.store.hasRoom(bytesOf(gathered))) {
      history.refused += count;
      if (isFull) this.owner.metrics.exceed('historyBytes', count);
      return;
    }
    history.kept += count;
    const appended = this.#conversations.append(key, old, sides, gathered);
    this.#messages += count;
    this.#bytes += appended.bytes - (old?.bytes ?? 0);
    const head = this.#trimmed(key, appended);
    if (!head) return;
    const period = periodOf(head.latest);
    this.#conversations.put(key, { ...head, period });
    if (old?.period !== period) this.#participants.move(key, head.sides, old?.period ?? null, period);
    for (const author of authors ?? []) this.#participants.wrote(author, key, period);
  }

  #trimmed(key: string, head: Head): Head | null {
    const { messages } = this.settings;
    if (head.count <= messages) return head;
    return this.#took(this.#conversations.trim(key, head, messages), 'trimmed').head;
  }

  #read(key: string, by: Address, id: string): void {
    const head = this.#conversations.head(key);
    const message = head && this.#conversations.find(key, head, id, null, shortId(this.owner.name, by), LOOKED_AT);
    if (!head || !message || !this.store.hasRoom()) return;
    const { sequence } = message;
    const side = head.sides.indexOf(by);
    if (side < 0) {
      const own = [this.#part, key, part(by)] as const;
      if (sequence > (this.#reads.get(own) ?? 0)) this.#reads.put(own, sequence);
    } else if (sequence > (head.read[side] ?? 0)) {
      this.#conversations.put(key, { ...head, read: head.read.map((old, i) => (i === side ? sequence : old)) });
    }
  }

  #summary(user: Address, { key, head }: Listed, oldest: number, looked: { characters: number }): Summary | null {
    const { sides } = head;
    const side = sides.indexOf(user);
    const own = shortId(this.owner.name, user);
    const isOfRoom = sides.length === 1;
    const read = isOfRoom ? this.#reads.get([this.#part, key, part(user)]) : head.read[side];
    let last: Message | null = null;
    let unread = 0;
    for (const message of this.#conversations.backwards(key, head, oldest)) {
      last ??= message;
      looked.characters += message.json.length;
      if (message.sequence <= (read ?? 0)) break;
      if (!isFrom(message, own)) unread += 1;
    }
    const other = (isOfRoom ? sides[0] : (sides.find((address) => address !== user) ?? user)) as Address;
    return last && { other, last: last.json, unread };
  }

  #filter(key: string, head: Head, isGone: (message: Message) => boolean): void {
    const change = this.#took(this.#conversations.filter(key, head, isGone), 'deleted');
    if (!change.head) return this.#remove(key, head);
    const period = periodOf(change.head.latest);
    this.#conversations.put(key, { ...change.head, period });
    if (period !== head.period) this.#participants.move(key, head.sides, head.period, period);
  }

  #forget(key: string, head: Head): void {
    this.#took({ head: null, messages: head.count, bytes: head.bytes }, 'deleted');
    this.#remove(key, head);
  }

  /** Removes what the store has of a conversation of which nothing is to be left. */
  #remove(key: string, head: Head): void {
    this.#conversations.removeChunks(key, head);
    this.#conversations.put(key, null);
    this.#participants.remove(key, head);
    if (head.sides.length > 1) return;
    for (const [own] of [...this.#reads.entries([this.#part, key])]) this.#reads.remove(own);
  }

  #took(change: Change, how: 'trimmed' | 'deleted'): Change {
    this.#messages -= change.messages;
    this.#bytes -= change.bytes;
    this.owner.metrics.history[how] += change.messages;
    return change;
  }

  /** Takes the oldest messages away while there are too many bytes; false: there are still. */
  #makeRoom(): boolean {
    const { historyBytes } = this.owner.limits;
    if (historyBytes === 0 || this.#bytes < historyBytes) return true;
    this.#expire(periodOf(this.clock.now() * SEQUENCES_PER_MS), () => this.#bytes < historyBytes);
    return this.#bytes < historyBytes;
  }

  /** Forgets messages of periods before one, the oldest first, of a number of conversations; answers whether that was all. */
  #expire(period: number, isEnough: () => boolean = () => false): boolean {
    const due = this.#participants.due(period, SWEPT);
    for (const { key, period: of } of due) {
      if (isEnough()) return true;
      const head = this.#conversations.head(key);
      if (head) {
        const change = this.#took(this.#conversations.trim(key, head, head.count, startOf(of + 1)), 'trimmed');
        if (!change.head) this.#remove(key, head);
        else if (change.messages > 0) this.#conversations.put(key, change.head);
      }
      this.#participants.done(key, of);
    }
    return due.length < SWEPT;
  }

  readonly #sweep = (): void => {
    this.#cancelSweep = null;
    const isAll = this.#expire(periodOf(this.#oldest()));
    this.#tell();
    this.#schedule(isAll ? SWEEP_MS : GATHER_MS);
  };

  #schedule(delayMs = SWEEP_MS): void {
    if (this.#messages > 0 && !this.#closed) this.#cancelSweep ??= this.clock.after(delayMs, this.#sweep);
  }

  /** Writes how much there is, and shows it. */
  #tell(): void {
    const { history } = this.owner.metrics;
    if (history.messages !== this.#messages || history.bytes !== this.#bytes) {
      this.#totals.put([this.#part], { messages: this.#messages, bytes: this.#bytes, sequence: this.#sequence });
    }
    history.messages = this.#messages;
    history.bytes = this.#bytes;
  }
}
