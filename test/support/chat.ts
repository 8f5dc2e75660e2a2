/** The chat scenario, written once: Alice and Bob meet, talk, share a room, hide, reload and part. */
import type { Check } from './check.js';
import { PollClient } from './polling.js';
import type { Person, Site } from './site.js';
import type { ChatTransport } from './transports.js';

/** Where somebody comes from: a site as one node serves it, and a transport. */
export interface Place {
  readonly site: Site;
  readonly transport: ChatTransport;
}

async function meet(t: Check, hers: Place, his: Place): Promise<[Person, Person]> {
  const alice = await hers.site.arrive('alice', { nick: 'Alice', buddies: 'bob' }, hers.transport);
  const bob = await his.site.arrive('bob', { nick: 'Bob', buddies: 'alice', rooms: 'tea' }, his.transport);
  t.strictSame(bob.answer.presences, { alice: 'available' });
  const presence = { kind: 'presence', from: 'bob', to: 'alice', nick: 'Bob' };
  t.strictSame(await alice.next(), { ...presence, type: 'online', show: 'available', status: '' });
  return [alice, bob];
}

async function talk(t: Check, alice: Person, bob: Person): Promise<void> {
  await alice.site.status(alice.ticket, 'bob', 'typing…');
  t.strictSame(await bob.next(), { kind: 'status', from: 'alice', to: 'bob', nick: 'Alice', show: 'typing…' });
  const message = { timestamp: '1246883572400', style: '' };
  await alice.site.message(alice.ticket, 'bob', 'hi Bob 你好', message);
  const hi = {
    kind: 'message',
    from: 'alice',
    to: 'bob',
    nick: 'Alice',
    type: 'chat',
    body: 'hi Bob 你好',
    ...message,
  };
  t.strictSame(await bob.next(), hi);
  await bob.site.message(bob.ticket, 'alice', 'hi Alice', message);
  const back = { ...hi, from: 'bob', to: 'alice', nick: 'Bob', body: 'hi Alice' };
  t.strictSame(await alice.next(), back);
  for (let n = 0; n < 50; n++) {
    const [from, to] = n % 2 ? [alice, bob] : [bob, alice];
    await from.site.message(from.ticket, to.name, `${n}`);
  }
  for (let n = 0; n < 50; n++) t.equal((await (n % 2 ? bob : alice).next()).body, `${n}`);
}

async function meetInRoom(t: Check, alice: Person, bob: Person): Promise<void> {
  await alice.site.join(alice.ticket, 'tea');
  const joined = { kind: 'presence', from: 'alice', to: 'tea', nick: 'Alice', show: 'available', status: 'tea' };
  t.strictSame(await bob.next(), { ...joined, type: 'join' });
  t.strictSame(await bob.site.members(bob.ticket, 'tea'), { alice: 'available', bob: 'available' });
  await bob.site.say(bob.ticket, 'tea', 'tea is ready');
  t.hasStrict(await alice.next(), { from: 'bob', to: 'tea', type: 'grpchat', body: 'tea is ready' });
  await alice.site.leave(alice.ticket, 'tea');
  t.strictSame(await bob.next(), { ...joined, type: 'leave' });
}

async function vanish(t: Check, alice: Person, bob: Person): Promise<void> {
  await bob.show('away', { status: 'tea' });
  t.hasStrict(await alice.next(), { from: 'bob', type: 'show', show: 'away', status: 'tea' });
  await bob.show('invisible');
  t.hasStrict(await alice.next(), { from: 'bob', type: 'offline', show: 'unavailable' });
  await alice.site.message(alice.ticket, 'bob', 'are you still there?');
  t.hasStrict(await bob.next(), { body: 'are you still there?' });
  await bob.show('available');
  t.hasStrict(await alice.next(), { from: 'bob', type: 'online', show: 'available' });
}

/** Bob reloads his page: his friends must not see him go. */
async function reload(t: Check, alice: Person, bob: Person, his: Place): Promise<Person> {
  bob.client.close();
  await alice.site.message(alice.ticket, 'bob', 'while you reload');
  const again = await his.site.arrive('bob', { nick: 'Bob', buddies: 'alice' }, his.transport);
  await alice.site.message(alice.ticket, 'bob', 'welcome back');
  t.hasStrict(await again.next(), { body: 'while you reload' }, 'nothing is lost');
  t.hasStrict(await again.next(), { body: 'welcome back' });
  t.strictSame(await alice.before(again), [], 'no flicker');
  return again;
}

/** Bob goes offline in both of his tabs: that of before the reload would end with its idle time. */
async function part(t: Check, alice: Person, before: Person, bob: Person, graceOver: () => void): Promise<void> {
  await before.offline();
  await bob.offline();
  graceOver();
  // Between two polls there is nobody to tell: the next one finds no ticket (404).
  const words = bob.client instanceof PollClient ? ['stopped', 'error'] : ['stopped'];
  t.ok(words.includes(await bob.client.ended), 'Bob is told, or finds out');
  t.hasStrict(await alice.next(), { from: 'bob', type: 'offline', show: 'unavailable' });
  t.strictSame(await alice.site.presences('alice', 'bob'), { alice: 'available' });
}

export interface Course {
  /** Where Bob comes back to when he reloads his page. */
  readonly again?: Place;
  /** Lets the grace pass where the servers' clock is the test's. */
  readonly graceOver?: () => void;
}

export async function chat(t: Check, hers: Place, his: Place, course: Course = {}): Promise<void> {
  const { again = his, graceOver = () => undefined } = course;
  const [alice, bob] = await meet(t, hers, his);
  await talk(t, alice, bob);
  await meetInRoom(t, alice, bob);
  await vanish(t, alice, bob);
  const back = await reload(t, alice, bob, again);
  await part(t, alice, bob, back, graceOver);
}
