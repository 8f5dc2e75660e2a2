/** The conversation side of the widget: its head, messages, members, and where one writes. */
import { Composer } from './composer.js';
import { avatar, type Context, ICONS, showText } from './context.js';
import { type Conversation, roomOf } from './conversation.js';
import { h, icon, say, set } from './dom.js';
import { Members } from './members.js';
import { Thread } from './thread.js';

export class Main {
  readonly element: HTMLElement;
  readonly thread: Thread;
  readonly #composer: Composer;
  readonly #members: Members;
  readonly #face = h('span', { class: 'face' });
  readonly #title = h('h2');
  readonly #subtitle = h('span', { class: 'subtitle' });
  readonly #membersButton: HTMLButtonElement;
  readonly #empty: HTMLElement;
  readonly #parts: HTMLElement;
  #conversation: Conversation | null = null;
  #faceOf = '';
  #showsMembers = false;

  constructor(
    private readonly context: Context,
    isDocked: boolean,
    onPinned: (isPinned: boolean) => void,
  ) {
    const { speech } = context;
    this.thread = new Thread(context, onPinned);
    this.#composer = new Composer(context, () => void this.thread.toNewest());
    this.#members = new Members(context);
    this.#membersButton = h(
      'button',
      {
        type: 'button',
        class: 'tool',
        'aria-label': speech.say('members'),
        'aria-expanded': 'false',
        onclick: () => this.#toggleMembers(),
      },
      icon(ICONS.people),
    );
    const head = h(
      'header',
      {},
      h(
        'button',
        { type: 'button', class: 'tool back', 'aria-label': speech.say('back'), onclick: () => context.back() },
        icon(ICONS.back),
      ),
      this.#face,
      h('div', { class: 'titles' }, this.#title, this.#subtitle),
      this.#membersButton,
      isDocked && closeButton(context),
    );
    this.#parts = h(
      'div',
      { class: 'parts' },
      head,
      this.thread.element,
      this.#members.element,
      this.#composer.element,
    );
    this.#empty = h('p', { class: 'hint pick' }, speech.say('pick'));
    this.element = h('div', { class: 'main', role: 'group' }, this.#parts, this.#empty);
  }

  show(conversation: Conversation | null): void {
    this.#conversation = conversation;
    this.#showsMembers = false;
    set(this.#parts, 'hidden', conversation === null);
    set(this.#empty, 'hidden', conversation !== null);
    set(this.element, 'aria-label', conversation ? this.context.model.nameOf(conversation.id) : null);
    this.#composer.show(conversation);
    this.#drawMembers();
    this.update();
    this.thread.show(conversation);
  }

  update(): void {
    const conversation = this.#conversation;
    if (!conversation) return;
    this.#drawHead(conversation);
    this.#members.update();
    this.thread.update();
  }

  /** On a phone the keyboard would come up over what is to be read. */
  focus(): void {
    if (matchMedia('(pointer: coarse)').matches) this.thread.focus();
    else this.#composer.focus();
  }

  #drawHead({ id }: Conversation): void {
    const { model, speech } = this.context;
    const name = model.nameOf(id);
    const room = roomOf(id);
    const person = model.personOf(id);
    say(this.#title, name);
    const members = room === null ? undefined : model.chat.rooms.get(room);
    const state = showText(person?.show ?? 'offline', speech);
    const about = person?.status ? `${state} · ${person.status}` : state;
    say(this.#subtitle, room === null ? about : members ? speech.say('memberCount', { n: members.size }) : '');
    set(this.#membersButton, 'hidden', !members);
    const face = JSON.stringify([id, name, person?.show]);
    if (face === this.#faceOf) return;
    this.#faceOf = face;
    this.#face.replaceChildren(avatar(id, name, room === null ? (person?.show ?? 'offline') : null));
  }

  #toggleMembers(): void {
    this.#showsMembers = !this.#showsMembers;
    this.#drawMembers();
    if (this.#showsMembers) this.#members.focus();
  }

  #drawMembers(): void {
    const room = this.#conversation && roomOf(this.#conversation.id);
    set(this.#membersButton, 'aria-expanded', String(this.#showsMembers));
    set(this.thread.element, 'hidden', this.#showsMembers);
    set(this.#composer.element, 'hidden', this.#showsMembers);
    this.#members.show(this.#showsMembers ? room : null);
  }
}

export function closeButton({ speech, close }: Context): HTMLElement {
  return h(
    'button',
    { type: 'button', class: 'tool close', 'aria-label': speech.say('close'), onclick: () => close() },
    icon(ICONS.close),
  );
}
