import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { goOffline, testServer, times } from './support/server.js';

const timestamp = '1';
const grace = { presence: { graceMs: times.graceMs } };

function roomPresence(from: string, type: string, show = 'available'): object {
  return { kind: 'presence', from, to: 'r1', nick: from.toUpperCase(), type, show, status: 'r1' };
}

t.test('coming online with rooms tells their members', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const a = await site.arrive('a', { rooms: 'r1,r2' });
  const b = await site.arrive('b', { rooms: 'r1', show: 'chat', status: 'hello' });
  t.strictSame(await a.before(b), [roomPresence('b', 'grponline', 'chat')]);
  t.strictSame(await b.before(a), [], 'who comes is told nothing');
  await goOffline(b, clock);
  t.strictSame(await a.next(), roomPresence('b', 'grpoffline', 'unavailable'));
});

t.test('JOIN and LEAVE tell the other members, once', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.arrive('b', { show: 'busy' });
  const phone = await site.arrive('b');
  for (let round = 0; round < 2; round++) {
    await site.join(b.ticket, 'r1');
    t.strictSame(await a.before(b), [roomPresence('b', 'join', 'busy')]);
    await site.join(b.ticket, 'r1');
    await site.join(phone.ticket, 'r1');
    t.strictSame(await a.before(b), [], 'a second JOIN tells nobody');
    t.strictSame(await site.members(a.ticket, 'r1'), { a: 'available', b: 'busy' });
    await site.leave(b.ticket, 'r1');
    t.strictSame(await a.before(b), [roomPresence('b', 'leave', 'busy')]);
    await site.leave(b.ticket, 'r1');
    await site.leave(phone.ticket, 'r1');
    t.strictSame(await a.before(b), [], 'a second LEAVE tells nobody');
    t.strictSame(await site.members(a.ticket, 'r1'), { a: 'available' });
  }
  t.strictSame(await b.before(a), [], 'the joiner’s own clients are not told');
  t.strictSame(await phone.before(a), []);
});

t.test('JOIN and LEAVE show the nick that they are given', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.online('b');
  await site.join(b.ticket, 'r1', { nick: 'Bobby' });
  t.hasStrict(await a.next(), { type: 'join', nick: 'Bobby' });
  await site.leave(b.ticket, 'r1', { nick: 'Bobby' });
  t.hasStrict(await a.next(), { type: 'leave', nick: 'Bobby' });
});

t.test('a room message reaches every member’s clients and not the sender', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const tab = await site.arrive('a');
  const members = [
    await site.arrive('b', { rooms: 'r1' }),
    await site.arrive('b', { rooms: 'r1' }),
    await site.arrive('vid:c', { rooms: 'r1' }),
    await site.arrive('d', { rooms: 'r1', show: 'invisible' }),
  ];
  const outsider = await site.arrive('e', { rooms: 'r2' });
  const namesake = await site.arrive('r1');
  const arrivals = [a, tab, ...members].map((person) => person.before(outsider));
  await Promise.all(arrivals);
  await site.say(a.ticket, 'r1', 'hi', { timestamp });
  const message = {
    kind: 'message',
    from: 'a',
    to: 'r1',
    nick: 'A',
    timestamp,
    type: 'grpchat',
    body: 'hi',
    style: '',
  };
  for (const member of members) t.strictSame(await member.before(a), [message], member.name);
  for (const other of [a, tab, outsider, namesake]) t.strictSame(await other.before(a), [], other.name);
});

t.test('the site may write to a room for an endpoint that is not in it', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const outsider = await site.arrive('b');
  await site.say(outsider.ticket, 'r1', 'from outside');
  t.hasStrict(await a.next(), { from: 'b', to: 'r1', type: 'grpchat', body: 'from outside' });
  await site.push('system', 'r1', 'pushed', { type: 'grpchat' });
  t.hasStrict(await a.next(), { from: 'system', to: 'r1', type: 'grpchat', body: 'pushed' });
  t.strictSame(await outsider.before(), []);
});

t.test('a push into a room in a member’s name does not come back to it', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.arrive('b', { rooms: 'r1' });
  await a.next();
  await site.push('a', 'r1', 'hi', { type: 'grpchat' });
  t.hasStrict(await b.next(), { from: 'a', to: 'r1', body: 'hi' });
  t.strictSame(await a.before(), []);
});

t.test('a status to a room reaches its other members', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.arrive('b', { rooms: 'r1' });
  await a.next();
  await site.status(a.ticket, 'gid:r1', 'typing');
  t.strictSame(await b.next(), { kind: 'status', from: 'a', to: 'r1', nick: 'A', show: 'typing' });
  t.strictSame(await a.before(b), []);
});

t.test('MEMBERS lists who is online and visible, for members and others alike', async (t) => {
  const site = (await testServer(t)).site();
  const { ticket } = await site.online('uid1', { rooms: 'r1' });
  await site.online('uid2', { rooms: 'r1', show: 'dnd' });
  await site.online('vid:3', { rooms: 'r1', show: 'away' });
  await site.online('sid:4', { rooms: 'r1' });
  await site.online('ghost', { rooms: 'r1', show: 'invisible' });
  const { ticket: other } = await site.online('other');
  const members = { uid1: 'available', uid2: 'dnd', 'vid:3': 'away', 'sid:4': 'available' };
  t.strictSame(await site.members(ticket, 'r1'), members);
  t.strictSame(await site.members(other, 'r1'), members);
  t.strictSame(await site.members(ticket, 'no such room'), {});
});

t.test('LEAVE by an endpoint that is no member is answered ok and heard by nobody', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.online('b');
  await site.leave(b.ticket, 'r1');
  await site.leave(b.ticket, 'no such room');
  t.strictSame(await a.before(), []);
});

t.test('an endpoint that has left a room receives nothing more from it', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.arrive('b', { rooms: 'r1' });
  await site.leave(b.ticket, 'r1');
  await site.say(a.ticket, 'r1', 'hi');
  await site.status(a.ticket, 'gid:r1', 'typing');
  await a.offline();
  t.strictSame(await b.before(), []);
});

t.test('all clients of an endpoint are in the room that one of them joined', async (t) => {
  const site = (await testServer(t)).site();
  const laptop = await site.arrive('a');
  const phone = await site.arrive('a', { rooms: 'r1' });
  const b = await site.online('b');
  await site.say(b.ticket, 'r1', 'one');
  for (const client of [laptop, phone]) t.hasStrict(await client.next(), { body: 'one' });
  await phone.offline();
  await site.say(b.ticket, 'r1', 'two');
  t.hasStrict(await laptop.next(), { body: 'two' }, 'it is a member until it goes offline');
  t.strictSame(await site.members(b.ticket, 'r1'), { a: 'available' });
});

t.test('membership ends when the endpoint goes offline, and with the last member the room', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const watcher = await site.arrive('w', { buddies: 'a' });
  const a = await site.arrive('a', { rooms: 'r1' });
  await watcher.next();
  await goOffline(a, clock);
  t.hasStrict(await watcher.next(), { type: 'offline' });
  t.strictSame(await site.members(watcher.ticket, 'r1'), {});
  const again = await site.arrive('a');
  t.hasStrict(await watcher.next(), { type: 'online' });
  t.strictSame(await site.members(watcher.ticket, 'r1'), {});
  await site.say(watcher.ticket, 'r1', 'anybody?');
  t.strictSame(await again.before(watcher), []);
});

t.test('a buddy in the same room hears both presences once', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const a = await site.arrive('a', { rooms: 'r1,r2', buddies: 'b' });
  const b = await site.arrive('b', { rooms: 'r1,r2', buddies: 'a' });
  const came = (await a.before(b)).map(({ type, to }) => `${type} ${to}`);
  t.strictSame(came.sort(), ['grponline r1', 'grponline r2', 'online a']);
  await b.show('away');
  t.strictSame(
    (await a.before(b)).map(({ type, to }) => `${type} ${to}`),
    ['show a'],
  );
  await goOffline(b, clock);
  const went = [await a.next(), await a.next(), await a.next()].map(({ type, to }) => `${type} ${to}`);
  t.strictSame(went.sort(), ['grpoffline r1', 'grpoffline r2', 'offline a']);
});

t.test('rooms named again by a further client tell nobody again', async (t) => {
  const site = (await testServer(t)).site();
  const a = await site.arrive('a', { rooms: 'r1' });
  const b = await site.arrive('b', { rooms: 'r1' });
  await a.next();
  const further = await site.arrive('b', { rooms: 'r1,r1,gid:r1' });
  await site.join(b.ticket, 'r1');
  t.strictSame(await a.before(further), []);
});

t.test('a room’s id in the path may come unescaped', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const a = await site.arrive('a', { rooms: '张三 & co' });
  const b = await site.online('b');
  for (const path of ['/v5/rooms/%E5%BC%A0%E4%B8%89%20%26%20co/join', '/v5/rooms/%e5%bc%a0%e4%b8%89%20&%20co/join/']) {
    t.equal((await site.post(path, { ticket: b.ticket })).status, 200);
    t.hasStrict(await a.next(), { type: 'join', to: '张三 & co' });
    await site.leave(b.ticket, '张三 & co');
    t.hasStrict(await a.next(), { type: 'leave' });
  }
});
