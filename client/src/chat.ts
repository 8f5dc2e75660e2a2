/** A chat, as a page has it: events, sending, who is there. */
import { type Audience, type Engine, type Kept, LocalEngine, type Platform, type Settings } from './engine.js';
import { catchUp } from './gap.js';
import { type Come, shortId, type Token } from './identity.js';
import { Listeners } from './listeners.js';
import type { StateChange } from './machine.js';
import { ChatError } from './outbox.js';
import { type Person, Roster, Seen } from './roster.js';
import { Typing } from './typing.js';
import type { Frame, Json, Kind, Message, Presence, Reply, Status } from './wire.js';

export interface Options {
  /** Where the server is; left out: where the script came from. */
  readonly server?: string;
  /** A token that the site has signed, or a function that fetches one; a token of null: no user is signed in on this page. */
  readonly token?: Token;
  /** In place of `token`: a function that has the site call ONLINE and answers what ONLINE answered. */
  readonly online?: () => unknown;
  /** The domain, beside `online`; beside a token only where that names several. */
  readonly domain?: string;
  /** Beside `online`: who the page is for, so that the next page of the site may go on with this one's ticket. */
  readonly user?: string;
  /** In place of calls to the server: a function that has the site send a message. */
  readonly send?: (message: Outgoing & { readonly id: string }) => unknown;
  readonly transports?: readonly Kind[];
  /** Whether a hidden page leaves undone what can wait; true unless it is set. */
  readonly visible?: boolean;
  /** One connection for all tabs of the user. */
  readonly shareTabs?: boolean;
  /** The user goes offline when the page ends, and not only some seconds later. */
  readonly leaveOnClose?: boolean;
}

export interface Outgoing {
  /** The receiver: a short id, or `gid:` and a room. */
  readonly to: string;
  readonly body: string;
  /** `chat`, or `grpchat` to a room; left out, `to` tells. */
  readonly type?: string;
  readonly style?: string;
  readonly data?: unknown;
  /** The message's own id; left out, one is made. */
  readonly id?: string;
}

export interface Sent {
  readonly id: string;
  /** What became of the message: `delivered queued stored dropped unknown`, or `sent` where nobody said. */
  readonly outcome: string;
  /** Of a room: its members who are online and visible. */
  readonly members?: number;
}

export interface Events {
  message: Message;
  presence: Presence;
  status: Status;
  state: StateChange;
  /** How many packets are gone for good, `lost` of them messages; null: nobody knows how many. */
  missed: { readonly count: number | null; readonly lost: number | null };
}

export interface History {
  /** The messages, the oldest first. */
  readonly messages: readonly Message[];
  /** For `before` or `after` of the next call; absent: there is no more. */
  readonly next?: string;
}

export interface Range {
  readonly before?: string;
  readonly after?: string;
  readonly limit?: number;
}

/** Makes an engine for an audience: sharing among tabs has one of its own. */
export type EngineMaker = (settings: Settings, platform: Platform, audience: Audience) => Engine | Promise<Engine>;

const HELD = 1_000;
/** How many ids one call `presences` may ask about. */
const IDS = 500;

export class Chat {
  readonly #listeners: Listeners<Events>;
  #engine: Engine | null = null;
  readonly #loading: Promise<Engine>;
  readonly #roster = new Roster();
  readonly #seen = new Seen();
  readonly #typing: Typing;
  /** Rooms that this page has joined. */
  readonly #joined = new Set<string>();
  /** Messages that wait until those before them have been fetched; null: none is being fetched. */
  #held: Message[] | null = null;
  #change: StateChange = { state: 'connecting' };
  #isNew = false;
  /** When the client last knew that it missed nothing. */
  #knownAt = 0;
  /** Resolves when the user is online for the first time; rejects with ChatError where that will never be. */
  readonly ready: Promise<void>;

  constructor(
    private readonly options: Options,
    private readonly platform: Platform,
    settings: Settings,
    make: EngineMaker = (...parts) => new LocalEngine(...parts),
  ) {
    this.#listeners = new Listeners(platform.report);
    this.#typing = new Typing(platform.clock, (to, show) => this.#status(to, show));
    this.ready = new Promise((resolve, reject) => {
      const off = this.on('state', ({ state, reason }) => {
        if (state === 'online') resolve();
        else if (state === 'stopped') reject(new ChatError(410, 'stopped', reason));
        else return;
        off();
      });
    });
    this.ready.catch(() => undefined);
    // Listeners that are added at once hear of everything.
    this.#loading = Promise.resolve(make(settings, platform, this.#audience())).then((engine) => {
      this.#engine = engine;
      engine.start();
      return engine;
    });
  }

  get state(): StateChange {
    return this.#change;
  }

  /** Who the user is, as a short id; null before the first ticket. */
  get id(): string | null {
    const session = this.#engine?.session;
    return session ? shortId(session.ticket) : null;
  }

  /** The buddies that are there, by short id. */
  get presences(): ReadonlyMap<string, Person> {
    return this.#roster.presences;
  }

  /** The members of the user's rooms, by room and short id. */
  get rooms(): ReadonlyMap<string, ReadonlyMap<string, Person>> {
    return this.#roster.rooms;
  }

  /** Calls a listener at each event of a kind; the function that is answered removes the listener. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    return this.#listeners.add(name, listener);
  }

  /** Sends a message, when there is a connection. Rejects with ChatError; the same `id` may then be sent again. */
  async send(message: Outgoing): Promise<Sent> {
    const id = message.id ?? this.platform.uuid();
    const type = message.type ?? (message.to.startsWith('gid:') ? 'grpchat' : 'chat');
    this.#typing.sent(message.to);
    const { send } = this.options;
    const reply = send
      ? await this.#bySite(send, { ...message, type, id })
      : await this.#call('message', { ...message, type, id });
    const { id: given = id, outcome = 'sent', members } = reply as Partial<Sent>;
    return { id: given, outcome, ...(members === undefined ? {} : { members }) };
  }

  /** The user is typing to `to`: call it at every key. */
  typing(to: string): void {
    this.#typing.typed(to);
  }

  /** The user has read what `to` wrote, up to the message of this id. */
  read(to: string, id: string): void {
    this.#status(to, `read ${id}`);
  }

  /** Sets what others see of the user: `available away chat dnd busy invisible`, and a text. */
  async show(show: string, status?: string): Promise<void> {
    const appearance = { show, ...(status === undefined ? {} : { status }) };
    await this.#call('show', appearance);
    this.#engine?.setAppearance(appearance);
  }

  async join(room: string): Promise<void> {
    await this.#call('join', { room });
    this.#joined.add(room);
    await this.#fetchMembers(room);
  }

  async leave(room: string): Promise<void> {
    await this.#call('leave', { room });
    this.#joined.delete(room);
    this.#roster.rooms.delete(room);
  }

  /** What was said with somebody, or in a room (`gid:lobby`). */
  history(id: string, range: Range = {}): Promise<History> {
    return this.#page<'messages', Message>('messages', { with: id, ...range });
  }

  /** The conversations, the newest first: `{with, last, unread}`. */
  conversations(range: Range = {}): Promise<{ readonly conversations: readonly Json[]; readonly next?: string }> {
    return this.#page<'conversations', Json>('conversations', { ...range });
  }

  /** Any other call that the server answers (PROTOCOL section 14). */
  call(name: string, params: Json = {}): Promise<Reply> {
    return this.#call(name, params);
  }

  /** Leaves: the server ends this client, too. */
  close(): void {
    this.#end({ call: 'offline', ref: 'close' });
  }

  /** Ends all clients of the user. */
  signOut(): void {
    this.#end({ call: 'offline', ref: 'signOut', all: '1' });
  }

  #end(offline: Json): void {
    this.#typing.close();
    void this.#loading.then((engine) => engine.close(offline));
  }

  async #call(name: string, params: Json): Promise<Reply> {
    return (await this.#loading).ask(name, params);
  }

  async #page<Name extends string, T>(
    name: Name,
    params: Json,
  ): Promise<{ readonly [key in Name]: readonly T[] } & { readonly next?: string }> {
    const { [name as string]: items, next } = await this.#call('history', params);
    const page = { [name]: Array.isArray(items) ? items : [], ...(typeof next === 'string' ? { next } : {}) };
    return page as { readonly [key in Name]: readonly T[] };
  }

  async #bySite(send: NonNullable<Options['send']>, message: Outgoing & { readonly id: string }): Promise<Json> {
    try {
      const answer = await send(message);
      return typeof answer === 'object' && answer !== null ? (answer as Json) : {};
    } catch (error) {
      if (error instanceof ChatError) throw error;
      throw new ChatError(502, 'the site has not sent it', error instanceof Error ? error.message : undefined);
    }
  }

  /** Notices are of the moment: they wait for nothing, and nobody needs to know that one did not go. */
  #status(to: string, show: string): void {
    if (this.#change.state === 'online') this.#call('status', { to, show }).catch(() => undefined);
  }

  #audience(): Audience {
    return {
      onState: (change) => this.#onState(change),
      onFrame: (frame) => this.#onFrame(frame),
      onCome: (come) => this.#onCome(come),
      onKept: (kept) => this.#onKept(kept),
      roster: () => this.#roster.copy(),
    };
  }

  #onCome({ presences, rooms }: Come): void {
    this.#isNew = true;
    this.#roster.setPresences(presences);
    this.#roster.rooms.clear();
    for (const room of rooms) this.#roster.room(room);
  }

  #onKept({ roster, at }: Kept): void {
    this.#knownAt = at;
    this.#roster.restore(roster);
  }

  #onState(change: StateChange): void {
    const isTurning = (this.#change.state === 'online') !== (change.state === 'online');
    // Until it was lost, and from its first moment on, a connection misses nothing.
    if (isTurning && (change.state !== 'online' || this.#knownAt === 0)) this.#knownAt = this.platform.clock.now();
    this.#change = change;
    const isNew = change.state === 'online' && this.#isNew;
    if (isNew) {
      this.#isNew = false;
      this.#fetchRooms();
      if (change.fresh) this.#fetchGap(true);
    }
    this.#listeners.tell('state', change);
  }

  #onFrame(frame: Frame): void {
    for (const message of frame.messages) {
      if (this.#held && this.#held.length < HELD) this.#held.push(message);
      else this.#onMessage(message);
    }
    for (const packet of frame.presences) this.#listeners.tell('presence', this.#roster.take(packet));
    for (const status of frame.statuses) this.#listeners.tell('status', status);
    if (frame.missed) this.#onMissed(frame);
  }

  #onMessage(message: Message): void {
    if (!this.#seen.add(message)) return;
    this.#knownAt = Math.max(this.#knownAt, Number(message.timestamp) || 0);
    this.#listeners.tell('message', message);
  }

  #onMissed({ missed, lost }: Frame): void {
    const count = typeof missed === 'number' ? missed : null;
    const messages = count === null ? null : (lost ?? 0);
    this.#listeners.tell('missed', { count, lost: messages });
    // Presences may be among what is gone.
    if (count === null || messages === null || count > messages) {
      this.#fetchPresences();
      this.#fetchRooms();
    }
    if (messages !== 0) this.#fetchGap(false);
  }

  #fetchRooms(): void {
    for (const room of this.#joined) if (!this.rooms.has(room)) void this.join(room).catch(() => undefined);
    for (const room of this.rooms.keys()) void this.#fetchMembers(room);
  }

  async #fetchMembers(room: string): Promise<void> {
    this.#roster.room(room);
    try {
      this.#roster.setMembers(room, (await this.#call('members', { room, full: '1' })).presences);
    } catch {
      // Not allowed here: the room's packets tell who comes and goes.
    }
  }

  #fetchPresences(): void {
    const ids = [...this.#roster.presences.keys()];
    if (ids.length === 0) return;
    const parts: Promise<Reply>[] = [];
    while (ids.length > 0) parts.push(this.#call('presences', { ids: ids.splice(0, IDS).join(','), full: '1' }));
    Promise.all(parts).then(
      (replies) => this.#roster.setPresences(Object.assign({}, ...replies.map(({ presences }) => presences))),
      () => undefined,
    );
  }

  /** Messages that the history has and this client has not had. */
  #fetchGap(isFresh: boolean): void {
    const unknown = { count: null, lost: null };
    // A server without positions answers no calls either, and its messages do not wait for an answer.
    if (this.#engine?.position == null) {
      if (isFresh) this.#listeners.tell('missed', unknown);
      return;
    }
    if (this.#held) return;
    this.#held = [];
    const isKnown = (message: Message): boolean => this.#seen.has(message);
    catchUp(this, this.#knownAt, isKnown).then(
      ({ messages, isWhole }) => this.#release(messages, isFresh && !isWhole),
      () => this.#release([], isFresh),
    );
  }

  #release(messages: readonly Message[], isUnknown: boolean): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const message of [...messages, ...held]) this.#onMessage(message);
    if (isUnknown) this.#listeners.tell('missed', { count: null, lost: null });
  }
}
