/** The messages of the open conversation: a stretch of them is in the document, and moves as its reader scrolls. */
import type { Context } from './context.js';
import { ICONS } from './context.js';
import type { Conversation } from './conversation.js';
import { arrange, h, icon, say, set } from './dom.js';
import type { Line } from './line.js';
import { dayOf, isTogether, messageElement, type Place, signatureOf } from './message.js';

/** Messages in the document at most, and by how many the stretch moves. */
const SHOWN = 150;
const STEP = 50;
/** How near to an edge more is brought. */
const NEAR_PX = 240;
/** How near to the end a reader follows what comes. */
const PINNED_PX = 48;

interface Made {
  readonly signature: string;
  readonly element: HTMLElement;
}

export class Thread {
  readonly element: HTMLElement;
  readonly #scroller: HTMLElement;
  readonly #lines = h('div', { class: 'lines' });
  readonly #top = h('p', { class: 'hint' });
  readonly #typing = h('p', { class: 'typing' });
  readonly #newest: HTMLButtonElement;
  readonly #newer = h('span');
  readonly #resize: ResizeObserver;
  #conversation: Conversation | null = null;
  #made = new Map<string, Made>();
  /** The last message in the document while its reader is further up; null: the newest. */
  #end: string | null = null;
  #isPinned = true;
  #isReaching = false;

  constructor(
    private readonly context: Context,
    /** The end of the conversation has come into sight, or gone. */
    private readonly onPinned: (isPinned: boolean) => void,
  ) {
    const { speech } = context;
    this.#scroller = h(
      'div',
      { class: 'scroll log', role: 'log', 'aria-live': 'off', tabindex: 0 },
      this.#top,
      this.#lines,
      this.#typing,
    );
    this.#newest = h(
      'button',
      {
        type: 'button',
        class: 'newest',
        hidden: true,
        'aria-label': speech.say('toNewest'),
        onclick: () => {
          this.focus();
          void this.toNewest();
        },
      },
      this.#newer,
      icon(ICONS.down),
    );
    this.element = h('div', { class: 'thread' }, this.#scroller, this.#newest);
    this.#scroller.addEventListener('scroll', () => this.#onScroll(), { passive: true });
    this.#resize = new ResizeObserver(() => this.#stay());
    this.#resize.observe(this.#scroller);
    this.#resize.observe(this.#lines);
  }

  get isPinned(): boolean {
    return this.#isPinned;
  }

  close(): void {
    this.#resize.disconnect();
  }

  show(conversation: Conversation | null): void {
    if (this.#conversation === conversation) return;
    this.#conversation = conversation;
    this.#made.clear();
    this.#end = null;
    this.#setPinned(true);
    const name = conversation ? this.context.model.nameOf(conversation.id) : '';
    set(this.#scroller, 'aria-label', this.context.speech.say('messages', { name }));
    this.update();
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Draws what has changed; what is read stays where it is. */
  update(): void {
    const conversation = this.#conversation;
    if (!conversation) return arrange(this.#lines, []);
    const anchor = this.#isPinned ? null : this.#anchor();
    this.#drawTop(conversation);
    arrange(this.#lines, this.#elements(conversation));
    this.#drawTyping(conversation);
    this.#drawNewest(conversation);
    if (this.#isPinned) this.#stay();
    else if (anchor?.element.isConnected) this.#scroller.scrollTop += anchor.element.offsetTop - anchor.top;
    this.#reach();
  }

  focus(): void {
    this.#scroller.focus({ preventScroll: true });
  }

  async toNewest(): Promise<void> {
    const conversation = this.#conversation;
    if (!conversation) return;
    this.#end = null;
    this.#setPinned(true);
    const isRestarted = !conversation.isLive;
    const loading = this.context.model.toNewest(conversation);
    this.update();
    if (isRestarted) await loading;
  }

  #stay(): void {
    if (this.#isPinned) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Which messages are in the document: indexes of the first, and behind the last. */
  #stretch({ lines }: Conversation): readonly [number, number] {
    const last = this.#end === null ? -1 : lines.findIndex(({ key }) => key === this.#end);
    const end = last < 0 ? lines.length : last + 1;
    return [Math.max(0, end - SHOWN), Math.max(end, Math.min(SHOWN, lines.length))];
  }

  #elements(conversation: Conversation): HTMLElement[] {
    const { lines, firstUnread } = conversation;
    const [from, to] = this.#stretch(conversation);
    const made = new Map<string, Made>();
    const elements: HTMLElement[] = [];
    const keep = (key: string, signature: string, make: () => HTMLElement): void => {
      const before = this.#made.get(key);
      const one = before?.signature === signature ? before : { signature, element: make() };
      made.set(key, one);
      elements.push(one.element);
    };
    for (let i = from; i < to; i++) {
      const line = lines[i] as Line;
      const before = i > 0 ? lines[i - 1] : undefined;
      this.#separate(line, before, firstUnread, keep);
      const isFirst = line.key === firstUnread;
      const next = lines[i + 1];
      const isNextApart = next?.key === firstUnread;
      const place: Place = {
        isHead: isFirst || !isTogether(before, line),
        isTail: isNextApart || !isTogether(line, next),
      };
      keep(line.key, signatureOf(line, place), () => messageElement(line, place, conversation, this.context));
    }
    this.#made = made;
    return elements;
  }

  #separate(
    line: Line,
    before: Line | undefined,
    firstUnread: string | null,
    keep: (key: string, signature: string, make: () => HTMLElement) => void,
  ): void {
    const { speech, now } = this.context;
    const day = dayOf(line.at);
    if (!before || dayOf(before.at) !== day) {
      const text = speech.day(line.at, now());
      keep(`day ${day}`, text, () => h('div', { class: 'day' }, h('span', {}, text)));
    }
    if (line.key === firstUnread && before)
      keep('new', '', () => h('div', { class: 'day new' }, h('span', {}, speech.say('newMessages'))));
  }

  #drawTop(conversation: Conversation): void {
    const { speech, model } = this.context;
    const isEmpty = conversation.lines.length === 0;
    const text = conversation.isLoading
      ? speech.say('loading')
      : isEmpty && (model.hasHistory === false || !conversation.hasOlder)
        ? `${speech.say('empty')} ${speech.say('emptyHint')}`
        : '';
    say(this.#top, text);
  }

  #drawTyping(conversation: Conversation): void {
    const { speech, model, now } = this.context;
    const names = conversation.typists(now()).map((id) => model.nameOf(id));
    const [name = '', other = ''] = names;
    const word = names.length === 1 ? 'typing' : names.length === 2 ? 'typingTwo' : 'typingMany';
    say(this.#typing, names.length === 0 ? '' : speech.say(word, { name, other }));
  }

  #drawNewest(conversation: Conversation): void {
    const { speech } = this.context;
    const { unread } = conversation;
    set(this.#newest, 'hidden', this.#isPinned);
    say(this.#newer, unread > 0 ? speech.say('newer', { n: unread }) : '');
  }

  /** The first message in sight and where it stands. */
  #anchor(): { readonly element: HTMLElement; readonly top: number } | null {
    const { scrollTop } = this.#scroller;
    for (const { element } of this.#made.values()) {
      if (element.offsetTop + element.offsetHeight > scrollTop) return { element, top: element.offsetTop };
    }
    return null;
  }

  #setPinned(isPinned: boolean): void {
    if (this.#isPinned === isPinned) return;
    this.#isPinned = isPinned;
    this.onPinned(isPinned);
  }

  #onScroll(): void {
    const conversation = this.#conversation;
    if (!conversation) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (clientHeight === 0) return;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < PINNED_PX;
    const isWhole = conversation.isLive && this.#stretch(conversation)[1] === conversation.lines.length;
    if (!isAtEnd && this.#end === null) this.#end = conversation.lines[conversation.lines.length - 1]?.key ?? null;
    if (isAtEnd && isWhole) this.#end = null;
    this.#setPinned(isAtEnd && isWhole);
    this.#drawNewest(conversation);
    this.#reach();
  }

  /** Brings more where its reader comes near to an edge of what is in the document. */
  #reach(): void {
    const conversation = this.#conversation;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (!conversation || this.#isReaching || clientHeight === 0) return;
    const { model } = this.context;
    const [from, to] = this.#stretch(conversation);
    const below = scrollHeight - scrollTop - clientHeight;
    if (scrollTop < NEAR_PX && from > 0) this.#move(conversation, Math.max(to - STEP, SHOWN));
    else if (below < NEAR_PX && to < conversation.lines.length) this.#move(conversation, to + STEP);
    else if (conversation.isLoading || model.hasHistory === false) return;
    else if (scrollTop < NEAR_PX && conversation.hasOlder) void model.loadOlder(conversation);
    else if (below < NEAR_PX && !conversation.isLive) void model.loadNewer(conversation);
  }

  #move({ lines }: Conversation, end: number): void {
    this.#end = lines[Math.min(end, lines.length) - 1]?.key ?? null;
    this.#isReaching = true;
    this.#setPinned(false);
    this.update();
    this.#isReaching = false;
    this.#onScroll();
  }
}
