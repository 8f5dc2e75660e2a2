/** What the widget keeps, without a browser: bounds, history backwards and forwards, read marks, what was not sent. */
import t from 'tap';
import type { Events, History, Outgoing, Range, Sent } from '../../client/src/chat.js';
import type { Person } from '../../client/src/roster.js';
import type { Message } from '../../client/src/wire.js';
import { KEPT, KEPT_CLOSED } from '../../client/widget/src/conversation.js';
import { type Chatting, Model } from '../../client/widget/src/model.js';

type Listener = (event: never) => void;

/** A connection of the test's own. */
class FakeChat implements Chatting {
  readonly id = 'anna';
  readonly presences = new Map<string, Person>();
  readonly rooms = new Map<string, Map<string, Person>>();
  readonly state = { state: 'connecting' as const };
  readonly sent: Outgoing[] = [];
  readonly reads: string[] = [];
  /** How many messages the history has with anybody; null: the domain keeps none. */
  total: number | null = null;
  asked = 0;
  answer: (message: Outgoing) => Promise<Sent> = ({ id = '' }) => Promise.resolve({ id, outcome: 'delivered' });
  readonly #listeners = new Map<string, Set<Listener>>();

  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const some = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, some.add(listener as Listener));
    return () => some.delete(listener as Listener);
  }

  tell<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) (listener as (event: Events[Name]) => void)(event);
  }

  send(message: Outgoing): Promise<Sent> {
    this.sent.push(message);
    return this.answer(message);
  }

  typing(): void {}

  read(to: string, id: string): void {
    this.reads.push(`${to} ${id}`);
  }

  async show(): Promise<void> {}
  async join(): Promise<void> {}
  async leave(): Promise<void> {}
  close(): void {}

  async call(): Promise<never> {
    throw Object.assign(new Error('forbidden'), { code: 403 });
  }

  async conversations(): Promise<{ conversations: [] }> {
    if (this.total === null) throw Object.assign(new Error('forbidden'), { code: 403 });
    return { conversations: [] };
  }

  /** Numbered messages, a cursor of which is the number of the oldest one that was answered. */
  async history(id: string, { before, limit = 50 }: Range): Promise<History> {
    this.asked += 1;
    if (this.total === null) throw Object.assign(new Error('forbidden'), { code: 403 });
    const end = before === undefined ? this.total : Number(before);
    const start = Math.max(0, end - limit);
    const messages = Array.from({ length: end - start }, (_, i) => numbered(id, start + i));
    return { messages, ...(start > 0 ? { next: String(start) } : {}) };
  }
}

function numbered(from: string, n: number, fields: object = {}): Message {
  return {
    id: `m${n}`,
    from,
    to: 'anna',
    nick: from,
    type: 'chat',
    body: String(n),
    timestamp: String(1e12 + n),
    ...fields,
  };
}

function setUp(total: number | null = null, rooms: readonly string[] = []) {
  const chat = new FakeChat();
  chat.total = total;
  const unseen: string[] = [];
  const timers = new Set<() => void>();
  let ids = 0;
  const timer = {
    now: () => 2e12,
    uuid: () => `own${++ids}`,
    after: (_delayMs: number, task: () => void) => {
      timers.add(task);
      return () => timers.delete(task);
    },
  };
  const listener = {
    changed: () => undefined,
    state: () => undefined,
    heard: () => undefined,
    unseen: (_conversation: unknown, { body }: { readonly body: string }) => void unseen.push(body),
  };
  const model = new Model(chat, timer, listener, rooms);
  const pass = (): void => {
    for (const task of [...timers]) {
      timers.delete(task);
      task();
    }
  };
  chat.tell('state', { state: 'online', transport: 'websocket' });
  return { chat, model, unseen, pass, timers };
}

const settled = () => new Promise(setImmediate);
const bodies = (lines: readonly { readonly body: string }[]): number[] => lines.map(({ body }) => Number(body));
const isRow = (numbers: readonly number[]): boolean =>
  numbers.every((n, i) => i === 0 || n === (numbers[i - 1] ?? 0) + 1);

t.test(
  'an hour of 20 messages a second, in 1,000 conversations and a room, keeps no more than its bounds',
  async (t) => {
    const { chat, model } = setUp();
    await settled();
    model.openConversation('gid:lobby');
    for (let n = 0; n < 72_000; n++) {
      const isRoom = n % 2 === 0;
      const from = `user${n % 1_000}`;
      chat.tell('message', numbered(from, n, isRoom ? { type: 'grpchat', to: 'lobby' } : {}));
      if (n % 10 === 0) chat.tell('status', { from, to: 'anna', nick: from, show: 'typing' });
    }
    t.equal(model.conversations.size, 300);
    t.equal(model.open?.lines.length, KEPT);
    const closed = [...model.conversations.values()].filter((one) => one !== model.open);
    t.ok(closed.every(({ lines }) => lines.length <= KEPT_CLOSED));
    t.equal(model.open?.lines.at(-1)?.body, '71998');
    t.ok((model.open?.typists(2e12).length ?? 0) <= 20);
  },
);

t.test(
  '10,000 messages of history: back to the first one and on to the newest, without a hole and within the bounds',
  async (t) => {
    const { chat, model } = setUp(10_000);
    await settled();
    const conversation = model.openConversation('jack');
    await settled();
    t.strictSame([conversation.lines[0]?.body, conversation.lines.at(-1)?.body], ['9950', '9999']);
    while (conversation.hasOlder) {
      await model.loadOlder(conversation);
      if (conversation.lines.length > KEPT || !isRow(bodies(conversation.lines))) return t.fail('a hole, or too many');
    }
    t.equal(conversation.lines[0]?.body, '0');
    t.notOk(conversation.isLive);
    chat.tell('message', numbered('jack', 10_000));
    t.equal(conversation.last?.body, '10000');
    t.not(conversation.lines.at(-1)?.body, '10000', 'what comes is no hole');
    chat.total = 10_001;
    while (!conversation.isLive) {
      await model.loadNewer(conversation);
      if (conversation.lines.length > KEPT || !isRow(bodies(conversation.lines))) return t.fail('a hole, or too many');
    }
    t.equal(conversation.lines.at(-1)?.body, '10000');
    for (let page = 0; page < 100; page++) await model.loadOlder(conversation);
    t.ok(Number(conversation.lines[0]?.body) < 4_500);
    t.ok(isRow(bodies(conversation.lines)), 'and back again');
    await model.toNewest(conversation);
    t.equal(conversation.lines.at(-1)?.body, '10000');
    t.ok(isRow(bodies(conversation.lines)));
  },
);

t.test('more was written than a page holds, while its reader was far back: the newest are shown anew', async (t) => {
  const { chat, model } = setUp(2_000);
  await settled();
  const conversation = model.openConversation('jack');
  await settled();
  while (conversation.hasOlder) await model.loadOlder(conversation);
  chat.total = 3_000;
  while (!conversation.isLive) await model.loadNewer(conversation);
  await settled();
  t.equal(conversation.lines.at(-1)?.body, '2999');
  t.ok(isRow(bodies(conversation.lines)));
});

t.test('messages that were forgotten while they came are read from the history', async (t) => {
  const { chat, model } = setUp(0);
  await settled();
  const conversation = model.openConversation('jack');
  await settled();
  for (let n = 0; n < 900; n++) chat.tell('message', numbered('jack', n));
  chat.total = 900;
  t.equal(conversation.lines[0]?.body, String(900 - KEPT));
  await model.loadOlder(conversation);
  t.ok(Number(conversation.lines[0]?.body) < 900 - KEPT);
  t.ok(isRow(bodies(conversation.lines)));
});

t.test('where the domain keeps no history it is asked once', async (t) => {
  const { chat, model } = setUp();
  await settled();
  t.equal(model.hasHistory, false);
  model.openConversation('jack');
  model.openConversation('mia');
  await settled();
  t.equal(chat.asked, 0);
});

t.test(
  'a message is read once its reader sees it; to one person that is said once a second, to a room without history never',
  async (t) => {
    const { chat, model, unseen, pass } = setUp();
    await settled();
    const conversation = model.openConversation('jack');
    chat.tell('message', numbered('jack', 1));
    t.strictSame([chat.reads, conversation.unread, unseen], [[], 1, ['1']], 'the page is hidden');
    model.see(true);
    for (const n of [2, 3, 4]) chat.tell('message', numbered('jack', n));
    t.strictSame([chat.reads, conversation.unread], [['jack m1'], 0]);
    pass();
    pass();
    t.strictSame(chat.reads, ['jack m1', 'jack m4']);
    model.openConversation('gid:lobby');
    model.see(true);
    chat.tell('message', numbered('jack', 5, { type: 'grpchat', to: 'lobby' }));
    pass();
    t.strictSame(chat.reads, ['jack m1', 'jack m4']);
  },
);

t.test('what was not sent is tried again under its id, what nobody kept under a new one', async (t) => {
  const { chat, model } = setUp();
  await settled();
  const conversation = model.openConversation('jack');
  chat.answer = () => Promise.reject(Object.assign(new Error('bad request'), { detail: 'body is too long' }));
  model.send(conversation, 'long');
  t.equal(conversation.lines[0]?.outcome, 'sending');
  await settled();
  const [failed] = conversation.lines;
  t.match(failed, { outcome: 'failed', reason: 'body is too long' });
  chat.answer = ({ id = '' }) => Promise.resolve({ id, outcome: 'dropped' });
  if (failed) model.retry(conversation, failed);
  await settled();
  const [dropped] = conversation.lines;
  t.match(dropped, { outcome: 'dropped', id: failed?.id });
  chat.answer = ({ id = '' }) => Promise.resolve({ id, outcome: 'stored' });
  if (dropped) model.retry(conversation, dropped);
  await settled();
  t.match(conversation.lines, [{ outcome: 'stored', body: 'long' }]);
  t.not(conversation.lines[0]?.id, failed?.id);
  chat.tell('status', { from: 'jack', to: 'anna', nick: 'jack', show: `read ${conversation.lines[0]?.id}` });
  t.equal(conversation.lines[0]?.outcome, 'read');
});

t.test('a deleted message goes; a message comes once; a room is known by whatever it is called', async (t) => {
  const { chat, model } = setUp();
  await settled();
  chat.rooms.set('lobby', new Map());
  chat.tell('message', numbered('jack', 1));
  chat.tell('message', numbered('jack', 1));
  chat.tell('message', numbered('jack', 2));
  const conversation = model.conversation('jack');
  t.strictSame(bodies(conversation.lines), [1, 2]);
  chat.tell('status', { from: 'jack', to: 'anna', nick: 'jack', show: 'deleted m1' });
  t.strictSame(bodies(conversation.lines), [2]);
  for (const [n, to] of ['lobby', 'gid:lobby'].entries())
    chat.tell('message', numbered('jack', n, { type: 'grpchat', to, id: `r${n}` }));
  t.equal(model.conversation('gid:lobby').lines.length, 2);
  chat.tell('status', { from: 'jack', to: 'lobby', nick: 'jack', show: 'typing' });
  t.strictSame(model.conversation('gid:lobby').typists(2e12), ['jack']);
  t.strictSame(conversation.typists(2e12), []);
});

t.test('what the user writes elsewhere stands here as well, and is not unread', async (t) => {
  const { chat, model, unseen } = setUp();
  await settled();
  chat.tell('message', { ...numbered('anna', 1), to: 'jack' });
  t.match(model.conversation('jack').lines, [{ isMine: true, outcome: 'sent' }]);
  t.strictSame([model.unread, unseen], [0, []]);
});

t.test('fields of any kind are text', async (t) => {
  const { chat, model } = setUp();
  await settled();
  const strange = {
    id: 7,
    nick: null,
    body: { a: 1 },
    timestamp: 'yesterday',
    data: { image: 5 },
  } as unknown as Message;
  chat.tell('message', { ...numbered('jack', 1), ...strange });
  const [line] = model.conversation('jack').lines;
  t.match(line, { nick: '', body: '[object Object]', at: 2e12, image: null });
});
