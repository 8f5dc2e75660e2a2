/** The middle: the open conversation, its messages, and the room's members. */
import { arrange, avatar, clockTime, dayName, el, find, SHOW_NAMES, setText } from './dom.js';
import { conversation, isOnline, person, roomPlace, userPlace } from './state.js';

const GROUP_MS = 5 * 60_000;
const NEAR_THE_END_PX = 90;

let drawn;

export function atTheEnd() {
  const { scrollTop, scrollHeight, clientHeight } = find('scroller');
  return scrollHeight - scrollTop - clientHeight < NEAR_THE_END_PX;
}

export function toTheEnd() {
  const scroller = find('scroller');
  scroller.scrollTop = scroller.scrollHeight;
}

export function drawConversation(state, actions) {
  const { open } = state;
  find('app').dataset.open = open ?? '';
  find('app').dataset.kind = open?.startsWith('room:') ? 'room' : 'user';
  find('nothing-open').hidden = open !== undefined;
  find('talk').dataset.empty = open === undefined ? 'yes' : 'no';
  if (!open) {
    drawn = undefined;
    return;
  }
  const talk = conversation(state, open);
  const isRoom = open === roomPlace(state.room.id);
  drawHeader(state, talk, isRoom);
  if (isRoom) drawMembers(state);
  drawLog(talk, isRoom, actions);
  drawTyping(talk, isRoom);
  drawComposer(state, talk, isRoom);
}

function drawHeader(state, talk, isRoom) {
  const { room } = state;
  const other = isRoom ? undefined : person(state, talk.id);
  const name = isRoom ? room.name : other.nick;
  const face = find('talk-avatar');
  const looks = `${talk.place} ${name} ${other?.show}`;
  if (face.dataset.looks !== looks) {
    face.dataset.looks = looks;
    face.replaceChildren(avatar(isRoom ? `#${room.id}` : talk.id, name, other?.show));
  }
  setText(find('talk-name'), name);
  setText(find('talk-about'), isRoom ? aboutRoom(state) : aboutPerson(other));
  const roomSwitch = find('room-switch');
  roomSwitch.hidden = !isRoom;
  roomSwitch.dataset.joined = room.joined;
  setText(roomSwitch, room.joined ? 'Leave' : 'Join');
  roomSwitch.setAttribute('aria-label', room.joined ? `Leave the ${room.name}` : `Join the ${room.name}`);
  find('members-switch').hidden = !isRoom;
}

function aboutPerson({ show, status }) {
  const words = SHOW_NAMES.get(show) ?? show;
  return status && isOnline({ show }) ? `${words} · ${status}` : words;
}

function aboutRoom({ room }) {
  if (!room.joined) return 'You are not in the room';
  const size = room.members.size;
  return size === 1 ? '1 person' : `${size} people`;
}

function drawMembers(state) {
  const { room, me } = state;
  const members = [...room.members].map(([id, show]) => {
    const known = id === me.id ? me : state.people.get(id);
    return { id, show: id === me.id ? me.show : show, nick: known?.nick ?? id, own: id === me.id };
  });
  members.sort((a, b) => a.nick.localeCompare(b.nick));
  setText(find('members-count'), String(members.length));
  arrange(find('members-list'), members, {
    key: ({ id }) => id,
    create: ({ id, own }) =>
      el(
        'li',
        {},
        own
          ? el('span', { class: 'member' })
          : el('a', { class: 'member', href: `#${encodeURIComponent(userPlace(id))}` }),
      ),
    update: (item, { id, nick, show, own }) => {
      const looks = `${nick} ${show}`;
      if (item.dataset.looks === looks) return;
      item.dataset.looks = looks;
      const words = own ? 'you' : SHOW_NAMES.get(show);
      item.firstElementChild.replaceChildren(avatar(id, nick, show), el('span', { class: 'member-name' }, nick));
      if (own || show !== 'available') item.firstElementChild.append(el('span', { class: 'hint' }, words ?? show));
    },
  });
}

/** Messages in a row from one sender make a group; days and notices stand between. */
function* lines(messages) {
  let before;
  for (const [index, message] of messages.entries()) {
    const newDay = !before || new Date(before.time).toDateString() !== new Date(message.time).toDateString();
    if (newDay)
      yield {
        id: `day ${new Date(message.time).toDateString()} ${message.id}`,
        kind: 'day',
        text: dayName(message.time),
      };
    const after = messages[index + 1];
    yield {
      ...message,
      first: newDay || !together(before, message),
      last: !after || !together(message, after),
      original: message,
    };
    before = message;
  }
}

function together(a, b) {
  return a?.kind === 'message' && b.kind === 'message' && a.from === b.from && b.time - a.time < GROUP_MS;
}

function drawLog(talk, isRoom, actions) {
  const log = find('log');
  const another = drawn !== talk.place;
  const stay = !another && !atTheEnd();
  const count = log.childElementCount;
  // Only what comes in while one is looking is worth a movement.
  log.classList.toggle('moving', !another && talk.loaded && count > 0);
  if (another) log.replaceChildren();
  log.setAttribute('aria-busy', String(!talk.loaded));
  arrange(log, [...lines(talk.messages)], {
    key: ({ id }) => id,
    create: (line) =>
      line.kind === 'message' ? createMessage(line, isRoom) : el('li', { class: line.kind }, line.text),
    update: (item, line) => line.kind === 'message' && updateMessage(item, line, actions),
  });
  drawn = talk.place;
  const empty = find('no-messages');
  empty.hidden = talk.messages.length > 0 || !talk.loaded;
  setText(
    find('no-messages-hint'),
    isRoom ? 'Be the first to say something to everybody.' : 'Write the first one below.',
  );
  if (!stay) toTheEnd();
  if (!stay || log.childElementCount !== count) find('jump').hidden = atTheEnd();
}

function createMessage({ from, nick, body, time, own }, isRoom) {
  const item = el('li', { class: own ? 'message own' : 'message' });
  if (!own) item.append(avatar(from, nick || from));
  const content = el('div', { class: 'content' });
  content.append(el('span', { class: isRoom && !own ? 'sender' : 'unseen' }, own ? 'You' : nick || from));
  content.append(el('p', { class: 'bubble' }, body));
  content.append(el('div', { class: 'meta' }, el('time', { datetime: new Date(time).toISOString() }, clockTime(time))));
  item.append(content);
  return item;
}

function updateMessage(item, { first, last, sent, original }, actions) {
  item.classList.toggle('first', first);
  item.classList.toggle('last', last);
  if (item.dataset.sent === sent) return;
  item.dataset.sent = sent;
  const meta = item.querySelector('.meta');
  meta.querySelector('.retry')?.remove();
  if (sent === 'failed') {
    meta.append(
      el('button', { class: 'retry', type: 'button', onclick: () => actions.send(original) }, 'Not sent. Try again'),
    );
  }
}

function drawTyping(talk, isRoom) {
  const names = [...talk.typing.values()].map(({ nick }) => nick);
  const line = find('typing');
  const text = !names.length
    ? ''
    : names.length > 2
      ? 'Several people are typing'
      : `${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} typing`;
  if (line.dataset.text === text) return;
  line.dataset.text = text;
  line.dataset.room = isRoom;
  line.replaceChildren();
  if (text) line.append(el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i')), text);
}

function drawComposer(state, talk, isRoom) {
  const { room } = state;
  const outside = isRoom && !room.joined;
  const text = find('text');
  text.disabled = outside;
  find('composer').querySelector('button').disabled = outside;
  text.placeholder = outside
    ? `Join the ${room.name} to write`
    : `Message ${isRoom ? `the ${room.name}` : person(state, talk.id).nick}`;
}
