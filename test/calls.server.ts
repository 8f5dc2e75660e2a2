/** What clients ask and send themselves, over WebSocket and HTTP: PROTOCOL.md section 14. */
import { once } from 'node:events';
import t from 'tap';
import type { Clock } from '../src/clock.js';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingStream } from './support/counting.js';
import type { Answer, HttpRequest } from './support/http.js';
import { openPoll } from './support/polling.js';
import { type Cleaner, type Settings, siteA, siteB, type TestServer, testServer } from './support/server.js';
import type { Person } from './support/site.js';
import type { WebSocketClient } from './support/websocket.js';

const ALL = { clientCalls: true, clientSend: ['mqtt', 'websocket', 'http'], clientJoin: ['lobby', 'public-*'] };

function serve(t: Cleaner, settings: Settings = ALL, clock?: Clock): Promise<TestServer> {
  const domains = [
    { ...siteA, ...settings },
    { ...siteB, ...ALL },
  ];
  return testServer(t, { domains }, clock);
}

interface Reply {
  readonly reply: string;
  readonly status: string;
  readonly [name: string]: unknown;
}

/** One way by which a client calls. */
interface Way {
  readonly name: 'websocket' | 'http';
  call(person: Person, call: object): Promise<Reply>;
}

function post(server: TestServer, ticket: string, body: unknown, more: Partial<HttpRequest> = {}): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const query = { domain: 'a.example', ticket };
  return server.request({ method: 'POST', path: '/v5/packets', query, body: text, type: 'text/plain', ...more });
}

const webSocket: Way = {
  name: 'websocket',
  async call({ client }, call) {
    const socket = client as WebSocketClient;
    socket.send(JSON.stringify(call));
    return JSON.parse(await socket.text());
  },
};
const http: Way = {
  name: 'http',
  async call({ site, ticket }, call) {
    const answer = await post(site.server, ticket, call);
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
    return answer.body as Reply;
  },
};

for (const way of [webSocket, http]) {
  t.test(`by ${way.name} a client writes to people and rooms, in its own name`, async (t) => {
    const site = (await serve(t)).site();
    const jack = await site.arrive('jack', { rooms: 'lobby' });
    const rose = await site.arrive('rose', { rooms: 'lobby' });
    await jack.next();
    const forged = { from: 'rose', nick: 'Rose', timestamp: '1', avatar: 'x', to_name: 'y', apikey: 'z' };
    const frame = once((rose.client as WebSocketClient).socket, 'message').then(([data]) => JSON.parse(String(data)));
    const sent = await way.call(jack, { call: 'message', ref: '7', to: 'rose', body: 'hi', ...forged });
    t.match(sent, { reply: '7', status: 'ok', id: /^[\w.~-]{1,64}$/ });
    const packet = await rose.next();
    t.match(packet, { from: 'jack', nick: 'JACK', to: 'rose', body: 'hi', type: 'chat' });
    t.equal((await frame).messages[0].id, sent.id);
    t.not(packet.timestamp, '1');
    t.notOk('avatar' in packet || 'to_name' in packet || 'apikey' in packet);
    const named = { call: 'message', ref: '8', to: 'lobby', type: 'grpchat', body: 'all', id: 'my-id.1' };
    t.strictSame(await way.call(jack, named), {
      reply: '8',
      status: 'ok',
      id: 'my-id.1',
      outcome: 'delivered',
      members: 2,
    });
    t.match(await rose.next(), { from: 'jack', to: 'lobby', type: 'grpchat' });
    t.strictSame(await way.call(jack, { call: 'status', ref: '9', to: 'rose', show: 'typing', nick: 'X' }), {
      reply: '9',
      status: 'ok',
    });
    t.match(await rose.next(), { from: 'jack', to: 'rose', nick: 'JACK', show: 'typing' });
  });

  t.test(`by ${way.name} clientFields lets a client name itself, and never somebody else`, async (t) => {
    const site = (await serve(t, { ...ALL, clientFields: true })).site();
    const jack = await site.arrive('jack');
    const rose = await site.arrive('rose', { buddies: 'jack' });
    t.match(await jack.next(), { from: 'rose', type: 'online' });
    await way.call(jack, {
      call: 'message',
      to: 'rose',
      body: 'hi',
      from: 'rose',
      nick: 'J',
      timestamp: 5,
      avatar: 'a',
    });
    t.match(await rose.next(), { from: 'jack', nick: 'J', timestamp: '5', avatar: 'a' });
    t.match(await way.call(jack, { call: 'show', show: 'away', nick: 'Jacko' }), { status: 'ok' });
    t.match(await rose.next(), { from: 'jack', nick: 'Jacko', show: 'away' });
  });

  t.test(`by ${way.name} a client shows, looks, joins and leaves`, async (t) => {
    const site = (await serve(t)).site();
    const rose = await site.arrive('rose', { rooms: 'lobby,secret' });
    const jack = await site.arrive('jack', { buddies: 'rose' });
    t.match(await rose.next(), { from: 'jack', type: 'online' });
    await site.arrive('paul', {});
    t.match(await way.call(jack, { call: 'show', ref: 1, show: 'dnd', status: 'busy', nick: 'X' }), {
      reply: '1',
      status: 'ok',
    });
    t.match(await rose.next(), { from: 'jack', type: 'show', show: 'dnd', status: 'busy', nick: 'JACK' });
    const seen = await way.call(jack, { call: 'presences', ids: ['rose', 'paul', 'jack'] });
    t.strictSame(seen.presences, { rose: 'available', jack: 'dnd' }, 'paul is no buddy');
    const outside = { status: 'error', message: 'forbidden', detail: 'not in the room' };
    t.match(await way.call(jack, { call: 'members', room: 'lobby' }), outside);
    t.match(await way.call(jack, { call: 'leave', room: 'lobby' }), outside);
    t.match(await way.call(jack, { call: 'message', to: 'lobby', type: 'grpchat', body: 'x' }), outside);
    t.match(await way.call(jack, { call: 'status', to: 'gid:lobby', show: 'x' }), outside);
    t.match(await way.call(jack, { call: 'join', room: 'secret' }), { status: 'error', message: 'forbidden' });
    t.match(await way.call(jack, { call: 'join', room: 'lobby' }), { status: 'ok' });
    t.match(await rose.next(), { from: 'jack', to: 'lobby', type: 'join' });
    t.match(await way.call(jack, { call: 'join', room: 'gid:public-1' }), { status: 'ok' });
    t.strictSame((await way.call(jack, { call: 'members', room: 'lobby' })).presences, {
      rose: 'available',
      jack: 'dnd',
    });
    t.match((await way.call(jack, { call: 'members', room: 'lobby', full: '1' })).presences, {
      rose: { show: 'available', nick: 'ROSE', status: '' },
      jack: { show: 'dnd' },
    });
    t.match((await way.call(jack, { call: 'presences', ids: 'rose', full: '1' })).presences, {
      rose: { nick: 'ROSE' },
    });
    t.match(await way.call(jack, { call: 'leave', room: 'lobby' }), { status: 'ok' });
    t.match(await rose.next(), { from: 'jack', to: 'lobby', type: 'leave' });
    await site.join((await site.online('paul')).ticket, 'public-1');
    t.match(
      (await way.call(jack, { call: 'presences', ids: 'paul' })).presences,
      { paul: 'available' },
      'paul is in a room of his',
    );
    t.match(await way.call(jack, { call: 'history', with: 'rose' }), {
      status: 'error',
      detail: 'the domain keeps no history',
    });
    t.match(await way.call(jack, { call: 'received', position: '0' }), { status: 'ok' });
  });

  t.test(`by ${way.name} a client goes offline`, async (t) => {
    const site = (await serve(t)).site();
    const jack = await site.arrive('jack');
    t.match(await way.call(jack, { call: 'offline', ref: 'x' }), { reply: 'x', status: 'ok' });
    t.equal(await jack.client.ended, 'stopped');
    t.equal((await post(site.server, jack.ticket, { call: 'received', position: '0' })).status, 404);
  });

  t.test(`by ${way.name} calls are forbidden where the domain does not allow them`, async (t) => {
    const site = (await serve(t, {})).site();
    const jack = await site.arrive('jack', { rooms: 'lobby' });
    for (const call of ['message', 'status', 'show', 'presences', 'members', 'join', 'leave', 'history']) {
      const reply = await way.call(jack, {
        call,
        ref: call,
        to: 'rose',
        body: 'x',
        show: 'away',
        room: 'lobby',
        ids: 'x',
      });
      t.match(reply, { reply: call, status: 'error', message: 'forbidden' }, call);
    }
    t.match(await way.call(jack, { call: 'received', position: '0' }), { status: 'ok' });
    t.match(await way.call(jack, { call: 'offline' }), { status: 'ok' });
  });

  t.test(`by ${way.name} a wrong call is told what is wrong with it`, async (t) => {
    const site = (await serve(t, { ...ALL, limits: { messagesPerSecond: 0 } })).site();
    const jack = await site.arrive('jack');
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{ call: 'dance' }, /^call must be one of message/],
      [{ call: ['message'] }, /^call must be one of/],
      [{ call: '__proto__' }, /^call must be one of/],
      [{ call: 'message', to: 'rose' }, /^body is required/],
      [{ call: 'message', body: 'x' }, /^to is not an id/],
      [{ call: 'message', body: 'x', to: { id: 'rose' } }, /^to is not an id/],
      [{ call: 'message', body: { a: 1 }, to: 'rose' }, /^body is required/],
      [{ call: 'message', body: 'x'.repeat(8193), to: 'rose' }, /^body must be at most 8192 bytes/],
      [{ call: 'message', body: 'x', to: '/domain/b.example/uid/rose' }, /^to is not an id/],
      [{ call: 'message', body: 'x', to: 'rose', type: 'dance' }, /^type must be one of/],
      [{ call: 'message', body: 'x', to: 'rose', id: 'a b' }, /^id must be/],
      [{ call: 'status', to: 'rose' }, /^show is required/],
      [{ call: 'show', show: 'dancing' }, /^show must be one of/],
      [{ call: 'join' }, /^room is required/],
      [{ call: 'join', room: ['lobby'] }, /^room is not the id of a room/],
      [{ call: 'members', room: 'uid:jack' }, /^room is not the id of a room/],
      [{ call: 'presences' }, /^ids is required/],
      [{ call: 'received' }, /^position is required/],
      ...['', '-', '7', 'a.b', 'a.1.2.x', 7, { n: 1 }].map(
        (position) => [{ call: 'received', position }, /^position must be 0 or one that the server gave/] as const,
      ),
      [{ call: 'presences', ids: new Array(1001).fill('x') }, /^ids must be at most 1000/],
      [{ call: 'show', show: 'away', ref: 'x'.repeat(65) }, /^ref must be text of at most 64 characters/],
      [{ call: 'show', show: 'away', ref: { a: 1 } }, /^ref must be text/],
    ];
    for (const [call, detail] of wrong) {
      t.match(
        await way.call(jack, call),
        { reply: '', status: 'error', message: 'bad request', detail },
        JSON.stringify(call).slice(0, 60),
      );
    }
    t.match(await way.call(jack, { call: 'message', to: '*', type: 'broadcast', body: 'x' }), { status: 'error' });
  });

  t.test(`by ${way.name} a client that calls too fast is told when to come again`, async (t) => {
    const clock = new ManualClock();
    const site = (await serve(t, { ...ALL, limits: { messagesPerSecond: 1 } }, clock)).site();
    const jack = await site.arrive('jack');
    const received = (ref: number) => way.call(jack, { call: 'received', ref, position: '0' });
    for (let n = 0; n < 2; n++) t.match(await received(n), { status: 'ok' });
    t.match(await received(2), { status: 'error', message: 'too many requests', retryAfter: 1 });
    clock.advance(1000);
    t.match(await received(3), { status: 'ok' });
    t.match(await received(4), { status: 'error', message: 'too many requests' });
  });

  t.test(`by ${way.name} a client ends itself alone, or all clients of its user`, async (t) => {
    const server = await serve(t, {});
    const site = server.site();
    const rose = await site.arrive('rose');
    const alone = await site.arrive('jack');
    const jack = await site.arrive('jack');
    const socket = (await site.arrive('jack')).client as WebSocketClient;
    const stream = server.own(new CountingStream(server.port, (await site.online('jack')).ticket));
    await stream.connect();
    const waiting = await openPoll(server, (await site.online('jack')).ticket);
    const away = await site.online('jack');
    const { clients } = server.metrics.domain('a.example');
    t.match(await way.call(alone, { call: 'offline', ref: '1' }), { reply: '1', status: 'ok' });
    t.equal(await (alone.client as WebSocketClient).ended, 'stopped');
    t.equal(server.metrics.domain('a.example').clients, clients - 1);
    t.match(await way.call(jack, { call: 'offline', ref: '2', all: '1' }), { reply: '2', status: 'ok' });
    t.equal(await (jack.client as WebSocketClient).ended, 'stopped');
    t.equal(await socket.ended, 'stopped');
    t.equal((await waiting.answer).text, '{"status":"stopped"}');
    await stream.until(() => stream.events.includes('stopped'), 'event');
    t.equal((await post(server, away.ticket, [])).status, 404);
    t.strictSame((await post(server, rose.ticket, [])).body, []);
    t.equal(server.metrics.domain('a.example').clients, 1);
  });

  t.test(`by ${way.name} calls that a client may not make count toward its rate`, async (t) => {
    const settings = { ...ALL, clientSend: ['mqtt'], limits: { messagesPerSecond: 1 } };
    const jack = await (await serve(t, settings, new ManualClock())).site().arrive('jack');
    const send = async () => (await way.call(jack, { call: 'message', to: 'rose', body: 'x' })).message;
    t.strictSame([await send(), await send(), await send()], ['forbidden', 'forbidden', 'too many requests']);
  });
}

t.test('texts that are no calls are ignored, also hostile ones', async (t) => {
  const site = (await serve(t)).site();
  const jack = await site.arrive('jack');
  const socket = jack.client as WebSocketClient;
  const nested = `{"call":"show","show":${'['.repeat(30_000)}`;
  for (const words of [
    'hello',
    '{',
    '[]',
    '{"cal":1}',
    '[{"call":"show"}]',
    'null',
    nested,
    '{"call":"show","nick":"\\ud800"}',
    'heartbeat',
  ]) {
    socket.send(words);
  }
  socket.send(`{"call":"show","show":${'{"a":'.repeat(3000)}1${'}'.repeat(3000)},"ref":"deep"}`);
  t.match(JSON.parse(await socket.text()), { reply: 'deep', status: 'error', message: 'bad request' });
  t.match(await webSocket.call(jack, { call: 'received', ref: 'still here', position: '0' }), {
    reply: 'still here',
    status: 'ok',
  });
});

t.test('an array of calls by HTTP is answered in order, up to 20 of them', async (t) => {
  const server = await serve(t);
  const site = server.site();
  const jack = await site.arrive('jack');
  const rose = await site.arrive('rose');
  const calls = Array.from({ length: 20 }, (_, n) => ({ call: 'message', ref: `${n}`, to: 'rose', body: `${n}` }));
  const answer = await post(server, jack.ticket, calls, { type: 'application/json' });
  t.match(answer, { status: 200, headers: { 'access-control-allow-origin': '*' } });
  t.strictSame(
    (answer.body as Reply[]).map(({ reply, status }) => [reply, status]),
    calls.map(({ ref }) => [ref, 'ok']),
  );
  for (const { body } of calls) t.match(await rose.next(), { body });
  t.match(await post(server, jack.ticket, [...calls, calls[0]]), {
    status: 400,
    body: { detail: 'there must be at most 20 calls' },
  });
  t.strictSame((await post(server, jack.ticket, [])).body, []);
  t.match((await post(server, jack.ticket, [5, null, ['x']])).body, [{ detail: 'call is required' }, {}, {}]);
});

t.test('a POST of calls that cannot be read or is not let in is refused', async (t) => {
  const server = await serve(t, { ...ALL, origins: ['https://a.example'] });
  const { ticket } = await server.site().online('jack');
  const call = { call: 'received', position: '0' };
  t.match(await post(server, ticket, 'x'), { status: 400, body: { detail: /not a JSON object/ } });
  t.equal((await post(server, ticket, '"x"')).status, 400);
  t.equal((await post(server, ticket, call, { type: 'application/xml' })).status, 415);
  t.equal((await post(server, ticket, call, { headers: { 'content-encoding': 'gzip' } })).status, 415);
  const large = await post(server, ticket, 'x'.repeat(70_000), { headers: { origin: 'https://a.example' } });
  t.strictSame([large.status, large.headers['access-control-allow-origin']], [413, 'https://a.example']);
  t.equal((await post(server, `${ticket}0`, call)).status, 404);
  t.equal((await post(server, ticket, call, { query: { domain: 'b.example', ticket } })).status, 404);
  t.equal((await post(server, ticket, call, { query: { domain: 'x.example', ticket } })).status, 404);
  t.match(await post(server, ticket, call, { query: { domain: 'a.example' } }), {
    status: 400,
    body: { detail: 'ticket is required' },
  });
  const foreign = await post(server, ticket, call, { headers: { origin: 'https://b.example' } });
  t.strictSame([foreign.status, foreign.headers['access-control-allow-origin']], [400, undefined]);
  const own = await post(server, ticket, call, { headers: { origin: 'https://a.example' } });
  t.strictSame([own.status, own.headers['access-control-allow-origin']], [200, 'https://a.example']);
  const preflight = await server.request({
    method: 'OPTIONS',
    path: '/v5/packets',
    query: { domain: 'a.example' },
    headers: { origin: 'https://a.example' },
  });
  t.match(preflight.headers['access-control-allow-methods'], /POST/);
});

t.test('a client that calls and does not read is refused, and what the server keeps for it is bounded', async (t) => {
  const server = await serve(t, { ...ALL, limits: { messagesPerSecond: 0 } });
  const site = server.site();
  const rose = await site.arrive('rose', { rooms: 'lobby' });
  for (let n = 0; n < 300; n++) await site.online(`${'member'.repeat(30)}${n}`, { rooms: 'lobby' });
  const jack = await site.arrive('jack', { rooms: 'lobby' });
  const { socket } = jack.client as WebSocketClient;
  socket.pause();
  const calls = 4000;
  for (let n = 0; n < calls; n++) socket.send(JSON.stringify({ call: 'members', room: 'lobby', ref: `${n}` }));
  const before = server.metrics.refused.tooManyRequests;
  t.match(
    await webSocket.call(rose, { call: 'received', ref: 'r', position: '0' }),
    { status: 'ok' },
    'nobody else waits',
  );
  await server.settledWhile(() => server.metrics.refused.tooManyRequests === before);
  socket.resume();
  const replies: Reply[] = [];
  while (!replies.some(({ status }) => status === 'error'))
    replies.push(JSON.parse(await (jack.client as WebSocketClient).text()));
  t.match(replies.at(-1), { status: 'error', message: 'too many requests', retryAfter: 1 });
  t.ok(replies.length < calls);
});

t.test('nothing crosses domains: a client of one writes to its own people only', async (t) => {
  const server = await serve(t);
  const jack = await server.site().arrive('jack', { rooms: 'lobby' });
  const other = await server.site(siteB).arrive('rose', { rooms: 'lobby' });
  for (const way of [webSocket, http]) {
    await way.call(jack, { call: 'message', to: 'rose', body: 'x' });
    await way.call(jack, { call: 'message', to: 'lobby', type: 'grpchat', body: 'x' });
    t.strictSame((await way.call(jack, { call: 'presences', ids: 'rose' })).presences, {});
    t.strictSame((await way.call(jack, { call: 'members', room: 'lobby' })).presences, { jack: 'available' });
  }
  t.strictSame(await other.before(), []);
});
