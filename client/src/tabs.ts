/**
 * One connection for all tabs of a user. The tab that holds a lock has the connection and tells the others what comes; when
 * it goes, the next one has the lock and goes on with the same ticket from the same position.
 */
import type { Audience, Engine, Kept, LocalEngine, Platform, Settings, storageKey } from './engine.js';
import type { Come, Identity, Token } from './identity.js';
import type { StateChange } from './machine.js';
import type { ChatError } from './outbox.js';
import type { Frame, Json, Reply, Session } from './wire.js';

/** What tabs tell each other. `from`, `to`: a tab's own name. */
type Note =
  | { readonly kind: 'hello' | 'bye'; readonly from: string; readonly rooms: readonly string[] }
  | { readonly kind: 'leads'; readonly from: string }
  | { readonly kind: 'kept'; readonly to: string | null; readonly kept: Kept; readonly change: StateChange | null }
  | { readonly kind: 'come'; readonly come: Come }
  | { readonly kind: 'state'; readonly change: StateChange }
  | { readonly kind: 'frame'; readonly frame: Frame; readonly position: string | null }
  | { readonly kind: 'ask'; readonly from: string; readonly ref: number; readonly name: string; readonly params: Json }
  | {
      readonly kind: 'answer';
      readonly to: string;
      readonly ref: number;
      readonly reply: Reply | null;
      readonly error: Failure | null;
    }
  | { readonly kind: 'close'; readonly call: Json };

interface Failure {
  readonly code: number;
  readonly message: string;
  readonly detail?: string | undefined;
}

interface Question {
  readonly name: string;
  readonly params: Json;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: ChatError) => void;
}

/** What the library hands in, so that this file holds none of it a second time. */
export interface Core {
  readonly LocalEngine: typeof LocalEngine;
  readonly Identity: typeof Identity;
  readonly ChatError: typeof ChatError;
  readonly storageKey: typeof storageKey;
}

const CAPACITY = 200;

function roomsOf(audience: Audience): readonly string[] {
  return audience.roster().rooms.map(([room]) => room);
}

export class SharedEngine implements Engine {
  readonly #me: string;
  readonly #peers = new Set<string>();
  readonly #questions = new Map<number, Question>();
  #refs = 0;
  #channel: BroadcastChannel | null = null;
  #local: LocalEngine | null = null;
  #release: (() => void) | null = null;
  #abort = new AbortController();
  #change: StateChange = { state: 'connecting' };
  #session: Session | null = null;
  #position: string | null = null;
  #appearance: { readonly show?: string; readonly status?: string } = {};
  #token: string | null = null;
  #name = '';
  #isClosed = false;

  constructor(
    private readonly core: Core,
    private readonly settings: Settings,
    private readonly platform: Platform,
    private readonly audience: Audience,
  ) {
    this.#me = platform.uuid();
  }

  get session(): Session | null {
    return this.#local?.session ?? this.#session;
  }

  get position(): string | null {
    return this.#local ? this.#local.position : this.#position;
  }

  start(): void {
    this.audience.onState(this.#change);
    void this.#find();
  }

  ask(name: string, params: Json): Promise<Reply> {
    if (this.#local) return this.#local.ask(name, params);
    if (this.#isClosed) return Promise.reject(new this.core.ChatError(410, 'stopped'));
    if (this.#questions.size >= CAPACITY) return Promise.reject(new this.core.ChatError(429, 'too many requests'));
    return new Promise((resolve, reject) => {
      this.#refs += 1;
      this.#questions.set(this.#refs, { name, params, resolve, reject });
      this.#tell({ kind: 'ask', from: this.#me, ref: this.#refs, name, params });
    });
  }

  setAppearance(appearance: { readonly show?: string; readonly status?: string }): void {
    this.#appearance = appearance;
    this.#local?.setAppearance(appearance);
  }

  close(call: Json | null): void {
    if (this.#isClosed) return;
    const endsAll = call?.all !== undefined;
    const local = this.#local;
    if (endsAll && !local && call) this.#tell({ kind: 'close', call });
    // The ticket is not given up: other tabs go on with it.
    if (!endsAll && this.#peers.size > 0) this.#quit();
    if (local) local.close(endsAll || this.#peers.size === 0 ? call : null);
    this.#stop({ state: 'stopped', reason: 'closed' });
  }

  /** Who the user is decides whose connection it may be. */
  async #find(): Promise<void> {
    const { locks } = globalThis.navigator ?? {};
    const who = locks && typeof BroadcastChannel === 'function' ? await this.#who() : undefined;
    if (this.#isClosed) return;
    if (who === undefined) return this.#lead();
    this.#name = `nextalk ${this.settings.server ?? ''} ${this.settings.domain ?? ''} ${who}`;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data as Note);
    this.platform.watch({
      wake: () => undefined,
      leave: (how) => {
        if (how === 'ended') this.#quit();
        else if (how === 'aside') this.#aside();
      },
      back: () => {
        if (!this.#local && this.#abort.signal.aborted) this.#queue();
      },
    });
    this.#queue();
  }

  async #who(): Promise<string | undefined> {
    const { token } = this.settings;
    const once: Token | undefined =
      typeof token === 'function' ? async () => (this.#token = (await token()) ?? null) : token;
    try {
      return await new this.core.Identity(
        { ...this.settings, ...(once ? { token: once } : {}) },
        this.platform,
        null,
      ).who();
    } catch {
      // A connection of its own knows how to wait for a site that does not answer.
      return undefined;
    }
  }

  /** Waits for the lock, whose holder has the connection. */
  #queue(): void {
    if (this.#isClosed) return;
    this.#abort = new AbortController();
    this.#tell({ kind: 'hello', from: this.#me, rooms: roomsOf(this.audience) });
    const turn = (): Promise<void> | undefined => {
      if (this.#isClosed) return undefined;
      const released = new Promise<void>((resolve) => {
        this.#release = resolve;
      });
      this.#lead();
      return released;
    };
    navigator.locks.request(this.#name, { signal: this.#abort.signal }, turn).catch(() => undefined);
  }

  #lead(): void {
    const { token } = this.settings;
    const engine = this;
    const settings: Settings = {
      ...this.settings,
      ...(typeof token === 'function' ? { token: () => this.#takeToken() ?? token() } : {}),
      get leaveOnClose(): boolean {
        return engine.settings.leaveOnClose && engine.#peers.size === 0;
      },
    };
    const session = this.#session;
    const kept = session && {
      session,
      position: this.#position,
      at: this.platform.clock.now(),
      roster: this.audience.roster(),
    };
    const local = new this.core.LocalEngine(settings, this.platform, this.#teller(), kept);
    this.#local = local;
    local.setAppearance(this.#appearance);
    this.#tell({ kind: 'leads', from: this.#me });
    local.start();
    for (const [ref, { name, params, resolve, reject }] of this.#questions) {
      this.#questions.delete(ref);
      local.ask(name, params).then(resolve, reject);
    }
  }

  #takeToken(): string | null {
    const token = this.#token;
    this.#token = null;
    return token;
  }

  /** Tells this page and, while this tab has the connection, the others. */
  #teller(): Audience {
    const { audience } = this;
    return {
      onState: (change) => {
        this.#change = change;
        this.#tell({ kind: 'state', change });
        audience.onState(change);
        if (change.state === 'stopped') this.#stop(null);
      },
      onFrame: (frame) => {
        this.#tell({ kind: 'frame', frame, position: this.position });
        audience.onFrame(frame);
      },
      onCome: (come) => {
        this.#tell({ kind: 'come', come });
        audience.onCome(come);
      },
      onKept: (kept) => {
        this.#tell({ kind: 'kept', to: null, kept, change: null });
        audience.onKept(kept);
      },
      roster: () => audience.roster(),
    };
  }

  #tell(note: Note): void {
    this.#channel?.postMessage(note);
  }

  #hear(note: Note): void {
    if (note.kind === 'hello') this.#peers.add(note.from);
    else if (note.kind === 'bye') this.#peers.delete(note.from);
    if (this.#isClosed) return;
    if (this.#local) this.#hearFollower(note, this.#local);
    else this.#hearLeader(note);
  }

  #hearFollower(note: Note, local: LocalEngine): void {
    if (note.kind === 'close') local.close(note.call);
    else if (note.kind === 'state' && note.change.state === 'stopped') {
      // This tab has had the lock sooner than the word of the one before that all tabs stop.
      this.#local = null;
      local.release(false);
      this.#stop(note.change);
    } else if (note.kind === 'ask') {
      const { from: to, ref, name, params } = note;
      local.ask(name, params).then(
        (reply) => this.#tell({ kind: 'answer', to, ref, reply, error: null }),
        ({ code, message, detail }: ChatError) => {
          this.#tell({ kind: 'answer', to, ref, reply: null, error: { code, message, detail } });
        },
      );
    } else if (note.kind === 'hello') {
      const kept = local.keep();
      if (!kept) return;
      this.#tell({ kind: 'kept', to: note.from, kept, change: this.#change });
      // A room that only this page names is joined for all.
      const known = roomsOf(this.audience);
      const missing = note.rooms.filter((room) => !known.includes(room));
      for (const room of missing) local.ask('join', { room }).catch(() => undefined);
    }
  }

  #hearLeader(note: Note): void {
    const { audience } = this;
    if (note.kind === 'leads') {
      this.#peers.add(note.from);
      this.#tell({ kind: 'hello', from: this.#me, rooms: roomsOf(audience) });
      // What the one before has not answered; a message's id keeps it from coming twice.
      for (const [ref, { name, params }] of this.#questions)
        this.#tell({ kind: 'ask', from: this.#me, ref, name, params });
    } else if (note.kind === 'kept' && (note.to === null || note.to === this.#me)) {
      this.#session = note.kept.session;
      this.#position = note.kept.position;
      // What an earlier page of this tab has left is the others' now.
      this.platform.storage?.set(this.core.storageKey(this.settings), null);
      if (this.#change.state !== 'online') audience.onKept(note.kept);
      if (note.change) this.#follow(note.change);
    } else if (note.kind === 'come') {
      this.#session = note.come.session;
      this.#position = '0';
      audience.onCome(note.come);
    } else if (note.kind === 'state') this.#follow(note.change);
    else if (note.kind === 'frame') {
      this.#position = note.position;
      if (this.#change.state === 'online') audience.onFrame(note.frame);
    } else if (note.kind === 'answer' && note.to === this.#me) this.#answer(note.ref, note.reply, note.error);
  }

  #follow(change: StateChange): void {
    this.#change = change;
    if (change.state === 'stopped') return this.#stop(change);
    this.audience.onState(change);
  }

  #answer(ref: number, reply: Reply | null, error: Failure | null): void {
    const question = this.#questions.get(ref);
    this.#questions.delete(ref);
    if (reply) question?.resolve(reply);
    else if (error) question?.reject(new this.core.ChatError(error.code, error.message, error.detail));
  }

  /** The page goes into the back/forward cache: another tab has the connection at once, and this one waits again when it is back. */
  #aside(): void {
    const local = this.#local;
    const isAlone = this.#peers.size === 0;
    this.#abort.abort();
    // A browser may drop the page without a word; `hello` follows when it is back, and `leads` asks who else is there.
    this.#tell({ kind: 'bye', from: this.#me, rooms: [] });
    this.#peers.clear();
    if (!local) return;
    this.#session = isAlone ? null : local.session;
    this.#position = local.position;
    this.#local = null;
    local.release(isAlone);
    this.#release?.();
  }

  /** Ends this tab's share: it tells the other tabs nothing more. */
  #quit(): void {
    this.#tell({ kind: 'bye', from: this.#me, rooms: [] });
    this.#channel?.close();
    this.#channel = null;
  }

  #stop(change: StateChange | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#quit();
    this.#abort.abort();
    this.#release?.();
    for (const { reject } of this.#questions.values()) reject(new this.core.ChatError(410, 'stopped', change?.reason));
    this.#questions.clear();
    if (change && !this.#local) this.audience.onState(change);
  }
}
