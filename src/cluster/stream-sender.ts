/**
 * One half of what passes between two nodes: an ordered stream of items to one other node. NATS forgets what it cannot
 * deliver at once; the sender keeps what has not been acknowledged, within a bound, and sends it again. So nothing
 * between two living nodes is lost, comes twice or overtakes.
 *
 * A stream that overflows begins anew under a higher epoch, and its owner brings the other node up to date.
 */

import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';

/** Characters of items that one frame gathers; NATS takes 1 MiB by default. */
const FRAME_CHARACTERS = 96 * 1024;
/** Longest item, in bytes: a frame with it and what has been gathered before stays below what NATS takes. */
const ITEM_BYTES = 700 * 1024;
/** An item of fewer characters cannot have more bytes than that: it is not measured. */
const LARGE_CHARACTERS = ITEM_BYTES / 3;
/** Characters that wait for acknowledgement before the stream gives up and begins anew. */
export const STREAM_CHARACTERS = 32 * 1024 * 1024;
/** How many characters are repeated at a time when the other node has not asked. */
const REPEATED_CHARACTERS = 1024 * 1024;

/** One item of a stream: its kind, then the fields of that kind. */
type Item = readonly [kind: string, ...fields: unknown[]];

interface Frame {
  readonly seq: number;
  items: string;
  /** When it was sent first, in milliseconds since the epoch. */
  readonly at: number;
  /** How many times it was sent and may have come: NATS has not said that nobody was there. */
  open: number;
}

interface Waiting {
  readonly seq: number;
  readonly since: number;
  /** Whether it waits for as long as the other node may be heard of. */
  readonly isPatient: boolean;
  readonly done: () => void;
}

export class StreamSender {
  #epoch = 0;
  #seq = 0;
  #pending: string[] = [];
  #pendingCharacters = 0;
  #frames: Frame[] = [];
  #characters = 0;
  #waiting: Waiting[] = [];
  /** The number of the last frame that has asked for an acknowledgement at once. */
  #urged = 0;
  /** The number of the oldest unacknowledged frame at the last `look`; -1: there was none. */
  #looked = -1;

  constructor(
    /**
     * Answers a higher epoch with each call, over all streams to a node: one that has forgotten this node meets it again
     * in a stream that is newer than before.
     */
    private readonly nextEpoch: () => number,
    /** Sends one frame; `urgent` asks for an acknowledgement at once. False where there is no connection. */
    private readonly transmit: (epoch: number, seq: number, urgent: boolean, items: string) => boolean,
    /**
     * Called when the stream has begun anew: everything that the other node is to know has to be told it again. `dropped`: the items of each
     * frame that it has not acknowledged, as JSON without brackets.
     */
    private readonly onReset: (dropped: readonly string[]) => void,
    private readonly metrics: ClusterMetrics,
  ) {}

  /** Characters sent and not acknowledged, or about to be sent. */
  get backlog(): number {
    return this.#characters + this.#pendingCharacters;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Adds an item, as JSON, to the frame of this turn. */
  send(item: string): void {
    if (item.length > LARGE_CHARACTERS && Buffer.byteLength(item) > ITEM_BYTES) return this.#refuse(item);
    this.#pending.push(item);
    this.#pendingCharacters += item.length + 1;
    if (this.#pendingCharacters >= FRAME_CHARACTERS) this.flush();
  }

  #refuse(item: string): void {
    this.metrics.itemsTooLarge += 1;
    seldom.warn(
      'item too large',
      { event: 'item too large', characters: item.length },
      'what NATS does not carry does not reach other nodes',
    );
  }

  /** Sends what this turn has gathered. */
  flush(): void {
    if (this.#pending.length === 0) return;
    if (this.backlog > STREAM_CHARACTERS) return this.reset();
    const frame = { seq: ++this.#seq, items: this.#pending.join(), at: Date.now(), open: 0 };
    this.#pending = [];
    this.#pendingCharacters = 0;
    this.#frames.push(frame);
    this.#characters += frame.items.length;
    const isAwaited = (this.#waiting.at(-1)?.seq ?? 0) > this.#urged;
    if (isAwaited) this.#urged = frame.seq;
    this.#transmit(frame, isAwaited);
  }

  /** Begins the stream anew; frames on their way are dropped. */
  reset(): void {
    const dropped = this.#frames.map(({ items }) => items);
    if (this.#pending.length > 0) dropped.push(this.#pending.join());
    if (dropped.length > 0) {
      this.metrics.framesDropped += dropped.length;
      seldom.warn(
        'link reset',
        { event: 'link reset', frames: dropped.length },
        'another node does not take what it is sent: its stream begins anew',
      );
    }
    this.#epoch = this.nextEpoch();
    this.#seq = 0;
    this.#urged = 0;
    this.#frames = [];
    this.#characters = 0;
    this.#pending = [];
    this.#pendingCharacters = 0;
    this.release();
    this.onReset(dropped);
  }

  /** The other node has everything up to `seq`. */
  acknowledged(epoch: number, seq: number): void {
    if (epoch !== this.#epoch) return;
    let count = 0;
    while (count < this.#frames.length && (this.#frames[count] as Frame).seq <= seq) {
      this.#characters -= (this.#frames[count] as Frame).items.length;
      count += 1;
    }
    if (count > 0) this.#frames.splice(0, count);
    while (this.#waiting.length > 0 && (this.#waiting[0] as Waiting).seq <= seq) this.#waiting.shift()?.done();
  }

  /** NATS has said of a frame that was sent that nobody was there. */
  unheard(epoch: number, seq: number): void {
    if (epoch !== this.#epoch) return;
    const frame = this.#frames[seq - (this.#frames[0]?.seq ?? 0)];
    if (frame) frame.open -= 1;
  }

  /**
   * The other node is gone: shows `take` all items that have not been acknowledged, in order, each with the time when it was sent.
   * `isSure`: the other node has certainly not had the item. Such an item leaves the stream where `take` answers true.
   */
  takeBack(take: (item: Item, isSure: boolean, at: number) => boolean): void {
    const now = Date.now();
    let isSure = false;
    const keep = (item: Item, at: number): boolean => !(take(item, isSure, at) && isSure);
    for (const frame of this.#frames) {
      // Nothing behind a frame that has not come is taken by the other node.
      isSure ||= frame.open === 0;
      const items: readonly Item[] = JSON.parse(`[${frame.items}]`);
      const kept = items.filter((item) => keep(item, frame.at));
      if (kept.length === items.length) continue;
      this.#characters -= frame.items.length;
      frame.items = kept.map((item) => JSON.stringify(item)).join();
      this.#characters += frame.items.length;
    }
    isSure = true;
    this.#pending = this.#pending.filter((item) => keep(JSON.parse(item), now));
    this.#pendingCharacters = this.#pending.reduce((sum, { length }) => sum + length + 1, 0);
  }

  /** The connection is back: repeats what has not been acknowledged. */
  repeat(): void {
    this.#repeatFrames(STREAM_CHARACTERS);
  }

  /**
   * The other node misses what follows `seq`: sends that again. A node that misses what it had acknowledged has forgotten
   * the stream, which begins anew.
   */
  missing(epoch: number, seq: number): void {
    if (epoch !== this.#epoch) return;
    this.acknowledged(epoch, seq);
    const next = this.#frames[0]?.seq ?? this.#seq + 1;
    if (next > seq + 1) this.reset();
    else this.repeat();
  }

  #repeatFrames(limit: number): void {
    let characters = 0;
    for (const frame of this.#frames) {
      if (characters > limit) return;
      characters += frame.items.length;
      this.metrics.framesRepeated += 1;
      this.#transmit(frame, this.#waiting.length > 0);
    }
  }

  /**
   * Called from time to time: repeats what has not been acknowledged since the last call. Releases all who wait for
   * an acknowledgement, but those with patience, when one of them has waited for longer than `patienceMs`; answers whether that was so.
   */
  look(now: number, patienceMs: number): boolean {
    const oldest = this.#frames[0]?.seq ?? -1;
    if (oldest >= 0 && oldest === this.#looked) this.#repeatFrames(REPEATED_CHARACTERS);
    this.#looked = oldest;
    const isLate = this.#waiting.some(({ since, isPatient }) => !isPatient && now - since >= patienceMs);
    if (isLate) this.#release(({ isPatient }) => !isPatient);
    return isLate;
  }

  /** Calls `done` when the other node has all that was sent so far; at once where it has. */
  whenAcknowledged(now: number, done: () => void, isPatient = false): void {
    if (this.#frames.length === 0 && this.#pending.length === 0) return done();
    const seq = this.#seq + (this.#pending.length > 0 ? 1 : 0);
    this.#waiting.push({ seq, since: now, isPatient, done });
  }

  /** Calls all who wait for an acknowledgement: none will come. */
  release(): void {
    this.#release(() => true);
  }

  #release(isReleased: (waiting: Waiting) => boolean): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((one) => !isReleased(one));
    for (const one of waiting) if (isReleased(one)) one.done();
  }

  /** `urgent`: somebody waits for the acknowledgement of this frame, or of an earlier one that did not ask for it at once. */
  #transmit(frame: Frame, urgent: boolean): void {
    const { seq, items } = frame;
    this.metrics.framesSent += 1;
    this.metrics.charactersSent += items.length;
    if (this.transmit(this.#epoch, seq, urgent, items)) frame.open += 1;
  }
}
