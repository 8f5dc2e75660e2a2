/**
 * A domain's history: the last messages of each conversation, between two endpoints or in a room. PROTOCOL.md section 18.
 *
 * `take` gathers a message in memory, which is all that dispatching it costs. Within a second gathered messages are noted on
 * disk as they are (gathering.ts), and some seconds later written to their conversations; reading a conversation has its
 * messages written first. A server that is killed loses at most the messages that were not noted.
 *
 * Bounded for each conversation by the domain's `history` (messages and days), and for the domain by `historyBytes`: beyond
 * that the oldest go; where all are of the current period, or the disk is full, new ones are not kept. Each of these is counted.
 * Of what one client sends itself in a day a hundredth of `historyBytes` is kept: nobody must push all others out.
 */
import type { Clock } from '../clock.js';
import type { HistoryConfig, Limits } from '../config.js';
import type { DomainMetrics } from '../metrics.js';
import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import { type Address, shortId } from './address.js';
import {
  type Change,
  type Conversations,
  type Head,
  isFrom,
  type Message,
  type Page,
  SEQUENCES_PER_MS,
} from './conversation.js';
import { bytesOf, type Gathered, Gathering, keyOf } from './gathering.js';
import { type Asked, HistoryPart, HistoryReading, LOOKED_AT, type Summary } from './history-reading.js';
import { HistoryShares } from './history-shares.js';
import { GATHER_MS, HistoryWrites } from './history-writes.js';
import type { MessageFields, Packet, StatusFields } from './packet.js';
import { type Participants, periodOf, startOf } from './participants.js';

const SWEEP_MS = 60_000;
/** Conversations that one sweep looks at. */
const SWEPT = 200;
const DAY_MS = 24 * 60 * 60 * 1000;
/** The beginning of the status by which a page says up to which message it has read, of PROTOCOL.md's statuses. */
const READ = 'read ';

/** What a history needs of its domain. */
interface Owner {
  readonly name: string;
  readonly limits: Limits;
  readonly metrics: DomainMetrics;
}

interface Totals {
  readonly messages: number;
  readonly bytes: number;
  /** The last sequence, so that later ones are higher even where the clock was set back. */
  readonly sequence: number;
}

const NOTHING: Totals = Object.freeze({ messages: 0, bytes: 0, sequence: 0 });

export class History {
  readonly #conversations: Conversations;
  readonly #participants: Participants;
  /** The sequences up to which endpoints have read: members of rooms, and in the store of a cluster all. */
  readonly #reads: Table<number>;
  readonly #totals: Table<Totals>;
  /** The beginning of this part's keys: the domain, and in the store of a cluster the node. */
  readonly #prefix: Key;
  /** `#own` reads this node's part alone, `#reading` the parts of all nodes. */
  readonly #own: HistoryReading;
  readonly #reading: HistoryReading;
  /** Parts of other nodes, by their names. */
  readonly #parts = new Map<string, HistoryPart>();
  /** Whether a node has gone and this one has to expire old messages of its part. */
  isLeft: (node: string) => boolean = () => false;
  readonly #gathering: Gathering;
  readonly #writes: HistoryWrites;
  readonly #shares: HistoryShares;
  #sequence = 0;
  #messages: number;
  #bytes: number;
  /** The totals that the store has. */
  #told: Totals;
  #cancelSweep: (() => void) | null = null;
  #closed = false;

  constructor(
    private readonly owner: Owner,
    private readonly clock: Clock,
    private readonly store: Store,
    public settings: HistoryConfig,
    private readonly encode: (packet: Packet) => string,
    /** The name of a node that has gone, where this is that node's part, opened to forget messages in it; null: this node's part. */
    private readonly left: string | null = null,
  ) {
    const domain = part(owner.name);
    const node = left ?? store.node;
    this.#prefix = node === null ? [domain] : [domain, node];
    this.#gathering = new Gathering(owner.name, store);
    this.#shares = new HistoryShares(clock);
    this.#writes = new HistoryWrites(this.#gathering, clock, store, (gathered) => this.#keepAll(gathered));
    const whole = new HistoryPart(store, this.#prefix, false);
    this.#conversations = whole.conversations;
    this.#participants = whole.participants;
    this.#own = new HistoryReading(store, owner.name, () => [whole]);
    this.#reading = node === null ? this.#own : new HistoryReading(store, owner.name, () => [whole, ...this.#others()]);
    this.#reads = store.table('reads');
    this.#totals = store.table('history');
    this.#told = this.#totals.get(this.#prefix) ?? NOTHING;
    const { messages, bytes, sequence } = this.#told;
    this.#messages = messages;
    this.#bytes = bytes;
    const latest = (key: string): number => this.#conversations.head(key)?.latest ?? 0;
    this.#sequence = Math.max(sequence, this.#gathering.restore(latest, clock.now()));
    this.#tell();
    this.#schedule();
    this.#writes.goOn();
  }

  /** Gathers a message, or a status that says what has been read; ignores all other packets. */
  take(packet: Packet, to: Address): void {
    const { kind, sender } = packet;
    if (sender === null) return;
    if (kind === 'message') {
      // A message that expires must not be readable after its time.
      if (packet.expiresAt !== null) return;
      if (packet.fromClient && !this.#hasShare(sender, packet.bytes)) return;
      this.#gathering.message(sender, to, this.#nextSequence(), this.encode(packet), this.clock.now());
    } else {
      const { show } = packet.fields as StatusFields;
      if (kind !== 'status' || !show.startsWith(READ)) return;
      this.#gathering.read(sender, to, show.slice(READ.length), this.clock.now());
    }
    this.#writes.came();
  }

  /** Whether a message that a client sends itself is kept; what is not is counted. */
  #hasShare(sender: Address, bytes: number): boolean {
    const { limits, metrics } = this.owner;
    if (this.#shares.take(sender, bytes, limits.historyBytes)) return true;
    metrics.history.refused += 1;
    metrics.exceed('historyBytes');
    return false;
  }

  /** Writes all gathered messages to their conversations; they are on disk with the store's next commit. */
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
  messages(user: Address, other: Address, asked: Asked): Page<string> {
    this.#writes.these(this.#gathering.takeOf(user, other));
    return this.#reading.messages(user, other, asked, this.#oldest());
  }

  /** The conversations of an endpoint and of the rooms that it is in, the newest first; `after` is ignored. */
  conversations(user: Address, rooms: readonly Address[], asked: Asked): Page<Summary> {
    this.#writes.these(this.#gathering.takeOfAll(user, new Set(rooms)));
    return this.#reading.conversations(user, rooms, asked, this.#oldest());
  }

  /** Forgets a conversation, for both of its endpoints. */
  forgetConversation(user: Address, other: Address): void {
    this.write();
    const key = keyOf(this.owner.name, user, other);
    const head = this.#conversations.head(key);
    if (head) this.#forget(key, head);
    else this.#forgetReads(key);
    this.#tell();
  }

  /**
   * Forgets one message of a conversation: the one with this id from `user`, or, if there is none, from another sender. Answers
   * the sender's short id; null: no message has this id.
   */
  forgetMessage(user: Address, other: Address, id: string): string | null {
    this.write();
    const key = keyOf(this.owner.name, user, other);
    const head = this.#conversations.head(key);
    const message = head && this.#own.find(key, id, shortId(this.owner.name, user));
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

  /** Writes all gathered messages and cancels the timers; from then on each message is written as it comes. */
  close(): void {
    this.#closed = true;
    this.#writes.close();
    this.#cancelSweep?.();
    this.#cancelSweep = null;
  }

  /** The names of the other nodes that have a part of this history in the store of a cluster; none in a server's own store. */
  *nodes(): Iterable<string> {
    if (this.store.node === null) return;
    for (const [[, node]] of this.#totals.entries([part(this.owner.name)])) {
      if (node !== undefined && node !== this.#prefix[1]) yield String(node);
    }
  }

  #others(): HistoryPart[] {
    return [...this.nodes()].map((node) => {
      const known = this.#parts.get(node) ?? new HistoryPart(this.store, [part(this.owner.name), node], true);
      this.#parts.set(node, known);
      return known;
    });
  }

  /** The part of a node that has gone, so that things can be forgotten there. */
  partOf(node: string): History {
    return new History(this.owner, this.clock, this.store, this.settings, this.encode, node);
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
    const message = this.#reading.find(key, id, null, shortId(this.owner.name, by), LOOKED_AT);
    if (!message || !this.store.hasRoom()) return;
    const { sequence } = message;
    // In a cluster the message may be in another node's part, so the position is kept in the table and not in this part's head.
    const head = this.#conversations.head(key);
    const side = this.store.node === null ? (head?.sides.indexOf(by) ?? -1) : -1;
    if (!head || side < 0) {
      const own: Key = [...this.#prefix, key, part(by)];
      if (sequence > (this.#reads.get(own) ?? 0)) this.#reads.put(own, sequence);
    } else if (sequence > (head.read[side] ?? 0)) {
      this.#conversations.put(key, { ...head, read: head.read.map((old, i) => (i === side ? sequence : old)) });
    }
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

  /** Removes a conversation of which no message is left from the store. */
  #remove(key: string, head: Head): void {
    this.#conversations.removeChunks(key, head);
    this.#conversations.put(key, null);
    this.#participants.remove(key, head);
    if (head.sides.length < 2 || this.store.node !== null) this.#forgetReads(key);
    // Other nodes may have noted who has read the conversation, which nobody else would forget where no part has messages of it.
    const others = this.#others();
    if (others.some(({ conversations }) => conversations.head(key))) return;
    for (const { prefix } of others) this.#forgetReads(key, prefix);
  }

  #forgetReads(key: string, prefix = this.#prefix): void {
    for (const [read] of [...this.#reads.entries([...prefix, key])]) this.#reads.remove(read);
  }

  #took(change: Change, how: 'trimmed' | 'deleted'): Change {
    this.#messages -= change.messages;
    this.#bytes -= change.bytes;
    this.owner.metrics.history[how] += change.messages;
    return change;
  }

  /** Forgets the oldest messages while the domain has too many bytes; false: it still has too many. */
  #makeRoom(): boolean {
    const { historyBytes } = this.owner.limits;
    const isEnough = (): boolean => this.#bytes + elsewhere < historyBytes;
    let elsewhere = 0;
    if (historyBytes === 0) return true;
    for (const node of this.nodes()) elsewhere += this.#totals.get([part(this.owner.name), node])?.bytes ?? 0;
    if (isEnough()) return true;
    this.#expire(periodOf(this.clock.now() * SEQUENCES_PER_MS), isEnough);
    return isEnough();
  }

  /** Forgets messages of periods before `period`, the oldest first, in up to `SWEPT` conversations; answers whether that was all. */
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

  /** Expires messages of a part whose node has gone. A part without messages and reads is removed: nodes may have new names each time. */
  #expireOld(period: number): void {
    this.#expire(period);
    this.#tell();
    if (this.#messages > 0) return;
    for (const _read of this.#reads.entries(this.#prefix)) return;
    this.#totals.remove(this.#prefix);
    this.#told = NOTHING;
  }

  readonly #sweep = (): void => {
    this.#cancelSweep = null;
    const oldest = periodOf(this.#oldest());
    const isAll = this.#expire(oldest);
    for (const node of [...this.nodes()]) {
      if (!this.isLeft(node)) continue;
      this.partOf(node).#expireOld(oldest);
      this.#parts.delete(node);
    }
    this.#tell();
    this.#schedule(isAll ? SWEEP_MS : GATHER_MS);
  };

  #schedule(delayMs = SWEEP_MS): void {
    const isDue = this.#messages > 0 || this.store.node !== null;
    if (isDue && !this.#closed && this.left === null) this.#cancelSweep ??= this.clock.after(delayMs, this.#sweep);
  }

  /** Writes the totals of messages and bytes to the store, and shows them in the metrics. */
  #tell(): void {
    const { history } = this.owner.metrics;
    if (this.#told.messages !== this.#messages || this.#told.bytes !== this.#bytes) {
      this.#told = { messages: this.#messages, bytes: this.#bytes, sequence: this.#sequence };
      this.#totals.put(this.#prefix, this.#told);
    }
    if (this.left !== null) return;
    history.messages = this.#messages;
    history.bytes = this.#bytes;
  }
}
