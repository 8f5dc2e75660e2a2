/** What the connection does, where it is not simply there. */
import type { Context } from './context.js';
import { h, say, set } from './dom.js';

/** Reasons for which no later attempt would fare better. */
const REFUSED = /origin|authentication|forbidden|bad request|not allowed/;

export class Banner {
  readonly element: HTMLElement;
  readonly #text = h('span');
  /** What screen readers are told: without seconds that count down. */
  readonly #spoken = h('span', { class: 'quiet', role: 'status' });
  readonly #button: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    reconnect: () => void,
  ) {
    this.#text.setAttribute('aria-hidden', 'true');
    const again = (): void => {
      if (context.model.hasMissed) {
        context.model.hasMissed = false;
        this.update();
      } else reconnect();
    };
    this.#button = h('button', { type: 'button', class: 'text', onclick: again });
    this.element = h('div', { class: 'banner' }, this.#text, this.#spoken, this.#button);
  }

  update(): void {
    const { model, speech, now } = this.context;
    const { state, retryAt, reason = '' } = model.state;
    const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - now()) / 1000);
    let text = '';
    if (state === 'connecting') text = speech.say('connecting');
    else if (state === 'waiting')
      text = seconds > 0 ? speech.say('reconnectingIn', { n: seconds }) : speech.say('reconnecting');
    else if (state === 'stopped') text = speech.say(REFUSED.test(reason) ? 'refusedForGood' : 'stopped');
    else if (model.hasMissed) text = speech.say('missed');
    say(this.#text, text);
    say(this.#spoken, state === 'waiting' ? speech.say('reconnecting') : text);
    const action =
      state === 'stopped' ? speech.say('connect') : state === 'online' && model.hasMissed ? speech.say('close') : '';
    say(this.#button, action);
    set(this.#button, 'hidden', action === '');
    set(this.element, 'data-state', text === '' ? null : state);
  }
}
