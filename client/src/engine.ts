/** One connection of one user: the machine, its transports, the calls, and what a page leaves to the next one. */
import { openEvents } from './events.js';
import { callInit, type Network, withTicket } from './http.js';
import { type Come, type Credentials, Identity } from './identity.js';
import { type Arrival, Machine, type StateChange } from './machine.js';
import { ChatError, Outbox } from './outbox.js';
import { openPoll } from './poll.js';
import type { RosterCopy } from './roster.js';
import { openWebSocket } from './websocket.js';
import type { Ear, Frame, Json, Kind, Link, Reply, Session } from './wire.js';

/** What the page's surroundings say. */
export interface Signals {
  /** The page may reach the server again: the network is back, the page is visible again, or the machine has slept. */
  wake(): void;
  /** The page is hidden, put into the browser's back/forward cache, or ends. */
  leave(how: 'hidden' | 'aside' | 'ended'): void;
  /** The page, which was hidden or in the back/forward cache, is visible again. */
  back(): void;
}

/** What the library has of the browser; other places have less. */
export interface Platform extends Network {
  /** Texts that outlive the page in its tab; null: none. */
  readonly storage: { get(key: string): string | null; set(key: string, text: string | null): void } | null;
  /** Sends a request that outlives the page (sendBeacon); false: the browser has not taken it. */
  beacon(url: string, text: string): boolean;
  /** Begins to tell of the page's surroundings; the function that is answered ends that. */
  watch(signals: Signals): () => void;
  isHidden(): boolean;
  /** Somewhere to say that a listener has thrown. */
  report(error: unknown): void;
  uuid(): string;
}

/** What a session, left by a page, another tab or a connection before, needs to go on. */
export interface Kept {
  readonly session: Session;
  readonly position: string | null;
  readonly transport?: Kind | undefined;
  readonly roster: RosterCopy;
  /** When the session was left, in milliseconds since the epoch. */
  readonly at: number;
}

export interface Settings extends Credentials {
  /** The server's address; null: only the answer to ONLINE names it. */
  readonly server: string | null;
  readonly transports: readonly Kind[];
  readonly visible: boolean;
  readonly leaveOnClose: boolean;
}

/** What an engine tells its owner, a chat or a share of tabs. */
export interface Audience {
  onState(change: StateChange): void;
  onFrame(frame: Frame): void;
  /** The user has come online, with a new ticket. */
  onCome(come: Come): void;
  /** The session goes on where another page or tab has left it. */
  onKept(kept: Kept): void;
  roster(): RosterCopy;
}

/** What a chat is made of: a connection of its own, or a share in one. */
export interface Engine {
  readonly session: Session | null;
  readonly position: string | null;
  start(): void;
  ask(name: string, params: Json): Promise<Reply>;
  /** What coming online anew should bring along. */
  setAppearance(appearance: { readonly show?: string; readonly status?: string }): void;
  /** Ends for good; `offline`: the user leaves. */
  close(offline: Json | null): void;
}

const OPENERS: Readonly<Record<Kind, (network: Network, session: Session, ear: Ear) => Link | null>> = {
  websocket: openWebSocket,
  events: openEvents,
  poll: openPoll,
};

const STORE_MS = 1_000;

/** Under which name a tab keeps what its next page needs. */
export function storageKey({ server, domain }: Settings): string {
  return `nextalk ${server ?? ''} ${domain ?? ''}`;
}

export class LocalEngine implements Engine {
  readonly #machine: Machine;
  readonly #outbox: Outbox;
  readonly #identity: Identity;
  readonly #key: string;
  #kept: Kept | null;
  #isReleased = false;
  #unwatch: (() => void) | null = null;
  /** When a hidden page last wrote what the next one needs. */
  #storedAt: number | null = null;

  constructor(
    private readonly settings: Settings,
    private readonly platform: Platform,
    private readonly audience: Audience,
    /** What another tab has left; null: what the storage has. */
    inherited: Kept | null = null,
  ) {
    this.#key = storageKey(settings);
    this.#kept = inherited ?? this.#takeStored();
    this.#identity = new Identity(settings, platform, settings.server);
    this.#outbox = new Outbox(platform.clock, () => this.#machine.link);
    this.#machine = new Machine({
      clock: platform.clock,
      kinds: settings.transports,
      identify: () => this.#identify(),
      open: (kind, session, ear) => OPENERS[kind](platform, session, ear),
      isHidden: () => settings.visible && platform.isHidden(),
      onState: (change) => this.#onState(change),
      onFrame: (frame) => this.#onFrame(frame),
      onReply: (reply) => this.#outbox.reply(reply),
      onFailed: (ref) => this.#outbox.failed(ref),
    });
  }

  get session(): Session | null {
    return this.#machine.session;
  }

  get position(): string | null {
    return this.#machine.position;
  }

  start(): void {
    this.#unwatch = this.platform.watch({
      wake: () => this.#machine.wake(),
      leave: (how) => this.#leave(how),
      back: () => {
        this.#storedAt = null;
        this.#takeStored();
        this.#machine.wake();
      },
    });
    this.#machine.start(this.#kept?.transport);
  }

  ask(name: string, params: Json): Promise<Reply> {
    this.#machine.hurry();
    return this.#outbox.ask(name, params);
  }

  setAppearance(appearance: { readonly show?: string; readonly status?: string }): void {
    this.#identity.appearance = appearance;
  }

  close(offline: Json | null): void {
    const { session } = this;
    if (session && offline) this.#say(session, offline);
    this.#takeStored();
    this.#machine.stop('closed');
  }

  /** What another tab or the next page needs to go on; null: there is nothing to go on with. */
  keep(): Kept | null {
    const { session, position } = this;
    if (!session || this.#machine.state === 'stopped') return null;
    const { transport } = this.#machine;
    return { session, position, transport, at: this.platform.clock.now(), roster: this.audience.roster() };
  }

  /** Closes the connection and tells nothing more; the ticket stays, for another tab or (`keeps`) for the next page. */
  release(keeps: boolean): void {
    if (keeps) this.#store();
    this.#unwatch?.();
    this.#outbox.close(new ChatError(410, 'stopped'));
    this.#isReleased = true;
    this.#machine.stop('closed');
  }

  async #identify(): Promise<Arrival> {
    const kept = this.#kept;
    if (kept && (await this.#identity.owns(kept.session))) {
      this.#kept = null;
      this.audience.onKept(kept);
      return { session: kept.session, position: kept.position };
    }
    const come = await this.#identity.come();
    this.#kept = null;
    this.audience.onCome(come);
    return { session: come.session };
  }

  #onState(change: StateChange): void {
    if (this.#isReleased) return;
    if (change.state !== 'online') this.#outbox.lost();
    if (change.state === 'stopped') {
      this.#unwatch?.();
      this.#outbox.close(new ChatError(410, 'stopped', change.reason));
    }
    this.audience.onState(change);
    if (change.state === 'online') this.#outbox.pump();
  }

  #onFrame(frame: Frame): void {
    this.audience.onFrame(frame);
    // A browser may end a hidden page without notice: no position is confirmed to the server before it is stored here.
    if (this.#storedAt !== null && this.platform.clock.now() - this.#storedAt > STORE_MS) this.#store();
  }

  #leave(how: 'hidden' | 'aside' | 'ended'): void {
    const { session } = this;
    if (how === 'ended' && this.settings.leaveOnClose) {
      if (session) this.#say(session, { call: 'offline', ref: 'leave' });
      return this.#machine.stop('closed');
    }
    this.#store();
    if (how !== 'hidden') this.#machine.suspend();
  }

  #say(session: Session, call: Json): void {
    const url = withTicket(session.addresses.packets, session);
    const init = callInit(call);
    if (this.platform.beacon(url, JSON.stringify(call))) return;
    this.platform.fetch(url, { ...init, keepalive: true }).catch(() => undefined);
  }

  /** Written when the page is hidden or ends, and taken when it is seen: a tab that is duplicated has nothing to take. */
  #store(): void {
    const kept = this.keep();
    if (!kept) return;
    this.#storedAt = kept.at;
    this.platform.storage?.set(this.#key, JSON.stringify(kept));
  }

  #takeStored(): Kept | null {
    const { storage } = this.platform;
    const text = storage?.get(this.#key) ?? null;
    if (text === null) return null;
    storage?.set(this.#key, null);
    try {
      return JSON.parse(text) as Kept;
    } catch {
      return null;
    }
  }
}
