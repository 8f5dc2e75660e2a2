/**
 * Ids that senders have given their messages, in JetStream: when the node that remembers those of a sender (claims.ts) is gone, the node
 * that the sender's address chooses then reads them there. Once a second each node writes what it has come to know, one record for each
 * domain; JetStream keeps a record for as long as ids are remembered. What a node came to know in the last second of its life is lost.
 */
import { type KnownId, type MessageIds, readKnownIds, type SentMessage } from '../actors/message-ids.js';
import type { Clock } from '../clock.js';
import type { JetStreamMetrics } from '../metrics.js';
import type { Follower } from './following.js';
import { JetStreamError, type JetStreamPort } from './jetstream-port.js';
import type { KeptStream } from './kept-stream.js';
import { word } from './ticket-records.js';

const GATHER_MS = 1000;
/** How many ids of a domain wait for JetStream at most; further ones are not written, and counted. */
const MOST_WAITING = 100_000;
/** About how many characters a record has at most: NATS takes 1 MiB, and JSON writes a character in six bytes at most. */
const RECORD_CHARACTERS = 128 * 1024;
/** How long a message may wait for what is being read; after that its id counts as new. */
const READ_MS = 3000;

/** How long two nodes may differ in whether a third one is gone. */
const NOTICE_MS = 1000;
/** How many calls wait at most; of further ones the ids count as new. */
const MOST_ASKING = 10_000;

interface IdDomain {
  readonly name: string;
  readonly messageIds: MessageIds;
}

export interface IdLogOptions {
  readonly jetstream: Pick<JetStreamPort, 'available'> & { readonly metrics: Pick<JetStreamMetrics, 'idsNotWritten'> };
  readonly stream: KeptStream;
  readonly node: { readonly name: string; readonly mesh: { readonly incarnation: number } };
  readonly clock: Clock;
  /** Whether this node is the one that remembers a sender's ids. */
  readonly isMine: (sender: string) => boolean;
}

/** What a node writes of one domain. */
interface Gathered {
  readonly domain: IdDomain;
  ids: KnownId[];
  /** The number of its last record. */
  last: number;
}

export class IdLog {
  readonly #domains = new Map<string, Gathered>();
  readonly #fresh = new Set<Gathered>();
  readonly #waiting = new Set<() => void>();
  /** How many readings are under way. */
  #readings = 0;
  #cancel: (() => void) | null = null;
  #isClosed = false;

  constructor(private readonly options: IdLogOptions) {}

  /** Writes the ids of a domain's messages from now on. */
  add(domain: IdDomain): void {
    const gathered: Gathered = { domain, ids: [], last: 0 };
    this.#domains.set(word(domain.name), gathered);
    domain.messageIds.onSettled = (sent) => this.#note(gathered, sent);
  }

  remove({ name }: IdDomain): void {
    this.#domains.delete(word(name));
  }

  /** Takes over what nodes have written of senders whose ids this node remembers now. `node`: the one that is gone; null: all. */
  read(node: string | null): void {
    if (!this.options.jetstream.available) return;
    this.#readings += 1;
    const filter = node === null ? '>' : `*.${word(node)}.>`;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      cancel();
      unfollow();
      this.#readings -= 1;
      if (this.#readings === 0) for (const go of [...this.#waiting]) go();
    };
    const cancel = this.options.clock.after(READ_MS, end);
    const follower: Follower = {
      message: (_sequence, key, data) => this.#take(key.slice(0, key.indexOf('.')), data),
      caughtUp: end,
    };
    const unfollow = this.options.stream.follow(0, follower, filter);
  }

  /**
   * Calls `done` when this node knows what is known of a sender's ids: not while it reads, nor where another node, which it takes for
   * living, is to remember them. False, and `done` is not called, where it knows already, or too many wait.
   */
  whenKnown(sender: string, done: () => void): boolean {
    const { isMine, clock } = this.options;
    const isReading = this.#readings > 0;
    if ((!isReading && isMine(sender)) || this.#waiting.size >= MOST_ASKING) return false;
    const waiter = (): void => {
      cancel();
      this.#waiting.delete(waiter);
      done();
    };
    const cancel = clock.after(isReading ? READ_MS : NOTICE_MS, waiter);
    this.#waiting.add(waiter);
    return true;
  }

  /** Writes what has been gathered, as soon as JetStream can be used. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (!this.options.jetstream.available) return this.#writeLater();
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    for (const gathered of fresh) this.#write(gathered);
  }

  close(): void {
    this.#fresh.clear();
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  #note(gathered: Gathered, { key, at, outcome, members, fromClient }: SentMessage): void {
    if (outcome === null || !this.#hasRoom(gathered, 1)) return;
    gathered.ids.push([key, at, outcome, members, fromClient ? 1 : 0]);
    this.#gather(gathered);
  }

  /** Whether so many more ids may wait; where they may not, they are counted. */
  #hasRoom(gathered: Gathered, count: number): boolean {
    const hasRoom = gathered.ids.length + count <= MOST_WAITING;
    if (!hasRoom) this.options.jetstream.metrics.idsNotWritten += count;
    return hasRoom;
  }

  #gather(gathered: Gathered): void {
    if (this.#isClosed) return;
    this.#fresh.add(gathered);
    this.#writeLater();
  }

  #writeLater(): void {
    if (this.#fresh.size > 0) this.#cancel ??= this.options.clock.after(GATHER_MS, () => this.flush());
  }

  #write(gathered: Gathered): void {
    const ids = gathered.ids.splice(0);
    for (let at = 0; at < ids.length; ) {
      let characters = 0;
      const from = at;
      while (at < ids.length && characters < RECORD_CHARACTERS) characters += (ids[at++] as KnownId)[0].length;
      this.#send(gathered, ids.slice(from, at));
    }
  }

  #send(gathered: Gathered, ids: readonly KnownId[]): void {
    const { stream, node } = this.options;
    gathered.last += 1;
    const key = `${word(gathered.domain.name)}.${word(node.name)}.${node.mesh.incarnation}.${gathered.last}`;
    stream.write(key, JSON.stringify(ids), (answer) => {
      if (!(answer instanceof JetStreamError) || answer.reason !== 'unavailable') return;
      if (!this.#hasRoom(gathered, ids.length)) return;
      gathered.ids.push(...ids);
      this.#gather(gathered);
    });
  }

  #take(domain: string, data: string): void {
    const { messageIds } = this.#domains.get(domain)?.domain ?? {};
    if (!messageIds || data === '') return;
    for (const id of readKnownIds(data)) {
      const [key] = id;
      if (this.options.isMine(key.slice(0, key.indexOf('\n')))) messageIds.remember(id);
    }
  }
}
