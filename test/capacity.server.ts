/** What one call may bring: rooms and buddies of an endpoint, rooms and endpoints of a domain. */
import t from 'tap';
import type { Answer } from './support/http.js';
import { natsServer, testCluster } from './support/nats.js';
import { skipWithout } from './support/programs.js';
import { siteA, siteB, testServer } from './support/server.js';
import type { Site } from './support/site.js';

function ids(prefix: string, count: number): string {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`).join(',');
}

function arrive(site: Site, name: string, params: Record<string, string>): Promise<Answer> {
  return site.post('/v5/presences/online', { name, nick: name, ...params });
}

const statusOf = ({ status }: Answer) => status;

t.test('one ONLINE of 12,000 rooms or 9,000 buddies is refused as a whole, and says which is too long', async (t) => {
  const server = await testServer(t, { limits: { bodyBytes: 0 } });
  const site = server.site();
  const metrics = server.metrics.domain(siteA.domain);
  t.match(await arrive(site, 'a', { rooms: ids('r', 12_000) }), { status: 400, body: { detail: /^rooms .*1000/ } });
  t.match(await arrive(site, 'a', { buddies: ids('b', 9000) }), { status: 400, body: { detail: /^buddies .*5000/ } });
  t.match([metrics.rooms, metrics.endpointsOnline, metrics.clients], [0, 0, 0], 'nothing of it stays');
  t.equal(statusOf(await arrive(site, 'a', { rooms: ids('r', 1000), buddies: ids('b', 5000) })), 200);
});

t.test('rooms and buddies count over all clients of an endpoint and all its calls', async (t) => {
  const server = await testServer(t, { limits: { roomsPerEndpoint: 3, buddiesPerEndpoint: 3 } });
  const site = server.site();
  const { ticket } = await site.online('a', { rooms: 'r1,r2', buddies: 'b1,b2' });
  const full = { status: 400, body: { status: 'error', message: 'bad request', detail: /^rooms .*3/ } };
  t.match(await arrive(site, 'a', { rooms: 'r3,r4' }), full);
  await site.join(ticket, 'r3');
  t.match(await site.post('/v5/rooms/r4/join', { ticket }), full);
  await site.join(ticket, 'r3');
  t.equal(statusOf(await arrive(site, 'a', { rooms: 'r1,r2,r3', buddies: 'b1,b2' })), 200, 'what it has is no more');
  await site.leave(ticket, 'r3');
  await site.join(ticket, 'r4');
  t.match(await arrive(site, 'a', { buddies: 'b3,b4' }), { status: 400, body: { detail: /^buddies/ } });
  t.equal(statusOf(await arrive(site, 'a', { buddies: 'b3' })), 200);
  const answers = await Promise.all(['x', 'y', 'z'].map((r) => arrive(site, 'c', { rooms: `${r}1,${r}2` })));
  t.strictSame(answers.map(statusOf).sort(), [200, 400, 400], 'calls that come together are no way around');
});

t.test('a domain has so many rooms; further ones are answered 503, and those that end make room', async (t) => {
  const site = (await testServer(t, { limits: { roomsPerDomain: 3 } })).site();
  const full = { status: 503, headers: { 'retry-after': '5' } };
  const together = await Promise.all(['r', 's'].map((r) => arrive(site, r, { rooms: `${r}1,${r}2` })));
  t.strictSame(together.map(statusOf).sort(), [200, 503], 'calls that come together are no way around');
  const taken = together[0]?.status === 200 ? 'r' : 's';
  const { ticket } = await site.online('c', { rooms: `${taken}1,c1` });
  t.match(await site.post('/v5/rooms/c2/join', { ticket }), full);
  t.match(await arrive(site, 'd', { rooms: 'd1' }), full);
  await site.join(ticket, `${taken}2`);
  await site.leave(ticket, 'c1');
  await site.join(ticket, 'c2');
});

t.test('a domain has so many endpoints, also of those that come at once', async (t) => {
  const server = await testServer(t, { limits: { endpointsPerDomain: 3 } });
  const answers = await Promise.all(
    ids('u', 20)
      .split(',')
      .map((name) => arrive(server.site(), name, {})),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 3);
  t.equal(statusOf(await arrive(server.site(siteB), 'u', {})), 200, 'another domain has its own');
});

t.test(
  'limits of a domain count all nodes, those of a user all its nodes',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const limits = {
      roomsPerDomain: 3,
      endpointsPerDomain: 3,
      roomsPerEndpoint: 2,
      buddiesPerEndpoint: 2,
      roomMembers: 2,
    };
    const nodes = await testCluster(t, await natsServer(t), 2, { limits });
    const [one, two] = nodes.map((node) => node.site()) as [Site, Site];
    await one.online('a', { rooms: 'r1,r2', buddies: 'b1,b2' });
    t.match(await arrive(two, 'a', { rooms: 'r3' }), { status: 400, body: { detail: /^rooms/ } });
    t.match(await arrive(two, 'b', { rooms: 'r3,r4' }), { status: 503 });
    const b = await two.online('b', { rooms: 'r1,r3' });
    t.match(await one.post('/v5/rooms/r4/join', { ticket: b.ticket }), { status: 400 }, 'a call that is sent on');
    const c = await one.online('c');
    t.match(await one.post('/v5/rooms/r4/join', { ticket: c.ticket }), { status: 503 });
    t.match(await one.post('/v5/rooms/r1/join', { ticket: c.ticket }), { status: 503 }, 'the room is full');
    t.match(await arrive(two, 'd', {}), { status: 503 });
  },
);
