import t from 'tap';
import type { Check } from './support/check.js';
import type { Answer, Params } from './support/http.js';
import { testServer } from './support/server.js';
import type { Person, Site } from './support/site.js';

const kib = 1024;

/** Wants an answer of 400 whose detail names the field. */
function refusedField(t: Check, answer: Answer, field: string, title: string): void {
  const wanted = {
    status: 400,
    body: { status: 'error', message: 'bad request', detail: new RegExp(`\\b${field}\\b`) },
  };
  t.match(answer, wanted, `${title}: ${answer.text}`);
}

/** Two people, the second one connected so that what it is sent can be looked at. */
async function pair(site: Site): Promise<{ ticket: string; receiver: Person }> {
  const { ticket } = await site.online('1', { nick: 'Jack' });
  return { ticket, receiver: await site.arrive('2') };
}

t.test('an empty nick falls back to the name', async (t) => {
  const site = (await testServer(t)).site();
  const watcher = await site.arrive('9');
  for (const name of ['1', 'vid:abc']) {
    const { ticket } = await site.online(name, { nick: '' });
    await site.message(ticket, '9', 'hi');
    t.hasStrict(await watcher.next(), { from: name, nick: name, body: 'hi' });
  }
});

t.test('each show is accepted, and empty means available at ONLINE only', async (t) => {
  const site = (await testServer(t)).site();
  for (const show of ['available', 'away', 'chat', 'dnd', 'busy']) {
    const { ticket } = await site.online(`at-${show}`, { show });
    t.strictSame(await site.presences(`at-${show}`), { [`at-${show}`]: show });
    await site.show(ticket, 'available');
    await site.show(ticket, show);
    t.strictSame(await site.presences(`at-${show}`), { [`at-${show}`]: show });
  }
  for (const show of ['invisible', 'unavailable']) {
    const { ticket } = await site.online('hidden', { show });
    t.strictSame(await site.presences('hidden'), {});
    await site.show(ticket, show);
  }
  const { ticket } = await site.online('plain', { show: '' });
  t.strictSame(await site.presences('plain'), { plain: 'available' });
  for (const show of ['', 'Away', 'gone', ' away', 'offline', '__proto__']) {
    refusedField(t, await site.post('/v5/presences/show', { ticket, show }), 'show', `SHOW ${show}`);
    if (show === '') continue;
    const answer = await site.post('/v5/presences/online', { name: 'x', nick: 'x', show });
    refusedField(t, answer, 'show', `ONLINE ${show}`);
  }
});

t.test('PRESENCES of nobody is an empty answer', async (t) => {
  const site = (await testServer(t)).site();
  t.strictSame(await site.presences(''), {});
  t.strictSame(await site.presences(' , ,'), {});
});

t.test('a list may be empty, spaced, or an array', async (t) => {
  const site = (await testServer(t)).site();
  for (const id of ['1', '2', 'vid:3']) await site.online(id);
  const rows: readonly (readonly [buddies: unknown, present: string[]])[] = [
    ['', []],
    [undefined, []],
    [null, []],
    [',', []],
    ['1', ['1']],
    [' 1 , ,vid:3,,', ['1', 'vid:3']],
    ['1,1,uid:1', ['1']],
    [[], []],
    [
      ['1', 2, 'vid:3'],
      ['1', '2', 'vid:3'],
    ],
    [[' 1 ', '', null], ['1']],
    [1, ['1']],
  ];
  for (const [buddies, present] of rows) {
    const json = { name: 'me', nick: 'Me', buddies };
    const answer = await site.send({ method: 'POST', path: '/v5/presences/online', json });
    const wanted = Object.fromEntries(present.map((id) => [id, 'available']));
    t.strictSame((answer.body as { presences?: unknown }).presences, wanted, JSON.stringify(buddies));
  }
});

t.test('JSON numbers and booleans stand for their text', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket, receiver } = await pair(site);
  const rows: readonly (readonly [body: unknown, text: string])[] = [
    [42, '42'],
    [0, '0'],
    [true, 'true'],
    [false, 'false'],
    [-1.5, '-1.5'],
  ];
  for (const [body, text] of rows) {
    const json = { ticket, to: 2, body, timestamp: 1246883572400 };
    await site.send({ method: 'POST', path: '/v5/messages', json });
    t.hasStrict(await receiver.next(), { to: '2', body: text, timestamp: '1246883572400' });
  }
});

t.test('a JSON value of a wrong kind is refused by name', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await pair(site);
  for (const value of [{}, [], ['x'], { toString: 'x' }, [['x']]]) {
    const json = { ticket, to: '2', body: value };
    refusedField(t, await site.send({ method: 'POST', path: '/v5/messages', json }), 'body', JSON.stringify(value));
  }
  const online = { name: '5', nick: 'Five' };
  for (const buddies of [{}, [{}], [['1']]]) {
    const answer = await site.send({ method: 'POST', path: '/v5/presences/online', json: { ...online, buddies } });
    refusedField(t, answer, 'buddies', JSON.stringify(buddies));
  }
});

t.test('JSON null counts as missing', async (t) => {
  const site = (await testServer(t)).site();
  const json = { name: '1', nick: 'One', show: null, status: null, buddies: null, rooms: null, client: null };
  const answer = await site.send({ method: 'POST', path: '/v5/presences/online', json });
  t.hasStrict(answer, { status: 200, body: { success: true } }, answer.text);
  t.strictSame(await site.presences('1'), { 1: 'available' });
});

t.test('a text is limited in bytes of UTF-8', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket, receiver } = await pair(site);
  const limits: readonly (readonly [field: string, bytes: number])[] = [
    ['body', 8 * kib],
    ['nick', kib],
    ['style', kib],
    ['avatar', kib],
    ['to_name', kib],
    ['to_avatar', kib],
    ['to_other', kib],
    ['timestamp', 64],
  ];
  for (const [field, bytes] of limits) {
    const message: Params = { ticket, to: '2', body: 'hi' };
    const longest = field === 'timestamp' ? 'x'.repeat(bytes) : 'é'.repeat(bytes / 2);
    t.equal((await site.post('/v5/messages', { ...message, [field]: longest })).status, 200, `${field} of the limit`);
    t.equal((await receiver.next())[field], longest);
    const over = await site.post('/v5/messages', { ...message, [field]: `${longest}x` });
    refusedField(t, over, field, `${field} over it`);
  }
  const rows: readonly (readonly [path: string, field: string, params: Params])[] = [
    ['/v5/presences/online', 'nick', { name: '3' }],
    ['/v5/presences/online', 'status', { name: '3', nick: 'Three' }],
    ['/v5/presences/show', 'status', { ticket, show: 'away' }],
    ['/v5/presences/show', 'nick', { ticket, show: 'away' }],
    ['/v5/statuses', 'show', { ticket, to: '2' }],
    ['/v5/statuses', 'nick', { ticket, to: '2', show: 'typing' }],
    ['/v5/rooms/r1/join', 'nick', { ticket }],
  ];
  for (const [path, field, params] of rows) {
    t.equal((await site.post(path, { ...params, [field]: 'x'.repeat(kib) })).status, 200, `${path} ${field}`);
    refusedField(t, await site.post(path, { ...params, [field]: 'x'.repeat(kib + 1) }), field, `${path} ${field}`);
  }
});

t.test('an empty body is refused', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await pair(site);
  refusedField(t, await site.post('/v5/messages', { ticket, to: '2', body: '' }), 'body', 'a message');
  refusedField(t, await site.post('/v5/messages', { from: '1', to: '2', body: '' }), 'body', 'a push');
});

t.test('a timestamp is kept as sent, and is the server’s clock where it is missing', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket, receiver } = await pair(site);
  for (const timestamp of ['1246883572400', '1246883572400.531', '1.41620000012e+12', 'yesterday', '-0']) {
    await site.message(ticket, '2', 'hi', { timestamp });
    t.equal((await receiver.next()).timestamp, timestamp);
  }
  const json = { ticket, to: '2', body: 'hi', timestamp: 1246883572400.5 };
  await site.send({ method: 'POST', path: '/v5/messages', json });
  t.equal((await receiver.next()).timestamp, '1246883572400.5');
  const before = Date.now();
  await site.message(ticket, '2', 'hi');
  const { timestamp } = await receiver.next();
  t.match(timestamp, /^\d{13}$/);
  t.ok(Number(timestamp) >= before - 1 && Number(timestamp) <= Date.now() + 1, 'it is now');
});

t.test('the type of a message is one of three, and broadcast is for pushes alone', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await pair(site);
  for (const type of ['Chat', 'groupchat', 'unicast', 'constructor']) {
    refusedField(t, await site.post('/v5/messages', { ticket, to: '2', body: 'x', type }), 'type', type);
    refusedField(t, await site.post('/v5/messages', { from: '1', to: '2', body: 'x', type }), 'type', type);
  }
  const own = await site.post('/v5/messages', { ticket, to: '*', body: 'x', type: 'broadcast' });
  refusedField(t, own, 'type', 'a broadcast with a ticket');
});

t.test('Unicode passes through unharmed', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket, receiver } = await pair(site);
  const texts = [
    '你好，世界',
    '👩‍👩‍👧 \u{10ffff}',
    '\u2028\u2029\ufeff',
    'a\u0000b\u0007\u001f\u007f\u0085',
    '<script>alert("x")</script>&amp;\\"\\u0041/',
    'line\r\nline\ttab',
    ' blanks ',
    '__proto__',
    '%41+%2B',
  ];
  for (const [n, text] of texts.entries()) {
    for (const way of ['form', 'json'] as const) {
      const params = { ticket, to: '2', body: text, nick: text, style: text };
      await site.send({ method: 'POST', path: '/v5/messages', [way]: params });
      t.hasStrict(await receiver.next(), { body: text, nick: text, style: text }, `text ${n} as ${way}`);
    }
  }
});
