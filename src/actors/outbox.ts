/**
 * What waits to be POSTed to the site: a domain's events, or the messages to a service with a webhook. In order, one POST
 * at a time, at least once; on disk where there is a store. A site that does not answer costs the domain a bounded queue,
 * and nobody else anything. PROTOCOL.md sections 9 and 17.
 *
 * What fails is tried again with growing pauses. Fewer items go together after each failure, in the end the first alone:
 * an item at which the site stumbles is found so, and its `rules` say what becomes of it.
 */
import type { Clock } from '../clock.js';
import type { OutboxWay } from '../event-kinds.js';
import type { Key, Table } from '../store/store.js';
import { OutboxQueue, type Waiting } from './outbox-queue.js';

/** Characters of one POST's body, about: it holds at least one item. */
const BODY_CHARACTERS = 1_000_000;

/** An answer of the site: its status; or why there is none. */
export type Answered = { readonly status: number } | { readonly why: string };

export interface OutboxRules {
  /** Items in one POST, at most. */
  readonly batch: number;
  /** How long the first item waits for others. */
  readonly gatherMs: number;
  readonly longestPauseMs: number;
  /** An item that waits longer is given up; null: none is. */
  readonly oldestMs: number | null;
  /** How often an item may fail alone before it is dropped, or replaced by `words.failed`. */
  readonly attempts: number;
  /** Texts sent in place of an item that failed, or of several items that have gone; null: nothing is sent. */
  readonly words: {
    readonly failed: (item: string) => string;
    readonly missed: (count: number) => string;
  } | null;
  /** Whether the outbox holds too much, which counts one item as refused for the limit; called after each item that comes. */
  readonly isOver: (items: number, bytes: number) => boolean;
  /** Whether the store has room for so many bytes. */
  readonly hasRoom: (bytes: number) => boolean;
  readonly body: (items: readonly string[]) => string;
}

export interface OutboxPort {
  readonly clock: Clock;
  /** POSTs a body; `done` is called later, once, unless the answer of this function, which cancels, is called before. */
  readonly post: (body: string, done: (answer: Answered) => void) => () => void;
  /** Items have left. `item`: one that does so alone. */
  readonly left: (way: OutboxWay, count: number, item: Waiting | null) => void;
  /** The waiting items have changed by these numbers; `inMemory` counts bytes in the memory of the process. */
  readonly changed: (items: number, bytes: number, inMemory: number) => void;
  /** The site has not acknowledged. `isTriedAgain`: what was POSTed stays. */
  readonly failed: (why: string, isTriedAgain: boolean) => void;
}

/** The record of an item on disk, or of a number of items that have gone. */
export type Kept =
  | {
      readonly json: string;
      readonly at: number;
      readonly expiresAt?: number;
      /** The mark of the message that the item carries, 0 where it carries none. */
      readonly mark: number;
    }
  | { readonly missed: number; readonly at: number };

/** What an outbox is to know of an item beside its text. */
export interface Pushed {
  /** The name (`messageName`) of the message that the item carries; absent or empty: it carries none. */
  readonly name?: string;
  /** Milliseconds since the epoch after which the item is not sent any more; absent or null: it does not expire. */
  readonly expiresAt?: number | null;
  /** Stays with the item while the process lives. */
  readonly note?: unknown;
}

/** What the dashboard shows. */
export interface OutboxView {
  readonly waiting: number;
  readonly bytes: number;
  /** Since when the first item waits, in milliseconds since the epoch; null: none does. */
  readonly oldest: number | null;
  /** The last answer: its status, 0 where there was none; null: nothing has been POSTed yet. */
  readonly lastStatus: number | null;
  readonly lastAt: number | null;
}

const FIRST_PAUSE_MS = 250;

/** Whether another try may help: the site or the network failed, rather than refused. */
function isWorthRetrying(status: number): boolean {
  return status >= 500 || (status >= 300 && status < 400) || [408, 425, 429].includes(status);
}

export class Outbox {
  readonly #queue: OutboxQueue;
  /** So many of the first items are under way. */
  #underWay = 0;
  #cancelPost: (() => void) | null = null;
  #cancelTimer: (() => void) | null = null;
  #isPausing = false;
  /** POSTs that have failed since the last that did not. */
  #failures = 0;
  /** How often the first item has failed alone. */
  #failedAlone = 0;
  /** How many items may go together. */
  #window: number;
  #closed = false;
  /** Whether what comes after the end is kept for the next start. */
  #isKept = false;
  #how: string;
  #last: { readonly status: number; readonly at: number } | null = null;

  constructor(
    private readonly rules: OutboxRules,
    private readonly port: OutboxPort,
    table: Table<Kept> | null,
    /** The first parts of the keys under which the items are kept. */
    prefix: Key,
    /** The URL to which the items are POSTed, and how they are signed, as text to compare. */
    how = '',
  ) {
    this.#how = how;
    this.#window = rules.batch;
    this.#queue = new OutboxQueue(table, prefix, port.changed);
    this.#schedule();
  }

  get waiting(): number {
    return this.#queue.items;
  }

  get view(): OutboxView {
    const { items, bytes, first } = this.#queue;
    const { status = null, at = null } = this.#last ?? {};
    return { waiting: items, bytes, oldest: first?.at ?? null, lastStatus: status, lastAt: at };
  }

  /** Takes an item, as JSON. */
  push(json: string, { name = '', expiresAt = null, note = null }: Pushed = {}): void {
    const now = this.port.clock.now();
    if (this.#closed) {
      if (!this.#isKept || !this.rules.hasRoom(json.length)) return this.port.left('discarded', 1, null);
      this.#queue.write(json, now, expiresAt, name);
      return;
    }
    if (!this.rules.hasRoom(json.length)) {
      if (this.rules.words) this.#queue.miss(this.#underWay, 1, now);
      this.port.left('noRoom', 1, null);
      return this.#schedule();
    }
    this.#queue.push(json, now, expiresAt, name, note);
    this.#shrink();
    this.#schedule();
  }

  /** The message of this name is deleted: takes out the items that carry it and for whose text `isDeleted` answers true. */
  delete(name: string, isDeleted: (json: string) => boolean): void {
    for (const sequence of this.#queue.ofMessage(name)) this.#delete(sequence, isDeleted);
  }

  /** Takes out all items that carry messages and for whose text `isDeleted` answers true, one at each step of the iteration. */
  *deleteAll(isDeleted: (json: string) => boolean): Iterable<void> {
    for (const sequence of this.#queue.sequences()) yield this.#delete(sequence, isDeleted);
  }

  #delete(sequence: number, isDeleted: (json: string) => boolean): void {
    const queue = this.#queue;
    const place = queue.placeOf(sequence);
    const item = queue.at(place);
    if (place < 0 || !item || item.mark === 0 || item.isDeleted || !isDeleted(queue.json(item))) return;
    // The POST of an item that is under way is not broken off: a client that deletes what it has just sent would hold up all others.
    if (place < this.#underWay) return queue.markDeleted(place);
    queue.removeAnywhere(place);
    if (place === 0) this.#failedAlone = 0;
    this.#gone('deleted', item);
  }

  /** Takes over items of this outbox that nodes have left, those for which `isLeft` answers true. */
  takeOver(isLeft: (node: string) => boolean): void {
    if (this.#closed || !this.#queue.takeOver(isLeft)) return;
    this.#shrink();
    this.#schedule();
  }

  /** The URL or the signature may have changed (`how`): POSTs the items under way again, and ends a pause. */
  restart(how: string): void {
    if (how === this.#how) return;
    this.#how = how;
    this.#stop();
    this.#failures = 0;
    this.#schedule();
  }

  /** Ends; what waits stays on disk, and what still comes goes there for the next start. Answers what does not. */
  close(): readonly Waiting[] {
    this.#stop();
    this.#closed = true;
    this.#isKept = this.#queue.isOnDisk;
    return this.#queue.close();
  }

  /** Ends, and forgets what waits. */
  discard(): void {
    this.#stop();
    this.#closed = true;
    for (let item = this.#queue.shift(); item; item = this.#queue.shift()) this.#gone('discarded', item);
  }

  #stop(): void {
    this.#cancelPost?.();
    this.#cancelPost = null;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#isPausing = false;
    this.#takeBack();
  }

  /** The oldest go, but not those that may be arriving at this moment. */
  #shrink(): void {
    const { rules } = this;
    const queue = this.#queue;
    while (queue.length > this.#underWay + 1 && rules.isOver(queue.items - this.#underWay, queue.bytes)) {
      if (!this.#miss('overflow')) return;
    }
  }

  /** The first item that is not under way goes. False: there is none. */
  #miss(way: OutboxWay): boolean {
    const queue = this.#queue;
    const item = this.rules.words ? queue.replace(this.#underWay) : queue.remove(this.#underWay);
    if (!item) return false;
    this.#gone(way, item);
    if (this.#underWay === 0) this.#failedAlone = 0;
    return true;
  }

  #gone(way: OutboxWay, item: Waiting): void {
    this.port.left(way, item.missed || 1, item);
  }

  #schedule(): void {
    if (this.#closed || this.#cancelPost || this.#isPausing) return;
    const { first, length } = this.#queue;
    if (!first) return;
    const waitMs = first.at + this.rules.gatherMs - this.port.clock.now();
    if (length >= this.rules.batch || waitMs <= 0) return this.#send();
    this.#cancelTimer ??= this.port.clock.after(waitMs, () => {
      this.#cancelTimer = null;
      this.#send();
    });
  }

  #send(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#queue.dropTaken();
    this.#dropOld();
    const items = this.#queue.peek(this.#window, BODY_CHARACTERS);
    if (items.length === 0) return;
    this.#underWay = items.length;
    this.#post(
      items.map((item) => this.#text(item)),
      (answer) => this.#answered(answer),
    );
  }

  #post(texts: readonly string[], done: (answer: Answered) => void): void {
    this.#cancelPost = this.port.post(this.rules.body(texts), (answer) => {
      this.#cancelPost = null;
      this.#last = { status: 'status' in answer ? answer.status : 0, at: this.port.clock.now() };
      done(answer);
    });
  }

  #text(item: Waiting): string {
    if (item.missed > 0) return this.rules.words?.missed(item.missed) ?? '';
    return this.#queue.json(item);
  }

  /** The items under way have to be sent again, except those whose messages were deleted meanwhile, which leave. */
  #takeBack(): void {
    const gone = this.#queue.takeDeleted(this.#underWay);
    this.#underWay = 0;
    if (gone.length > 0) this.#failedAlone = 0;
    for (const item of gone) this.#gone('deleted', item);
  }

  #dropOld(): void {
    const now = this.port.clock.now();
    const { oldestMs } = this.rules;
    for (;;) {
      const [first, second] = this.#queue.peek(2, Number.POSITIVE_INFINITY);
      // Behind the place of some that have gone is the oldest of those that have not.
      const item = first && first.missed > 0 ? second : first;
      if (!item) return;
      if (item === first && item.expiresAt !== null && item.expiresAt <= now) {
        this.#queue.shift();
        this.#gone('expired', item);
        this.#failedAlone = 0;
      } else if (oldestMs === null || item.at + oldestMs > now || !this.#miss('tooOld')) return;
    }
  }

  #answered(answer: Answered): void {
    if ('status' in answer && answer.status >= 200 && answer.status < 300) return this.#leave('acknowledged');
    const why = 'status' in answer ? `status ${answer.status}` : answer.why;
    if (!('status' in answer) || isWorthRetrying(answer.status)) return this.#retry(why);
    this.port.failed(why, false);
    this.#leave('refused');
  }

  /** Removes the items under way, in the way that `way` says. */
  #leave(way: OutboxWay): void {
    const count = this.#underWay;
    this.#underWay = 0;
    this.#failures = 0;
    this.#failedAlone = 0;
    if (way === 'acknowledged') this.#window = Math.min(this.rules.batch, this.#window * 2);
    for (let n = 0; n < count; n++) {
      const item = this.#queue.shift();
      if (item) this.#gone(way, item);
    }
    this.#schedule();
  }

  #retry(why: string): void {
    const wasAlone = this.#underWay === 1;
    this.#failures += 1;
    if (wasAlone) this.#failedAlone += 1;
    else this.#window = Math.max(1, Math.floor(this.#underWay / 2));
    const isDeleted = this.#queue.first?.isDeleted === true;
    if (wasAlone && !isDeleted && this.#failedAlone >= this.rules.attempts) return this.#giveUpFirst(why);
    this.#takeBack();
    this.port.failed(why, true);
    this.#pause();
  }

  /**
   * The first item has failed alone too often. It is dropped; or, where a word can stand in its place, that is POSTed: if
   * the site takes it the item was at fault, and else the site is, for which nothing is given up.
   */
  #giveUpFirst(why: string): void {
    const { first } = this.#queue;
    const { words } = this.rules;
    if (!first || !words || first.missed > 0) {
      this.port.failed(why, words !== null);
      if (words) return this.#pauseUnderWay();
      return this.#leave('failed');
    }
    this.#post([words.failed(this.#queue.json(first))], (answer) => {
      const isTaken = 'status' in answer && answer.status >= 200 && answer.status < 300;
      this.port.failed(why, !isTaken);
      if (isTaken) this.#leave('failed');
      else this.#pauseUnderWay();
    });
  }

  #pauseUnderWay(): void {
    this.#takeBack();
    this.#pause();
  }

  #pause(): void {
    const pauseMs = Math.min(this.rules.longestPauseMs, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures - 1, 30));
    this.#isPausing = true;
    this.#cancelTimer = this.port.clock.after(pauseMs, () => {
      this.#cancelTimer = null;
      this.#isPausing = false;
      this.#send();
    });
  }
}
