/** Where a message is written. Enter sends it, Shift and Enter begin a line. */
import { type Context, ICONS } from './context.js';
import type { Conversation } from './conversation.js';
import { h, icon, set } from './dom.js';

const MOST_PX = 132;

export class Composer {
  readonly element: HTMLElement;
  readonly #text: HTMLTextAreaElement;
  readonly #send: HTMLButtonElement;
  #conversation: Conversation | null = null;

  constructor(
    private readonly context: Context,
    private readonly onSent: () => void,
  ) {
    const { speech } = context;
    this.#text = h('textarea', {
      rows: 1,
      dir: 'auto',
      placeholder: speech.say('write'),
      enterkeyhint: 'send',
      oninput: () => this.#onInput(),
      onkeydown: (event: KeyboardEvent) => this.#onKey(event),
    });
    this.#send = h(
      'button',
      { type: 'submit', class: 'send', 'aria-label': speech.say('send'), 'aria-disabled': 'true' },
      icon(ICONS.send),
    );
    const submit = (event: Event): void => {
      event.preventDefault();
      this.#submit();
      this.#text.focus();
    };
    this.element = h('form', { class: 'composer', onsubmit: submit }, this.#text, this.#send);
  }

  show(conversation: Conversation | null): void {
    if (this.#conversation === conversation) return;
    this.#conversation = conversation;
    this.#text.value = conversation?.draft ?? '';
    const name = conversation ? this.context.model.nameOf(conversation.id) : '';
    set(this.#text, 'aria-label', this.context.speech.say('writeTo', { name }));
    this.#fit();
  }

  focus(): void {
    this.#text.focus({ preventScroll: true });
  }

  #onInput(): void {
    const conversation = this.#conversation;
    if (!conversation) return;
    conversation.draft = this.#text.value;
    if (conversation.draft.trim() !== '') this.context.model.chat.typing(conversation.id);
    this.#fit();
  }

  #onKey(event: KeyboardEvent): void {
    // While an input method composes, Enter chooses a word. Safari ends the composition first, and says 229.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#submit();
  }

  #submit(): void {
    const conversation = this.#conversation;
    const body = this.#text.value.trim();
    if (!conversation || body === '') return;
    this.#text.value = '';
    conversation.draft = '';
    this.#fit();
    this.context.model.send(conversation, body);
    this.onSent();
  }

  #fit(): void {
    set(this.#send, 'aria-disabled', this.#text.value.trim() === '' ? 'true' : 'false');
    const { style } = this.#text;
    style.height = 'auto';
    // Nothing is measured before the panel is shown.
    if (this.#text.scrollHeight > 0) style.height = `${Math.min(this.#text.scrollHeight + 2, MOST_PX)}px`;
  }
}
