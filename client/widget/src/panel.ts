/** The widget's surface: a button and a panel, or a panel that fills its box. */
import { Alerts, badgeTitle } from './alerts.js';
import { Banner } from './banner.js';
import { type Context, ICONS } from './context.js';
import type { Conversation } from './conversation.js';
import { h, icon, say, set } from './dom.js';
import type { Line } from './line.js';
import { closeButton, Main } from './main.js';
import { StatusMenu } from './menu.js';
import type { Model } from './model.js';
import { Side } from './side.js';
import type { Speech } from './strings.js';

/** From this width on, list and conversation stand side by side. */
const WIDE_PX = 620;
const TICK_MS = 1_000;
const SPOKEN_CHARACTERS = 200;

export interface Surface {
  readonly model: Model;
  readonly speech: Speech;
  readonly isDocked: boolean;
  readonly imageHosts: readonly string[];
  /** What is shown when the panel opens and nothing else was; null: the list. */
  readonly openWith: string | null;
  onUnread(unread: number): void;
  onOpen(isOpen: boolean, id: string | null): void;
  reconnect(): void;
  /** Shows a conversation in whichever panel is there by then. */
  open(id: string): void;
}

export class Panel {
  readonly element: HTMLElement;
  readonly #panel: HTMLElement;
  readonly #launcher: HTMLButtonElement;
  readonly #badge = h('span', { class: 'badge', 'aria-hidden': 'true' });
  readonly #spoken = h('div', { class: 'quiet', role: 'status', 'aria-live': 'polite' });
  readonly #alerts = new Alerts();
  readonly #context: Context;
  readonly #side: Side;
  readonly #main: Main;
  readonly #menu: StatusMenu;
  readonly #banner: Banner;
  readonly #resize: ResizeObserver;
  readonly #onVisible = (): void => this.#see();
  #isOpen: boolean;
  #isWide = false;
  #isDue = false;
  #unread = -1;
  #tick: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly surface: Surface) {
    const { model, speech, isDocked } = surface;
    this.#isOpen = !isDocked;
    this.#context = {
      model,
      speech,
      imageHosts: surface.imageHosts,
      now: Date.now,
      open: (id) => this.open(id),
      back: () => this.#back(),
      close: () => this.close(),
    };
    this.#menu = new StatusMenu(this.#context, this.#alerts);
    this.#banner = new Banner(this.#context, () => surface.reconnect());
    const head = h('header', {}, this.#menu.element, isDocked && closeButton(this.#context));
    this.#side = new Side(this.#context, head);
    this.#main = new Main(this.#context, isDocked, () => this.#see());
    this.#launcher = h(
      'button',
      {
        type: 'button',
        class: 'launcher',
        'aria-expanded': 'false',
        onclick: () => (this.#isOpen ? this.close() : this.open(null)),
      },
      icon(ICONS.chat),
      this.#badge,
    );
    this.#panel = h(
      'section',
      { class: 'panel', 'aria-label': speech.say('chat'), onkeydown: (event: KeyboardEvent) => this.#onKey(event) },
      this.#banner.element,
      h('div', { class: 'columns' }, this.#side.element, this.#main.element),
    );
    this.element = h(
      'div',
      { class: isDocked ? 'root docked' : 'root inline' },
      this.#panel,
      isDocked && this.#launcher,
      this.#spoken,
    );
    this.#resize = new ResizeObserver(() => this.#measure());
    this.#resize.observe(this.#panel);
    document.addEventListener('visibilitychange', this.#onVisible);
    if (!isDocked && surface.openWith !== null) model.openConversation(surface.openWith);
    this.#main.show(model.open);
    this.#arrange();
    this.draw();
  }

  /** Draws once for everything that changes in one turn. */
  changed(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      // Another panel may have come in its place meanwhile.
      if (this.element.isConnected) this.draw();
    });
  }

  draw(): void {
    const { model, speech } = this.surface;
    if (this.#unread !== model.unread) {
      this.#unread = model.unread;
      badgeTitle(this, model.unread);
      this.surface.onUnread(model.unread);
    }
    const badge = model.unread > 0 ? speech.count(model.unread) : '';
    say(this.#badge, badge);
    set(this.#badge, 'hidden', badge === '');
    const label = this.#isOpen ? speech.say('close') : speech.say('open');
    set(this.#launcher, 'aria-label', badge ? `${label}, ${speech.say('unread', { n: model.unread })}` : label);
    if (this.#isOpen) {
      this.#banner.update();
      this.#menu.update();
      this.#side.update();
      this.#main.update();
    }
    this.#schedule();
  }

  /** Shows the panel, and in it a conversation; null: what was shown last. */
  open(id: string | null): void {
    const { model, openWith } = this.surface;
    this.#isOpen = true;
    const wanted = id ?? model.open?.id ?? openWith;
    if (wanted !== null && wanted !== model.open?.id) model.openConversation(wanted);
    this.#main.show(model.open);
    this.#arrange();
    this.draw();
    if (model.open) this.#main.focus();
    else this.#side.focus(null);
    this.#see();
    this.surface.onOpen(true, model.open?.id ?? null);
  }

  close(): void {
    if (!this.surface.isDocked || !this.#isOpen) return;
    this.#isOpen = false;
    this.#arrange();
    this.#launcher.focus();
    this.#see();
    this.draw();
    this.surface.onOpen(false, null);
  }

  /** A message has come into the open conversation: screen readers say it. */
  heard({ nick, from, body, image }: Line): void {
    if (!this.#isOpen) return;
    const name = nick || this.surface.model.nameOf(from);
    const text = body || (image ? this.surface.speech.say('image') : '');
    say(this.#spoken, `${name}: ${text.slice(0, SPOKEN_CHARACTERS)}`);
  }

  /** A message has come that the user does not see. */
  unseen(conversation: Conversation, { nick, from, body, image }: Line): void {
    const { model, speech } = this.surface;
    if (model.show === 'dnd') return;
    this.#alerts.sound();
    if (document.visibilityState === 'visible') return;
    const name = nick || model.nameOf(from);
    const title = conversation.isRoom ? `${name} · ${model.nameOf(conversation.id)}` : name;
    this.#alerts.notify(conversation.id, title, body || (image ? speech.say('image') : ''), () =>
      this.surface.open(conversation.id),
    );
  }

  dispose(): void {
    clearTimeout(this.#tick);
    this.#resize.disconnect();
    this.#main.thread.close();
    this.#alerts.close();
    document.removeEventListener('visibilitychange', this.#onVisible);
    badgeTitle(this, 0);
    this.element.remove();
  }

  #back(): void {
    const { model } = this.surface;
    const id = model.open?.id ?? null;
    model.closeConversation();
    this.#main.show(null);
    this.#arrange();
    this.draw();
    this.#side.focus(id);
    this.surface.onOpen(true, null);
  }

  #arrange(): void {
    const { model } = this.surface;
    set(this.#panel, 'hidden', !this.#isOpen);
    set(this.#launcher, 'aria-expanded', String(this.#isOpen));
    set(this.element, 'data-open', this.#isOpen);
    set(this.#panel, 'data-view', this.#isWide ? 'both' : model.open ? 'main' : 'side');
  }

  #measure(): void {
    const width = this.#panel.clientWidth;
    if (width === 0 || width >= WIDE_PX === this.#isWide) return;
    this.#isWide = !this.#isWide;
    this.#arrange();
    this.draw();
  }

  /** The user sees the end of the open conversation, or does not. */
  #see(): void {
    const isVisible = this.#isOpen && document.visibilityState === 'visible';
    this.surface.model.see(isVisible && this.#main.thread.isPinned);
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key !== 'Escape' || event.isComposing) return;
    event.stopPropagation();
    if (this.surface.model.open && !this.#isWide) this.#back();
    else this.close();
  }

  /** Seconds until the next attempt count down, and who was typing stops. */
  #schedule(): void {
    clearTimeout(this.#tick);
    const { model } = this.surface;
    const now = Date.now();
    const isTyping = [...model.conversations.values()].some((one) => one.typists(now).length > 0);
    if (!this.#isOpen || (model.state.state !== 'waiting' && !isTyping)) return;
    this.#tick = setTimeout(() => this.draw(), TICK_MS);
  }
}
