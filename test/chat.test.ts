import t from 'tap';
import type { Check } from './support/check.js';
import { testServer } from './support/server.js';
import type { Person, Site } from './support/site.js';
import { type ChatTransport, transports } from './support/transports.js';

const quick = { presence: { graceMs: 80 } };

async function meet(t: Check, site: Site, hers: ChatTransport, his: ChatTransport): Promise<[Person, Person]> {
  const alice = await site.arrive('alice', { nick: 'Alice', buddies: 'bob' }, hers);
  const bob = await site.arrive('bob', { nick: 'Bob', buddies: 'alice', rooms: 'tea' }, his);
  t.strictSame(bob.answer.presences, { alice: 'available' });
  const presence = { kind: 'presence', from: 'bob', to: 'alice', nick: 'Bob' };
  t.strictSame(await alice.next(), { ...presence, type: 'online', show: 'available', status: '' });
  return [alice, bob];
}

async function talk(t: Check, site: Site, alice: Person, bob: Person): Promise<void> {
  await site.status(alice.ticket, 'bob', 'typing…');
  t.strictSame(await bob.next(), { kind: 'status', from: 'alice', to: 'bob', nick: 'Alice', show: 'typing…' });
  const message = { timestamp: '1246883572400', style: '' };
  await site.message(alice.ticket, 'bob', 'hi Bob 你好', message);
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
  await site.message(bob.ticket, 'alice', 'hi Alice', message);
  const back = { ...hi, from: 'bob', to: 'alice', nick: 'Bob', body: 'hi Alice' };
  t.strictSame(await alice.next(), back);
  for (let n = 0; n < 50; n++) await site.message(n % 2 ? alice.ticket : bob.ticket, n % 2 ? 'bob' : 'alice', `${n}`);
  for (let n = 0; n < 50; n++) t.equal((await (n % 2 ? bob : alice).next()).body, `${n}`);
}

async function meetInRoom(t: Check, site: Site, alice: Person, bob: Person): Promise<void> {
  await site.join(alice.ticket, 'tea');
  const joined = { kind: 'presence', from: 'alice', to: 'tea', nick: 'Alice', show: 'available', status: 'tea' };
  t.strictSame(await bob.next(), { ...joined, type: 'join' });
  t.strictSame(await site.members(bob.ticket, 'tea'), { alice: 'available', bob: 'available' });
  await site.say(bob.ticket, 'tea', 'tea is ready');
  t.hasStrict(await alice.next(), { from: 'bob', to: 'tea', type: 'grpchat', body: 'tea is ready' });
  await site.leave(alice.ticket, 'tea');
  t.strictSame(await bob.next(), { ...joined, type: 'leave' });
}

async function vanish(t: Check, site: Site, alice: Person, bob: Person): Promise<void> {
  await bob.show('away', { status: 'tea' });
  t.hasStrict(await alice.next(), { from: 'bob', type: 'show', show: 'away', status: 'tea' });
  await bob.show('invisible');
  t.hasStrict(await alice.next(), { from: 'bob', type: 'offline', show: 'unavailable' });
  await site.message(alice.ticket, 'bob', 'are you still there?');
  t.hasStrict(await bob.next(), { body: 'are you still there?' });
  await bob.show('available');
  t.hasStrict(await alice.next(), { from: 'bob', type: 'online', show: 'available' });
}

/** Bob reloads his page: his friends must not see him go. */
async function reload(t: Check, site: Site, alice: Person, bob: Person, his: ChatTransport): Promise<Person> {
  bob.client.close();
  await site.message(alice.ticket, 'bob', 'while you reload');
  const again = await site.arrive('bob', { nick: 'Bob', buddies: 'alice' }, his);
  await site.message(alice.ticket, 'bob', 'welcome back');
  t.hasStrict(await again.next(), { body: 'while you reload' }, 'nothing is lost');
  t.hasStrict(await again.next(), { body: 'welcome back' });
  t.strictSame(await alice.before(again), [], 'no flicker');
  return again;
}

/** Bob's tab of before the reload goes too, as it would when its idle time is over. */
async function part(t: Check, site: Site, alice: Person, before: Person, bob: Person): Promise<void> {
  await site.offline(before.ticket);
  await site.offline(bob.ticket);
  t.equal(await bob.client.ended, 'stopped');
  t.hasStrict(await alice.next(), { from: 'bob', type: 'offline', show: 'unavailable' });
  t.strictSame(await site.presences('alice', 'bob'), { alice: 'available' });
}

for (const hers of transports) {
  for (const his of transports) {
    t.test(`Alice by ${hers.name} and Bob by ${his.name} chat`, async (t) => {
      const site = (await testServer(t, { mqtt: { port: -1 }, ...quick })).site();
      const [alice, bob] = await meet(t, site, hers, his);
      await talk(t, site, alice, bob);
      await meetInRoom(t, site, alice, bob);
      await vanish(t, site, alice, bob);
      const again = await reload(t, site, alice, bob, his);
      await part(t, site, alice, bob, again);
    });
  }
}

t.test('one user on every transport at once receives each message on each', async (t) => {
  const site = (await testServer(t, { mqtt: { port: -1 } })).site();
  const clients = [];
  for (const transport of transports) clients.push(await site.arrive('alice', {}, transport));
  const bob = await site.online('bob');
  for (let n = 0; n < 20; n++) await site.message(bob.ticket, 'alice', `${n}`);
  for (const client of clients) for (let n = 0; n < 20; n++) t.equal((await client.next()).body, `${n}`);
});
