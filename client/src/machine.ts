/**
 * When to connect, by which transport, how long to wait, when to stop. No I/O: transports, time, chance and the way to a
 * ticket are handed in.
 *
 *     connecting → online ⇄ waiting → stopped
 */
import {
  type Clock,
  type Ear,
  type End,
  type Frame,
  type Kind,
  type Link,
  positionAfter,
  type Reply,
  type Session,
} from './wire.js';

export type State = 'connecting' | 'online' | 'waiting' | 'stopped';

export interface StateChange {
  readonly state: State;
  /** Why the client waits or has stopped, in a few words. */
  readonly reason?: string;
  /** When the client tries again, in milliseconds since the epoch. */
  readonly retryAt?: number;
  readonly transport?: Kind;
  /** The client has come online anew, with a new ticket: packets that came in between may be missing. */
  readonly fresh?: boolean;
}

/** Why there is no session: `stop` for good, otherwise until later. */
export class NoSession extends Error {
  constructor(
    readonly reason: string,
    readonly isFinal = false,
    readonly retryAfterMs = 0,
  ) {
    super(reason);
  }
}

export interface Ports {
  readonly clock: Clock;
  readonly kinds: readonly Kind[];
  /** Brings the user online; rejects with NoSession. */
  identify(): Promise<Arrival>;
  /** Makes a transport; null: this platform has none of that kind. */
  open(kind: Kind, session: Session, ear: Ear): Link | null;
  /** Whether what can wait for a visible page should wait. */
  isHidden(): boolean;
  onState(change: StateChange): void;
  onFrame(frame: Frame): void;
  onReply(reply: Reply): void;
  onFailed(ref: string): void;
}

const OPEN_MS = 5_000;
const IDENTIFY_MS = 20_000;
const PING_MS = 20_000;
const PONG_MS = 5_000;
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 30_000;
/**
 * After this many failures in a row, which takes some minutes, each wait is so much longer: the server is asked once a minute at
 * most, for one transport each time.
 */
const RARE = 10;
const RARE_MS = 45_000;
/** After this many failures in a row of a transport that has worked, the others are tried again. */
const PATIENCE = 3;
const UPGRADE_MS = 60_000;
const LAST_UPGRADE_MS = 600_000;

/** A connection that ends sooner than this is a failure like one that never came about. */
const STEADY_MS = 5_000;

/** One transport that is being opened or is open. */
interface Attempt {
  readonly kind: Kind;
  link: Link | null;
  /** When the server took the connection; null: not yet. */
  openedAt: number | null;
}

type Timer = 'identify' | 'open' | 'openUpgrade' | 'ping' | 'pong' | 'retry' | 'upgrade';

/** A session to connect with; `position` where an earlier connection of this ticket has got to. */
export interface Arrival {
  readonly session: Session;
  readonly position?: string | null;
}

export class Machine {
  #state: State = 'connecting';
  #session: Session | null = null;
  #position: string | null = null;
  /** A connection has used the session, in this page or in the one before. */
  #isProven = false;
  #isFresh = false;
  #current: Attempt | null = null;
  /** A better transport, tried while the current one goes on. */
  #upgrade: Attempt | null = null;
  #upgradeMs = UPGRADE_MS;
  #failures = 0;
  /** Counts the attempts to get a session, so that the answer to an earlier one is ignored. */
  #turn = 0;
  readonly #worked = new Set<Kind>();
  readonly #tried = new Set<Kind>();
  readonly #unsupported = new Set<Kind>();
  readonly #timers = new Map<Timer, () => void>();

  constructor(private readonly ports: Ports) {}

  get state(): State {
    return this.#state;
  }

  get session(): Session | null {
    return this.#session;
  }

  /** What has been received; null: the server keeps no positions. */
  get position(): string | null {
    return this.#position;
  }

  get transport(): Kind | undefined {
    return this.#state === 'online' ? this.#current?.kind : undefined;
  }

  /** The connection through which calls may go. */
  get link(): Link | null {
    return this.#state === 'online' ? (this.#current?.link ?? null) : null;
  }

  /** Begins. `proven`: a transport that has worked for the page before. */
  start(proven?: Kind): void {
    if (proven && this.ports.kinds.includes(proven)) this.#worked.add(proven);
    this.#enter({ state: 'connecting' });
    this.#connect();
  }

  /** The network is back, the page is seen again, the machine has slept: looks at once. */
  wake(): void {
    if (this.#state === 'stopped') return;
    if (this.#failures > RARE) this.#failures = PATIENCE;
    if (this.#current) {
      if (this.#current.openedAt !== null) this.#ping();
    } else if (!this.#timers.has('identify')) this.#connect();
  }

  /** Somebody wants something of a server that has been away for long. */
  hurry(): void {
    if (this.#failures > RARE) this.wake();
  }

  /** Closes the connection without leaving; `wake` opens another one. */
  suspend(): void {
    if (this.#state === 'stopped') return;
    this.#drop();
    this.#enter({ state: 'waiting', reason: 'the page is put aside' });
  }

  stop(reason: string): void {
    if (this.#state === 'stopped') return;
    this.#drop();
    this.#enter({ state: 'stopped', reason });
  }

  #enter(change: StateChange): void {
    this.#state = change.state;
    this.ports.onState(change);
  }

  #after(timer: Timer, delayMs: number, task: () => void): void {
    this.#cancel(timer);
    const cancel = this.ports.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      task();
    });
    this.#timers.set(timer, cancel);
  }

  #cancel(...timers: readonly Timer[]): void {
    for (const timer of timers) {
      this.#timers.get(timer)?.();
      this.#timers.delete(timer);
    }
  }

  /** Closes every connection that is open or being opened. */
  #drop(): void {
    this.#turn += 1;
    const attempts = [this.#current, this.#upgrade];
    this.#current = null;
    this.#upgrade = null;
    for (const attempt of attempts) attempt?.link?.close();
    this.#cancel(...this.#timers.keys());
  }

  #connect(): void {
    this.#drop();
    if (!this.#session) return this.#identify();
    const kind = this.#candidate();
    if (kind === undefined) return this.stop('no transport');
    const attempt: Attempt = { kind, link: null, openedAt: null };
    this.#current = attempt;
    this.#awaitOpen('open', attempt);
    this.#open(attempt, this.#session);
  }

  #identify(): void {
    const turn = this.#turn;
    const fail = (error: unknown): void => {
      if (turn !== this.#turn) return;
      const { reason, isFinal, retryAfterMs } = error instanceof NoSession ? error : new NoSession('no ticket');
      if (isFinal) this.stop(reason);
      else this.#wait(reason, retryAfterMs);
    };
    this.#after('identify', IDENTIFY_MS, () => fail(new NoSession('no ticket in time')));
    this.ports.identify().then(({ session, position }) => {
      if (turn !== this.#turn) return;
      this.#session = session;
      this.#isProven = position !== undefined;
      this.#position = position === undefined ? '0' : position;
      this.#connect();
    }, fail);
  }

  /**
   * Which transport the next attempt takes: the best one that has ever worked, until it has failed PATIENCE times in a row; while none has
   * worked, and after that, each of the supported ones in turn.
   */
  #candidate(): Kind | undefined {
    const kinds = this.#supported();
    const proven = kinds.find((kind) => this.#worked.has(kind));
    if (proven !== undefined && this.#failures < PATIENCE) return proven;
    const untried = kinds.find((kind) => !this.#tried.has(kind));
    if (untried !== undefined) return untried;
    this.#tried.clear();
    return kinds[0];
  }

  #supported(): readonly Kind[] {
    return this.ports.kinds.filter((kind) => !this.#unsupported.has(kind));
  }

  #awaitOpen(timer: 'open' | 'openUpgrade', attempt: Attempt): void {
    this.#after(timer, OPEN_MS, () => this.#ended(attempt, { kind: 'lost', reason: 'no answer' }));
  }

  #open(attempt: Attempt, session: Session): void {
    const link = this.ports.open(attempt.kind, session, this.#ear(attempt));
    if (!link) this.#ended(attempt, { kind: 'unsupported', reason: `no ${attempt.kind}` });
    else if (this.#isLive(attempt)) attempt.link = link;
    else link.close();
  }

  #isLive(attempt: Attempt): boolean {
    return attempt === this.#current || attempt === this.#upgrade;
  }

  #ear(attempt: Attempt): Ear {
    return {
      position: () => {
        if (attempt === this.#upgrade) this.#takeOver(attempt);
        return this.#position;
      },
      opened: (position) => {
        if (attempt === this.#current && attempt.openedAt === null) this.#opened(attempt, position);
      },
      frame: (frame, position) => {
        if (attempt !== this.#current) return;
        // The position counts before listeners run: a listener may close the chat, and must not be given the frame again.
        this.#position = position || positionAfter(this.#position, frame);
        this.ports.onFrame(frame);
      },
      alive: () => {
        if (attempt === this.#current) this.#cancel('pong');
      },
      reply: (reply) => {
        if (attempt === this.#current) this.ports.onReply(reply);
      },
      failed: (ref) => {
        if (attempt === this.#current) this.ports.onFailed(ref);
      },
      ended: (end) => this.#ended(attempt, end),
    };
  }

  /** The better transport has reached the server: the other one is closed first, so that only one position is said. */
  #takeOver(attempt: Attempt): void {
    const before = this.#current;
    this.#current = attempt;
    this.#upgrade = null;
    before?.link?.close();
    this.#cancel('openUpgrade', 'ping', 'pong');
    this.#awaitOpen('open', attempt);
  }

  #opened(attempt: Attempt, position: string | null): void {
    this.#cancel('open');
    attempt.openedAt = this.ports.clock.now();
    this.#position = position;
    this.#isProven = true;
    this.#worked.add(attempt.kind);
    this.#tried.clear();
    this.#after('ping', PING_MS, () => this.#ping());
    this.#planUpgrade();
    const fresh = this.#isFresh;
    this.#isFresh = false;
    this.#enter({ state: 'online', transport: attempt.kind, ...(fresh ? { fresh } : {}) });
  }

  #ping(): void {
    const attempt = this.#current;
    if (!attempt?.link) return;
    this.#after('ping', PING_MS, () => this.#ping());
    // The answer that is awaited already decides.
    if (!attempt.link.ping(this.#position) || this.#timers.has('pong')) return;
    this.#after('pong', PONG_MS, () => this.#ended(attempt, { kind: 'lost', reason: 'no answer' }));
  }

  #planUpgrade(): void {
    const [best] = this.#supported();
    if (best === undefined || best === this.#current?.kind) return;
    this.#after('upgrade', this.#upgradeMs, () => {
      if (!this.#session || this.ports.isHidden()) return this.#planUpgrade();
      this.#upgradeMs = Math.min(this.#upgradeMs * 2, LAST_UPGRADE_MS);
      const attempt: Attempt = { kind: best, link: null, openedAt: null };
      this.#upgrade = attempt;
      this.#awaitOpen('openUpgrade', attempt);
      this.#open(attempt, this.#session);
    });
  }

  #ended(attempt: Attempt, end: End): void {
    if (!this.#isLive(attempt)) return;
    if (end.kind === 'unsupported') this.#unsupported.add(attempt.kind);
    if (attempt === this.#upgrade) {
      this.#upgrade = null;
      this.#cancel('openUpgrade');
      attempt.link?.close();
      return this.#planUpgrade();
    }
    this.#drop();
    if (attempt.openedAt !== null && this.ports.clock.now() - attempt.openedAt >= STEADY_MS) this.#failures = 0;
    switch (end.kind) {
      case 'stopped':
        return this.stop(end.reason);
      case 'older':
        this.#position = null;
        return this.#connect();
      case 'unsupported':
        return this.#connect();
      case 'unknown':
        return this.#renew('ticket not found');
      case 'replaced':
        return this.#renew('replaced');
      case 'lost':
        return this.#lost(attempt, end);
    }
  }

  /** Gets another ticket: at once, unless the last one was unknown, too. */
  #renew(reason: string): void {
    const isAtOnce = this.#isProven && this.#failures === 0;
    this.#isFresh ||= this.#isProven;
    this.#session = null;
    if (!isAtOnce) return this.#wait(reason);
    this.#failures = 1;
    this.#enter({ state: 'waiting', reason });
    this.#connect();
  }

  #lost(attempt: Attempt, end: { readonly reason: string; readonly retryAfterMs?: number | undefined }): void {
    if (attempt.openedAt === null) {
      this.#tried.add(attempt.kind);
      const isOthersTurn = !this.#worked.has(attempt.kind) && end.retryAfterMs === undefined;
      if (isOthersTurn && this.#failures < RARE && this.#supported().some((kind) => !this.#tried.has(kind)))
        return this.#connect();
    }
    this.#wait(end.reason, end.retryAfterMs);
  }

  /** Half a second, then twice as long each time up to 30 s, times 0.5 to 1.5 by chance; never before the server says. */
  #wait(reason: string, retryAfterMs = 0): void {
    this.#drop();
    const chance = 0.5 + this.ports.clock.random();
    const rareMs = this.#failures < RARE ? 0 : RARE_MS;
    const delayMs = rareMs + Math.min(FIRST_DELAY_MS * 2 ** this.#failures, LAST_DELAY_MS) * chance;
    const waitMs = Math.max(delayMs, retryAfterMs * (0.5 + chance));
    this.#failures += 1;
    this.#after('retry', waitMs, () => this.#connect());
    this.#enter({ state: 'waiting', reason, retryAt: this.ports.clock.now() + waitMs });
  }
}
