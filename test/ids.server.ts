import t from 'tap';
import type { Params } from './support/http.js';
import { legalIds, refusedIds } from './support/ids.js';
import { siteB, testServer } from './support/server.js';

/** What a client is brought online as, and how packets write it. */
const written: readonly (readonly [name: string, short: string])[] = [
  ['1', '1'],
  ['uid:2', '2'],
  ['vid:abc', 'vid:abc'],
  ['sid:help', 'sid:help'],
  ['/domain/a.example/uid/3', '3'],
  ['/domain/a.example/vid/3', 'vid:3'],
  ['a:b', 'a:b'],
  ['uid:4:5', '4:5'],
  ['uid:vid:x', 'uid:vid:x'],
  ['uid:uid:6', 'uid:uid:6'],
];

t.test('an endpoint is written as a short id wherever it is shown', async (t) => {
  const site = (await testServer(t)).site();
  const watcher = await site.arrive('watcher');
  for (const [name, short] of written) {
    await t.test(`${name} as ${short}`, async (t) => {
      const person = await site.arrive(name, { buddies: 'watcher', rooms: 'r1' });
      t.hasStrict(await watcher.next(), { kind: 'presence', from: short, to: 'watcher', type: 'online' });
      await site.message(person.ticket, 'watcher', 'hi');
      t.hasStrict(await watcher.next(), { from: short, to: 'watcher' });
      await site.message(watcher.ticket, name, 'hi');
      t.hasStrict(await person.next(), { from: 'watcher', to: short });
      await site.push(name, name, 'to myself');
      t.hasStrict(await person.next(), { from: short, to: short });
      t.strictSame(await site.presences(name), { [short]: 'available' });
      t.hasStrict(await site.members(watcher.ticket, 'r1'), { [short]: 'available' });
      const [node, ...rest] = person.ticket.split(':');
      t.equal(node, /^(vid|sid):/.exec(short)?.[1] ?? 'uid');
      t.match(rest.at(-1), /^[0-9a-f]{32,}$/);
    });
  }
});

t.test('any legal id can come online, be in rooms, be written to and be asked for', async (t) => {
  const site = (await testServer(t)).site();
  const sender = await site.online('sender');
  for (const id of legalIds) {
    const person = await site.arrive(id, { rooms: id });
    await site.message(sender.ticket, id, 'chat');
    t.hasStrict(await person.next(), { from: 'sender', to: id, body: 'chat' }, id);
    await site.say(sender.ticket, id, 'grpchat');
    t.hasStrict(await person.next(), { from: 'sender', to: id, type: 'grpchat', body: 'grpchat' });
    t.strictSame(Object.entries(await site.presences(id)), [[id, 'available']], `PRESENCES of ${id}`);
    const members = await site.members(person.ticket, id);
    t.strictSame(Object.entries(members), [[id, 'available']], `MEMBERS of ${id}`);
    await site.join(sender.ticket, id);
    t.hasStrict(await person.next(), { type: 'join', from: 'sender', to: id, status: id });
    await site.leave(sender.ticket, id);
    t.hasStrict(await person.next(), { type: 'leave', from: 'sender', to: id, status: id });
    await person.offline();
  }
});

t.test('an illegal id is refused, and the error names its field', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1');
  for (const [why, id] of refusedIds) {
    const isList = /,/.test(id) || id.trim() === '';
    const rows: (readonly [field: string, path: string, params: Params])[] = [
      ['name', '/v5/presences/online', { name: id, nick: 'x' }],
      ['name', '/v5/presences/online', { name: `vid:${id}`, nick: 'x' }],
      ['to', '/v5/statuses', { ticket, to: id, show: 'x' }],
    ];
    const messages: typeof rows = [
      ['to', '/v5/messages', { ticket, to: id, body: 'x' }],
      ['to', '/v5/messages', { ticket, to: id, body: 'x', type: 'grpchat' }],
    ];
    const lists: typeof rows = [
      ['to', '/v5/messages', { ticket, to: `3,${id}`, body: 'x' }],
      ['buddies', '/v5/presences/online', { name: '2', nick: 'x', buddies: `3,${id}` }],
      ['rooms', '/v5/presences/online', { name: '2', nick: 'x', rooms: `r1,${id}` }],
    ];
    // Spaces around a list's items are dropped, and with them a control character that counts as one.
    if (!id.includes(',')) rows.push(...messages);
    if (!isList && !/[\n\u0085]/.test(id)) rows.push(...lists);
    for (const [field, path, params] of rows) {
      const answer = await site.post(path, params);
      const wanted = { status: 400, body: { message: 'bad request', detail: new RegExp(`\\b${field}\\b`) } };
      t.match(answer, wanted, `${why} as ${field} of ${path}: ${answer.text}`);
    }
    if (id === '') continue;
    const join = await site.post(`/v5/rooms/${encodeURIComponent(id)}/join`, { ticket });
    t.hasStrict(join, { status: 400, body: { message: 'bad request' } }, `${why} as a room of the path: ${join.text}`);
  }
});

t.test('a prefix that contradicts its place is refused', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1');
  const rows: readonly (readonly [title: string, path: string, params: Params])[] = [
    ['a room that comes online', '/v5/presences/online', { name: 'gid:r1', nick: 'x' }],
    [
      'a room by its address that comes online',
      '/v5/presences/online',
      { name: '/domain/a.example/gid/r1', nick: 'x' },
    ],
    ['a room as a buddy', '/v5/presences/online', { name: '2', nick: 'x', buddies: 'gid:r1' }],
    ['a user as a room', '/v5/presences/online', { name: '2', nick: 'x', rooms: 'uid:1' }],
    ['a visitor as a room', '/v5/presences/online', { name: '2', nick: 'x', rooms: 'vid:1' }],
    ['a grpchat to a user', '/v5/messages', { ticket, to: 'uid:1', body: 'x', type: 'grpchat' }],
    ['a grpchat to a visitor', '/v5/messages', { ticket, to: 'vid:1', body: 'x', type: 'grpchat' }],
    [
      'a grpchat to a user’s address',
      '/v5/messages',
      { ticket, to: '/domain/a.example/uid/1', body: 'x', type: 'grpchat' },
    ],
    ['a chat to a room', '/v5/messages', { ticket, to: 'gid:r1', body: 'x' }],
    ['a chat to a room’s address', '/v5/messages', { ticket, to: '/domain/a.example/gid/r1', body: 'x', type: 'chat' }],
    ['a push to a room as a chat', '/v5/messages', { from: '1', to: 'gid:r1', body: 'x' }],
    ['a push from a room', '/v5/messages', { from: 'gid:r1', to: '1', body: 'x' }],
    ['a user joined', '/v5/rooms/uid:1/join', { ticket }],
    ['a user left', '/v5/rooms/uid:1/leave', { ticket }],
  ];
  for (const [title, path, params] of rows) {
    const answer = await site.post(path, params);
    t.match(answer, { status: 400, body: { message: 'bad request', detail: String } }, `${title}: ${answer.text}`);
  }
  t.equal((await site.get('/v5/rooms/vid:1/members', { ticket })).status, 400);
});

t.test('an address of another domain is refused, even one whose API key is sent', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1');
  const user = `/domain/${siteB.domain}/uid/1`;
  const room = `/domain/${siteB.domain}/gid/r1`;
  const rows: readonly (readonly [title: string, path: string, params: Params])[] = [
    ['name', '/v5/presences/online', { name: user, nick: 'x' }],
    ['buddies', '/v5/presences/online', { name: '2', nick: 'x', buddies: user }],
    ['rooms', '/v5/presences/online', { name: '2', nick: 'x', rooms: room }],
    ['to', '/v5/messages', { ticket, to: user, body: 'x' }],
    ['to', '/v5/messages', { ticket, to: room, body: 'x', type: 'grpchat' }],
    ['from', '/v5/messages', { from: user, to: '1', body: 'x' }],
    ['to', '/v5/statuses', { ticket, to: user, show: 'x' }],
  ];
  for (const [field, path, params] of rows) {
    const answer = await site.post(path, params);
    t.match(answer, { status: 400, body: { detail: new RegExp(`\\b${field}\\b`) } }, `${field}: ${answer.text}`);
  }
  t.equal((await site.get('/v5/presences', { ids: user })).status, 400);
  t.equal((await site.post(`/v5/rooms/${encodeURIComponent(room)}/join`, { ticket })).status, 400);
});

t.test('a room may be named bare, with its prefix or by its address', async (t) => {
  const site = (await testServer(t)).site();
  const full = '/domain/a.example/gid/r1';
  const member = await site.arrive('1', { rooms: 'gid:r1' });
  const { ticket } = await site.online('2');
  for (const room of ['r1', 'gid:r1', full]) {
    await site.say(ticket, room, room);
    t.hasStrict(await member.next(), { to: 'r1', type: 'grpchat', body: room });
    t.strictSame(await site.members(ticket, room), { 1: 'available' });
    await site.join(ticket, room);
    t.hasStrict(await member.next(), { type: 'join', to: 'r1', status: 'r1' });
    await site.leave(ticket, room);
    t.hasStrict(await member.next(), { type: 'leave', to: 'r1', status: 'r1' });
  }
});

t.test('a full address with a terminal reaches that terminal alone', async (t) => {
  const site = (await testServer(t)).site();
  const sender = await site.online('sender');
  const phone = await site.arrive('1', { client: 'phone' });
  const chrome = await site.arrive('1', { client: 'chrome' });
  const terminal = '/domain/a.example/uid/1/client/phone';
  await site.message(sender.ticket, terminal, 'to the phone');
  t.hasStrict(await phone.next(), { from: 'sender', body: 'to the phone' });
  await site.push('system', terminal, 'pushed to the phone');
  t.hasStrict(await phone.next(), { from: 'system', body: 'pushed to the phone' });
  await site.status(sender.ticket, terminal, 'typing');
  t.hasStrict(await phone.next(), { kind: 'status', show: 'typing' });
  t.strictSame(await chrome.before(), []);
  await site.message(sender.ticket, '/domain/a.example/uid/1/client/gone', 'to nobody');
  t.strictSame(
    (await phone.before()).map(({ body }) => body).filter((body) => body === 'to nobody'),
    [],
  );
});
