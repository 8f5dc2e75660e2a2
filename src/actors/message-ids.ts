/**
 * The ids that senders have given messages of their own, and what became of each for each receiver: who sends the same
 * again within ten minutes is answered as the first time, and nobody has it twice. PROTOCOL.md section 11.
 *
 * Bounded by `idsPerDomain`: the oldest go, counted in `metrics.messageIdsForgotten`; those of messages that clients send themselves first where
 * they are more than half: visitors must not have a site's own forgotten. With a store they outlive a restart: what goes to the
 * offline store is written in one commit with its id. In a cluster one node remembers the ids of a sender: src/cluster/claims.ts.
 */
import type { Clock } from '../clock.js';
import type { Limits } from '../config.js';
import type { DomainMetrics } from '../metrics.js';
import { part } from '../store/keys.js';
import type { Store, Table } from '../store/store.js';
import type { Address, Target } from './address.js';
import { FOOTPRINT, type Memory } from './memory.js';
import { isOutcome, type Outcome } from './outcome.js';

export const REMEMBERED_MS = 10 * 60_000;
const SWEEP_MS = 60_000;
/** Ids that one sweep forgets; the next one follows in the next second where there are more. */
const SWEPT = 20_000;
const NEXT_SWEEP_MS = 1000;
/** The fraction of `idsPerDomain` for messages that clients send themselves. */
const CLIENTS_SHARE = 1 / 2;

/** A sent message as the store has it; its key is `[domain, sequence]`. */
interface Written {
  readonly key: string;
  readonly at: number;
  readonly outcome: Outcome;
  readonly members: number | null;
  /** Set where a client has sent the message; absent where the site has. */
  readonly fromClient?: true;
}

/** A message whose outcome is known, as nodes of a cluster write it for each other; `at`: milliseconds since the epoch. */
export type KnownId = readonly [key: string, at: number, outcome: Outcome, members: number | null, fromClient: 0 | 1];

/** One message to one receiver. */
export class SentMessage {
  /** What became of the message; null: not known yet. */
  outcome: Outcome | null = null;
  /** The number of the message in the store; -1: it is not in the store. */
  sequence = -1;
  #waiting: (() => void)[] | null = null;

  constructor(
    readonly key: string,
    /** Milliseconds since the epoch. */
    readonly at: number,
    /** For a message to a room: how many visible members the room had; null: it went to no room. */
    readonly members: number | null,
    /** Whether a client has sent the message itself, without its site. */
    readonly fromClient = false,
  ) {}

  /** Calls `done` as soon as the outcome is known: at once where it is. */
  whenKnown(done: (outcome: Outcome) => void): void {
    if (this.outcome !== null) return done(this.outcome);
    this.#waiting ??= [];
    this.#waiting.push(() => done(this.outcome as Outcome));
  }

  settle(outcome: Outcome): void {
    this.outcome = outcome;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const done of waiting) done();
  }
}

/** One of the receivers of a message; `target` null: everybody. */
export interface Addressee {
  readonly target: Pick<Target, 'address' | 'client'> | null;
  /** For a room: how many visible members it has now; null: the receiver is no room. */
  readonly members: number | null;
  /** Whether a client sends the message itself, without its site; absent: its site does. */
  readonly fromClient?: boolean;
}

/** Whether a message to one receiver is new, or was sent before under its id. */
export interface Claim {
  readonly sent: SentMessage;
  readonly isNew: boolean;
}

interface Owner {
  readonly name: string;
  readonly limits: Pick<Limits, 'idsPerDomain'>;
  readonly metrics: DomainMetrics;
  readonly memory: Memory;
}

/** No address and no id holds a line break. */
function keyOf(sender: Address, id: string, target: Addressee['target']): string {
  return `${sender}\n${id}\n${target?.address ?? ''}\n${target?.client ?? ''}`;
}

function bytesOf({ key }: SentMessage): number {
  return FOOTPRINT.messageId + key.length;
}

export class MessageIds {
  /** All remembered messages, the oldest first; `#ofClients` has those of them that clients have sent themselves. */
  readonly #sent = new Map<string, SentMessage>();
  readonly #ofClients = new Map<string, SentMessage>();
  readonly #table: Table<Written> | null;
  readonly #part: string;
  /** Called when the outcome of a message is known; null: nobody else is to know it. */
  onSettled: ((sent: SentMessage) => void) | null = null;
  #next = 0;
  #cancel: (() => void) | null = null;
  #closed = false;

  constructor(
    private readonly owner: Owner,
    private readonly clock: Clock,
    private readonly store: Store | null,
  ) {
    this.#part = part(owner.name);
    this.#table = store?.table('messageIds') ?? null;
    this.#restore();
  }

  get size(): number {
    return this.#sent.size;
  }

  /** The message that a sender has sent to a receiver (null: to everybody) under an id; null: there is none. */
  find(sender: Address, id: string, target: Addressee['target']): SentMessage | null {
    const sent = this.#sent.get(keyOf(sender, id, target));
    if (!sent || this.#isOver(sent)) return null;
    return sent;
  }

  /** Claims the id of a message for each receiver: where it is not known yet, it is remembered as accepted now. */
  claim(sender: Address, id: string, addressees: readonly Addressee[]): readonly Claim[] {
    return addressees.map((addressee) => {
      const before = this.find(sender, id, addressee.target);
      return { sent: before ?? this.add(sender, id, addressee), isNew: before === null };
    });
  }

  /** The outcome is known, and may be told. */
  settle(sent: SentMessage, outcome: Outcome): void {
    this.write(sent, outcome);
    sent.settle(outcome);
    if (this.#sent.get(sent.key) === sent) this.onSettled?.(sent);
  }

  /** Remembers a message that another node remembered before. */
  remember([key, at, outcome, members, fromClient]: KnownId): void {
    const sent = new SentMessage(key, at, members, fromClient === 1);
    if (this.#sent.has(key) || this.#isOver(sent)) return;
    sent.settle(outcome);
    this.#add(sent);
    this.#keepBound();
  }

  /** Forgets the id of a message of which it is not known whether it was sent, so that the id counts as new. */
  drop(sent: SentMessage): void {
    if (this.#sent.get(sent.key) === sent) this.#forget(sent);
    sent.settle('unknown');
  }

  /** Remembers a message that is accepted now. */
  add(sender: Address, id: string, { target, members, fromClient }: Addressee): SentMessage {
    const sent = new SentMessage(keyOf(sender, id, target), this.clock.now(), members, fromClient);
    this.#add(sent);
    this.#forgetExpired(2);
    this.#keepBound();
    return sent;
  }

  #keepBound(): void {
    const { limits, metrics } = this.owner;
    while (limits.idsPerDomain > 0 && this.#sent.size > limits.idsPerDomain) {
      const isClients = this.#ofClients.size > limits.idsPerDomain * CLIENTS_SHARE;
      this.#forget((isClients ? this.#ofClients : this.#sent).values().next().value as SentMessage);
      metrics.messageIdsForgotten += 1;
      metrics.exceed('idsPerDomain');
    }
    this.#schedule(SWEEP_MS);
  }

  /** The outcome is known, and goes to the disk with what else this turn writes; `settle` follows when it may be told. */
  write(sent: SentMessage, outcome: Outcome): void {
    if (!this.#table || sent.sequence >= 0 || this.#sent.get(sent.key) !== sent) return;
    if (!this.store?.hasRoom(sent.key.length)) return;
    sent.sequence = this.#next++;
    const { key, at, members, fromClient } = sent;
    const written = { key, at, outcome, members };
    this.#table.put([this.#part, sent.sequence], fromClient ? { ...written, fromClient } : written);
  }

  /** Forgets its timer; what is on disk stays there. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  /** Reads the ids that an earlier process has written, in the order in which the messages were sent. */
  #restore(): void {
    if (!this.#table) return;
    const found: SentMessage[] = [];
    for (const [key, { key: name, at, outcome, members, fromClient }] of this.#table.entries(this.#part)) {
      const sent = new SentMessage(name, at, members, fromClient);
      sent.settle(outcome);
      sent.sequence = Number(key[1]);
      this.#next = sent.sequence + 1;
      found.push(sent);
    }
    for (const sent of found.sort((a, b) => a.at - b.at)) this.#add(sent);
    if (found.length > 0) this.#schedule(SWEEP_MS);
  }

  #add(sent: SentMessage): void {
    const before = this.#sent.get(sent.key);
    if (before) this.#forget(before);
    this.#sent.set(sent.key, sent);
    if (sent.fromClient) this.#ofClients.set(sent.key, sent);
    this.owner.metrics.messageIds += 1;
    this.owner.memory.add(bytesOf(sent));
  }

  #forget(sent: SentMessage): void {
    this.#sent.delete(sent.key);
    this.#ofClients.delete(sent.key);
    this.owner.metrics.messageIds -= 1;
    this.owner.memory.subtract(bytesOf(sent));
    if (sent.sequence >= 0) this.#table?.remove([this.#part, sent.sequence]);
  }

  #isOver({ at }: SentMessage): boolean {
    return at + REMEMBERED_MS <= this.clock.now();
  }

  /** Answers whether so many were expired that there may be more. */
  #forgetExpired(most: number): boolean {
    for (let forgotten = 0; forgotten < most; forgotten++) {
      const { value: oldest } = this.#sent.values().next();
      if (!oldest || !this.#isOver(oldest)) return false;
      this.#forget(oldest);
    }
    return true;
  }

  #schedule(afterMs: number): void {
    if (this.#sent.size > 0 && !this.#closed) this.#cancel ??= this.clock.after(afterMs, this.#sweep);
  }

  readonly #sweep = (): void => {
    this.#cancel = null;
    this.#schedule(this.#forgetExpired(SWEPT) ? NEXT_SWEEP_MS : SWEEP_MS);
  };
}

/** Reads what another node has written, a JSON list; what has another shape is left out. */
export function readKnownIds(json: string): readonly KnownId[] {
  let read: unknown;
  try {
    read = JSON.parse(json);
  } catch {
    return [];
  }
  return Array.isArray(read) ? read.filter(isKnownId) : [];
}

function isKnownId(value: unknown): value is KnownId {
  if (!Array.isArray(value)) return false;
  const [key, at, outcome, members] = value;
  const isCount = members === null || (Number.isSafeInteger(members) && members >= 0);
  return typeof key === 'string' && Number.isFinite(at) && isOutcome(outcome) && isCount;
}
