import t from 'tap';
import { poll } from './support/polling.js';
import { siteA, siteB, testServer } from './support/server.js';

const timestamp = '1246883572400';

t.test('a message arrives with exactly its fields', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.online('1', { nick: 'Jack' });
  const two = await site.arrive('2');
  await site.message(jack.ticket, '2', 'hi', { timestamp });
  const plain = { kind: 'message', from: '1', to: '2', nick: 'Jack', timestamp, type: 'chat', body: 'hi', style: '' };
  t.strictSame(await two.next(), plain);
  await site.message(jack.ticket, '2', 'hi', { timestamp, style: 'color:red', nick: 'Jacky', type: 'chat' });
  t.strictSame(await two.next(), { ...plain, nick: 'Jacky', style: 'color:red' });
});

t.test('every message has an id of its own, last in its packet and the same for all who receive it', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket } = await site.online('1', { nick: 'Jack' });
  const readers = [await site.online('2'), await site.online('2')];
  for (const body of ['one', 'two']) await site.message(ticket, '2', body, { timestamp, avatar: 'a.png' });
  await site.push('3', '2', 'three');
  await site.status(ticket, '2', 'typing');
  const [first = '', second] = await Promise.all(
    readers.map(async (reader) => (await poll(server, reader.ticket).answer).text),
  );
  t.equal(first, second);
  const ids = [...first.matchAll(/,"id":"([^"]*)"\}/g)].map(([, id = '']) => id);
  t.ok(ids.every((id) => /^[A-Za-z0-9]{26}$/.test(id)));
  t.equal(new Set(ids).size, 3, 'three messages and a status, which has none');
  t.strictSame([...ids].sort(), ids, 'sorted by time');
});

t.test('of the further fields of a message four are passed on and no others', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1', { nick: 'Jack' });
  const two = await site.arrive('2');
  const passed = { avatar: 'a.png', to_name: 'Two', to_avatar: 'b.png', to_other: 'o' };
  const kept = { apikey: siteA.apikey, version: 'v5', from_name: 'x', id: 'forged', success: 'true', __proto__x: 'y' };
  await site.message(ticket, '2', 'hi', { timestamp, ...passed, ...kept });
  const message = { kind: 'message', from: '1', to: '2', nick: 'Jack', timestamp, type: 'chat', body: 'hi', style: '' };
  t.strictSame(await two.next(), { ...message, ...passed });
});

t.test('a push needs no ticket and carries the nick of who is online', async (t) => {
  const site = (await testServer(t)).site();
  const two = await site.arrive('2');
  await site.push('1', '2', 'hi', { timestamp });
  const push = { kind: 'message', from: '1', to: '2', nick: '1', timestamp, type: 'chat', body: 'hi', style: '' };
  t.strictSame(await two.next(), push, 'an id for a nick while nobody is online');
  await site.online('1', { nick: 'Jack' });
  await site.push('1', '2', 'hi', { timestamp });
  t.strictSame(await two.next(), { ...push, nick: 'Jack' });
  await site.push('uid:1', '2', 'hi', { timestamp, nick: 'System', style: 's' });
  t.strictSame(await two.next(), { ...push, nick: 'System', style: 's' });
  await site.push('vid:v', '2', 'hi', { timestamp });
  t.strictSame(await two.next(), { ...push, from: 'vid:v', nick: 'vid:v' });
});

t.test('a message with both a ticket and from is a push', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1', { nick: 'Jack' });
  const two = await site.arrive('2');
  await site.push('3', '2', 'as another', { ticket });
  t.hasStrict(await two.next(), { from: '3', body: 'as another' });
  await site.push('3', '2', 'with a ticket that is none', { ticket: 'uid:1:00' });
  t.hasStrict(await two.next(), { from: '3', body: 'with a ticket that is none' });
  await site.push('1', '*', 'to all', { ticket, type: 'broadcast' });
  t.hasStrict(await two.next(), { from: '1', type: 'broadcast' });
});

t.test('a message goes to every client of its receiver and to no other', async (t) => {
  const site = (await testServer(t)).site();
  const sender = await site.arrive('1');
  const tabs = [await site.arrive('2'), await site.arrive('2'), await site.arrive('2')];
  const other = await site.arrive('3');
  const visitor = await site.arrive('vid:2');
  await site.message(sender.ticket, '2', 'hi');
  for (const tab of tabs) t.hasStrict(await tab.next(), { from: '1', to: '2', body: 'hi' });
  for (const person of [sender, other, visitor, ...tabs]) {
    const seen = await person.before();
    t.notOk(
      seen.some(({ body }) => body === 'hi'),
      `${person.name} sees no more of it`,
    );
  }
});

t.test('one’s own address is a legal receiver', async (t) => {
  const site = (await testServer(t)).site();
  const one = await site.arrive('1');
  const other = await site.arrive('1');
  await site.message(one.ticket, '1', 'note to myself');
  for (const client of [one, other]) t.hasStrict(await client.next(), { from: '1', to: '1', body: 'note to myself' });
});

t.test('a message to nobody is answered ok and dropped', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1');
  await site.message(ticket, 'later', 'hi');
  await site.push('1', 'later', 'hi');
  await site.status(ticket, 'later', 'typing');
  await site.say(ticket, 'no such room', 'hi');
  const later = await site.arrive('later');
  t.strictSame(await later.before(), []);
});

t.test('packets from one sender arrive in the order in which they were accepted', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1');
  const two = await site.arrive('2');
  const bodies = Array.from({ length: 200 }, (_, n) => `${n}`);
  for (const body of bodies) await site.message(ticket, '2', body);
  for (const body of bodies) t.equal((await two.next()).body, body);
});

t.test('a status arrives with exactly its fields', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('1', { nick: 'Jack' });
  const two = await site.arrive('2');
  const visitor = await site.arrive('vid:2');
  await site.status(ticket, '2', 'typing…');
  t.strictSame(await two.next(), { kind: 'status', from: '1', to: '2', nick: 'Jack', show: 'typing…' });
  await site.status(ticket, 'vid:2', 'clear', { nick: 'Jacky', from: 'eve' });
  t.strictSame(await visitor.next(), { kind: 'status', from: '1', to: 'vid:2', nick: 'Jacky', show: 'clear' });
});

t.test('a broadcast reaches every online endpoint of the domain', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const people = [
    await site.arrive('1'),
    await site.arrive('1'),
    await site.arrive('2', { show: 'invisible' }),
    await site.arrive('vid:3'),
    await site.arrive('sid:4'),
  ];
  const stranger = await server.site(siteB).arrive('1');
  await site.push('system', '*', 'news', { type: 'broadcast', timestamp });
  const news = {
    kind: 'message',
    from: 'system',
    to: '*',
    nick: 'system',
    timestamp,
    type: 'broadcast',
    body: 'news',
    style: '',
  };
  for (const person of people) t.strictSame(await person.next(), news, person.name);
  await site.push('system', 'everybody', 'more', { type: 'broadcast' });
  for (const person of people) t.hasStrict(await person.next(), { to: 'everybody', body: 'more' });
  const bare = await site.post('/v5/messages', { from: 'system', body: 'last', type: 'broadcast' });
  t.equal(bare.status, 200, bare.text);
  for (const person of people) t.hasStrict(await person.next(), { type: 'broadcast', body: 'last' });
  t.strictSame(await stranger.before(), []);
});

t.test('with carbons a sender’s other clients get its messages', async (t) => {
  const server = await testServer(t, { domains: [{ ...siteA, carbons: true }, siteB] });
  const site = server.site();
  const laptop = await site.arrive('1', { nick: 'Jack' });
  const phone = await site.arrive('1', { nick: 'Jack' });
  const two = await site.arrive('2');
  await site.message(laptop.ticket, '2', 'hi', { timestamp });
  const message = { kind: 'message', from: '1', to: '2', nick: 'Jack', timestamp, type: 'chat', body: 'hi', style: '' };
  t.strictSame(await two.next(), message);
  t.strictSame(await phone.next(), message);
  await site.say(laptop.ticket, 'r1', 'to the room');
  t.hasStrict(await phone.next(), { to: 'r1', type: 'grpchat', body: 'to the room' });
  await site.message(laptop.ticket, '1', 'note to self');
  t.hasStrict(await laptop.next(), { to: '1', body: 'note to self' });
  t.strictSame(await laptop.before(), [], 'the sending client gets none');
  const rest = await phone.before();
  t.strictSame(
    rest.map(({ body }) => body),
    ['note to self'],
    'and the other each of them once',
  );
});

t.test('without carbons a sender’s other clients get none of its messages', async (t) => {
  const site = (await testServer(t)).site();
  const laptop = await site.arrive('1');
  const phone = await site.arrive('1');
  await site.message(laptop.ticket, '2', 'hi');
  await site.say(laptop.ticket, 'r1', 'hi');
  t.strictSame(await phone.before(), []);
});
