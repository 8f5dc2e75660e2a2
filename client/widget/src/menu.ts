/** The menu of the user's own status, with sound and notifications: asked for on a click, and never before. */
import type { Alerts } from './alerts.js';
import { type Context, ICONS, SHOW_WORDS, showText } from './context.js';
import { h, icon, say, set } from './dom.js';

export class StatusMenu {
  readonly element: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #dot = h('span', { class: 'dot' });
  readonly #label = h('span', { class: 'label' });
  readonly #menu: HTMLElement;
  #note = '';
  #isDrawing = false;

  constructor(
    private readonly context: Context,
    private readonly alerts: Alerts,
  ) {
    const { speech } = context;
    this.#button = h(
      'button',
      {
        type: 'button',
        class: 'status',
        'aria-haspopup': 'menu',
        'aria-expanded': 'false',
        onclick: () => this.#toggle(this.#menu.hidden === true),
        onkeydown: (event: KeyboardEvent) => {
          if (event.key !== 'ArrowDown') return;
          event.preventDefault();
          this.#toggle(true);
        },
      },
      this.#dot,
      this.#label,
      icon(ICONS.down),
    );
    this.#menu = h('div', { class: 'menu', role: 'menu', 'aria-label': speech.say('status'), hidden: true });
    this.#menu.addEventListener('keydown', (event) => this.#onKey(event));
    this.element = h('div', { class: 'chooser' }, this.#button, this.#menu);
    this.element.addEventListener('focusout', (event) => {
      // An item that is drawn anew takes its focus along.
      if (!this.#isDrawing && !this.element.contains(event.relatedTarget as Node | null)) this.#toggle(false, false);
    });
  }

  update(): void {
    const { model, speech } = this.context;
    const isOnline = model.state.state === 'online';
    const text = showText(isOnline ? model.show : 'offline', speech);
    set(this.#dot, 'data-show', isOnline ? model.show : 'offline');
    say(this.#label, text);
    set(this.#button, 'aria-label', `${speech.say('status')}: ${text}`);
    set(this.#button, 'aria-disabled', isOnline ? null : 'true');
  }

  #items(): HTMLElement[] {
    const { model, speech } = this.context;
    const shows = [...SHOW_WORDS.keys()].filter((show) => show !== 'chat' || model.show === 'chat');
    const items = shows.map((show) =>
      this.#item('menuitemradio', show === model.show, () => this.#choose(show), [
        h('span', { class: 'dot', 'data-show': show }),
        showText(show, speech),
      ]),
    );
    const { alerts } = this;
    const notifications = speech.say('notifications') + (alerts.isDenied ? ` (${speech.say('denied')})` : '');
    return [
      ...items,
      h('div', { class: 'rule', role: 'separator' }),
      this.#item('menuitemcheckbox', alerts.hasSound, () => this.#redraw(alerts.setSound(!alerts.hasSound)), [
        h('span', { class: 'mark' }),
        speech.say('sound'),
      ]),
      this.#item(
        'menuitemcheckbox',
        alerts.hasNotifications,
        () => this.#redraw(alerts.setNotifications(!alerts.hasNotifications)),
        [h('span', { class: 'mark' }), notifications],
      ),
      ...(this.#note ? [h('p', { class: 'note', role: 'alert' }, this.#note)] : []),
    ];
  }

  #item(role: string, isChecked: boolean, run: () => void, content: (Node | string)[]): HTMLElement {
    const attributes = { type: 'button', role, tabindex: -1, 'aria-checked': String(isChecked), onclick: run };
    return h('button', attributes, ...content, h('span', { class: 'tick' }, isChecked && icon(ICONS.check)));
  }

  #buttons(): HTMLElement[] {
    return [...this.#menu.querySelectorAll<HTMLElement>('button')];
  }

  async #redraw(done: Promise<void>): Promise<void> {
    const at = this.#at();
    await done;
    if (this.#menu.hidden) return;
    this.#isDrawing = true;
    this.#menu.replaceChildren(...this.#items());
    this.#isDrawing = false;
    this.#buttons()[at]?.focus();
  }

  #at(): number {
    return this.#buttons().indexOf((this.#menu.getRootNode() as ShadowRoot).activeElement as HTMLElement);
  }

  #choose(show: string): void {
    this.context.model.setShow(show).then(
      () => this.#toggle(false),
      () => {
        this.#note = this.context.speech.say('refused');
        void this.#redraw(Promise.resolve());
      },
    );
  }

  #toggle(isOpen: boolean, takesFocus = true): void {
    const wasOpen = !this.#menu.hidden;
    if (isOpen === wasOpen || (isOpen && this.context.model.state.state !== 'online')) return;
    this.#note = '';
    if (isOpen) this.#menu.replaceChildren(...this.#items());
    this.#menu.hidden = !isOpen;
    set(this.#button, 'aria-expanded', String(isOpen));
    if (isOpen)
      (this.#buttons().find((one) => one.getAttribute('aria-checked') === 'true') ?? this.#buttons()[0])?.focus();
    else if (takesFocus) this.#button.focus();
  }

  #onKey(event: KeyboardEvent): void {
    const all = this.#buttons();
    const at = this.#at();
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[to % all.length]?.focus();
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      this.#toggle(false);
    } else if (event.key === 'Tab') this.#toggle(false);
  }
}
