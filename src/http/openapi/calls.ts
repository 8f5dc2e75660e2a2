/** What the calls of PROTOCOL.md sections 3 and 19 do, in words, with one example each. What they take is in schemas.ts. */
import type { CallName } from '../../protocols/schemas.js';

export const EXAMPLE_TICKET = 'uid:jack:0df37e76e75f9d66a6c7d32d8e35b1f4';
export const EXAMPLE_ROOM = 'lobby';

export interface CallText {
  /** As PROTOCOL.md names it. */
  readonly name: string;
  readonly operationId: string;
  readonly summary: string;
  readonly text: string;
  /** Parameters of a call that is answered with `answer`; the domain and its key are in the Authorization header. */
  readonly example: Readonly<Record<string, string>>;
  readonly answer: object;
}

/** The message that the user `rose` receives from the user `jack` in the examples. */
export const EXAMPLE_MESSAGE = {
  from: 'jack',
  to: 'rose',
  nick: 'Jack',
  timestamp: '1416200000120',
  type: 'chat',
  body: 'Good morning, 张三 & Rose',
  style: '',
  id: '01G6NHM2J800V9QJ6B4E1XNT7D',
};

const ok = { status: 'ok' };
const ticket = EXAMPLE_TICKET;

const CHATS = { example: { ticket, buddies: 'rose' }, answer: { status: 'ok', buddies: { rose: 'away' } } };

export const CALLS: Readonly<Record<CallName, CallText>> = {
  online: {
    name: 'ONLINE',
    operationId: 'online',
    summary: 'Bring a user online',
    text: [
      'Makes a client of the endpoint and answers its ticket, with which the page opens its long connection. A client that',
      'does not connect within 10 seconds is removed. The first client of an endpoint brings it online: its buddies are told',
      '`online`, its rooms `grponline`. What a further client brings is merged.\n\nThe answer names the addresses of the long',
      'connections and, under `presences`, those of the listed buddies who are online. `mqtt` and `mqttd` are there while',
      'MQTT is on. `server` and `jsonpd` are older names of `jsonp`, `mqttd` of `mqtt`.\n\nA page may call it itself with a token that',
      "the site has signed (a JWT, HS256, with the domain's `tokenSecret`): its claims `sub`, `nick`, `buddies`, `rooms`, `show` and",
      '`status` take the place of the parameters, of which `show`, `status` and `client` count beside it.',
    ].join(' '),
    example: { name: 'jack', nick: 'Jack', buddies: 'rose,vid:7', rooms: EXAMPLE_ROOM },
    answer: {
      success: true,
      ticket,
      server: 'http://127.0.0.1:8080/v5/packets',
      jsonp: 'http://127.0.0.1:8080/v5/packets',
      jsonpd: 'http://127.0.0.1:8080/v5/packets',
      websocket: 'ws://127.0.0.1:8080/v5/wsocket',
      mqtt: 'tcp://127.0.0.1:1883',
      mqttd: 'tcp://127.0.0.1:1883',
      presences: { rose: 'away' },
    },
  },
  offline: {
    name: 'OFFLINE',
    operationId: 'offline',
    summary: 'End a client',
    text: [
      'Ends the client and its ticket; its open connection is closed. An endpoint whose last client has gone stays online for',
      'a grace period of 8 seconds, so that a page that is loaded again does not flicker.\n\nWith `name` instead of `ticket` it',
      'signs the endpoint out: all its clients end, on all nodes, and are told `stopped`, and tokens that were signed for it up',
      'to now are refused.',
    ].join(' '),
    example: { ticket },
    answer: ok,
  },
  show: {
    name: 'SHOW',
    operationId: 'show',
    summary: 'Change how a user is seen',
    text: [
      "Sets the endpoint's show and tells its buddies. `invisible` looks offline to everybody else and still receives;",
      '`unavailable` is the same to others. A change that nobody can see is told to nobody.',
    ].join(' '),
    example: { ticket, show: 'dnd', status: 'in a meeting' },
    answer: ok,
  },
  presences: {
    name: 'PRESENCES',
    operationId: 'presences',
    summary: 'Who of these is online',
    text: 'Answers the show of each listed endpoint that is online and visible; the others are left out.',
    example: { ids: 'jack,rose,vid:7' },
    answer: { jack: 'available', rose: 'away' },
  },
  allPresences: {
    name: 'PRESENCES of all',
    operationId: 'allPresences',
    summary: 'Who is online',
    text: [
      'Answers all endpoints that are online and visible, page by page and in no order, the same on every node. Whoever stays',
      'online throughout is listed once.',
    ].join(' '),
    example: { limit: '100' },
    answer: { status: 'ok', presences: { jack: 'available', rose: 'away' }, next: 'rose' },
  },
  message: {
    name: 'MESSAGES',
    operationId: 'message',
    summary: 'Send a message',
    text: [
      'With a `ticket`, the client of that ticket writes: to an endpoint, or to a room with `type=grpchat`. The site is',
      'trusted: the sender need not be in the room. A message to somebody who is offline is answered `ok` as well; with',
      '`receipt=1` the answer says what became of it.',
    ].join(' '),
    example: { ticket, to: 'rose', body: EXAMPLE_MESSAGE.body, timestamp: EXAMPLE_MESSAGE.timestamp },
    answer: ok,
  },
  push: {
    name: 'PUSH',
    operationId: 'push',
    summary: 'Push a message',
    text: [
      'With `from`, the site itself writes in the name of an endpoint, and no ticket is needed; where both are there it is a',
      'push. With `type=broadcast` it goes to every online endpoint of the domain.',
    ].join(' '),
    example: { from: 'sid:news', nick: 'News', to: 'jack', body: 'Your order is on its way.' },
    answer: ok,
  },
  status: {
    name: 'STATUSES',
    operationId: 'status',
    summary: 'Say that somebody is typing',
    text: 'Sends a status, such as `typing`: it is shown for a moment and kept by nobody.',
    example: { ticket, to: 'rose', show: 'typing' },
    answer: ok,
  },
  members: {
    name: 'MEMBERS',
    operationId: 'members',
    summary: 'Who is in a room',
    text: 'Answers the show of each member who is online and visible. Whoever asks need not be a member, or have a ticket.',
    example: { ticket },
    answer: { jack: 'available', rose: 'away' },
  },
  join: {
    name: 'JOIN',
    operationId: 'join',
    summary: 'Enter a room',
    text: 'Brings the endpoint into the room and tells the other members. Whoever is in already changes nothing.',
    example: { ticket },
    answer: ok,
  },
  leave: {
    name: 'LEAVE',
    operationId: 'leave',
    summary: 'Leave a room',
    text: 'Takes the endpoint out of the room and tells the other members. A room is there while it has members.',
    example: { ticket },
    answer: ok,
  },
  history: {
    name: 'HISTORY',
    operationId: 'history',
    summary: 'What was said',
    text: [
      'With `with`, the messages of a conversation, the oldest first: the latest of them, or those before or after a position.',
      'Without, the conversations of `name`, the newest first, each with its latest message and how many messages of others',
      'came after the one up to which `name` has said to have read (a status `read` and the id); rooms that `name` is in are',
      'among them. `next` is there while there is more, and goes into the next call. Needs `history` in the domain.',
    ].join(' '),
    example: { name: 'rose', with: 'jack', limit: '50' },
    answer: { status: 'ok', messages: [{ ...EXAMPLE_MESSAGE, id: 'm1' }] },
  },
  forget: {
    name: 'FORGET',
    operationId: 'forget',
    summary: 'Have something forgotten',
    text: [
      'With `with` and `id`, one message: its receivers are told the status `deleted` and the id. With `with`, a conversation, for',
      'both sides. Without, all conversations of `name`, for both sides, and what `name` has written in rooms.',
    ].join(' '),
    example: { name: 'rose', with: 'jack' },
    answer: ok,
  },
  groupJoin: {
    name: 'group/join',
    operationId: 'groupJoin',
    summary: 'Enter a room (5.0 to 5.3)',
    text: 'JOIN under its old name. Answers how many members the room has online, the one who joins included.',
    example: { ticket, group: EXAMPLE_ROOM },
    answer: { lobby: 2 },
  },
  groupLeave: {
    name: 'group/leave',
    operationId: 'groupLeave',
    summary: 'Leave a room (5.0 to 5.3)',
    text: 'LEAVE under its old name.',
    example: { ticket, group: EXAMPLE_ROOM },
    answer: ok,
  },
  groupMembers: {
    name: 'group/members',
    operationId: 'groupMembers',
    summary: 'Who is in a room (5.0 to 5.3)',
    text: 'MEMBERS under its old name. Answers a list.',
    example: { ticket, group: EXAMPLE_ROOM },
    answer: [
      { id: 'rose', nick: 'Rose', show: 'away' },
      { id: 'jack', nick: 'Jack', show: 'available' },
    ],
  },
  chatsOpen: {
    name: 'chats/open',
    operationId: 'chatsOpen',
    summary: 'A chat window is opened (5.0 to 5.3)',
    text: 'Answers who of the named buddies is online, and changes nothing.',
    ...CHATS,
  },
  chatsClose: {
    name: 'chats/close',
    operationId: 'chatsClose',
    summary: 'A chat window is closed (5.0 to 5.3)',
    text: 'Answers the same as when it was opened.',
    ...CHATS,
  },
};
