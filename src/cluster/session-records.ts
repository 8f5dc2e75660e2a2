/**
 * MQTT sessions of backends in JetStream, from which another node can take them over when their node is gone. Of each session there
 * is a head (whose it is, how long it lives, what is in flight), a record of its subscriptions, and one of each publication that its
 * client has not acknowledged. Changes are gathered for 100 ms: what is acknowledged by then is never written.
 *
 * A node writes a head only over its own: where another node has written it in between, that node has taken the session over, and
 * this one gives it up. All other records carry the `term` of the node that writes them, the revision of its first head, so that a
 * node which was cut off never overwrites those of its successor.
 */
import type { KeptSessionState, SessionRecords } from '../actors/cluster.js';
import type { Clock } from '../clock.js';
import type { SessionDomain } from './adopted.js';
import type { JetStreamPort } from './jetstream-port.js';
import type { KeptStream } from './kept-stream.js';
import {
  type FoundSession,
  headOf,
  headsOf,
  itemsOf,
  keyOf,
  parse,
  subscriptionsOf,
  textsOf,
} from './session-heads.js';

const GROUP_MS = 100;
const RETRY_MS = 1000;

/** A session of this node. */
interface Own {
  readonly domain: SessionDomain;
  readonly clientId: string;
  readonly key: string;
  /** The revision of the head; 0: JetStream has none that this node knows of. */
  revision: number;
  term: number;
  /** The terms of nodes that had the session before. */
  readonly former: Set<number>;
  subscribed: number;
  /** The state that was given last. */
  last: string;
  /** What is to be written next; null: nothing. */
  state: string | null;
  subscriptions: string | null;
  readonly fresh: Map<number, string>;
  /** Publications that JetStream has, or that are on their way there (0), with the revisions of their records. */
  readonly items: Map<number, number>;
  /** How many writes are not answered. */
  open: number;
  isWritingHead: boolean;
  /** Whether a head may have been written although JetStream has not said so. */
  isUnsure: boolean;
  /** Called when all is written, or JetStream cannot be used. */
  waiting: (() => void)[];
  hasEnded: boolean;
}

export interface StoredSessionsOptions {
  readonly jetstream: Pick<JetStreamPort, 'available'> & { readonly watchers: Set<(available: boolean) => void> };
  readonly stream: KeptStream;
  readonly node: string;
  readonly incarnation: number;
  readonly clock: Pick<Clock, 'after'>;
}

export class StoredSessions {
  readonly #own = new Map<string, Own>();
  /** Sessions that have changed, with the callbacks that wait until they are written. */
  #changed = new Map<string, { readonly domain: SessionDomain; readonly clientId: string; waiting: (() => void)[] }>();
  #cancel: (() => void) | null = null;

  constructor(private readonly options: StoredSessionsOptions) {
    options.jetstream.watchers.add((available) => {
      if (!available) return;
      for (const own of this.#own.values()) this.#write(own);
      if (this.#changed.size > 0) this.#gather();
    });
  }

  get available(): boolean {
    return this.options.jetstream.available;
  }

  /** How many sessions are not written as they are. */
  get waiting(): number {
    return this.#changed.size + [...this.#own.values()].filter(({ open }) => open > 0).length;
  }

  /** The records of one domain's sessions. */
  of(domain: SessionDomain): SessionRecords {
    let isFrozen = false;
    const key = (clientId: string): string => keyOf(domain.name, clientId);
    const writes = (): boolean => !isFrozen && domain.settings.durability !== 'none';
    return {
      changed: (clientId) => {
        if (writes()) this.#change(domain, clientId, null);
      },
      committed: (clientId, done) => {
        if (!writes() || !this.available) return done();
        this.#change(domain, clientId, done);
        domain.keep(clientId);
      },
      put: (clientId, state) => {
        if (writes()) this.#put(domain, clientId, state);
      },
      remove: (clientId, number) => {
        if (writes()) this.#remove(this.#own.get(key(clientId)), number);
      },
      end: (clientId) => {
        if (!isFrozen) this.#end(key(clientId));
      },
      freeze: () => {
        isFrozen = true;
      },
    };
  }

  /** Forgets a session without removing its records: another node has it. */
  forget(domain: string, clientId: string): void {
    const key = keyOf(domain, clientId);
    this.#settle(this.#own.get(key));
    this.#own.delete(key);
    this.#changed.delete(key);
  }

  has(domain: string, clientId: string): boolean {
    return this.#own.get(keyOf(domain, clientId))?.hasEnded === false;
  }

  /** The head of a session; null: there is none. Rejects with a JetStreamError. */
  async read(domain: string, clientId: string): Promise<FoundSession | null> {
    return (await this.#readHead(keyOf(domain, clientId)))?.head ?? null;
  }

  /** The revision of a session's head, and the head, null where it is damaged; null: there is none. Rejects with a JetStreamError. */
  async #readHead(key: string): Promise<{ readonly revision: number; readonly head: FoundSession | null } | null> {
    const record = await this.options.stream.read(headOf(key));
    return record && { revision: record.revision, head: parse({ key: headOf(key), ...record }) };
  }

  /** The client ids of all sessions of a domain. Rejects with a JetStreamError. */
  async clientIds(domain: string): Promise<readonly string[]> {
    return (await headsOf(this.options.stream, domain)).map(({ clientId }) => clientId);
  }

  /** Takes a session over with what belongs to it. Rejects with a `conflict` where another node was first, or with another JetStreamError. */
  async take(domain: SessionDomain, found: FoundSession, stamp: number): Promise<KeptSessionState> {
    const { stream, node, incarnation } = this.options;
    const { clientId, subscribed, state } = found;
    const key = keyOf(domain.name, clientId);
    const head = JSON.stringify([domain.name, clientId, node, incarnation, stamp, subscribed, state]);
    const revision = await stream.compareAndSet(headOf(key), head, found.revision);
    const subscriptions = subscribed > 0 ? await stream.read(subscriptionsOf(key, subscribed)) : null;
    const items = await itemsOf(stream, key);
    const own = newOwn(domain, key, clientId, new Set([subscribed, ...items.map(({ term }) => term)]));
    Object.assign(own, { revision, term: revision, subscribed, last: state });
    for (const { number, revision } of items) own.items.set(number, revision);
    this.#own.set(key, own);
    return { state, subscriptions: subscriptions?.data ?? null, fresh: textsOf(items) };
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #change(domain: SessionDomain, clientId: string, done: (() => void) | null): void {
    const key = keyOf(domain.name, clientId);
    const changed = this.#changed.get(key) ?? { domain, clientId, waiting: [] };
    this.#changed.set(key, changed);
    if (done) changed.waiting.push(done);
    if (this.available) this.#gather();
  }

  #gather(): void {
    this.#cancel ??= this.options.clock.after(GROUP_MS, () => {
      this.#cancel = null;
      if (this.available) for (const { domain, clientId } of this.#changed.values()) domain.keep(clientId);
    });
  }

  #put(domain: SessionDomain, clientId: string, { state, subscriptions, fresh }: KeptSessionState): void {
    const key = keyOf(domain.name, clientId);
    let own = this.#own.get(key);
    if (!own || own.hasEnded) {
      const revision = own?.revision ?? 0;
      own = Object.assign(newOwn(domain, key, clientId, new Set()), { revision });
      this.#own.set(key, own);
    }
    own.last = state;
    own.state = state;
    own.subscriptions = subscriptions ?? own.subscriptions;
    for (const [number, text] of fresh) own.fresh.set(number, text);
    own.waiting.push(...(this.#changed.get(key)?.waiting ?? []));
    this.#changed.delete(key);
    this.#write(own);
  }

  /** Sends all that is to be written. Before its first head is written a session has no term, and the rest waits. */
  #write(own: Own): void {
    if (this.#own.get(own.key) !== own) return;
    if (!this.available) return this.#settle(own);
    if (own.hasEnded) return void this.#erase(own);
    if (own.term > 0) this.#writeRest(own);
    if (own.state !== null && !own.isWritingHead) this.#writeHead(own, own.state);
    if (own.open === 0) this.#settle(own);
  }

  #writeHead(own: Own, state: string): void {
    const { node, incarnation } = this.options;
    const { domain, clientId, subscribed } = own;
    const stamp = domain.stampOf(clientId);
    own.state = null;
    own.isWritingHead = true;
    const data = JSON.stringify([domain.name, clientId, node, incarnation, stamp, subscribed, state]);
    const failed = (): void => {
      own.state ??= state;
      own.isUnsure = true;
    };
    const written = (revision: number): void => {
      own.revision = revision;
      own.term ||= revision;
      own.isUnsure = false;
    };
    const answered = (): void => {
      own.isWritingHead = false;
    };
    this.#send(own, headOf(own.key), data, { written, failed, answered }, own.revision);
  }

  #writeRest(own: Own): void {
    const { subscriptions, term, key } = own;
    if (subscriptions !== null) {
      own.subscriptions = null;
      const failed = (): void => {
        own.subscriptions ??= subscriptions;
      };
      const written = (): void => this.#subscribed(own);
      this.#send(own, subscriptionsOf(key, term), subscriptions, { written, failed });
    }
    const fresh = [...own.fresh];
    own.fresh.clear();
    for (const [number, text] of fresh) {
      own.items.set(number, 0);
      const failed = (): void => {
        if (own.items.delete(number)) own.fresh.set(number, text);
      };
      const written = (revision: number): void => {
        if (own.items.has(number)) own.items.set(number, revision);
        else this.#forgetRecord(revision);
      };
      this.#send(own, `i.${key}.${term}.${number}`, text, { written, failed });
    }
  }

  /** The subscriptions are written under this node's term: the head is to say so. */
  #subscribed(own: Own): void {
    if (own.subscribed === own.term) return;
    own.subscribed = own.term;
    own.state ??= own.last;
  }

  #send(
    own: Own,
    subject: string,
    data: string,
    then: { written(revision: number): void; failed(): void; answered?(): void },
    expected: number | null = null,
  ): void {
    own.open += 1;
    this.options.stream.write(
      subject,
      data,
      (answer) => {
        own.open -= 1;
        then.answered?.();
        if (typeof answer === 'number') then.written(answer);
        else if (answer.reason === 'conflict') return void this.#conflict(own, then.failed);
        else if (answer.reason === 'unavailable') {
          then.failed();
          return this.#writeLater(own);
        }
        this.#write(own);
      },
      expected,
    );
  }

  #writeLater(own: Own): void {
    if (this.available) setTimeout(() => this.#write(own), RETRY_MS).unref();
    this.#settle(own);
  }

  /** The head is another than this node has written: either its answer was lost, or another node has the session, or had it before. */
  async #conflict(own: Own, failed: () => void): Promise<void> {
    const { domain, clientId, key } = own;
    // Until this is answered the head is not written: nobody is told that it is, and a session that ends waits to know its head.
    own.open += 1;
    own.isWritingHead = true;
    const found = await this.#readHead(key).catch(() => 'unavailable' as const);
    own.open -= 1;
    own.isWritingHead = false;
    if (this.#own.get(key) !== own) return;
    failed();
    if (found === 'unavailable') return this.#writeLater(own);
    const head = found?.head ?? null;
    const { node, incarnation } = this.options;
    const isOurs = !head || (head.node === node && head.incarnation === incarnation);
    const isTaken = !isOurs && (own.term > 0 || domain.isAt(clientId, head.node));
    if (isTaken) {
      this.forget(domain.name, clientId);
      return domain.lost(clientId);
    }
    own.revision = found?.revision ?? 0;
    own.isUnsure = false;
    if (isOurs && head && own.term === 0) own.term = head.revision;
    // A node that dies while it hands the session over may leave records of its term.
    if (!isOurs && head.subscribed > 0) own.former.add(head.subscribed);
    this.#write(own);
  }

  #remove(own: Own | undefined, number: number): void {
    if (!own || own.fresh.delete(number)) return;
    const revision = own.items.get(number);
    own.items.delete(number);
    if (revision) this.#forgetRecord(revision);
  }

  #end(key: string): void {
    this.#changed.delete(key);
    const own = this.#own.get(key);
    if (!own) return;
    own.hasEnded = true;
    this.#write(own);
  }

  /**
   * Removes all records of a session that has ended. A head that stayed would bring the session back: its removal is tried again until
   * JetStream has answered. A head that another node has written stays.
   */
  async #erase(own: Own): Promise<void> {
    if (own.open > 0) return;
    const { stream } = this.options;
    const { key, term, former } = own;
    own.open += 1;
    const isErased = await this.#eraseHead(own).catch(() => false);
    own.open -= 1;
    const isLatest = this.#own.get(key) === own;
    if (!isErased && isLatest) return this.#writeLater(own);
    if (isLatest) this.#own.delete(key);
    this.#settle(own);
    for (const one of new Set([term, ...former])) {
      if (one === 0) continue;
      stream.remove(subscriptionsOf(key, one));
      stream.remove(`i.${key}.${one}.>`);
    }
  }

  /** Resolves with true when the head is removed, or is not the ended session's; rejects with a JetStreamError. */
  async #eraseHead(own: Own): Promise<boolean> {
    const { key, revision } = own;
    const { stream, node, incarnation } = this.options;
    if (!own.isUnsure) {
      const isErased =
        revision === 0 ||
        (await stream
          .erase(revision)
          .then(() => true)
          .catch(() => false));
      if (isErased) return true;
    }
    const found = await this.#readHead(key);
    const { head } = found ?? {};
    const isOurs = !head || head.revision === revision || (head.node === node && head.incarnation === incarnation);
    if (found && isOurs && this.#own.get(key) === own) await stream.erase(found.revision);
    return true;
  }

  #forgetRecord(revision: number): void {
    this.options.stream.remove(revision);
  }

  #settle(own: Own | undefined): void {
    for (const done of own?.waiting.splice(0) ?? []) done();
  }
}

function newOwn(domain: SessionDomain, key: string, clientId: string, former: Set<number>): Own {
  return {
    ...{ domain, key, clientId, former, revision: 0, term: 0, subscribed: 0, last: '', state: null },
    ...{ subscriptions: null, fresh: new Map(), items: new Map() },
    ...{ open: 0, isWritingHead: false, isUnsure: false, waiting: [], hasEnded: false },
  };
}
