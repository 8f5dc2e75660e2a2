/** Who is in a room. */
import { avatar, type Context, showText } from './context.js';
import { h, set } from './dom.js';
import { type Item, List } from './list.js';
import { byPresence } from './rows.js';

const ROW_PX = 44;

export class Members {
  readonly element: HTMLElement;
  readonly #list: List<Item>;
  #room: string | null = null;

  constructor(private readonly context: Context) {
    const space = h('div', { class: 'rows' });
    this.element = h('div', { class: 'scroll members', hidden: true, role: 'group' }, space);
    this.#list = new List(this.element, space, ({ key }) => this.#make(key));
  }

  /** Shows the members of a room; null: nobody's. */
  show(room: string | null): void {
    this.#room = room;
    set(this.element, 'hidden', room === null);
    if (room === null) return;
    set(this.element, 'aria-label', this.context.speech.say('showMembers', { name: room }));
    this.update();
  }

  update(): void {
    if (this.#room === null) return;
    const { model, speech } = this.context;
    const ids = [...(model.chat.rooms.get(this.#room)?.keys() ?? [])];
    const items = byPresence(model, ids, speech.language).map((key) => ({
      key,
      height: ROW_PX,
      isFocusable: key !== model.self,
      signature: JSON.stringify([model.nameOf(key), model.personOf(key)]),
    }));
    this.#list.show(items);
  }

  focus(): void {
    this.#list.focus();
  }

  #make(id: string): HTMLElement {
    const { model, speech, open } = this.context;
    const name = model.nameOf(id);
    const person = model.personOf(id);
    const state = showText(person?.show ?? 'offline', speech);
    const isSelf = id === model.self;
    const more = isSelf ? speech.say('you') : person?.status || state;
    const content = [
      avatar(id, name, person?.show ?? 'offline'),
      h(
        'span',
        { class: 'about' },
        h('bdi', { class: 'name' }, name),
        more !== state && h('span', { class: 'quiet' }, state),
        h('span', { class: 'more' }, h('bdi', {}, more)),
      ),
    ];
    if (isSelf) return h('div', { class: 'row' }, ...content);
    return h('button', { type: 'button', class: 'row', onclick: () => open(id) }, ...content);
  }
}
