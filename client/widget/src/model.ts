/** What the widget knows: conversations, who is there, what the connection does. It draws nothing. */
import type { Chat, Sent } from '../../src/chat.js';
import type { StateChange } from '../../src/machine.js';
import { keyOf, type Person } from '../../src/roster.js';
import type { Json, Message, Presence, Status } from '../../src/wire.js';
import { Conversation, KEPT, KEPT_CLOSED, lastOf, roomOf } from './conversation.js';
import { type Line, lineOf, outcomeOf } from './line.js';
import { Names } from './names.js';
import { ReadMarks } from './read-marks.js';
import type { Timer } from './timer.js';

/** Conversations that are kept; beyond it those that were quiet longest are forgotten. */
const CONVERSATIONS = 300;
/** Buddies whose names are asked for, in one call. */
const NAMELESS = 999;

export type Chatting = Pick<
  Chat,
  | 'on'
  | 'send'
  | 'typing'
  | 'read'
  | 'show'
  | 'join'
  | 'leave'
  | 'history'
  | 'conversations'
  | 'call'
  | 'close'
  | 'id'
  | 'presences'
  | 'rooms'
  | 'state'
>;

export interface Listener {
  /** Something that is drawn has changed. */
  changed(): void;
  state(change: StateChange): void;
  /** A message of somebody else's has come that the user does not see at this moment. */
  unseen(conversation: Conversation, line: Line): void;
  /** A message of somebody else's has come into the open conversation. */
  heard(line: Line): void;
}

/** Whether a call has failed by the connection: such a failure says nothing of what the domain allows. */
function isUnanswered(error: unknown): boolean {
  const { code } = error as { readonly code?: number };
  return code === 408 || code === 410;
}

export class Model {
  readonly conversations = new Map<string, Conversation>();
  readonly #names = new Names();
  state: StateChange = { state: 'connecting' };
  /** What others see of the user. */
  show = 'available';
  /** The conversation that is shown; null: none. */
  open: Conversation | null = null;
  /** Whether the user sees the end of the open conversation at this moment. */
  isSeen = false;
  /** Whether the domain keeps a history that this client may read; null: not known yet. */
  hasHistory: boolean | null = null;
  /** Messages are gone that no history has. */
  hasMissed = false;
  readonly #marks: ReadMarks;
  readonly #off: (() => void)[] = [];
  #isClosed = false;

  constructor(
    readonly chat: Chatting,
    private readonly timer: Timer,
    private readonly listener: Listener,
    /** Rooms that the page names. */
    private readonly rooms: readonly string[],
  ) {
    this.#marks = new ReadMarks(timer, (to, id) => chat.read(to, id));
    this.#off = [
      chat.on('state', (change) => this.#onState(change)),
      chat.on('message', (message) => this.#onMessage(message)),
      chat.on('presence', (presence) => this.#onPresence(presence)),
      chat.on('status', (status) => this.#onStatus(status)),
      chat.on('missed', ({ lost }) => {
        this.hasMissed = lost !== 0 && this.hasHistory !== true;
        listener.changed();
      }),
    ];
  }

  get self(): string | null {
    return this.chat.id;
  }

  get unread(): number {
    let sum = 0;
    for (const { unread } of this.conversations.values()) sum += unread;
    return sum;
  }

  /** How somebody, or a room, is called. */
  nameOf(id: string): string {
    const room = roomOf(id);
    if (room !== null) return room;
    return this.#names.get(id) || this.chat.presences.get(id)?.nick || id;
  }

  /** What is known of somebody who is there; null of anybody else. */
  personOf(id: string): Person | null {
    const buddy = this.chat.presences.get(id);
    if (buddy) return buddy;
    for (const members of this.chat.rooms.values()) {
      const member = members.get(id);
      if (member) return member;
    }
    return null;
  }

  conversation(id: string): Conversation {
    const known = this.conversations.get(id);
    if (known) return known;
    const made = new Conversation(id);
    this.conversations.set(id, made);
    this.#bound(made);
    return made;
  }

  /** Shows a conversation. */
  openConversation(id: string): Conversation {
    this.closeConversation();
    const conversation = this.conversation(id);
    this.open = conversation;
    conversation.firstUnread =
      conversation.unread > 0
        ? (conversation.lines[conversation.lines.length - conversation.unread]?.key ?? null)
        : null;
    if (conversation.lines.length < KEPT_CLOSED) void this.loadOlder(conversation);
    this.listener.changed();
    return conversation;
  }

  closeConversation(): void {
    const { open } = this;
    this.open = null;
    this.isSeen = false;
    if (!open) return;
    open.restart();
    open.trimStart(KEPT_CLOSED);
    open.firstUnread = null;
    this.listener.changed();
  }

  /** The user sees, or no longer sees, the end of the open conversation. */
  see(isSeen: boolean): void {
    this.isSeen = isSeen && this.open !== null;
    if (this.isSeen && this.open) this.#markSeen(this.open);
  }

  /** Sends a message to the open conversation's other side. */
  send(conversation: Conversation, body: string): void {
    const id = this.timer.uuid();
    const from = this.self ?? '';
    conversation.restart();
    const line: Line = {
      key: keyOf(from, id),
      id,
      from,
      nick: '',
      body,
      at: this.timer.now(),
      isMine: true,
      image: null,
      outcome: 'sending',
      reason: '',
    };
    conversation.add(line, KEPT);
    conversation.firstUnread = null;
    this.#transmit(conversation, line);
  }

  /** Sends a message again: one that was not taken under the same id, which doubles nothing. */
  retry(conversation: Conversation, line: Line): void {
    if (line.outcome === 'dropped') {
      // The server remembers what became of this id.
      conversation.remove(line.key);
      return this.send(conversation, line.body);
    }
    conversation.update(line.key, { outcome: 'sending', reason: '' });
    this.#transmit(conversation, line);
  }

  #transmit(conversation: Conversation, { key, id, body }: Line): void {
    this.listener.changed();
    this.chat.send({ to: conversation.id, body, id }).then(
      ({ outcome }: Sent) => this.#settle(conversation, key, { outcome: outcomeOf(outcome) }),
      (error: Error & { readonly detail?: string }) =>
        this.#settle(conversation, key, { outcome: 'failed', reason: error.detail ?? error.message }),
    );
  }

  #settle(conversation: Conversation, key: string, change: Partial<Line>): void {
    if (this.#isClosed) return;
    conversation.update(key, change);
    this.listener.changed();
  }

  async loadOlder(conversation: Conversation): Promise<void> {
    await this.#load(conversation, () => conversation.loadOlder(this.#history, this.self, this.timer.now()));
  }

  async loadNewer(conversation: Conversation): Promise<void> {
    await this.#load(conversation, () => conversation.loadNewer(this.#history, this.self, this.timer.now()));
    if (conversation.isLive && conversation.lines.length === 0) await this.loadOlder(conversation);
  }

  /** Goes to the newest message of a conversation. */
  async toNewest(conversation: Conversation): Promise<void> {
    if (conversation.isLive) return;
    conversation.restart();
    await this.loadOlder(conversation);
  }

  readonly #history = (id: string, range: object) => this.chat.history(id, range);

  async #load(conversation: Conversation, run: () => Promise<void>): Promise<void> {
    if (this.hasHistory === false || this.state.state !== 'online') return;
    const loading = run();
    this.listener.changed();
    try {
      await loading;
      this.hasHistory = true;
    } catch (error) {
      if (this.hasHistory === null && !isUnanswered(error)) this.hasHistory = false;
      conversation.setHistory(false);
    }
    if (!this.#isClosed) this.listener.changed();
  }

  /** Sets what others see. Rejects with ChatError. */
  async setShow(show: string): Promise<void> {
    await this.chat.show(show);
    this.show = show;
    this.listener.changed();
  }

  close(): void {
    this.#isClosed = true;
    for (const off of this.#off) off();
    this.#marks.close();
    this.chat.close();
  }

  #onState(change: StateChange): void {
    const isFirst = this.state.state !== 'online' && change.state === 'online';
    this.state = change;
    if (isFirst) {
      for (const conversation of this.conversations.values()) conversation.setHistory(true);
      this.#joinRooms();
      void this.#loadPeople();
      void this.#loadConversations();
      if (this.open && this.open.lines.length < KEPT_CLOSED) void this.loadOlder(this.open);
    }
    this.listener.state(change);
    this.listener.changed();
  }

  #joinRooms(): void {
    for (const room of this.rooms) {
      if (!this.chat.rooms.has(room)) this.chat.join(room).then(this.listener.changed, () => undefined);
    }
  }

  /** Who came online anew is told of buddies by id alone, and of the own show nothing. */
  async #loadPeople(): Promise<void> {
    const { self } = this;
    if (self === null) return;
    const nameless = [...this.chat.presences].filter(([id, { nick }]) => !nick && !this.#names.get(id));
    const ids = [self, ...nameless.slice(0, NAMELESS).map(([id]) => id)].join(',');
    try {
      const { presences } = await this.chat.call('presences', { ids, full: '1' });
      this.#names.take(presences);
      const own = (presences as Json | undefined)?.[self];
      // Whoever is online and not listed is invisible.
      this.show = typeof own === 'string' ? own : String((own as Json | undefined)?.show ?? 'invisible');
      this.listener.changed();
    } catch {
      // Not allowed here: packets tell nicks as they come.
    }
  }

  async #loadConversations(): Promise<void> {
    if (this.hasHistory === false) return;
    try {
      const { conversations } = await this.chat.conversations({ limit: 50 });
      this.hasHistory = true;
      for (const item of conversations) this.#take(item);
    } catch (error) {
      if (!isUnanswered(error)) this.hasHistory = false;
    }
    if (!this.#isClosed) this.listener.changed();
  }

  #take({ with: id, last, unread }: Json): void {
    if (typeof id !== 'string' || typeof last !== 'object' || last === null) return;
    const isKnown = this.conversations.has(id);
    const conversation = this.conversation(id);
    const line = lineOf(last as Message, this.self, this.timer.now());
    if (!line.isMine && line.nick && !conversation.isRoom) this.#names.learn(line.from, line.nick);
    if (!conversation.last || conversation.last.at < line.at) conversation.last = lastOf(line);
    if (!isKnown && this.open !== conversation) conversation.unread = Math.max(0, Number(unread) || 0);
  }

  #onMessage(message: Message): void {
    const now = this.timer.now();
    const line = lineOf(message, this.self, now);
    const id =
      message.type === 'grpchat' ? `gid:${roomOf(message.to) ?? message.to}` : line.isMine ? message.to : line.from;
    const conversation = this.conversation(id);
    if (!line.isMine) this.#names.learn(line.from, line.nick);
    conversation.paused(line.from);
    const isOpen = conversation === this.open;
    if (!conversation.add(line, isOpen ? KEPT : KEPT_CLOSED)) return;
    if (!line.isMine) {
      if (isOpen && this.isSeen && conversation.isLive) this.#markSeen(conversation);
      else {
        conversation.unread += 1;
        if (isOpen) conversation.firstUnread ??= line.key;
        this.listener.unseen(conversation, line);
      }
      if (isOpen) this.listener.heard(line);
    }
    this.listener.changed();
  }

  #onPresence({ from, nick }: Presence): void {
    this.#names.learn(from, nick);
    this.listener.changed();
  }

  #onStatus({ from, to, show }: Status): void {
    const room = roomOf(to) ?? to;
    const isOfRoom = to !== this.self && this.chat.rooms.has(room);
    const conversation = this.conversations.get(isOfRoom ? `gid:${room}` : from);
    if (show === 'typing') {
      const at = conversation ?? (isOfRoom ? null : this.conversation(from));
      at?.typed(from, this.timer.now());
    } else if (show === 'paused') conversation?.paused(from);
    else if (show.startsWith('read ')) {
      if (!isOfRoom) conversation?.markRead(show.slice(5));
    } else if (show.startsWith('deleted ')) conversation?.remove(keyOf(from, show.slice(8)));
    else return;
    this.listener.changed();
  }

  #markSeen(conversation: Conversation): void {
    const newest = [...conversation.lines].reverse().find(({ isMine }) => !isMine);
    if (conversation.unread > 0) {
      conversation.unread = 0;
      this.listener.changed();
    }
    if (!newest || newest.id.startsWith('#') || (conversation.isRoom && this.hasHistory !== true)) return;
    this.#marks.read(conversation.id, newest.id);
  }

  /** Forgets the conversation that was quiet longest, where there are too many. */
  #bound(made: Conversation): void {
    if (this.conversations.size <= CONVERSATIONS) return;
    const others = [...this.conversations.values()].filter((one) => one !== made && one !== this.open);
    const quietest = others.reduce((one, other) => ((other.last?.at ?? 0) < (one.last?.at ?? 0) ? other : one));
    this.conversations.delete(quietest.id);
  }
}
