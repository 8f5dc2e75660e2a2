import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { type Cleaner, goOffline, testServer, times } from './support/server.js';
import type { Person, Site } from './support/site.js';

const grace = { presence: { graceMs: times.graceMs } };

/** `b` lists `a` and never meets it in a room; `r` is in a room with it and no buddy. */
interface Watched {
  readonly clock: ManualClock;
  readonly site: Site;
  readonly a: Person;
  readonly buddy: Person;
  readonly roommate: Person;
}

async function watched(t: Cleaner, show: string): Promise<Watched> {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const buddy = await site.arrive('b', { buddies: 'a' });
  const roommate = await site.arrive('r', { rooms: 'r1' });
  const a = await site.arrive('a', { rooms: 'r1', show });
  return { clock, site, a, buddy, roommate };
}

function toBuddy(type: string, show: string, status = ''): object {
  return { kind: 'presence', from: 'a', to: 'b', nick: 'A', type, show, status };
}

function toRoom(type: string, show: string): object {
  return { kind: 'presence', from: 'a', to: 'r1', nick: 'A', type, show, status: 'r1' };
}

const transitions: readonly (readonly [from: string, to: string, buddy: string, room: string])[] = [
  ['available', 'away', 'show', ''],
  ['available', 'chat', 'show', ''],
  ['away', 'dnd', 'show', ''],
  ['busy', 'available', 'show', ''],
  ['available', 'available', '', ''],
  ['dnd', 'dnd', '', ''],
  ['available', 'invisible', 'offline', 'grpoffline'],
  ['away', 'unavailable', 'offline', 'grpoffline'],
  ['invisible', 'available', 'online', 'grponline'],
  ['unavailable', 'away', 'online', 'grponline'],
  ['invisible', 'invisible', '', ''],
  ['invisible', 'unavailable', '', ''],
  ['unavailable', 'invisible', '', ''],
];

for (const [from, to, type, roomType] of transitions) {
  t.test(`from ${from} to ${to} others hear ${type || 'nothing'}`, async (t) => {
    const { clock, site, a, buddy, roommate } = await watched(t, from);
    const isHidden = ['invisible', 'unavailable'].includes(from);
    t.strictSame(await buddy.before(a), isHidden ? [] : [toBuddy('online', from)]);
    t.strictSame(await roommate.before(a), isHidden ? [] : [toRoom('grponline', from)]);
    await a.show(to);
    const shown = type === 'offline' ? 'unavailable' : to;
    t.strictSame(await buddy.before(a), type ? [toBuddy(type, shown)] : []);
    t.strictSame(await roommate.before(a), roomType ? [toRoom(roomType, shown)] : []);
    const seen = ['invisible', 'unavailable'].includes(to) ? {} : { a: to };
    t.strictSame(await site.presences('a'), seen);
    t.strictSame(await site.members(roommate.ticket, 'r1'), { ...seen, r: 'available' });
    t.strictSame(await a.before(buddy), [], 'and a itself hears nothing');
    await goOffline(a, clock);
    if ('a' in seen) {
      t.hasStrict(await buddy.next(), { type: 'offline', show: 'unavailable' });
      t.hasStrict(await roommate.next(), { type: 'grpoffline', show: 'unavailable', to: 'r1', status: 'r1' });
    }
  });
}

t.test('an invisible endpoint comes and goes unheard and still receives', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const buddy = await site.arrive('b', { buddies: 'a', rooms: 'r1' });
  const ghost = await site.arrive('a', { buddies: 'b', rooms: 'r1', show: 'invisible' });
  t.strictSame(ghost.answer.presences, { b: 'available' }, 'it sees');
  t.strictSame((await site.online('c', { buddies: 'a' })).presences, {}, 'it is not seen');
  t.hasStrict(await ghost.next(), { from: 'c', type: 'online' }, 'it hears');
  await site.message(buddy.ticket, 'a', 'are you there');
  t.hasStrict(await ghost.next(), { body: 'are you there' });
  await site.say(buddy.ticket, 'r1', 'anybody');
  t.hasStrict(await ghost.next(), { body: 'anybody', to: 'r1' });
  await buddy.show('away');
  t.hasStrict(await ghost.next(), { type: 'show', from: 'b' });
  await site.join(ghost.ticket, 'r2');
  await site.leave(ghost.ticket, 'r1');
  await site.join(ghost.ticket, 'r1');
  t.strictSame(await buddy.before(ghost), []);
  const last = await site.arrive('z', { buddies: 'b' });
  t.hasStrict(await buddy.next(), { from: 'z', type: 'online' });
  await goOffline(ghost, clock);
  await goOffline(last, clock);
  t.hasStrict(await buddy.next(), { from: 'z', type: 'offline' }, 'not of the ghost that left before');
});

t.test('another status text with the same show is a change', async (t) => {
  const { a, buddy, site } = await watched(t, 'away');
  await buddy.next();
  await a.show('away', { status: 'lunch' });
  t.strictSame(await buddy.before(a), [toBuddy('show', 'away', 'lunch')]);
  await a.show('away', { status: 'lunch' });
  t.strictSame(await buddy.before(a), []);
  await a.show('away', { status: 'tea' });
  t.strictSame(await buddy.before(a), [toBuddy('show', 'away', 'tea')]);
  t.strictSame(await site.presences('a'), { a: 'away' });
  const second = await site.arrive('a');
  t.strictSame(await buddy.before(second), [], 'a further client without one leaves it as it is');
  await a.show('invisible');
  t.strictSame(await buddy.before(a), [toBuddy('offline', 'unavailable', '')], 'who is offline shows none');
});

t.test('a nick given to SHOW is the one that others see', async (t) => {
  const { a, buddy, site } = await watched(t, 'available');
  await buddy.next();
  await a.show('away', { nick: 'Ann' });
  t.hasStrict(await buddy.next(), { type: 'show', show: 'away', nick: 'Ann' });
  await site.message(a.ticket, 'b', 'hi');
  t.hasStrict(await buddy.next(), { body: 'hi', nick: 'Ann' });
});

t.test('the show belongs to the endpoint, and the last one set counts', async (t) => {
  const { a, buddy, roommate, site } = await watched(t, 'available');
  await buddy.next();
  await roommate.next();
  const phone = await site.arrive('a', { show: 'away' });
  t.strictSame(await buddy.before(phone), [toBuddy('show', 'away')], 'a changed show is a show, not an online');
  t.strictSame(await roommate.before(phone), []);
  await phone.show('dnd');
  t.strictSame(await buddy.before(phone), [toBuddy('show', 'dnd')]);
  await a.show('dnd');
  t.strictSame(await buddy.before(a), []);
  await phone.offline();
  t.strictSame(await site.presences('a'), { a: 'dnd' }, 'one client is left');
  t.strictSame(await buddy.before(a), []);
});

t.test('a further client without a show leaves the endpoint’s show as it is', async (t) => {
  const { buddy, roommate, site } = await watched(t, 'away');
  await buddy.next();
  await roommate.next();
  const second = await site.arrive('a');
  const third = await site.arrive('a', { show: 'away', rooms: 'r1' });
  t.strictSame(await buddy.before(second), []);
  t.strictSame(await roommate.before(third), []);
  t.strictSame(await site.presences('a'), { a: 'away' });
});

t.test('a further client may make the endpoint invisible and visible again', async (t) => {
  const { a, buddy, roommate, site } = await watched(t, 'available');
  await buddy.next();
  await roommate.next();
  const second = await site.arrive('a', { show: 'invisible' });
  t.strictSame(await buddy.before(second), [toBuddy('offline', 'unavailable')]);
  t.strictSame(await roommate.before(second), [toRoom('grpoffline', 'unavailable')]);
  t.strictSame(await site.presences('a'), {});
  const third = await site.arrive('a', { show: 'chat' });
  t.strictSame(await buddy.before(third), [toBuddy('online', 'chat')]);
  t.strictSame(await roommate.before(third), [toRoom('grponline', 'chat')]);
  t.strictSame(await a.before(buddy), []);
});

t.test('a further client brings its nick, buddies and rooms with it', async (t) => {
  const site = (await testServer(t)).site();
  const old = await site.arrive('b');
  const fresh = await site.arrive('c');
  const roommate = await site.arrive('r', { rooms: 'r2' });
  const a = await site.arrive('a', { buddies: 'b' });
  await old.next();
  const second = await site.arrive('a', { buddies: 'c', rooms: 'r2', nick: 'Ann' });
  t.strictSame(second.answer.presences, { c: 'available' });
  t.strictSame(await fresh.before(second), [], 'no online for the new buddy');
  t.strictSame(await old.before(second), []);
  const joined = {
    kind: 'presence',
    from: 'a',
    to: 'r2',
    nick: 'Ann',
    type: 'grponline',
    show: 'available',
    status: 'r2',
  };
  t.strictSame(await roommate.before(second), [joined]);
  await a.show('away');
  t.hasStrict(await fresh.next(), { from: 'a', to: 'c', type: 'show', show: 'away', nick: 'Ann' });
  t.hasStrict(await old.next(), { from: 'a', to: 'b', type: 'show', show: 'away' });
  await fresh.show('dnd');
  for (const client of [a, second]) t.hasStrict(await client.next(), { from: 'c', to: 'a', type: 'show', show: 'dnd' });
});
