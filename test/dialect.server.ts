/** Clients of NexTalk 5.0 to 5.3, which call rooms groups. */
import t from 'tap';
import { siteA, testServer } from './support/server.js';

const path = '/v5/presences/online';

t.test('ONLINE with groups joins them and answers buddies and how many are in each', async (t) => {
  const site = (await testServer(t)).site();
  await site.online('1', { rooms: 'r1' });
  await site.online('2', { rooms: 'r1', show: 'invisible' });
  const form = { name: 'me', nick: 'Me', buddies: '1,2', groups: 'r1,gid:r2', rooms: 'r3' };
  const { body } = await site.post(path, form);
  t.hasStrict(body, { presences: { '1': 'available' }, buddies: { '1': 'available' }, groups: { r1: 2, r2: 1 } });
  const { ticket } = body as { ticket: string };
  for (const room of ['r1', 'r2', 'r3']) t.hasStrict(await site.members(ticket, room), { me: 'available' }, room);
  const empty = await site.post(path, { name: '3', nick: '3', groups: '' });
  t.hasStrict(empty.body, { buddies: {}, groups: {} });
  const plain = await site.post(path, { name: '3', nick: '3', rooms: 'r1' });
  t.notOk('groups' in (plain.body as object) || 'buddies' in (plain.body as object), 'who asks for none gets none');
  t.match(await site.post(path, { ...form, groups: 'uid:1' }), { status: 400, text: /groups must be ids of rooms/ });
});

t.test('an invisible user counts itself', async (t) => {
  const site = (await testServer(t)).site();
  const { body } = await site.post(path, { name: 'me', nick: 'Me', show: 'invisible', groups: 'r1' });
  t.hasStrict(body, { groups: { r1: 1 } });
});

t.test('a group is joined, listed and left', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const jack = await site.arrive('jack', { nick: 'Jack', rooms: 'r1' });
  const { ticket } = await site.online('rose', { nick: 'Rose', show: 'dnd' });
  const joined = await site.post('/v5/group/join', { ticket, group: 'r1' });
  t.strictSame([joined.status, joined.body], [200, { r1: 2 }]);
  t.hasStrict(await jack.next(), { type: 'join', from: 'rose', to: 'r1' });
  const members = [
    { id: 'jack', nick: 'Jack', show: 'available' },
    { id: 'rose', nick: 'Rose', show: 'dnd' },
  ];
  for (const query of [{ group: 'r1', ticket }, { room: 'r1' }, { group: 'gid:r1' }]) {
    t.strictSame((await site.get('/v5/group/members', query)).body, members);
  }
  t.strictSame((await site.get('/v5/group/members', { group: 'empty' })).body, []);
  t.strictSame((await site.post('/v5/group/leave', { ticket, room: 'r1' })).body, { status: 'ok' });
  t.hasStrict(await jack.next(), { type: 'leave', from: 'rose' });
  for (const call of ['join', 'leave']) {
    t.match(await site.post(`/v5/group/${call}`, { ticket }), { status: 400, text: /group is required/ });
    t.match(await site.post(`/v5/group/${call}`, { group: 'r1' }), { status: 400, text: /ticket is required/ });
    t.match(await site.post(`/v5/group/${call}`, { ticket: 'x', group: 'r1' }), { status: 404 });
    t.match(await site.post(`/v5/group/${call}`, { ticket, group: 'uid:1' }), { status: 400, text: /group is not/ });
  }
  t.equal((await site.get('/v5/group/members', { group: 'r1', ticket: 'x' })).status, 404);
  t.equal(
    (await server.request({ path: '/v5/group/members', query: { domain: siteA.domain, group: 'r1' } })).status,
    401,
  );
});

t.test('opening and closing a chat answers who of its buddies is online', async (t) => {
  const site = (await testServer(t)).site();
  await site.online('1');
  const { ticket } = await site.online('me');
  for (const call of ['open', 'close']) {
    const answer = await site.post(`/v5/chats/${call}`, { ticket, buddies: '1,2' });
    t.strictSame([answer.status, answer.body], [200, { status: 'ok', buddies: { '1': 'available' } }]);
    t.strictSame((await site.post(`/v5/chats/${call}`, {})).body, { status: 'ok', buddies: {} });
    t.equal((await site.post(`/v5/chats/${call}`, { ticket: 'x', buddies: '1' })).status, 404);
    t.equal((await site.post(`/v5/chats/${call}`, { ticket, buddies: 'gid:1' })).status, 400);
  }
});
