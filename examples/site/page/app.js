/** Puts the page together: sign-in, coming online, the long connection, and what the visitor does. */
import { createComposer } from './composer.js';
import { backoff, connect } from './connection.js';
import { atTheEnd, drawConversation, toTheEnd } from './conversation.js';
import { arrange, el, find, icon, setText } from './dom.js';
import { drawSidebar } from './sidebar.js';
import { call, sayGoodbye } from './site.js';
import {
  addDraft,
  applyFrame,
  applyHistory,
  applyMembers,
  applyOnline,
  confirmDraft,
  conversation,
  createState,
  expireTyping,
  person,
  roomPlace,
  totalUnread,
} from './state.js';

const NOTICE_MS = 12_000;
const WIDE = matchMedia('(min-width: 820px)');

const link = { kind: sessionStorage.getItem('transport') ?? 'websocket', state: 'connecting' };
const composer = createComposer({
  place: () => state.open,
  onSend: write,
  onTyping: (place, active) => act('typing', { place, active }).catch(() => undefined),
});
let state = createState();
let session = sessionStorage.getItem('session');
let client;
let connection;
let comingOnline;
let drawing = false;
let typingTimer;

function draw() {
  if (drawing) return;
  drawing = true;
  // Not an animation frame: those stop in a hidden tab, whose title still has to count.
  queueMicrotask(() => {
    drawing = false;
    find('signin').hidden = Boolean(session);
    find('coming').hidden = !session || Boolean(state.me);
    find('app').hidden = !session || !state.me;
    drawNotices();
    if (!session || !state.me) {
      const away = link.state === 'waiting';
      setText(find('coming-words'), away ? 'The chat cannot be reached. Trying again…' : 'Coming in…');
      document.title = 'Harbour';
      return;
    }
    clearTimeout(typingTimer);
    const again = expireTyping(state);
    if (again !== undefined) typingTimer = setTimeout(draw, again);
    readOpen();
    drawSidebar(state, link);
    drawConversation(state, { send });
    const unread = totalUnread(state);
    document.title = unread ? `(${unread}) Harbour` : 'Harbour';
  });
}

function drawNotices() {
  arrange(find('notices'), state.notices.slice(-3), {
    key: ({ key }) => key,
    create: (notice) => {
      setTimeout(() => dismiss(notice), NOTICE_MS);
      const close = el(
        'button',
        { class: 'icon-button', type: 'button', 'aria-label': 'Dismiss', onclick: () => dismiss(notice) },
        icon('close'),
      );
      const words = notice.nick ? [el('span', { class: 'notice-title' }, notice.nick), notice.body] : [notice.body];
      return el('li', { class: notice.tone === 'error' ? 'notice bad' : 'notice' }, el('p', {}, ...words), close);
    },
  });
}

function dismiss(notice) {
  state.notices = state.notices.filter((other) => other !== notice);
  draw();
}

function complain(error) {
  state.notices.push({ key: `error ${++state.counter}`, body: error.message, tone: 'error' });
  draw();
}

/** One tab comes online once at a time, however many of its calls find their ticket gone. */
function goOnline() {
  comingOnline ??= comeOnline().finally(() => {
    comingOnline = undefined;
  });
  return comingOnline;
}

async function comeOnline() {
  const delays = backoff();
  while (session) {
    try {
      const answer = await call('online', { session });
      client = answer;
      applyOnline(state, answer);
      for (const talk of state.conversations.values()) talk.loaded = false;
      reconnect();
      await showPlace();
      return;
    } catch (error) {
      if (error.status === 401) return signedOut('Please sign in again.');
      if (error.status >= 400 && error.status < 500 && error.status !== 429) complain(error);
      link.state = 'waiting';
      draw();
      await new Promise((resolve) => setTimeout(resolve, delays.next()));
    }
  }
}

/** Opens the long connection of the current ticket; an older one of the same ticket hands over to it. */
function reconnect() {
  connection?.retire();
  const { ticket } = client;
  const current = (act) => (value) => {
    if (client?.ticket === ticket) act(value);
  };
  let mine;
  connection = undefined;
  mine = connect(link.kind, {
    ...client,
    onFrame: current(receive),
    onState: (value) => {
      if (connection && connection !== mine) return;
      link.state = value;
      draw();
    },
    onLost: current(goOnline),
    onStopped: current(() => signedOut('You have signed out.')),
  });
  connection = mine;
  draw();
}

function receive(frame) {
  for (const { place, message } of applyFrame(state, frame)) {
    if (place !== state.open || document.hidden)
      find('announce').textContent = `${message.nick || message.from}: ${message.body}`;
  }
  draw();
}

/** A call that needs the ticket: when the message server has forgotten it, the page comes online again and repeats it. */
async function act(name, fields) {
  try {
    return await call(name, { session, ticket: client.ticket, ...fields });
  } catch (error) {
    if (error.status === 401) signedOut('Please sign in again.');
    if (!error.ticketNotFound) throw error;
    await goOnline();
    return call(name, { session, ticket: client?.ticket, ...fields });
  }
}

function signedOut(words) {
  connection?.close();
  connection = undefined;
  client = undefined;
  session = null;
  sessionStorage.removeItem('session');
  state = createState();
  composer.clear();
  find('signin-error').textContent = words ?? '';
  history.replaceState(null, '', '/');
  openMenu(false);
  draw();
}

function placeInAddress() {
  try {
    const place = decodeURIComponent(location.hash.slice(1));
    return /^(user|room):[^,]+$/u.test(place) ? place : undefined;
  } catch {
    return undefined;
  }
}

/** Shows the conversation the address names; a wide page never stays empty for want of one. */
async function showPlace() {
  let place = placeInAddress();
  if (!place && WIDE.matches) {
    place = roomPlace(state.room.id);
    history.replaceState(null, '', `#${encodeURIComponent(place)}`);
  }
  const changed = state.open !== place;
  if (changed) composer.endTyping();
  state.open = place;
  if (!place) return draw();
  const talk = conversation(state, place);
  if (talk.kind === 'user') person(state, talk.id);
  if (changed) {
    showMembers(false);
  }
  draw();
  // After the drawing: what is hidden has no height and takes no focus.
  if (changed) queueMicrotask(() => composer.turn(WIDE.matches));
  if (talk.loaded) return;
  const { messages } = await call('history', { session, place });
  applyHistory(state, place, messages);
  draw();
}

/** What is open in a visible tab counts as read. */
function readOpen() {
  const talk = state.open && conversation(state, state.open);
  if (!talk?.unread || document.hidden) return;
  talk.unread = 0;
  call('read', { session, place: talk.place }).catch(() => undefined);
}

async function send(draft) {
  const { place } = draft;
  draft.sent = 'no';
  draw();
  try {
    const { message } = await act('messages', { place, body: draft.body });
    confirmDraft(state, place, draft, message);
  } catch (error) {
    draft.sent = 'failed';
    complain(error);
  }
  draw();
}

function write(place, body) {
  const draft = addDraft(state, place, body);
  draft.place = place;
  draw();
  queueMicrotask(toTheEnd);
  send(draft);
}

/** Shown at once, and taken back when the site refuses it. */
async function setShow() {
  const { me, room } = state;
  const before = { show: me.show, status: me.status };
  const { show, status } = find('menu').elements;
  Object.assign(me, { show: show.value, status: status.value });
  draw();
  try {
    await act('show', { show: me.show, status: me.status });
  } catch (error) {
    Object.assign(me, before);
    complain(error);
  }
  if (room.members.has(me.id)) room.members.set(me.id, me.show);
  draw();
}

async function switchRoom() {
  const { room } = state;
  const button = find('room-switch');
  button.disabled = true;
  try {
    if (room.joined) {
      await act('leave', {});
      room.joined = false;
      room.members.clear();
    } else {
      room.touched = new Set();
      const { members } = await act('join', {});
      room.joined = true;
      applyMembers(state, members);
    }
  } catch (error) {
    complain(error);
  }
  button.disabled = false;
  draw();
}

function switchTransport(kind) {
  link.kind = kind;
  sessionStorage.setItem('transport', kind);
  if (client) reconnect();
}

function openMenu(open) {
  find('menu').hidden = !open;
  find('me').setAttribute('aria-expanded', String(open));
}

function showMembers(open) {
  find('members').classList.toggle('shown', open);
  find('members-switch').setAttribute('aria-expanded', String(open));
}

async function signIn(event) {
  event.preventDefault();
  find('signin-error').textContent = '';
  try {
    const answer = await call('signin', { name: find('name').value });
    session = answer.session;
    link.state = 'connecting';
    draw();
    sessionStorage.setItem('session', session);
    await goOnline();
  } catch (error) {
    find('signin-error').textContent = error.message;
  }
}

async function signOut() {
  const leaving = session;
  signedOut();
  await call('signout', { session: leaving }).catch(() => undefined);
}

function listen() {
  const menu = find('menu');
  find('signin-form').addEventListener('submit', signIn);
  find('signout').addEventListener('click', signOut);
  find('room-switch').addEventListener('click', switchRoom);
  find('jump').addEventListener('click', toTheEnd);
  find('me').addEventListener('click', () => openMenu(menu.hidden));
  find('members-switch').addEventListener('click', () => showMembers(!find('members').classList.contains('shown')));
  // Not every browser lets the keyboard into what scrolls.
  find('scroller').tabIndex = 0;
  find('scroller').addEventListener('scroll', () => {
    if (atTheEnd()) find('jump').hidden = true;
  });
  menu.elements.transport.value = link.kind;
  menu.addEventListener('submit', (event) => event.preventDefault());
  menu.addEventListener('change', ({ target }) => {
    if (target.name === 'transport') switchTransport(target.value);
    else setShow();
  });
  document.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape') return;
    if (!menu.hidden) find('me').focus();
    openMenu(false);
    showMembers(false);
  });
  document.addEventListener('click', ({ target }) => {
    if (!target.closest('.account')) openMenu(false);
    if (!target.closest('.members, #members-switch')) showMembers(false);
  });
  addEventListener('hashchange', () => {
    if (state.me) showPlace().catch(complain);
  });
  document.addEventListener('visibilitychange', draw);
  addEventListener('online', () => connection?.hurry());
  addEventListener('pagehide', () => {
    if (session && client) sayGoodbye(session, client.ticket);
    connection?.close();
    connection = undefined;
    client = undefined;
  });
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted && session) goOnline();
  });
}

listen();
draw();
if (session) goOnline();
else find('name').focus();
