/** The left side: who you are, the room, and the people with their presence. */
import { arrange, avatar, el, find, icon, SHOW_NAMES, setText } from './dom.js';
import { conversation, isOnline, roomPlace, userPlace } from './state.js';

const LINK_WORDS = new Map([
  ['connecting', 'Connecting…'],
  ['waiting', 'Reconnecting…'],
]);
const KIND_WORDS = new Map([
  ['websocket', 'WebSocket'],
  ['polling', 'Long polling'],
]);

export function drawSidebar(state, link) {
  drawLink(link);
  drawMe(state.me);
  const { room } = state;
  arrange(find('rooms'), [{ place: roomPlace(room.id), id: `#${room.id}`, name: room.name, about: aboutRoom(room) }], {
    key: ({ place }) => place,
    create: createRow,
    update: (row, item) => updateRow(row, item, state),
  });
  const people = [...state.people.values()].sort(
    (a, b) => Number(isOnline(b)) - Number(isOnline(a)) || a.nick.localeCompare(b.nick) || (a.id < b.id ? -1 : 1),
  );
  const items = people.map(({ id, nick, show, status }) => {
    const about = status || SHOW_NAMES.get(show) || show;
    return { place: userPlace(id), id, name: nick, show, about };
  });
  arrange(find('people'), items, {
    key: ({ place }) => place,
    create: createRow,
    update: (row, item) => updateRow(row, item, state),
  });
  const online = people.filter(isOnline).length;
  setText(find('online-count'), people.length ? `${online} online` : '');
  find('nobody').hidden = people.length > 0;
}

function drawLink({ state, kind }) {
  const element = find('link');
  element.dataset.state = state;
  element.dataset.kind = kind;
  setText(element, LINK_WORDS.get(state) ?? KIND_WORDS.get(kind));
}

function drawMe({ id, nick, show, status }) {
  const button = find('me');
  const about = status || SHOW_NAMES.get(show);
  const looks = JSON.stringify([id, nick, show, about]);
  if (button.dataset.looks !== looks) {
    button.dataset.looks = looks;
    button.dataset.show = show;
    button.replaceChildren(
      avatar(id, nick, show),
      el('span', { class: 'row-text' }, el('strong', {}, nick), el('span', { class: 'preview' }, about)),
      el('span', { class: 'unseen' }, `You are ${SHOW_NAMES.get(show)}. Change status and settings.`),
      icon('chevron'),
    );
  }
  const menu = find('menu');
  menu.elements.show.value = show;
  if (document.activeElement !== menu.elements.status) menu.elements.status.value = status;
}

function aboutRoom({ joined, members }) {
  if (!joined) return 'You are not in the room';
  const others = members.size;
  return others === 1 ? '1 person here' : `${others} people here`;
}

function createRow({ place }) {
  return el(
    'li',
    {},
    el(
      'a',
      { class: 'row', href: `#${encodeURIComponent(place)}` },
      el('span', { class: 'row-avatar' }),
      el('span', { class: 'row-text' }, el('strong', {}), el('span', { class: 'preview' })),
      el('span', { class: 'unseen presence' }),
      el('span', { class: 'badge' }),
    ),
  );
}

function updateRow(row, { place, id, name, show, about }, state) {
  const link = row.firstElementChild;
  const [face, text, presence, badge] = link.children;
  const talk = conversation(state, place);
  link.dataset.place = place;
  if (show) link.dataset.show = show;
  if (state.open === place) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
  const looks = `${name} ${show}`;
  if (face.dataset.looks !== looks) {
    face.dataset.looks = looks;
    face.replaceChildren(avatar(id, name, show));
  }
  setText(text.firstElementChild, name);
  const preview = text.lastElementChild;
  preview.classList.toggle('busy-typing', talk.typing.size > 0);
  setText(preview, talk.typing.size > 0 ? 'typing…' : lastWords(talk) || about);
  setText(presence, show ? `, ${SHOW_NAMES.get(show) ?? show}` : '');
  setText(badge, talk.unread ? (talk.unread > 99 ? '99+' : String(talk.unread)) : '');
  badge.hidden = talk.unread === 0;
  if (talk.unread) badge.setAttribute('aria-label', `${talk.unread} unread`);
}

function lastWords(talk) {
  const last = talk.messages.findLast(({ kind }) => kind === 'message');
  if (!last) return '';
  if (last.own) return `You: ${last.body}`;
  return talk.kind === 'room' ? `${last.nick || last.from}: ${last.body}` : last.body;
}
