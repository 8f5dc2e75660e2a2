/**
 * Writes on their way to JetStream, in the order in which they were made. What JetStream does not take is sent again when it
 * can be used, of each key the latest: so nothing that was acknowledged is written over by what came before it.
 */
import type { JetStream } from '../cluster/jetstream.js';
import { JetStreamError } from '../cluster/jetstream-port.js';
import type { KeptStream } from '../cluster/kept-stream.js';
import { seldom } from '../seldom.js';
import type { Commits } from './commits.js';
import type { Pending } from './overlay.js';

/** Writes that may be under way at once. */
const MOST_UNDER_WAY = 1000;

export interface Write extends Pending<unknown> {
  readonly stream: KeptStream;
  readonly subject: string;
  /** The message; its value is behind the second space. */
  readonly text: string;
  /** Of this node's writes, this one's place. */
  readonly number: number;
  /** Since when something is to be committed for this key. */
  commit: number;
  /** The sequence under which JetStream has it; 0: not known yet. */
  sequence: number;
  /** The last sequence under which another node's write of the key was heard of meanwhile; 0: none was. */
  heard: number;
}

export class Writes {
  /** Those that have not been sent, or are to be sent again, by subject. */
  readonly #unsent = new Map<string, Write>();
  /** Those that were sent and not taken, of which later ones may be known by now. */
  #failed: Write[] = [];
  #underWay = 0;

  constructor(
    private readonly jetstream: JetStream,
    private readonly commits: Commits,
    /** Whether a write is the last of its key. */
    private readonly isLatest: (write: Write) => boolean,
    /** JetStream has it. */
    private readonly acknowledged: (write: Write) => void,
    /** JetStream will never take it. */
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
      // It is not sent any more: with this write both are kept.
      write.commit = this.#later(write.commit, before.commit);
      this.#unsent.delete(write.subject);
    }
    this.#unsent.set(write.subject, write);
    this.#send();
  }

  /** Of two that are to be committed with one write: the earlier one, for which the other waits. */
  #later(commit: number, before: number): number {
    this.commits.end(commit);
    return before;
  }

  #send(): void {
    if (!this.jetstream.available) return;
    if (this.#failed.length > 0 && this.#underWay === 0) this.#again();
    // Behind what has failed and waits for those under way.
    if (this.#failed.length > 0) return;
    for (const [subject, write] of this.#unsent) {
      if (this.#underWay >= MOST_UNDER_WAY) return;
      this.#unsent.delete(subject);
      this.#underWay += 1;
      write.stream.write(subject, write.text, (answer) => this.#answered(write, answer));
    }
  }

  /** Puts what has failed back among what is to be sent, in front. */
  #again(): void {
    const later = [...this.#unsent.values()];
    this.#unsent.clear();
    for (const write of this.#failed.sort((a, b) => a.number - b.number)) {
      if (this.isLatest(write)) this.#unsent.set(write.subject, write);
      else this.#superseded(write, later);
    }
    this.#failed = [];
    for (const write of later) this.#unsent.set(write.subject, write);
  }

  /** A later write of the key is kept in its place, or is already. */
  #superseded(write: Write, later: readonly Write[]): void {
    const next = later.find(({ subject }) => subject === write.subject);
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
