import t from 'tap';
import { clusterSettings, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type Settings, siteA, type TestServer, testServer } from '../support/server.js';
import type { Site } from '../support/site.js';
import { longPolling } from '../support/transports.js';
import { WebhookServer } from '../support/webhook.js';

const skip = skipWithout('nats-server');

async function threeSites(t: Cleaner, settings: Settings = {}): Promise<[Site, Site, Site, TestServer[]]> {
  const nodes = await testCluster(t, await natsServer(t), 3, { presence: { graceMs: 60 }, ...settings });
  const [one, two, three] = nodes.map((node) => node.site());
  return [one as Site, two as Site, three as Site, nodes];
}

t.test('a user with clients on two nodes is one user', { skip }, async (t) => {
  const [n1, n2, n3] = await threeSites(t);
  const bob = await n3.arrive('bob', { buddies: 'alice' });
  const desk = await n1.arrive('alice', { buddies: 'carol', rooms: 'tea' });
  t.hasStrict(await bob.next(), { from: 'alice', type: 'online' });
  const phone = await n2.arrive('alice', { show: 'away', rooms: 'den' }, longPolling);
  t.hasStrict(await bob.next(), { from: 'alice', type: 'show', show: 'away' }, 'Alice comes online once');

  await t.test('the user has the show that was set last, on both nodes', async (t) => {
    await desk.show('dnd');
    t.hasStrict(await bob.next(), { type: 'show', show: 'dnd' });
    for (const site of [n1, n2, n3]) t.strictSame(await site.presences('alice'), { alice: 'dnd' });
  });

  await t.test('each message comes to each client once, in order', async (t) => {
    for (let n = 0; n < 30; n++) await n3.message(bob.ticket, 'alice', `${n}`);
    for (const client of [desk, phone]) for (let n = 0; n < 30; n++) t.equal((await client.next()).body, `${n}`);
  });

  await t.test('both clients are in the rooms that either has entered', async (t) => {
    await n3.join(bob.ticket, 'den');
    for (const client of [desk, phone]) t.hasStrict(await client.next(), { from: 'bob', type: 'join', to: 'den' });
    t.strictSame(await n3.members(bob.ticket, 'tea'), { alice: 'dnd' });
    await n3.say(bob.ticket, 'den', 'quiet');
    for (const client of [desk, phone]) t.hasStrict(await client.next(), { body: 'quiet' });
    await phone.site.leave(phone.ticket, 'den');
    t.hasStrict(await bob.next(), { from: 'alice', type: 'leave', to: 'den' });
    await n3.leave(bob.ticket, 'den');
    t.strictSame(await desk.before(bob), []);
    t.match((await phone.next()).body, /^marker/, 'the other client has heard nothing either');
  });

  await t.test('a named client is reached by its address from another node', async (t) => {
    const named = await n2.arrive('alice', { client: 'watch' });
    await n3.message(bob.ticket, `/domain/${siteA.domain}/uid/alice/client/watch`, 'tick');
    t.hasStrict(await named.next(), { body: 'tick' });
    const again = await n1.arrive('alice', { client: 'watch' });
    t.equal(await named.client.ended, 'stopped', 'a client of that name on another node is ended');
    await again.offline();
  });

  await t.test('a buddy that one client lists hears of the user, and both clients hear of the buddy', async (t) => {
    const carol = await n2.arrive('carol');
    t.hasStrict(await desk.next(), { from: 'carol', type: 'online' });
    t.hasStrict(await phone.next(), { from: 'carol', type: 'online' });
    await phone.show('chat');
    t.hasStrict(await carol.next(), { from: 'alice', type: 'show', show: 'chat' });
    t.hasStrict(await bob.next(), { from: 'alice', type: 'show', show: 'chat' });
    await carol.offline();
  });

  await t.test('the user is offline when the last client is, on whichever node', async (t) => {
    await desk.offline();
    t.equal(await desk.client.ended, 'stopped');
    t.strictSame(await bob.before(), [], 'Alice is online while one client is');
    await phone.offline();
    t.hasStrict(await bob.next(), { from: 'alice', type: 'offline' });
    t.strictSame(await n3.presences('alice'), {});
    t.strictSame(await n3.members(bob.ticket, 'tea'), {});
  });
});

t.test('buddies on any nodes hear of each other, whichever of them lists the other', { skip }, async (t) => {
  const [n1, n2, n3] = await threeSites(t);
  const listed = await n1.arrive('listed');
  const lister = await n2.arrive('lister', { buddies: 'listed,later' });
  t.hasStrict(await listed.next(), { from: 'lister', type: 'online' });
  const later = await n3.arrive('later');
  t.hasStrict(await lister.next(), { from: 'later', type: 'online' });
  await lister.show('away');
  for (const user of [listed, later]) t.hasStrict(await user.next(), { from: 'lister', type: 'show', show: 'away' });
  await listed.show('invisible');
  t.hasStrict(await lister.next(), { from: 'listed', type: 'offline', show: 'unavailable' });
  t.strictSame(await n3.presences('listed', 'lister'), { lister: 'away' });
  await listed.show('available');
  t.hasStrict(await lister.next(), { from: 'listed', type: 'online' });
  await lister.offline();
  for (const user of [listed, later]) t.hasStrict(await user.next(), { from: 'lister', type: 'offline' });
  const back = await n3.arrive('lister');
  t.strictSame(await listed.before(), [], 'the relation ends with the endpoint that has listed the other');
  await back.offline();
});

t.test('statuses, broadcasts, pushes and carbons cross nodes', { skip }, async (t) => {
  const [n1, n2, n3] = await threeSites(t, { domains: [{ ...siteA, carbons: true }] });
  const alice = await n1.arrive('alice');
  const other = await n2.arrive('alice');
  const bob = await n3.arrive('bob');
  await alice.site.status(alice.ticket, 'bob', 'typing…');
  t.hasStrict(await bob.next(), { kind: 'status', from: 'alice', show: 'typing…' });
  await alice.site.message(alice.ticket, 'bob', 'hi');
  t.hasStrict(await bob.next(), { body: 'hi' });
  t.hasStrict(await other.next(), { body: 'hi', to: 'bob' });
  await n2.push('alice', 'bob', 'pushed');
  t.hasStrict(await bob.next(), { body: 'pushed', nick: 'ALICE' });
  await n2.push('nobody', '*', 'to all', { type: 'broadcast' });
  for (const user of [alice, other, bob]) t.hasStrict(await user.next(), { body: 'to all', type: 'broadcast' });
});

t.test('a service with clients on several nodes delivers in turns', { skip }, async (t) => {
  const services = { help: { delivery: 'turns' } };
  const [n1, n2, n3] = await threeSites(t, { domains: [{ ...siteA, webhookPrivate: true, services }] });
  const agents = [await n1.arrive('sid:help'), await n2.arrive('sid:help'), await n3.arrive('sid:help')];
  const heard = new Map<string, Set<number>>();
  const listening = agents.map(async (agent, i) => {
    for (;;) {
      const { from, body } = await agent.next();
      heard.set(from as string, (heard.get(from as string) ?? new Set()).add(i));
      if (body === 'last') return;
    }
  });
  for (let round = 0; round < 3; round++) for (let n = 0; n < 9; n++) await n2.push(`guest${n}`, 'sid:help', 'x');
  for (let n = 0; n < 9; n++) await n1.push(`guest${n}`, 'sid:help', 'last');
  await Promise.all(listening);
  t.ok(
    [...heard.values()].every((clients) => clients.size === 1),
    'each guest stays with one agent',
  );
});

t.test('a message to a service is posted to its site once, whichever node it comes from', { skip }, async (t) => {
  const hook = await WebhookServer.start(t);
  const services = { help: { delivery: 'all', webhook: hook.url } };
  const [n1, n2] = await threeSites(t, { domains: [{ ...siteA, webhookPrivate: true, services }] });
  await n1.push('a', 'sid:help', 'nobody there');
  await hook.next();
  const agent = await n2.arrive('sid:help');
  await n1.push('a', 'sid:help', 'somebody there');
  t.hasStrict(await agent.next(), { body: 'somebody there' });
  await n1.push('a', 'sid:help', 'end');
  t.match((await hook.next()).text, /somebody there/);
  t.match((await hook.next()).text, /end/);
});

t.test('an endpoint that comes online is not idle before the call is answered, on any node', { skip }, async (t) => {
  const shared = clusterSettings(await natsServer(t));
  const [home, hasty] = [
    await testServer(t, merge(shared, { cluster: { node: 'n1' } })),
    await testServer(t, merge(shared, { cluster: { node: 'n2' }, presence: { clientIdleMs: 1 } })),
  ];
  for (let n = 0; n < 20; n++) {
    const user = await home.site().arrive(`user${n}`, { rooms: 'tea' });
    t.match(await hasty.site().online(`user${n}`), { ticket: String });
    t.strictSame(
      await hasty.site().members(user.ticket, 'tea').then(Object.keys),
      [...Array(n + 1).keys()].map((i) => `user${i}`),
    );
  }
});
