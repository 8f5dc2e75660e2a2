/** The browser library in a fake browser: what it says to the server, and what the page hears. */
import t from 'tap';
import { FakePlatform, settle, token, Visit } from '../support/fake-platform.js';

function frame(...messages: readonly [id: string, from: string, body: string][]): object {
  const all = messages.map(([id, from, body]) => ({
    id,
    from,
    body,
    to: 'jack',
    nick: from,
    type: 'chat',
    timestamp: '1',
    style: '',
  }));
  return { status: 'ok', messages: all, presences: [], statuses: [] };
}

t.test('a page with a token comes online and resumes by position after a break', async (t) => {
  const visit = new Visit(new FakePlatform());
  await settle();
  const asked = visit.platform.request('/v5/presences/online');
  t.equal(asked.url, 'https://im.example/v5/presences/online');
  t.equal(new URLSearchParams(asked.body).get('token'), token({ sub: 'jack', rooms: ['lobby'] }, visit.platform.clock));
  const socket = await visit.online();
  t.equal(socket.url, 'wss://im.example/v5/wsocket');
  t.equal(visit.chat.id, 'jack');
  await visit.chat.ready;
  socket.say(frame(['1', 'anna', 'one'], ['2', 'anna', 'two']));
  visit.platform.clock.advance(20_000);
  t.strictSame(socket.sent, ['ping 7.2']);
  socket.end(1006);
  visit.platform.clock.advance(500);
  const next = visit.platform.lastSocket;
  next.open();
  t.strictSame(next.sent, ['resume a.example 7.2 uid:jack:0df3']);
  next.say({ status: 'ok', position: '7.2' });
  next.say(frame(['2', 'anna', 'two'], ['3', 'anna', 'three']));
  t.strictSame(visit.heard.messages, ['anna: one', 'anna: two', 'anna: three'], 'and each message is shown once');
  t.strictSame(visit.heard.states, ['connecting', 'online websocket', 'waiting closed with 1006', 'online websocket']);
});

t.test('the first text of a first connection is position 0', async (t) => {
  const visit = new Visit(new FakePlatform());
  await visit.come();
  visit.platform.lastSocket.open();
  t.strictSame(visit.platform.lastSocket.sent, ['resume a.example 0 uid:jack:0df3']);
});

t.test('a server without positions is subscribed to', async (t) => {
  const visit = new Visit(new FakePlatform());
  await visit.come();
  visit.platform.lastSocket.open();
  visit.platform.lastSocket.say({ status: 'error', message: 'bad request' });
  visit.platform.lastSocket.end(4400);
  await settle();
  const socket = visit.platform.lastSocket;
  socket.open();
  t.strictSame(socket.sent, ['subscribe a.example uid:jack:0df3']);
  socket.say({ status: 'ok' });
  await settle();
  visit.platform.clock.advance(60_000);
  t.equal(visit.chat.state.state, 'online', 'although it answers no ping');
});

t.test('a server that refuses the origin is asked no more', async (t) => {
  const visit = new Visit(new FakePlatform());
  await visit.come();
  visit.platform.lastSocket.open();
  visit.platform.lastSocket.say({ status: 'error', message: 'bad request', detail: 'origin is not allowed' });
  visit.platform.lastSocket.end(4400);
  visit.platform.clock.advance(600_000);
  t.equal(visit.platform.sockets.length, 1);
  t.equal(visit.heard.states.at(-1), 'stopped origin is not allowed');
  await t.rejects(visit.chat.ready, { code: 410, detail: 'origin is not allowed' });
});

t.test(
  'a socket that is refused with a time comes again after it, and no other transport is tried before',
  async (t) => {
    const visit = new Visit(new FakePlatform());
    await visit.come();
    const asked = visit.platform.asked.length;
    visit.platform.lastSocket.open();
    visit.platform.lastSocket.say({ status: 'error', message: 'unavailable', retryAfter: 7 });
    visit.platform.lastSocket.end(1013);
    await settle();
    t.equal(visit.heard.states.at(-1), 'waiting unavailable');
    t.equal(visit.chat.state.retryAt, visit.platform.clock.now() + 10_500);
    t.equal(visit.platform.asked.length, asked);
    visit.platform.clock.advance(10_500);
    await settle();
    t.equal(visit.platform.asked.length, asked + 1, 'by the next transport');
  },
);

const answers: readonly (readonly [status: number, headers: Record<string, string>, state: string, afterMs: number])[] =
  [
    [400, {}, 'stopped bad', 0],
    [404, {}, 'waiting bad', 500],
    [429, { 'retry-after': '7' }, 'waiting bad', 10_500],
    [500, {}, 'waiting bad', 500],
    [503, { 'retry-after': '2' }, 'waiting bad', 3_000],
  ];

for (const [status, headers, state, afterMs] of answers) {
  t.test(`ONLINE is answered ${status}: ${state}`, async (t) => {
    const visit = new Visit(new FakePlatform());
    await settle();
    visit.platform.request('/online').answer(status, { message: 'bad' }, headers);
    await settle();
    t.equal(visit.heard.states.at(-1), state);
    if (afterMs > 0) t.equal(visit.chat.state.retryAt, visit.platform.clock.now() + afterMs);
    visit.platform.clock.advance(afterMs);
    await settle();
    t.equal(visit.platform.asked.length, state.startsWith('stopped') ? 1 : 2);
  });
}

t.test('a token that was just fetched is refused: the chat stops', async (t) => {
  const platform = new FakePlatform();
  let fetched = 0;
  const visit = new Visit(platform, {
    token: () => {
      fetched += 1;
      return token({ sub: 'jack' }, platform.clock);
    },
  });
  await settle();
  visit.platform.request('/online').answer(401, { message: 'authentication failed' });
  await settle();
  visit.platform.clock.advance(600_000);
  t.equal(fetched, 1);
  t.equal(visit.heard.states.at(-1), 'stopped authentication failed');
});

t.test('a token from before is refused: another one is fetched', async (t) => {
  const platform = new FakePlatform();
  let fetched = 0;
  const visit = new Visit(platform, {
    token: () => {
      fetched += 1;
      return token({ sub: 'jack', jti: fetched }, platform.clock);
    },
  });
  const socket = await visit.online();
  platform.clock.advance(10_000);
  socket.end(4404);
  await settle();
  t.equal(fetched, 1, 'one that is valid is used again');
  platform.request('/online').answer(401, { message: 'authentication failed' });
  await settle();
  t.equal(fetched, 2);
  await visit.come('uid:jack:77');
  await visit.take('9.0');
  t.equal(visit.heard.states.at(-1), 'online websocket fresh');
});

t.test('a token that has expired is not shown to the server', async (t) => {
  const platform = new FakePlatform();
  let fetched = 0;
  const visit = new Visit(platform, {
    token: () => {
      fetched += 1;
      return token({ sub: 'jack', exp: platform.clock.now() / 1000 + 8 }, platform.clock);
    },
  });
  const socket = await visit.online();
  platform.clock.advance(10_000);
  socket.end(4404);
  await settle();
  t.equal(fetched, 2);
});

t.test('a site whose token function fails is asked again, later and later', async (t) => {
  const platform = new FakePlatform();
  let asked = 0;
  const visit = new Visit(platform, {
    token: () => {
      asked += 1;
      throw new Error('the secret of the site');
    },
  });
  await settle();
  for (const [ms, times] of [
    [500, 2],
    [1_000, 3],
    [2_000, 4],
  ] as const) {
    platform.clock.advance(ms);
    await settle();
    t.equal(asked, times);
  }
  t.equal(visit.heard.states.at(-1), 'waiting the site gives no token');
  t.strictSame(platform.reported, []);
});

t.test('a token function that answers null: nobody is signed in', async (t) => {
  const visit = new Visit(new FakePlatform(), { token: () => null });
  await settle();
  t.equal(visit.heard.states.at(-1), 'stopped not signed in');
  t.equal(visit.platform.asked.length, 0);
});

t.test('a duplicated tab: the one that is replaced takes a ticket of its own', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  visit.platform.clock.advance(6_000);
  socket.end(4409);
  await visit.come('uid:jack:77');
  visit.platform.lastSocket.open();
  t.strictSame(visit.platform.lastSocket.sent, ['resume a.example 0 uid:jack:77']);
});

t.test('loss is said, and who is there is asked anew', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  socket.say({ status: 'ok', missed: 5, lost: 2, messages: [], presences: [], statuses: [] });
  await settle();
  t.strictSame(visit.heard.missed, [{ count: 5, lost: 2 }]);
  t.strictSame(
    socket.calls.map(({ call }) => call),
    ['members', 'history'],
  );
  socket.say({ status: 'ok', position: '8.0', missed: true, messages: [], presences: [], statuses: [] });
  t.strictSame(visit.heard.missed[1], { count: null, lost: null });
});

t.test('who is in a room is asked when the server answers calls, and kept true', async (t) => {
  const visit = new Visit(new FakePlatform());
  await visit.come('uid:jack:0df3', { anna: 'away' });
  const socket = await visit.take();
  const [members] = socket.calls;
  t.match(members, { call: 'members', room: 'lobby', full: '1' });
  socket.say({
    reply: members?.ref,
    status: 'ok',
    presences: { jack: { show: 'available', nick: 'Jack', status: '' } },
  });
  const presence = { from: 'anna', to: 'lobby', nick: 'Anna', type: 'join', show: 'away', status: 'lobby' };
  await settle();
  socket.say({ status: 'ok', messages: [], presences: [presence], statuses: [] });
  t.strictSame(
    [...(visit.chat.rooms.get('lobby') ?? [])],
    [
      ['jack', { show: 'available', status: '', nick: 'Jack' }],
      ['anna', { show: 'away', status: '', nick: 'Anna' }],
    ],
  );
  t.strictSame([...visit.chat.presences], [['anna', { show: 'away', status: '', nick: '' }]]);
  socket.say({ status: 'ok', messages: [], presences: [{ ...presence, to: 'jack', type: 'offline' }], statuses: [] });
  t.equal(visit.chat.presences.size, 0);
});

t.test('a room whose members the server does not tell is known, and asked about again after a loss', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  t.strictSame([...(visit.chat.rooms.get('lobby') ?? ['nothing'])], []);
  socket.say({ status: 'ok', missed: 1, lost: 0, messages: [], presences: [], statuses: [] });
  await settle();
  t.match(socket.calls, [{ call: 'members', room: 'lobby' }]);
});

t.test('what a listener throws stops neither the others nor the library', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  visit.chat.on('message', () => {
    throw new Error('a mistake');
  });
  const off = visit.chat.on('message', ({ body }) => void visit.heard.messages.push(`second ${body}`));
  socket.say(frame(['1', 'anna', 'one']));
  t.strictSame(visit.heard.messages, ['anna: one', 'second one']);
  t.match(visit.platform.reported, [{ message: 'a mistake' }]);
  off();
  socket.say(frame(['2', 'anna', 'two']));
  t.strictSame(visit.heard.messages.slice(2), ['anna: two']);
});

t.test('the history fills the gap of a ticket that was lost, in order and without what was shown', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  const now = visit.platform.clock.now();
  const written = (id: string, at: number, from = 'anna'): object => ({
    id,
    from,
    to: 'jack',
    nick: from,
    type: 'chat',
    body: id,
    timestamp: String(at),
  });
  socket.say({ status: 'ok', messages: [written('1', now)], presences: [], statuses: [] });
  visit.platform.clock.advance(10_000);
  socket.end(4404);
  await visit.come('uid:jack:77');
  const next = await visit.take('9.0');
  const conversations = next.calls.find(({ call }) => call === 'history');
  next.say({ status: 'ok', messages: [written('4', now + 11_000)], presences: [], statuses: [] });
  t.strictSame(visit.heard.messages, ['anna: 1'], 'what comes meanwhile waits for what was before');
  const last = { with: 'anna', last: written('3', now + 9_000) };
  next.say({
    reply: conversations?.ref,
    status: 'ok',
    conversations: [last, { with: 'old', last: written('0', now - 90_000) }],
  });
  await settle();
  const history = next.calls.at(-1);
  t.match(history, { call: 'history', with: 'anna' });
  const messages = [
    written('0', now - 1),
    written('1', now),
    written('2', now + 8_000),
    written('own', now + 8_500, 'jack'),
    written('3', now + 9_000),
  ];
  next.say({ reply: history?.ref, status: 'ok', messages });
  await settle();
  t.strictSame(visit.heard.messages, ['anna: 1', 'anna: 2', 'anna: 3', 'anna: 4']);
  t.strictSame(visit.heard.missed, []);
});

t.test('where there is no history, a page hears that something may be missing', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  visit.platform.clock.advance(10_000);
  socket.end(4404);
  await visit.come('uid:jack:77');
  await visit.refuse(await visit.take('9.0'));
  t.strictSame(visit.heard.missed, [{ count: null, lost: null }]);
});
