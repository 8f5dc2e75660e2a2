/** The list side of the widget: the user's own status, search, conversations, rooms and people. */
import { avatar, type Context, ICONS, showText } from './context.js';
import { roomOf } from './conversation.js';
import { h, icon, say, set } from './dom.js';
import { type Item, List } from './list.js';
import { HEIGHTS, type Row, rowsOf } from './rows.js';

type SideItem = Item & { readonly row: Row };

export class Side {
  readonly element: HTMLElement;
  readonly #search: HTMLInputElement;
  readonly #nothing = h('p', { class: 'hint' });
  readonly #list: List<SideItem>;

  /** `header`: what stands above the search. */
  constructor(
    private readonly context: Context,
    header: HTMLElement,
  ) {
    const { speech } = context;
    this.#search = h('input', {
      type: 'search',
      class: 'search',
      placeholder: speech.say('search'),
      'aria-label': speech.say('searchFor'),
      autocomplete: 'off',
      maxlength: 200,
      oninput: () => this.update(),
      onkeydown: (event: KeyboardEvent) => this.#onKey(event),
    });
    const space = h('div', { class: 'rows' });
    const scroller = h('div', { class: 'scroll list' }, space);
    this.#list = new List(scroller, space, (item) => this.#make(item.row));
    const field = h('div', { class: 'field' }, icon(ICONS.search), this.#search);
    this.element = h(
      'nav',
      { class: 'side', 'aria-label': speech.say('conversations') },
      header,
      field,
      this.#nothing,
      scroller,
    );
  }

  update(): void {
    const { model, speech } = this.context;
    const rows = rowsOf(model, this.#search.value, speech.language);
    const isSearching = this.#search.value.trim() !== '';
    say(this.#nothing, rows.length > 0 ? '' : speech.say(isSearching ? 'nothingFound' : 'nobody'));
    set(this.#nothing, 'hidden', rows.length > 0 || (!isSearching && model.state.state !== 'online'));
    this.#list.show(rows.map((row) => this.#item(row)));
  }

  /** Moves the focus to a conversation's row, else to the first one; where there is none, to the search. */
  focus(id: string | null): void {
    if (id !== null && this.#list.focus(id)) return;
    if (!this.#list.focus()) this.#search.focus();
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === 'ArrowDown' || (event.key === 'Enter' && this.#search.value !== '')) {
      event.preventDefault();
      this.#list.focus();
    } else if (event.key === 'Escape' && this.#search.value !== '') {
      event.stopPropagation();
      this.#search.value = '';
      this.update();
    }
  }

  #item(row: Row): SideItem {
    return {
      row,
      key: row.key,
      height: HEIGHTS[row.kind],
      isFocusable: row.kind !== 'heading',
      signature: this.#signature(row),
    };
  }

  #signature(row: Row): string {
    const { model, now } = this.context;
    if (row.kind === 'heading') return `${row.word} ${row.count}`;
    const conversation = model.conversations.get(row.id);
    const person = model.personOf(row.id);
    const members = model.chat.rooms.get(roomOf(row.id) ?? '')?.size;
    const { last, unread, draft } = conversation ?? {};
    const typing = conversation?.typists(now()).length;
    const day = new Date(now()).toDateString();
    return JSON.stringify([
      row.kind,
      model.nameOf(row.id),
      person,
      members,
      last?.at,
      last?.body.slice(0, 200),
      last?.nick,
      unread,
      typing,
      draft?.slice(0, 80),
      row.id === model.open?.id,
      day,
    ]);
  }

  #make(row: Row): HTMLElement {
    const { model, speech, open } = this.context;
    if (row.kind === 'heading') return h('h2', { class: 'section' }, speech.say(row.word));
    const { id } = row;
    const name = model.nameOf(id);
    const show = roomOf(id) !== null ? null : (model.personOf(id)?.show ?? 'offline');
    const unread = model.conversations.get(id)?.unread ?? 0;
    const isCurrent = id === model.open?.id;
    return h(
      'button',
      { type: 'button', class: `row ${row.kind}`, 'aria-current': isCurrent ? 'true' : null, onclick: () => open(id) },
      avatar(id, name, show),
      h('span', { class: 'about' }, ...(row.kind === 'conversation' ? this.#talk(id, name) : this.#still(id, name))),
      unread > 0 && h('span', { class: 'badge', 'aria-hidden': 'true' }, speech.count(unread)),
      unread > 0 && h('span', { class: 'quiet' }, speech.say('unread', { n: unread })),
    );
  }

  /** A name; what the dot beside it shows is said to those who do not see it. */
  #name(id: string, name: string): HTMLElement[] {
    const { model, speech } = this.context;
    const label = h('bdi', { class: 'name' }, name);
    if (roomOf(id) !== null) return [label];
    return [label, h('span', { class: 'quiet' }, showText(model.personOf(id)?.show ?? 'offline', speech))];
  }

  /** A person or room without messages. */
  #still(id: string, name: string): HTMLElement[] {
    const { model, speech } = this.context;
    const members = model.chat.rooms.get(roomOf(id) ?? '')?.size;
    const person = model.personOf(id);
    const more = members === undefined ? (person?.status ?? '') : speech.say('memberCount', { n: members });
    return [...this.#name(id, name), ...(more ? [h('span', { class: 'more' }, h('bdi', {}, more))] : [])];
  }

  #talk(id: string, name: string): HTMLElement[] {
    const { model, speech, now } = this.context;
    const conversation = model.conversations.get(id);
    const last = conversation?.last;
    const time = last ? h('time', {}, speech.moment(last.at, now())) : null;
    const isTyping = (conversation?.typists(now()).length ?? 0) > 0;
    const by = last?.isMine ? speech.say('you') : conversation?.isRoom ? last?.nick : '';
    const text = isTyping && !conversation?.isRoom ? speech.say('typing', { name }) : (last?.body.slice(0, 200) ?? '');
    return [
      h('span', { class: 'first' }, ...this.#name(id, name), time),
      h('span', { class: 'more' }, by && !isTyping && h('bdi', { class: 'who' }, `${by}:`), h('bdi', {}, text)),
    ];
  }
}
