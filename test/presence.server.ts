import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { basic } from './support/http.js';
import { RawSocket, requestText } from './support/raw.js';
import { goOffline, siteA, testServer, times } from './support/server.js';
import type { Online } from './support/site.js';
import { webSocket } from './support/transports.js';

/** The idle time is longer than all graces that pass, so that only OFFLINE ends a client. */
const grace = { presence: { graceMs: times.graceMs } };

function presence(from: string, to: string, type: string, show: string, status = ''): object {
  return { kind: 'presence', from, to, nick: from.toUpperCase(), type, show, status };
}

const matrix: readonly (readonly [title: string, first: string, second: string])[] = [
  ['only the first lists the second', 'b', ''],
  ['only the second lists the first', '', 'a'],
  ['each lists the other', 'b', 'a'],
  ['each lists the other twice and itself', 'b,b,a', 'uid:a,a,b'],
  ['neither lists the other', '', ''],
];

for (const [title, first, second] of matrix) {
  t.test(`${title}, and they come online one after the other`, async (t) => {
    const clock = new ManualClock();
    const site = (await testServer(t, grace, clock)).site();
    const isRelated = first !== '' || second !== '';
    const a = await site.arrive('a', { buddies: first });
    const b = await site.arrive('b', { buddies: second });
    t.equal(b.answer.presences.a, second ? 'available' : undefined, 'the answer lists whom the caller lists');
    t.strictSame(await a.before(b), isRelated ? [presence('b', 'a', 'online', 'available')] : []);
    t.strictSame(await b.before(a), [], 'who came second is told nothing');
    await a.show('away', { status: 'out' });
    t.strictSame(await b.before(a), isRelated ? [presence('a', 'b', 'show', 'away', 'out')] : []);
    t.strictSame(await a.before(a), [], 'nobody hears of itself');
    await b.show('dnd');
    t.strictSame(await a.before(b), isRelated ? [presence('b', 'a', 'show', 'dnd')] : []);
    await goOffline(b, clock);
    if (isRelated) t.hasStrict(await a.next(), { from: 'b', to: 'a', nick: 'B', type: 'offline', show: 'unavailable' });
    t.strictSame(await a.before(), []);
  });
}

t.test('an endpoint that lists itself is told nothing of itself', async (t) => {
  const site = (await testServer(t)).site();
  const own = { buddies: 'a,uid:a,b,/domain/a.example/uid/a' };
  const a = await site.arrive('a', own);
  await site.online('b');
  const tab = await site.arrive('a', own);
  t.strictSame([a.answer.presences, tab.answer.presences], [{}, { b: 'available' }]);
  await a.show('away');
  for (const one of [a, tab]) {
    const heard = await one.before(a);
    t.strictSame(
      heard.filter(({ from }) => from === 'a'),
      [],
    );
  }
  t.strictSame((await site.online('a', own)).presences, { b: 'available' });
});

t.test('a buddy relation lasts while one of the endpoints that brought it is online', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const a = await site.arrive('a', { buddies: 'b' });
  const b = await site.arrive('b', { buddies: 'a' });
  await a.next();
  await goOffline(a, clock);
  t.hasStrict(await b.next(), { from: 'a', type: 'offline' });
  const again = await site.arrive('a');
  t.hasStrict(await b.next(), { from: 'a', type: 'online' }, 'b still lists a');
  await b.show('away');
  t.hasStrict(await again.next(), { from: 'b', type: 'show', show: 'away' });
});

t.test('a buddy relation is gone when all the endpoints that brought it are offline', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const a = await site.arrive('a', { buddies: 'b' });
  const b = await site.arrive('b');
  await a.next();
  await goOffline(a, clock);
  t.hasStrict(await b.next(), { from: 'a', type: 'offline' });
  const again = await site.arrive('a');
  await again.show('away');
  await b.show('dnd');
  t.strictSame(await b.before(again), []);
  t.strictSame(await again.before(b), []);
});

t.test('a buddy who comes and goes is heard of each time', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const a = await site.arrive('a', { buddies: 'b' });
  for (let round = 0; round < 3; round++) {
    const b = await site.arrive('b', { show: 'busy', status: `round ${round}` });
    t.strictSame(await a.next(), presence('b', 'a', 'online', 'busy', `round ${round}`));
    await goOffline(b, clock);
    t.hasStrict(await a.next(), { from: 'b', type: 'offline', show: 'unavailable' });
  }
});

t.test('visitors and services have presence like users', async (t) => {
  const clock = new ManualClock();
  const site = (await testServer(t, grace, clock)).site();
  const a = await site.arrive('a', { buddies: 'vid:v,sid:s' });
  for (const id of ['vid:v', 'sid:s']) {
    const person = await site.arrive(id);
    t.strictSame(await a.next(), presence(id, 'a', 'online', 'available'));
    t.strictSame(await site.presences(id), { [id]: 'available' });
    await a.show('away');
    t.hasStrict(await person.next(), { from: 'a', to: id, type: 'show', show: 'away' });
    await a.show('available');
    t.hasStrict(await person.next(), { type: 'show', show: 'available' });
    await goOffline(person, clock);
    t.hasStrict(await a.next(), { from: id, type: 'offline' });
  }
});

t.test('each of many buddies hears of one change once', async (t) => {
  const site = (await testServer(t)).site();
  const listed = await Promise.all(['1', '2', '3'].map((id) => site.arrive(id)));
  const listing = await Promise.all(['4', '5'].map((id) => site.arrive(id, { buddies: 'a' })));
  const both = await site.arrive('6', { buddies: 'a' });
  const stranger = await site.arrive('7');
  const a = await site.arrive('a', { buddies: '1,2,3,6' });
  const buddies = [...listed, ...listing, both];
  for (const one of buddies) t.strictSame(await one.next(), presence('a', one.name, 'online', 'available'));
  await a.show('chat');
  for (const one of buddies) t.strictSame(await one.before(a), [presence('a', one.name, 'show', 'chat')], one.name);
  t.strictSame(await stranger.before(a), []);
});

t.test('every client of a buddy hears of a change', async (t) => {
  const site = (await testServer(t)).site();
  const tabs = [await site.arrive('a', { buddies: 'b' }), await site.arrive('a'), await site.arrive('a')];
  const b = await site.arrive('b');
  for (const tab of tabs) t.strictSame(await tab.next(), presence('b', 'a', 'online', 'available'));
  await b.show('away');
  for (const tab of tabs) t.strictSame(await tab.next(), presence('b', 'a', 'show', 'away'));
});

t.test('PRESENCES lists who is online and visible under the short id', async (t) => {
  const site = (await testServer(t)).site();
  await site.online('uid1');
  await site.online('2', { show: 'dnd' });
  await site.online('vid:123', { show: 'away' });
  await site.online('hidden', { show: 'invisible' });
  const asked = ['uid1', 'uid:2', 'vid:123', 'hidden', 'nobody', '123', '/domain/a.example/uid/2'];
  t.strictSame(await site.presences(...asked), { uid1: 'available', 2: 'dnd', 'vid:123': 'away' });
});

t.test(
  'a presence that was on its way when a further client came is in the answer of ONLINE, and is not told again',
  async (t) => {
    const server = await testServer(t);
    const site = server.site();
    const anna = await site.arrive('anna');
    await site.arrive('jack', { buddies: 'anna' });
    const [first, second] = [await RawSocket.open(server), await RawSocket.open(server)];
    const headers = [
      `Authorization: ${basic(siteA.domain, siteA.apikey)}`,
      'Content-Type: application/x-www-form-urlencoded',
    ];
    // The server is in this process: it reads both in one turn, and runs them in this order.
    first.write(requestText('POST /v5/presences/show', headers, `ticket=${anna.ticket}&show=away`));
    second.write(requestText('POST /v5/presences/online', headers, 'name=jack&nick=Jack&buddies=anna'));
    const answer = JSON.parse((await second.answer()).text) as Online;
    t.strictSame(answer.presences, { anna: 'away' });
    const tab = await webSocket.connect(server, answer.ticket, siteA.domain);
    await anna.show('busy');
    t.hasStrict(await tab.next(), { from: 'anna', type: 'show', show: 'busy' });
  },
);
