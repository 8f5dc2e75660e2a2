/** Sending with the browser library: over breaks, in order, within bounds; typing notices; leaving and coming back. */
import t from 'tap';
import { FakePlatform, settle, Visit } from '../support/fake-platform.js';

t.test('a message is answered with what became of it', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  const sent = visit.chat.send({ to: 'anna', body: 'hi', data: { image: 'x' } });
  await settle();
  const [call] = socket.calls;
  t.match(call, { call: 'message', to: 'anna', body: 'hi', type: 'chat', data: { image: 'x' }, id: 'id-1' });
  socket.say({ reply: call?.ref, status: 'ok', id: 'id-1', outcome: 'delivered' });
  t.strictSame(await sent, { id: 'id-1', outcome: 'delivered' });
});

t.test('a message to a room is a grpchat', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  void visit.chat.send({ to: 'gid:lobby', body: 'hi' });
  await settle();
  t.match(socket.calls[0], { to: 'gid:lobby', type: 'grpchat' });
});

t.test('a message that was not answered before the break goes again with its id, before those after it', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  const first = visit.chat.send({ to: 'anna', body: 'one' });
  const second = visit.chat.send({ to: 'anna', body: 'two' });
  await settle();
  t.strictSame(
    socket.calls.map(({ body }) => body),
    ['one'],
    'one is on its way at a time',
  );
  socket.end(1006);
  visit.platform.clock.advance(500);
  const next = await visit.take('7.0');
  t.match(next.calls, [{ body: 'one', id: 'id-1' }]);
  next.say({ reply: next.calls[0]?.ref, status: 'ok', id: 'id-1', outcome: 'delivered' });
  await first;
  t.strictSame(
    next.calls.map(({ body }) => body),
    ['one', 'two'],
  );
  next.say({ reply: next.calls[1]?.ref, status: 'ok', id: 'id-2', outcome: 'stored' });
  t.strictSame(await second, { id: 'id-2', outcome: 'stored' });
});

t.test('a server that has too much to do gets the message again when it said', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  const sent = visit.chat.send({ to: 'anna', body: 'hi' });
  await settle();
  socket.say({ reply: socket.calls[0]?.ref, status: 'error', message: 'too many requests', retryAfter: 3 });
  visit.platform.clock.advance(2_999);
  t.equal(socket.calls.length, 1);
  visit.platform.clock.advance(1);
  t.equal(socket.calls.length, 2);
  socket.say({ reply: socket.calls[1]?.ref, status: 'ok', id: 'id-1', outcome: 'delivered' });
  t.match(await sent, { outcome: 'delivered' });
});

const refusals: readonly (readonly [reply: object, error: object])[] = [
  [{ message: 'forbidden' }, { code: 403, message: 'forbidden' }],
  [
    { message: 'bad request', detail: 'body is required' },
    { code: 400, detail: 'body is required' },
  ],
  [{ message: 'payload too large' }, { code: 413 }],
];

for (const [reply, error] of refusals) {
  t.test(`a refusal is an error with its code: ${JSON.stringify(error)}`, async (t) => {
    const visit = new Visit(new FakePlatform());
    const socket = await visit.online();
    const sent = visit.chat.send({ to: 'anna', body: 'hi' });
    await settle();
    socket.say({ reply: socket.calls[0]?.ref, status: 'error', ...reply });
    await t.rejects(sent, { name: 'ChatError', ...error });
  });
}

t.test('nobody answers: the call ends after 10 s, a message that never went after 5 min', async (t) => {
  const visit = new Visit(new FakePlatform());
  await visit.online();
  const asked = visit.chat.history('anna');
  await settle();
  visit.platform.clock.advance(10_000);
  await t.rejects(asked, { code: 408, message: 'no answer' });
  const other = new Visit(new FakePlatform());
  const sent = other.chat.send({ to: 'anna', body: 'hi' });
  await settle();
  other.platform.clock.advance(300_000);
  await t.rejects(sent, { code: 408, message: 'not sent in time' });
});

t.test('no more than 200 calls wait, and all end when the chat is closed', async (t) => {
  const visit = new Visit(new FakePlatform());
  const sent = Array.from({ length: 201 }, () => visit.chat.send({ to: 'anna', body: 'hi' }));
  await t.rejects(
    async () => {
      await sent[200];
    },
    { code: 429 },
  );
  visit.chat.close();
  const ended = await Promise.allSettled(sent.slice(0, 200));
  t.ok(ended.every((one) => one.status === 'rejected' && one.reason.code === 410));
  await t.rejects(visit.chat.send({ to: 'anna', body: 'hi' }), { code: 410 });
});

t.test('a site that sends by itself is asked at once, with an id', async (t) => {
  const messages: unknown[] = [];
  const visit = new Visit(new FakePlatform(), {
    send: (message) => {
      messages.push(message);
      if (messages.length > 1) throw new Error('no');
      return { status: 'ok' };
    },
  });
  t.strictSame(await visit.chat.send({ to: 'anna', body: 'hi' }), { id: 'id-1', outcome: 'sent' });
  t.strictSame(messages, [{ to: 'anna', body: 'hi', type: 'chat', id: 'id-1' }]);
  await t.rejects(visit.chat.send({ to: 'anna', body: 'hi' }), { code: 502, detail: 'no' });
});

t.test('typing is said at most every 3 s, and paused by itself', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  const said = async (): Promise<unknown[]> => {
    await settle();
    const shows = socket.calls.map(({ call, to, show }) => `${call} ${to} ${show}`);
    socket.sent.length = 0;
    return shows;
  };
  for (let key = 0; key < 20; key++) {
    visit.chat.typing('anna');
    visit.platform.clock.advance(200);
  }
  t.strictSame(await said(), ['status anna typing', 'status anna typing']);
  visit.platform.clock.advance(5_000);
  t.strictSame(await said(), ['status anna paused']);
  visit.chat.typing('anna');
  void visit.chat.send({ to: 'anna', body: 'hi' });
  await said();
  visit.platform.clock.advance(5_000);
  t.strictSame(await said(), [], 'a message says it as well');
  visit.chat.read('anna', 'm7');
  t.strictSame(await said(), ['status anna read m7']);
});

t.test('what show has set is kept when the user comes online anew', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  const shown = visit.chat.show('dnd', 'in a meeting');
  await settle();
  socket.say({ reply: socket.calls[0]?.ref, status: 'ok' });
  await shown;
  visit.platform.clock.advance(10_000);
  socket.end(4404);
  await settle();
  const body = new URLSearchParams(visit.platform.request('/online').body);
  t.equal(body.get('show'), 'dnd');
  t.equal(body.get('status'), 'in a meeting');
});

t.test('close says offline, and keeps nothing in the tab', async (t) => {
  const visit = new Visit(new FakePlatform());
  await visit.online();
  visit.platform.signals?.leave('hidden');
  t.equal(visit.platform.stored.size, 1);
  visit.chat.close();
  await settle();
  const url = 'https://im.example/v5/packets?domain=a.example&ticket=uid%3Ajack%3A0df3';
  t.strictSame(visit.platform.beacons, [{ url, text: '{"call":"offline","ref":"close"}' }]);
  t.equal(visit.platform.stored.size, 0);
  t.equal(visit.platform.signals, null);
  t.equal(visit.platform.clock.waiting, 0);
});

t.test('a page that ends leaves ticket, position and who is there to the next one', async (t) => {
  const platform = new FakePlatform();
  const visit = new Visit(platform);
  await visit.come('uid:jack:0df3', { anna: 'away' });
  const socket = await visit.take('7.5');
  platform.signals?.leave('ended');
  t.ok(socket.isClosed);
  t.equal(platform.beacons.length, 0, 'and the user does not leave');
  const next = new FakePlatform();
  for (const [key, text] of platform.stored) next.stored.set(key, text);
  const page = new Visit(next);
  await settle();
  t.equal(next.asked.length, 0, 'ONLINE is not called');
  t.equal(next.stored.size, 0, 'a duplicated tab finds nothing to take');
  next.lastSocket.open();
  t.strictSame(next.lastSocket.sent, ['resume a.example 7.5 uid:jack:0df3']);
  t.strictSame([...page.chat.presences.keys()], ['anna']);
});

t.test('what one user has left is not for another one', async (t) => {
  const platform = new FakePlatform();
  await new Visit(platform).online();
  platform.signals?.leave('ended');
  const next = new FakePlatform();
  for (const [key, text] of platform.stored) next.stored.set(key, text);
  new Visit(next, { token: `e30.${Buffer.from('{"sub":"eve","aud":"a.example"}').toString('base64url')}.x` });
  await settle();
  t.equal(next.sockets.length, 0);
  t.ok(next.request('/v5/presences/online'));
});

t.test('a page that is put aside and comes back resumes', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  visit.platform.signals?.leave('aside');
  t.ok(socket.isClosed);
  visit.platform.clock.advance(600_000);
  t.equal(visit.platform.sockets.length, 1, 'and does nothing meanwhile');
  visit.platform.signals?.back();
  visit.platform.lastSocket.open();
  t.strictSame(visit.platform.lastSocket.sent, ['resume a.example 7.0 uid:jack:0df3']);
});

t.test('a hidden page keeps up what it has left', async (t) => {
  const visit = new Visit(new FakePlatform());
  const socket = await visit.online();
  visit.platform.signals?.leave('hidden');
  visit.platform.clock.advance(2_000);
  const message = { id: '1', from: 'anna', to: 'jack', nick: 'a', type: 'chat', body: 'x', timestamp: '1' };
  socket.say({ status: 'ok', messages: [message], presences: [], statuses: [] });
  t.match([...visit.platform.stored.values()][0], '"position":"7.1"');
  visit.platform.signals?.back();
  t.equal(visit.platform.stored.size, 0);
});

t.test('with leaveOnClose the user goes when the page ends', async (t) => {
  const visit = new Visit(new FakePlatform(), { leaveOnClose: true });
  await visit.online();
  visit.platform.signals?.leave('ended');
  t.match(visit.platform.beacons, [{ text: '{"call":"offline","ref":"leave"}' }]);
  t.equal(visit.platform.stored.size, 0);
});
