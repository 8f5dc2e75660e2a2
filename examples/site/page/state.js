/**
 * What the page knows: people, conversations, the room's members. Frames and answers go in; nothing here touches the page.
 */

const TYPING_MS = 6000;
const DAY_MS = 86_400_000;
const NOTICES = 'sid:harbour';

export const ROOM_EVENTS = new Map([
  ['join', 'joined the room'],
  ['leave', 'left the room'],
  ['grponline', 'came online'],
  ['grpoffline', 'went offline'],
]);

export function createState() {
  return {
    me: undefined,
    people: new Map(),
    room: { id: 'lobby', name: 'Lobby', joined: false, members: new Map(), touched: undefined },
    conversations: new Map(),
    notices: [],
    open: undefined,
    counter: 0,
    skewMs: 0,
  };
}

export function userPlace(id) {
  return `user:${id}`;
}

export function roomPlace(id) {
  return `room:${id}`;
}

/** Anything may be talked to, also those the site has never met: a service, a bot. */
export function conversation(state, place) {
  let found = state.conversations.get(place);
  if (!found) {
    const at = place.indexOf(':');
    const kind = place.slice(0, at);
    found = {
      place,
      kind,
      id: place.slice(at + 1),
      messages: [],
      keys: new Set(),
      loaded: false,
      unread: 0,
      typing: new Map(),
    };
    state.conversations.set(place, found);
  }
  return found;
}

export function person(state, id, nick) {
  let found = state.people.get(id);
  if (!found) {
    found = { id, nick: nick || id, show: 'unavailable', status: '' };
    state.people.set(id, found);
  }
  if (nick) found.nick = nick;
  return found;
}

export function isOnline({ show }) {
  return show !== 'unavailable' && show !== 'invisible';
}

export function totalUnread(state) {
  let total = 0;
  for (const { unread } of state.conversations.values()) total += unread;
  return total;
}

/** The site's time: every message is stamped with it, whatever the visitor's clock says. */
function siteTime(state) {
  return Date.now() + state.skewMs;
}

/** The site's answer to `online`: everything is drawn anew from it, and what was on the page already stays. */
export function applyOnline(state, answer) {
  state.me = answer.me;
  state.skewMs = answer.now - Date.now();
  for (const { id, nick, show, status } of answer.people) Object.assign(person(state, id, nick), { show, status });
  state.room.id = answer.room.id;
  state.room.name = answer.room.name;
  state.room.joined = answer.room.joined;
  state.room.members = new Map(Object.entries(answer.room.members));
  conversation(state, roomPlace(answer.room.id));
  for (const { place, last, unread } of answer.conversations) {
    const talk = conversation(state, place);
    talk.unread = unread;
    insert(talk, savedMessage(state, last));
  }
}

export function applyHistory(state, place, messages) {
  const talk = conversation(state, place);
  for (const message of messages) insert(talk, savedMessage(state, message));
  talk.loaded = true;
}

/** Everybody a `join` answered, but for those whose coming or going was heard of since it was asked. */
export function applyMembers(state, members) {
  for (const [id, show] of Object.entries(members)) {
    if (!state.room.touched?.has(id)) state.room.members.set(id, show);
  }
  state.room.touched = undefined;
}

function savedMessage(state, { from, nick, body, time }) {
  return { key: `${from} ${time}`, kind: 'message', from, nick, body, time, own: from === state.me.id, sent: 'yes' };
}

/** Every message once, however it came: from the history, over the connection, or from both. */
function insert(talk, message) {
  if (talk.keys.has(message.key)) return false;
  talk.keys.add(message.key);
  // The page's elements go by `id`, which stays when the key changes from a draft's to the site's.
  message.id = message.key;
  talk.messages.push(message);
  sortByTime(talk);
  return true;
}

function sortByTime(talk) {
  talk.messages.sort((a, b) => a.time - b.time);
}

/** A frame of the message server. Returns the messages that are news to the reader. */
export function applyFrame(state, frame) {
  for (const presence of frame.presences) applyPresence(state, presence);
  const news = [];
  for (const message of frame.messages) {
    const arrived = applyMessage(state, message);
    if (arrived) news.push(arrived);
  }
  for (const status of frame.statuses) applyStatus(state, status);
  return news;
}

function applyPresence(state, presence) {
  const { from, to, nick, type, show, status } = presence;
  if (from === state.me.id) return;
  const words = ROOM_EVENTS.get(type);
  if (!words) {
    Object.assign(person(state, from, nick), { show: type === 'offline' ? 'unavailable' : show, status });
    if (state.room.members.has(from)) state.room.members.set(from, show);
    return;
  }
  const talk = conversation(state, roomPlace(to));
  const gone = type === 'leave' || type === 'grpoffline';
  if (to === state.room.id) {
    state.room.touched?.add(from);
    if (gone) state.room.members.delete(from);
    else state.room.members.set(from, show);
  }
  if (gone) talk.typing.delete(from);
  const text = `${nick || from} ${words}`;
  insert(talk, { key: `event ${++state.counter}`, kind: 'event', text, time: siteTime(state) });
}

function applyMessage(state, { from, to, nick, timestamp, type, body }) {
  if (type === 'broadcast' || from === NOTICES) {
    state.notices.push({ key: `notice ${++state.counter}`, nick: nick || from, body });
    return undefined;
  }
  const own = from === state.me.id;
  const place = type === 'grpchat' ? roomPlace(to) : userPlace(own ? to : from);
  const talk = conversation(state, place);
  if (type !== 'grpchat' && !own && !state.people.has(from)) person(state, from, nick);
  talk.typing.delete(from);
  // Other senders may stamp in seconds, or not at all.
  const stamp = Number(timestamp);
  const time = Math.abs(stamp - siteTime(state)) < DAY_MS ? stamp : siteTime(state);
  const message = { key: `${from} ${timestamp}`, kind: 'message', from, nick, body, time, own, sent: 'yes' };
  if (!insert(talk, message) || own) return undefined;
  talk.unread += 1;
  return { place, message };
}

function applyStatus(state, { from, to, nick, show }) {
  if (from === state.me.id) return;
  const talk = conversation(state, to === state.room.id ? roomPlace(to) : userPlace(from));
  if (show === '' || show === 'clear') talk.typing.delete(from);
  else talk.typing.set(from, { nick: nick || from, until: Date.now() + TYPING_MS });
}

/** Forgets who stopped typing without saying so. Returns when to look again, in milliseconds, if at all. */
export function expireTyping(state) {
  let soonest;
  const now = Date.now();
  for (const talk of state.conversations.values()) {
    for (const [from, { until }] of talk.typing) {
      if (until <= now) talk.typing.delete(from);
      else soonest = Math.min(soonest ?? until, until);
    }
  }
  return soonest === undefined ? undefined : soonest - now;
}

/** A message of one's own, on its way. */
export function addDraft(state, place, body) {
  const { id, nick } = state.me;
  const draft = {
    key: `draft ${++state.counter}`,
    kind: 'message',
    from: id,
    nick,
    body,
    time: siteTime(state),
    own: true,
    sent: 'no',
  };
  insert(conversation(state, place), draft);
  return draft;
}

/** The site has accepted it: from now on it is known by the site's own time. */
export function confirmDraft(state, place, draft, { from, time }) {
  const talk = conversation(state, place);
  const key = `${from} ${time}`;
  draft.sent = 'yes';
  if (talk.keys.has(key)) {
    talk.messages.splice(talk.messages.indexOf(draft), 1);
    return;
  }
  talk.keys.delete(draft.key);
  talk.keys.add(key);
  draft.key = key;
  draft.time = time;
  sortByTime(talk);
}
