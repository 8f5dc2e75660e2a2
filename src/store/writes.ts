/**
 * Writes on their way to JetStream, in the order in which they were made. Writes that failed are repeated when JetStream can be
 * used, and only the latest of each key, so that an older write never replaces a newer one that was acknowledged.
 */
import type { JetStream } from '../cluster/jetstream.js';
import { JetStreamError } from '../cluster/jetstream-port.js';
import type { KeptStream } from '../cluster/kept-stream.js';
import { seldom } from '../seldom.js';
import type { Commits } from './commits.js';
import type { Pending } from './overlay.js';

/** How many writes may be sent and not answered at once. */
const MOST_UNDER_WAY = 1000;

export interface Write extends Pending<unknown> {
  readonly stream: Pick<KeptStream, 'write'>;
  readonly subject: string;
  /** The message to JetStream; the record's value begins after the second space. */
  readonly text: string;
  /** The place of this write among all writes of this process, counted from 1. */
  readonly number: number;
  /** The number in `Commits` that ends with this write: that of the earliest write of the key that this one replaces. */
  commit: number;
  /** The sequence under which JetStream stored this write; 0 while that is unknown. */
  sequence: number;
  /** The sequence of the last write of this key by another node that came while this write was pending; 0 where none came. */
  heard: number;
}

export class Writes {
  /** Writes that have not been sent or are to be repeated, by subject. */
  readonly #unsent = new Map<string, Write>();
  /** Writes that were sent and that JetStream did not take; later writes of their keys may exist by now. */
  #failed: Write[] = [];
  #underWay = 0;

  constructor(
    private readonly jetstream: Pick<JetStream, 'available' | 'watchers' | 'doubt'>,
    private readonly commits: Commits,
    /** Whether a write is this node's latest of its key. */
    private readonly isLatest: (write: Write) => boolean,
    /** Called when JetStream has acknowledged a write. */
    private readonly acknowledged: (write: Write) => void,
    /** Called when JetStream will never take a write. */
    private readonly refused: (write: Write) => void,
  ) {
    jetstream.watchers.add((available) => {
      if (available) this.#send();
    });
  }

  get waiting(): number {
    return this.#unsent.size + this.#failed.length + this.#underWay;
  }

  add(write: Write): void {
    const before = this.#unsent.get(write.subject);
    if (before) {
      // The earlier write of the key is not sent any more: when this write is committed, both are.
      write.commit = this.#later(write.commit, before.commit);
      this.#unsent.delete(write.subject);
    }
    this.#unsent.set(write.subject, write);
    this.#send();
  }

  /** Joins the commits of two writes that one write stands for: ends the later `commit` and answers the earlier one, `before`. */
  #later(commit: number, before: number): number {
    this.commits.end(commit);
    return before;
  }

  #send(): void {
    if (!this.jetstream.available) return;
    if (this.#failed.length > 0 && this.#underWay === 0) this.#again();
    // Failed writes go first, and they wait until every write under way is answered.
    if (this.#failed.length > 0) return;
    for (const [subject, write] of this.#unsent) {
      if (this.#underWay >= MOST_UNDER_WAY) return;
      this.#unsent.delete(subject);
      this.#underWay += 1;
      write.stream.write(subject, write.text, (answer) => this.#answered(write, answer));
    }
  }

  /** Puts the failed writes back in front of the unsent ones; of each key only the latest write is left. */
  #again(): void {
    const later = [...this.#unsent];
    const failed = this.#failed.sort((a, b) => a.number - b.number);
    this.#failed = [];
    this.#unsent.clear();
    for (const write of failed) if (this.isLatest(write)) this.#unsent.set(write.subject, write);
    for (const [subject, write] of later) this.#unsent.set(subject, write);
    // The latest first: the write that is left takes over the commit of each write before it, and ends with that of the earliest.
    for (const write of failed.reverse()) {
      const next = this.#unsent.get(write.subject);
      if (next !== write) this.#superseded(write, next);
    }
  }

  /** A later write of the key replaces this failed one: it takes over the commit, or (undefined) was acknowledged already. */
  #superseded(write: Write, next: Write | undefined): void {
    if (next) next.commit = this.#later(next.commit, write.commit);
    else this.commits.end(write.commit);
  }

  #answered(write: Write, answer: number | JetStreamError): void {
    this.#underWay -= 1;
    if (!(answer instanceof JetStreamError)) {
      write.sequence = answer;
      this.acknowledged(write);
      this.commits.end(write.commit);
    } else if (answer.reason === 'unavailable') {
      this.#failed.push(write);
      this.jetstream.doubt(answer.message);
    } else {
      const what = { event: 'record refused', why: answer.message, bytes: write.text.length };
      seldom.warn('record refused', what, 'JetStream refuses a record: it is not kept');
      this.commits.end(write.commit);
      this.refused(write);
    }
    this.#send();
  }
}
