import t from 'tap';
import type { Hop } from '../src/actors/trace.js';
import { ManualClock } from './mqtt/support/clock.js';
import { askAdmin } from './support/admin.js';
import { CountingSocket } from './support/counting.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';
import { mqttTcp } from './support/transports.js';

const admin = { admin: { port: -1 }, mqtt: { port: -1 } };

interface View {
  readonly trace: { readonly active: boolean; readonly id: string; readonly hops: readonly Hop[] } | null;
}

async function call(server: TestServer, method: string, query: Record<string, string> = {}): Promise<View> {
  const answer = await askAdmin(server, `/api/trace?${new URLSearchParams(query)}`, {}, method);
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.body as View;
}

function start(server: TestServer, id: string, domain = siteA.domain): Promise<View> {
  return call(server, 'POST', { domain, id });
}

/** `hop kind from>to`, without details. */
async function hops(server: TestServer): Promise<string[]> {
  const { trace } = await call(server, 'GET');
  return (trace?.hops ?? []).map(({ hop, kind, from, to }) => (kind ? `${hop} ${kind} ${from}>${to}` : hop));
}

t.test('a trace shows each hop of a message from its acceptance to the socket', async (t) => {
  const server = await testServer(t, admin);
  const site = server.site();
  const one = await site.arrive('1');
  const two = await site.arrive('2', { client: 'tab' });
  await start(server, '2');
  await site.message(one.ticket, '2', 'a secret');
  t.equal((await two.next()).body, 'a secret');
  const way = ['accepted', 'resolved', 'queued', 'sent', 'confirmed'];
  t.strictSame(
    await hops(server),
    way.map((hop) => `${hop} message chat 1>2`),
  );
  const { trace } = await call(server, 'GET');
  t.strictSame(
    trace?.hops.map(({ seq, packet }) => [seq, packet]),
    [
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1],
      [5, 1],
    ],
  );
  t.match(trace?.hops.at(-2), { detail: 'tab by websocket', at: Number });
  t.match(trace?.hops.at(-1), { detail: 'tab, by being written' });
  t.notMatch(JSON.stringify(trace), 'secret');
  t.strictSame((await call(server, 'GET', { after: '3' })).trace?.hops.length, 2);
});

t.test('a trace says when a client that keeps a position has confirmed, and not before', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, admin, clock);
  const site = server.site();
  const { ticket } = await site.online('2', { client: 'tab' });
  const client = server.own(new CountingSocket(server.port, ticket));
  await client.connect();
  await start(server, '2');
  clock.advance(500);
  await site.push('9', '2', 'a secret');
  await client.has(1);
  t.equal((await hops(server)).at(-1), 'sent message chat 9>2');
  const view = async () => {
    const answer = await askAdmin(server, `/api/endpoint?${new URLSearchParams({ domain: siteA.domain, id: '2' })}`);
    return (answer.body as { endpoint: { clients: Record<string, unknown>[] } }).endpoint.clients[0];
  };
  const unconfirmed = async () => {
    const { text } = await askAdmin(server, '/metrics');
    const value = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
    return [value('nextalk_unconfirmed_packets'), value('nextalk_packets_confirmed_total\\{kind="message"\\}')];
  };
  const before = (await view()) as { unconfirmedSince: number; connectedAt: number };
  t.match(before, { unconfirmed: 1, queuedPackets: 1, position: /\.0$/ });
  // Reckoned back from now by how long the packet has been there, and never to before its connection.
  t.ok(before.unconfirmedSince >= before.connectedAt && before.unconfirmedSince <= before.connectedAt + 500);
  t.strictSame(await unconfirmed(), [1, 0]);
  client.say('received');
  await server.settledWhile(async () => !(await hops(server)).includes('confirmed message chat 9>2'));
  t.match((await call(server, 'GET')).trace?.hops.at(-1), { hop: 'confirmed', detail: 'tab' });
  t.match(await view(), { unconfirmed: 0, unconfirmedSince: null, queuedPackets: 0, position: /\.1$/ });
  t.strictSame(await unconfirmed(), [0, 1]);
});

t.test('a trace tells why an endpoint did not get a message', async (t) => {
  const server = await testServer(t, { ...admin, limits: { queuePackets: 1 } });
  const site = server.site();
  await start(server, '42');
  await site.push('9', '42', 'too early');
  const { ticket } = await site.online('42', { client: 'tab' });
  await site.push('9', '42', 'waits');
  await site.push('9', '42', 'waits too');
  await site.offline(ticket);
  const seen = await hops(server);
  t.strictSame(seen.slice(0, 4), [
    'accepted message chat 9>42',
    'resolved message chat 9>42',
    'dropped message chat 9>42',
    'online',
  ]);
  t.ok(seen.includes('kept message chat 9>42'));
  const { trace } = await call(server, 'GET');
  const dropped = trace?.hops.filter(({ hop }) => hop === 'dropped').map(({ detail }) => detail);
  t.equal(dropped?.[0], 'offline');
  t.ok(dropped?.includes('queueOverflow'));
  t.match(
    trace?.hops.find(({ hop }) => hop === 'resolved'),
    { detail: 'nobody' },
  );
  t.match(
    trace?.hops.find(({ hop }) => hop === 'ended'),
    { detail: /^tab: / },
  );
});

t.test('connections, room messages and acknowledgements are shown, others’ packets are not', async (t) => {
  const server = await testServer(t, admin);
  const site = server.site();
  const one = await site.arrive('1', { rooms: 'r' });
  const three = await site.arrive('3', { rooms: 'r' });
  await start(server, '2');
  const two = await site.arrive('2', { rooms: 'r' }, mqttTcp);
  await site.say(one.ticket, 'r', 'to all');
  await site.message(one.ticket, '3', 'not for 2');
  await site.message(one.ticket, '2', 'last');
  while ((await two.next()).body !== 'last');
  await three.before();
  await server.settledWhile(async () => !(await hops(server)).includes('confirmed message chat 1>2'));
  const seen = await hops(server);
  t.strictSame(seen.slice(0, 4), [
    'online',
    'accepted presence grponline 2>r',
    'resolved presence grponline 2>r',
    'attached',
  ]);
  const room = seen.filter((hop) => hop.endsWith('grpchat 1>r'));
  t.strictSame(room.slice(0, 4), [
    'accepted message grpchat 1>r',
    'resolved message grpchat 1>r',
    'queued message grpchat 1>r',
    'sent message grpchat 1>r',
  ]);
  t.notOk(seen.some((hop) => hop.includes('1>3')));
});

t.test('there is one trace at a time; it ends when asked to, and can be read afterwards', async (t) => {
  const server = await testServer(t, admin);
  const site = server.site();
  t.strictSame(await call(server, 'GET'), { trace: null });
  await start(server, '1');
  await start(server, '2', siteB.domain);
  await site.push('9', '1', 'not traced any more');
  t.strictSame(await hops(server), []);
  await server.site(siteB).push('9', '2', 'traced');
  const ended = await call(server, 'DELETE');
  t.match(ended.trace, { active: false, id: '2' });
  await server.site(siteB).push('9', '2', 'not traced any more');
  t.equal((await hops(server)).length, 3);
});

t.test('a trace of a room, an unknown domain or a wrong time is refused', async (t) => {
  const server = await testServer(t, admin);
  for (const query of [
    '',
    'domain=a.example&id=gid:r',
    'domain=a.example&id=1&minutes=61',
    'domain=a.example&id=1&minutes=-1',
  ]) {
    t.equal((await askAdmin(server, `/api/trace?${query}`, {}, 'POST')).status, 400, query);
  }
});
