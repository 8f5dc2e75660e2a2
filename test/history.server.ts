/** The history of a domain, as its site and its clients read it: PROTOCOL.md section 18. */

import t from 'tap';
import { type Address, addressOf } from '../src/actors/address.js';
import { Gathering } from '../src/actors/gathering.js';
import { History } from '../src/actors/history.js';
import { Packet } from '../src/actors/packet.js';
import type { Limits } from '../src/config.js';
import { Metrics } from '../src/metrics.js';
import { encodePacket } from '../src/protocols/frame.js';
import { part } from '../src/store/keys.js';
import { ManualClock } from './mqtt/support/clock.js';
import { ALL, bodies, call, forget, history, list, serve } from './support/history.js';
import type { Params } from './support/http.js';
import { MemoryStore } from './support/memory-store.js';
import { siteA, siteB, testServer } from './support/server.js';
import type { WebSocketClient } from './support/websocket.js';

t.test('what was said is read by both sides, oldest first, as clients received it', async (t) => {
  const server = await serve(t);
  const site = server.site();
  const jack = await site.arrive('jack');
  const anna = await site.arrive('anna');
  await site.message(jack.ticket, 'anna', 'one', { style: 'color:red', timestamp: '12', to_name: 'Anna' });
  await site.push('anna', 'jack', 'two');
  await site.push('jack', 'vid:7', 'to a visitor');
  await site.push('jack', 'nobody', 'to somebody offline');
  const { kind: _kind, ...received } = await anna.next();
  const { messages, next } = await history(site, 'anna', { with: 'jack' });
  t.hasStrict(messages[0], received, 'the same bytes');
  t.match(messages[0]?.id, /^[0-9A-Z]{26}$/);
  t.match(messages, [
    { from: 'jack', body: 'one', style: 'color:red', to_name: 'Anna' },
    { from: 'anna', body: 'two' },
  ]);
  t.equal(next, undefined);
  t.strictSame(await history(site, 'jack', { with: 'anna' }), await history(site, 'anna', { with: 'jack' }));
  t.strictSame(await bodies(site, 'vid:7', 'jack'), ['to a visitor']);
  t.strictSame(await bodies(site, 'nobody', 'jack'), ['to somebody offline']);
  t.strictSame(await bodies(site, 'anna', 'nobody'), [], 'a conversation that is none');
  t.strictSame(await call(anna, { with: 'jack' }), { reply: '1', status: 'ok', messages }, 'a client reads the same');
});

t.test('pages lead through a conversation of 10,000 messages that keeps 1,000, in both directions', async (t) => {
  const server = await serve(t, { history: { messages: 1000 } });
  const site = server.site();
  const mark = 10_000;
  const anna = await site.arrive('anna');
  const socket = anna.client as WebSocketClient;
  const reload = {
    domains: [{ ...siteA, ...ALL, history: { messages: 1000 }, limits: { messagesPerSecond: 0 } }],
    data: 'none',
  };
  server.reload({ ...reload, data: t.testdirName });
  for (let i = 0; i < mark; i++)
    socket.send(JSON.stringify({ call: 'message', ref: String(i), to: 'jack', body: `m${i}` }));
  let accepted = 0;
  for (let i = 0; i < mark; i++) if (JSON.parse(await socket.text()).status === 'ok') accepted += 1;
  t.equal(accepted, mark);
  // The server has closed what was idle meanwhile.
  server.agent.destroy();
  const expected = Array.from({ length: 1000 }, (_, i) => `m${mark - 1000 + i}`);
  const back: string[] = [];
  let before: string | undefined;
  let pages = 0;
  do {
    const page = await history(site, 'jack', { with: 'anna', limit: 200, before });
    back.unshift(...page.messages.map(({ body }) => body));
    before = page.next;
    pages += 1;
  } while (before !== undefined);
  t.strictSame(back, expected);
  t.equal(pages, 5);
  const first = await history(site, 'jack', { with: 'anna', limit: 200 });
  const middle = await history(site, 'jack', { with: 'anna', limit: 100, before: first.next });
  const forth = await history(site, 'jack', { with: 'anna', limit: 150, after: middle.next });
  t.strictSame(
    forth.messages.map(({ body }) => body),
    expected.slice(-299, -149),
    'after a position comes what follows it',
  );
  const between = { with: 'anna', after: middle.next, before: first.next, limit: 200 };
  t.strictSame(await bodies(site, 'jack', 'anna', between), expected.slice(-299, -200), 'between two positions');
});

t.test('a page of long messages is shorter than its limit, and says that there is more', async (t) => {
  const site = (await serve(t)).site();
  const text = 'x'.repeat(8000);
  for (let i = 0; i < 50; i++) await site.push('jack', 'anna', text);
  const page = await history(site, 'anna', { with: 'jack', limit: 200 });
  t.ok(page.messages.length > 20 && page.messages.length < 50, `${page.messages.length} messages`);
  const rest = await history(site, 'anna', { with: 'jack', limit: 200, before: page.next });
  t.equal(page.messages.length + rest.messages.length, 50);
});

t.test('the list has each conversation with its latest message and what is unread, the newest first', async (t) => {
  const site = (await serve(t)).site();
  const anna = await site.arrive('anna', { rooms: 'lobby,empty' });
  await site.push('jack', 'anna', 'one');
  await site.push('rose', 'anna', 'two');
  await site.push('jack', 'lobby', 'in the lobby', { type: 'grpchat' });
  await site.push('jack', 'elsewhere', 'where anna is not', { type: 'grpchat' });
  await site.push('anna', 'sid:help', 'help');
  await site.push('jack', 'anna', 'three');
  t.strictSame(await list(site, 'anna'), [
    ['jack', 2, 'three'],
    ['sid:help', 0, 'help'],
    ['gid:lobby', 1, 'in the lobby'],
    ['rose', 1, 'two'],
  ]);
  const { conversations } = await history(site, 'anna');
  t.strictSame((await call(anna, {})).conversations, conversations, 'a client is told the same');
  const { messages } = await history(site, 'anna', { with: 'jack' });
  await site.status(anna.ticket, 'jack', `read ${messages[0]?.id}`);
  t.strictSame((await list(site, 'anna'))[0], ['jack', 1, 'three'], 'read up to a message');
  await site.status(anna.ticket, 'jack', 'read nonsense');
  await site.status(anna.ticket, 'jack', 'typing');
  await site.status(anna.ticket, 'jack', `read ${messages[1]?.id}`);
  await site.status(anna.ticket, 'jack', `read ${messages[0]?.id}`);
  t.strictSame((await list(site, 'anna'))[0], ['jack', 0, 'three'], 'what was read stays read');
  const said = (await history(site, 'anna', { with: 'gid:lobby' })).messages[0];
  await site.status(anna.ticket, 'gid:lobby', `read ${said?.id}`);
  t.strictSame((await list(site, 'anna'))[2], ['gid:lobby', 0, 'in the lobby']);
  await site.push('anna', 'jack', 'an answer');
  t.strictSame((await list(site, 'anna'))[0], ['jack', 0, 'an answer'], 'what one says is not unread');
  t.strictSame(await list(site, 'jack'), [['anna', 1, 'an answer']], 'who is offline is in no room');

  const pages: string[][] = [];
  let before: string | undefined;
  do {
    const page = await history(site, 'anna', { limit: 1, before });
    pages.push(page.conversations.map((one) => one.with));
    before = page.next;
  } while (before !== undefined);
  t.strictSame(pages, [['jack'], ['sid:help'], ['gid:lobby'], ['rose']]);
});

t.test('a list of conversations with much that is unread is shorter than its limit, and goes on', async (t) => {
  const site = (await serve(t)).site();
  const names = Array.from({ length: 9 }, (_, n) => `u${n}`);
  const body = 'x'.repeat(8000);
  const messages = names.flatMap((from) => Array.from({ length: 100 }, () => ({ from, to: 'anna', body })));
  for (let at = 0; at < messages.length; at += 100) {
    const json = { domain: site.domain, messages: messages.slice(at, at + 100) };
    t.equal((await site.send({ method: 'POST', path: '/v5/messages/batch', json })).status, 200);
  }
  const found: (readonly [string, number])[] = [];
  let before: string | undefined;
  let pages = 0;
  do {
    const page = await history(site, 'anna', { limit: 200, before });
    found.push(...page.conversations.map((one) => [one.with, one.unread] as const));
    before = page.next;
    pages += 1;
  } while (before !== undefined);
  t.strictSame(
    found,
    names.reverse().map((name) => [name, 100]),
  );
  t.equal(pages, 2);
});

t.test('what one client says to have read, however often, is searched for a few times', (t) => {
  const gathering = new Gathering('a.example', new MemoryStore());
  const [by, to] = ['/domain/a.example/uid/1', '/domain/a.example/uid/2'] as [Address, Address];
  for (let n = 0; n < 10_000; n++) gathering.read(by, to, String(n), n);
  gathering.read(to, by, 'x', 0);
  gathering.close();
  const [taken] = gathering.take(1);
  t.strictSame(
    [...(taken?.reads ?? [])],
    [
      [by, ['9996', '9997', '9998', '9999']],
      [to, ['x']],
    ],
  );
  gathering.written();
  t.ok(gathering.isEmpty);
  t.end();
});

t.test('much that gathers is written before its time, some conversations after the others', (t) => {
  const clock = new ManualClock();
  const metrics = new Metrics();
  const owner = { name: 'a.example', limits: { historyBytes: 0 } as Limits, metrics: metrics.domain('a.example') };
  const store = new MemoryStore();
  const history = new History(owner, clock, store, { messages: 1000, days: 30 }, encodePacket);
  const address = (n: number) => addressOf('a.example', 'uid', String(n));
  const say = (n: number, body: string) => {
    const fields = { from: '0', to: String(n), nick: '', timestamp: '1', type: 'chat', body, style: '' } as const;
    history.take(new Packet('message', fields, address(n), address(0)), address(n));
  };
  const { history: counts } = owner.metrics;
  for (let n = 0; n < 20_000; n++) say(n % 100, 'x');
  clock.advance(10);
  t.equal(counts.kept, 10_000, 'fifty conversations');
  say(7, 'the latest');
  clock.advance(10);
  t.equal(counts.kept, 20_000);
  for (let n = 0; n < 5; n++) say(n, 'y'.repeat(1_000_000));
  clock.advance(10);
  t.equal(counts.kept, 20_006, 'also where few messages are many bytes');
  const { items } = history.messages(address(0), address(7), { before: null, after: null, limit: 1 });
  t.match(items, [/the latest/]);
  history.close();
  t.strictSame([...store.table('gathered').entries(part('a.example'))], [], 'nothing is noted that is written');
  t.end();
});

t.test('a client reads its own conversations and the rooms it is in, and nobody else’s', async (t) => {
  const server = await serve(t);
  const site = server.site();
  const anna = await site.arrive('anna', { rooms: 'lobby' });
  const eve = await site.arrive('eve');
  await site.push('jack', 'anna', 'a secret');
  await site.push('jack', 'lobby', 'before eve', { type: 'grpchat' });
  t.match(await call(eve, { with: 'jack', name: 'anna' }), { status: 'ok', messages: [] }, 'whatever name it gives');
  t.strictSame((await call(eve, { name: 'anna' })).conversations, []);
  const outside = { status: 'error', message: 'forbidden', detail: 'not in the room' };
  t.match(await call(eve, { with: 'gid:lobby' }), outside);
  await site.join(eve.ticket, 'lobby');
  const seen = await call(eve, { with: 'gid:lobby' });
  t.match(seen, { messages: [{ body: 'before eve' }] }, 'in the room it sees all that is kept');
  await site.leave(eve.ticket, 'lobby');
  t.match(await call(eve, { with: 'gid:lobby' }), outside, 'and nothing when it has left');
  t.strictSame((await call(eve, {})).conversations, []);
  t.strictSame(await bodies(site, 'eve', 'gid:lobby'), ['before eve'], 'the site is trusted');
  t.match(await call(anna, { with: 'gid:lobby' }), { messages: [{ body: 'before eve' }] });
  for (const fields of [{ clientCalls: false }, { history: null }]) {
    server.reload({ data: t.testdirName, domains: [{ ...siteA, ...ALL, ...fields }] });
    t.match(await call(anna, {}), { status: 'error', message: 'forbidden' }, JSON.stringify(fields));
  }
});

t.test('nothing crosses from one domain to another', async (t) => {
  const server = await serve(t);
  const [a, b] = [server.site(siteA), server.site(siteB)];
  for (const site of [a, b]) {
    await site.push('jack', 'anna', `in ${site.domain}`);
    await site.push('jack', 'lobby', `in ${site.domain}`, { type: 'grpchat' });
  }
  for (const site of [a, b]) {
    t.strictSame(await bodies(site, 'anna', 'jack'), [`in ${site.domain}`]);
    t.strictSame(await bodies(site, 'anna', 'gid:lobby'), [`in ${site.domain}`]);
    t.strictSame(await list(site, 'anna'), [['jack', 1, `in ${site.domain}`]]);
  }
  const foreign = `/domain/${siteA.domain}/uid/jack`;
  const answer = await b.get('/v5/history', { name: 'anna', with: foreign });
  t.match(answer, { status: 400, body: { detail: 'with is not an id' } });
  t.equal((await b.get('/v5/history', { name: foreign })).status, 400);
  const wrong = await server.site({ ...siteA, apikey: siteB.apikey }).get('/v5/history', { name: 'anna' });
  t.equal(wrong.status, 401);
  const named = await b.send({ path: '/v5/history', query: { domain: siteA.domain, name: 'anna' } });
  t.equal(named.status, 401);
  t.strictSame(await forget(b, { name: 'anna' }), { status: 200, body: { status: 'ok' } });
  t.strictSame(await bodies(a, 'anna', 'jack'), [`in ${siteA.domain}`]);
  t.strictSame(await list(b, 'anna'), []);
});

t.test('what cannot be asked is refused in words', async (t) => {
  const site = (await serve(t)).site();
  const refused: readonly (readonly [Params, string | RegExp])[] = [
    [{}, 'name is required'],
    [{ name: '' }, 'name must not be empty'],
    [{ name: 'gid:lobby' }, 'name is not the id of a user, visitor or service'],
    [{ name: 'a/b' }, 'name is not the id of a user, visitor or service'],
    [{ name: 'x'.repeat(257) }, 'name is not the id of a user, visitor or service'],
    [{ name: 'anna', with: 'a#b' }, 'with is not an id'],
    [{ name: 'anna', with: '\u0000' }, 'with is not an id'],
    [{ name: 'anna', with: '' }, 'with must not be empty'],
    ...['0', '201', '-1', '1.5', 'all', ''].map((limit) => {
      return [{ name: 'anna', limit }, 'limit must be a whole number from 1 to 200'] as const;
    }),
    ...['', 'A', '-1', 'x'.repeat(12), 'zzzzzzzzzzzzz', '../'].map((before) => {
      return [{ name: 'anna', with: 'jack', before }, 'before is no next that the server gave'] as const;
    }),
    [{ name: 'anna', with: 'jack', after: '1.2' }, 'after is no next that the server gave'],
    [{ name: 'anna', after: '1' }, 'after needs with'],
  ];
  for (const [query, detail] of refused) {
    const answer = await site.get('/v5/history', query);
    t.match(answer, { status: 400, body: { status: 'error', message: 'bad request', detail } }, JSON.stringify(query));
  }
  t.match(await forget(site, { name: 'anna', id: 'm1' }), { status: 400, body: { detail: 'id needs with' } });
  t.match(await forget(site, { with: 'jack' }), { status: 400, body: { detail: 'name is required' } });
  t.match(await forget(site, { name: 'anna', with: 'jack', id: 'm1' }), {
    status: 404,
    body: { message: 'not found' },
  });
  const posted = await site.post('/v5/history', { name: 'anna' });
  t.match(posted, { status: 405, headers: { allow: 'GET, DELETE' } });
  for (const path of ['/v5/history/', '/v4/history', '/v4/history/']) {
    t.equal((await site.get(path, { name: 'anna' })).status, 200, path);
    const query = { domain: site.domain, name: 'anna' };
    t.equal((await site.send({ method: 'DELETE', path, query })).status, 200, `DELETE ${path}`);
  }
  t.strictSame((await history(site, 'anna', { with: 'jack', before: '1' })).messages, [], 'a position long gone');
  t.strictSame((await history(site, 'anna', { with: 'jack', after: 'zzzzzzzzzz' })).messages, []);
});

t.test('a domain that keeps no history says so, over REST and to clients', async (t) => {
  const server = await testServer(t, { domains: [{ ...siteA, ...ALL, history: null }] });
  const site = server.site();
  const refused = {
    status: 403,
    body: { status: 'error', message: 'forbidden', detail: 'the domain keeps no history' },
  };
  t.match(await site.get('/v5/history', { name: 'anna' }), refused);
  t.match(await forget(site, { name: 'anna' }), refused);
  const { status: _status, ...said } = refused.body;
  t.match(await call(await site.arrive('anna'), {}), said);
});

t.test('hostile ids are kept apart', async (t) => {
  const site = (await serve(t)).site();
  const ids = [
    'a',
    'a b',
    'b',
    'a:b',
    'uid:vid:a',
    'vid:a',
    '__proto__',
    'constructor',
    '"',
    "'",
    '\\',
    '%2F',
    '\u00e9',
    'e\u0301',
    '💬',
  ];
  for (const id of ids) {
    await site.push(id, 'jack', `from ${id}`);
    await site.push('jack', id, 'x', { type: 'grpchat', to: `gid:${id.replace(/^(uid:)?vid:/, 'of ')}` });
  }
  for (const id of ids) t.strictSame(await bodies(site, 'jack', id), [`from ${id}`], id);
  const { conversations } = await history(site, 'jack', { limit: 200 });
  t.strictSame(
    conversations.map((one) => one.with),
    [...ids].reverse(),
  );
  for (const { with: other } of conversations) {
    t.strictSame(await bodies(site, 'jack', other), [`from ${other}`], 'the list names it as calls take it');
  }
  await site.push('jack', 'jack', 'to myself');
  t.strictSame((await list(site, 'jack'))[0], ['jack', 0, 'to myself']);
});
